"""How long after its adapter is back a line has a value again.

A pty is taken away, for a moment or for longer than the pauses between two looks, and put back at
the same path; counted is from the path's return to the last byte of the first good answer. The
device is read every tenth of a second, so that the wait for its turn is hardly in it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rig.pty import FarEnd

from egret_core.timescale import REAL
from egret_gateway.bus.poll import Bus
from egret_gateway.bus_settings import BusSettings
from egret_gateway.profiles import ChannelSettings, DeviceSettings, Item, Modbus, Profile, Register
from egret_gateway.protocols.modbus_rtu_slave import find_request, reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from egret_gateway.sample import Sample

PERIOD_S = 0.1
AWAY_S = (0.05, 0.3, 0.7, 1.1, 2.3, 4.9, 8.0)
LIMIT_S = 30.0


def answer(data: bytes) -> bytes:
    request = find_request(data, {1})
    return b"" if request is None else reply(request, [7] * request.words)


class Line:
    """The samples of one line, and a way to wait for the next good one."""

    def __init__(self) -> None:
        self.good = asyncio.Event()
        self.at_s = 0.0

    def emit(self, samples: Sequence[Sample], _: Mapping[str, str]) -> None:
        for sample in samples:
            if sample.value is not None:
                self.at_s = sample.mono_ms / 1000
                self.good.set()

    async def next(self) -> float:
        self.good.clear()
        async with asyncio.timeout(LIMIT_S):
            await self.good.wait()
        return self.at_s


def settings(link: Path) -> BusSettings:
    item = Item("r", Register(3, 0, "u16"), "voltage", "mV")
    profile = Profile("bench", 1, "bench", "simulated", (item,), Modbus())
    device = DeviceSettings(1, profile, "st", PERIOD_S, (ChannelSettings("st", "r", item),))
    return BusSettings("bench", str(link), 115_200, devices=(device,))


async def replugged(folder: Path) -> list[float]:
    """Return the seconds that each return took, by `AWAY_S`."""
    link = folder / "replug"
    line = Line()
    bus = asyncio.create_task(Bus(settings(link), REAL, line.emit, {}, lambda: False).run())
    took: list[float] = []
    for away_s in (0.05, *AWAY_S):
        with FarEnd(answer) as far:
            back_s = time.monotonic()
            link.symlink_to(far.path)
            took.append(await line.next() - back_s)
            await asyncio.sleep(2 * PERIOD_S)
            link.unlink()
        await asyncio.sleep(away_s)
    bus.cancel()
    with suppress(asyncio.CancelledError):
        await bus
    return took[1:]  # the first was a start, no return


def figures(folder: Path) -> dict[str, float]:
    """Return `replug_s`, the median of several, and the longest."""
    folder.mkdir(parents=True, exist_ok=True)
    took = asyncio.run(replugged(folder))
    return {
        "replug_s": round(statistics.median(took), 3),
        "replug_s_longest": round(max(took), 3),
    }
