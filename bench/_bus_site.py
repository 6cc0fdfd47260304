"""Sites for the benchmarks of the bus: a profile of so many registers, and devices that have it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from rig.site import site

from egret_core.timescale import REAL
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from egret_gateway.config import BusSettings
    from egret_gateway.sample import Sample

PROFILE = """
[profile]
name = "bench"
version = 1
title = "registers that are counted up"
tier = "simulated"
tier_date = "2026-11-29"
evidence = "a device of the benchmarks"
sources = ["bench"]
[modbus]
timeout_min_ms = 50
timeout_max_ms = {patience_ms}
"""
ITEM = """
[item.r{n}]
fc = 3
address = {n}
type = "u16"
quantity = "pressure"
unit = "kPa"
"""
DEVICE = """
[[bus.device]]
profile = "bench"
unit = {unit}
station = "u{unit}"
period_s = {period_s}
"""
CHANNEL = """
[bus.device.channels.r{n}]
channel = "r{n}"
"""


def bus_of(
    folder: Path,
    port: Path,
    units: Sequence[int],
    *,
    registers: int,
    period_s: float,
    baud: int,
    patience_ms: int = 1000,
) -> BusSettings:
    """Write and load a site of equal devices."""
    shelf = folder / "shelf"
    shelf.mkdir(parents=True, exist_ok=True)
    items = "".join(ITEM.format(n=n) for n in range(registers))
    (shelf / "bench.toml").write_text(PROFILE.format(patience_ms=patience_ms) + items)
    channels = "".join(CHANNEL.format(n=n) for n in range(registers))
    devices = "".join(DEVICE.format(unit=u, period_s=period_s) + channels for u in units)
    return load(site(folder, port=port, baud=baud, devices=devices), (shelf,)).buses[0]


class Heard:
    """When each unit's first register was read, monotonic seconds, and how many values there were.

    Values that are not what the slaves serve are counted as wrong.
    """

    def __init__(self) -> None:
        self.at_s: dict[str, list[float]] = {}
        self.values = 0
        self.wrong = 0

    def emit(self, samples: Sequence[Sample], _memory: Mapping[str, str]) -> None:
        for sample in samples:
            if sample.value is None:
                continue
            self.values += 1
            self.wrong += sample.value != 1000 + int(sample.channel[1:])
            if sample.channel == "r0":
                self.at_s.setdefault(sample.station, []).append(sample.mono_ms / 1000)


@contextlib.asynccontextmanager
async def polling(settings: BusSettings, heard: Heard) -> AsyncIterator[Bus]:
    """Run a real bus."""
    bus = Bus(settings, REAL, heard.emit, {}, lambda: False)
    task = asyncio.create_task(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
