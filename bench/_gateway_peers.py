"""CPU time for a reading, whole processes beside each other on the same devices in one run.

Twenty devices of twenty registers, a second's period, Modbus TCP. Ours is the gateway as shipped:
screened, committed to disk, batched, sent over TLS and settled by a real centre. The plain loop
reads one tag a request with pymodbus and publishes a JSON object for each device at QoS 1, without
TLS, and keeps nothing; ThingsBoard's gateway likewise, from its memory storage.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import _thingsboard
from _field import MODBUS_TCP, Bus, Device, Pace, as_box, running, serving, until, write_config
from _gateway_centre import centre
from _process import cpu_of
from rig.broker import Mosquitto, running_broker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DEVICES, TAGS = 20, 20
PERIOD_S = 1.0
WARM_S = 6.0  # connecting, imports, the first answer times
START_S = 60.0
STOP_S = 15.0
HERE = Path(__file__).resolve().parent


class Cost(NamedTuple):
    """CPU time of a process and its children over a span, and the readings it gave meanwhile."""

    cpu_s: float
    readings: int
    seconds: float

    def told(self, name: str) -> dict[str, float]:
        """Return the figures under a name."""
        return {
            f"{name}_cpu_us_per_reading": round(self.cpu_s / max(1, self.readings) * 1e6, 1),
            f"{name}_readings_per_s": round(self.readings / self.seconds, 1),
        }


async def ours(folder: Path, ports: list[int], seconds: float) -> Cost:
    async with centre(folder) as there:
        buses = tuple(
            Bus(f"tcp://127.0.0.1:{port}", (Device(1, TAGS),), MODBUS_TCP) for port in ports
        )
        config = write_config(folder, buses, Pace(PERIOD_S, 1.0), as_box(there.broker))
        with running(config) as box:
            await until(lambda: there.batches() > 1, START_S)
            return await _measured(box, there.readings, seconds)


async def plain(folder: Path, ports: list[int], seconds: float) -> Cost:
    async with running_broker(folder) as broker:
        words = [str(word) for word in (broker.port, TAGS, PERIOD_S, *ports)]
        loop = subprocess.Popen(  # noqa: ASYNC220  (ended below)
            [sys.executable, str(HERE / "_plain_loop.py"), *words],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        try:
            return await _measured(loop, _number_of(loop), seconds)
        finally:
            _end(loop)


async def peer(folder: Path, ports: list[int], seconds: float) -> Cost:
    """Measure ThingsBoard's; it is installed first."""
    python = await asyncio.to_thread(_thingsboard.provide)
    broker = Mosquitto(folder)  # it speaks MQTT 5 only
    await broker.start()
    try:
        async with _thingsboard.platform(broker.port) as count:
            _thingsboard.write_config(folder / "tb", ports, TAGS, PERIOD_S, broker.port)
            box = _thingsboard.start(python, folder / "tb")

            async def readings() -> int:
                return count[0]

            try:
                await until(lambda: count[0] > len(ports) * TAGS, START_S)
                return await _measured(box, readings, seconds)
            finally:
                _end(box)
    finally:
        broker.stop()


async def figures(
    folder: Path, seconds: float, devices: int = DEVICES, *, with_thingsboard: bool
) -> dict[str, float | str]:
    """Return what each takes; ratios beside them."""
    with serving(devices) as ports:
        own = await ours(folder / "ours", ports, seconds)
        loop = await plain(folder / "plain", ports, seconds)
        other = await peer(folder / "peer", ports, seconds) if with_thingsboard else None
    told: dict[str, float | str] = {
        "cpu_us_per_reading": own.told("")["_cpu_us_per_reading"],
        "cpu_readings_per_s": own.told("")["_readings_per_s"],
        **loop.told("pymodbus_one_tag"),
        "cpu_ratio_to_pymodbus_one_tag": _ratio(own, loop),
    }
    if other is None:
        return {**told, "thingsboard": "not run: ask for it by --with-thingsboard"}
    return {
        **told,
        **other.told("thingsboard"),
        "thingsboard": _thingsboard.VERSION,
        "cpu_ratio_to_thingsboard": _ratio(own, other),
    }


def _ratio(own: Cost, other: Cost) -> float:
    mine, its = (cost.cpu_s / max(1, cost.readings) for cost in (own, other))
    return round(mine / its, 3) if its else 0.0


async def _measured(
    process: subprocess.Popen[bytes], readings: Callable[[], Awaitable[int]], seconds: float
) -> Cost:
    await asyncio.sleep(min(WARM_S, seconds))
    cpu_s, before, began = cpu_of(process.pid), await readings(), time.monotonic()
    await asyncio.sleep(seconds)
    return Cost(cpu_of(process.pid) - cpu_s, await readings() - before, time.monotonic() - began)


def _number_of(loop: subprocess.Popen[bytes]) -> Callable[[], Awaitable[int]]:
    """Return how to read a count that a process prints, a line a second: the last one counts."""
    assert loop.stdout is not None
    os.set_blocking(loop.stdout.fileno(), False)
    last = [0]

    async def readings() -> int:
        assert loop.stdout is not None
        words = (loop.stdout.read() or b"").split()
        last[0] = int(words[-1]) if words else last[0]
        return last[0]

    return readings


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
