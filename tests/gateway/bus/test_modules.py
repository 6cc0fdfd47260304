"""Sensors without a bus of their own, behind counter and analogue modules, on a real tty."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.scripted import ScriptedDevice
from rig.sink import Sink
from rig.site import site

from egret_core.quality import Flag, Reason
from egret_core.timescale import REAL
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from egret_gateway.sample import Sample

BUCKET = """
[[bus.device]]
profile = "generic-pulse-counter"
station = "st0007"
period_s = 0.1
[bus.device.channels.count2]
channel = "rain"
[bus.device.channels.count2.calibration]
formula = "tipping-bucket"
mm_per_tip = 0.2
min_tip_s = 0.05
"""
LEVEL = """
[[bus.device]]
profile = "generic-analog-input"
station = "st0007"
period_s = 0.05
[bus.device.channels.input3]
channel = "wl"
datum = "Luoling"
datum_offset_m = 10.0
[bus.device.channels.input3.calibration]
formula = "loop-4-20"
quantity = "water_level"
unit = "cm"
low = 0
high = 500
"""


@asynccontextmanager
async def polled(folder: Path, devices: str, answers: Sequence[list[int]]) -> AsyncIterator[Sink]:
    """A module that gives one answer after another, and the last one for ever."""
    device = ScriptedDevice(lambda _, number: answers[min(number, len(answers)) - 1])
    with FarEnd(device) as far:
        path = site(folder, port=far.path, baud=115200, devices=devices)
        sink = Sink()
        task = asyncio.create_task(
            Bus(load(path).buses[0], REAL, sink.emit, {}, lambda: False).run()
        )
        yield sink
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def word(count: int) -> list[int]:
    return [count >> 16, count & 0xFFFF]


def said(sample: Sample) -> tuple[float, int, int]:
    assert sample.value is not None
    return round(sample.value, 6), sample.flag, sample.reasons


async def test_a_reed_bucket_over_a_wrap_a_bounce_and_a_power_cut(tmp_path: Path) -> None:
    """What is shown first is the module's own count; the total never falls from there."""
    last = 2**32 - 1
    counts = [last, last, 0, 1, 101, 101, 1, 1]
    async with polled(tmp_path, BUCKET, [word(count) for count in counts]) as sink:
        await sink.until(lambda: len(sink.samples) >= len(counts))
    rain = [said(sample) for sample in sink.samples[: len(counts)]]
    first = rain[0][0]
    rises = [round(value - first, 6) for value, _, _ in rain]
    assert rises[:4] == [0.0, 0.0, 0.2, 0.4], "the wrap is one tip"
    bounced = rises[4] - rises[3]
    assert 0.2 <= bounced <= 1.2, "in a tenth of a second a hundred contacts are a few tips"
    assert rain[4][1:] == (Flag.SUSPECT, Reason.BOUNCE)
    assert rain[6][1:] == (Flag.GOOD, Reason.COUNTER_RESET)
    assert round(rises[6] - rises[5], 6) == 0.2
    assert rises == sorted(rises)
    assert rain[7] == (rain[6][0], Flag.GOOD, 0)


async def test_a_level_transmitter_whose_wire_breaks_and_is_mended(tmp_path: Path) -> None:
    currents = [[12_000], [3_700], [0], [3_599], [65_535], [4_000]]
    async with polled(tmp_path, LEVEL, currents) as sink:
        await sink.until(lambda: len(sink.samples) >= len(currents))
    found = [(s.value, s.raw, s.flag, s.reasons & ~Reason.GAP) for s in sink.samples[:6]]
    assert found[0] == (12.5, 12_000.0, Flag.GOOD, 0)
    assert found[1] == (pytest.approx(9.90625), 3_700.0, Flag.SUSPECT, Reason.RANGE)
    for value, _, flag, reasons in found[2:5]:
        assert value is None, "a broken loop is never a level"
        assert flag == Flag.FAIL
        assert reasons & Reason.SENSOR_FAULT
    assert found[5] == (10.0, 4_000.0, Flag.GOOD, 0)
