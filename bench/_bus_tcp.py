"""A thousand Modbus TCP devices on one event loop: what the bus layer takes of a core.

Each device is a connection of its own with twenty registers read every second; they are served by
another process. Counted is this process's CPU time from the schedule to raw numbers ("devices"),
and in a second run with every value converted and screened too ("converted"); the outbox and the
uplink are in neither.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from egret_core.timescale import REAL
from egret_gateway.bus.poll import Bus
from egret_gateway.bus.sampler import Sampled
from egret_gateway.bus_settings import MODBUS_TCP, BusSettings
from egret_gateway.profiles import (
    ChannelSettings,
    DeviceSettings,
    Item,
    Modbus,
    Profile,
    Register,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_gateway.sample import Sample

DEVICES = 1000
REGISTERS = 20
PERIOD_S = 1.0
WARM_S = 4.0  # connecting, and the first answer times
RUN_S = 10.0
DESCRIPTORS = 4096
HERE = Path(__file__).resolve().parent


def settings(port: int, number: int) -> BusSettings:
    items = tuple(Item(f"r{k}", Register(3, k, "u16"), "voltage", "mV") for k in range(REGISTERS))
    profile = Profile("bench", 1, "bench", "simulated", items, Modbus())
    channels = tuple(ChannelSettings(f"st{number}", item.name, item) for item in items)
    device = DeviceSettings(1, profile, f"st{number}", PERIOD_S, channels)
    return BusSettings(
        f"bus{number}", f"tcp://127.0.0.1:{port}", devices=(device,), protocol=MODBUS_TCP
    )


class Raw:
    """In place of a bus's sampler: counts raw numbers and converts none."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted

    def values(
        self, _: object, raws: Sequence[float | None], *__: object, **___: object
    ) -> Sampled:
        self._counted.values += len(raws)
        return Sampled([], {})

    def missing(self, channels: Sequence[object], *_: object, **__: object) -> Sampled:
        self._counted.missing += len(channels)
        return Sampled([], {})


class Counted:
    """How many values came, and how many did not."""

    def __init__(self) -> None:
        self.values = self.missing = 0

    def emit(self, samples: Sequence[Sample], _: Mapping[str, str]) -> None:
        for sample in samples:
            self.values += sample.value is not None
            self.missing += sample.value is None


async def run(port: int, devices: int, name: str) -> dict[str, float]:
    counted = Counted()
    buses = [
        Bus(settings(port, number), REAL, counted.emit, {}, lambda: False)
        for number in range(devices)
    ]
    tasks = []
    for number, bus in enumerate(buses):  # as field devices come up: not all in one instant
        if name == "devices":
            bus._sampler = Raw(counted)  # type: ignore[assignment]  # noqa: SLF001
        tasks.append(asyncio.create_task(bus.run()))
        if number % 50 == 0:
            await asyncio.sleep(PERIOD_S * 50 / devices)
    await asyncio.sleep(WARM_S)
    counted.values = counted.missing = 0
    cpu_s, wall_s = time.process_time(), time.monotonic()
    await asyncio.sleep(RUN_S)
    cpu_s, wall_s = time.process_time() - cpu_s, time.monotonic() - wall_s
    reads, missing = counted.values / REGISTERS, counted.missing
    taus = [unit["tau_ms"] for bus in buses for unit in bus.health()["units"].values()]
    for task in tasks:
        if task.done():
            task.result()  # a bus never ends by itself: its error is the finding
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {
        f"tcp_{devices}_{name}_core_share": round(cpu_s / wall_s, 4),
        f"tcp_{devices}_{name}_cpu_us_per_read": round(cpu_s / max(reads, 1) * 1e6, 1),
        f"tcp_{devices}_{name}_reads_per_s": round(reads / wall_s, 1),
        f"tcp_{devices}_{name}_missing": missing,
        f"tcp_{devices}_{name}_answer_ms_median": round(statistics.median(t or 0 for t in taus), 2),
    }


def figures(devices: int = DEVICES) -> dict[str, float]:
    """Return the figures; raises RuntimeError where so many connections are not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, min(DESCRIPTORS, hard if hard != resource.RLIM_INFINITY else DESCRIPTORS))
    if wanted < devices + 64:
        raise RuntimeError(f"only {hard} descriptors allowed, {devices + 64} wanted")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    server = subprocess.Popen(
        [sys.executable, str(HERE / "_tcp_server.py")],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        return {
            **asyncio.run(run(port, devices, "devices")),
            **asyncio.run(run(port, devices, "converted")),
        }
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(10)
