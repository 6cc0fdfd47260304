"""Talkers as processes on ptys, half of whose lines come to grief: no wrong value, and they live.

Each line says its own number, so that every value can be traced to the line that said it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.talk import bus, device, talking
from rig.talker import TalkerProcess

from egret_core.quality import Flag, Reason
from egret_gateway.protocols.geodesy import Position

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.profiles import DeviceSettings

pytestmark = pytest.mark.system

BASE = Position(24.4798, 118.0894, 545.4 + 12.345)
EVERY_S = 0.01
VALUES = 40
# kind, device, item, and how many of its canonical units one step of the line's number is
KINDS: tuple[tuple[str, DeviceSettings, str, float], ...] = (
    ("depth", device("nmea-echo-sounder", "depth", period_s=0.05), "depth", 0.01),
    ("radar", device("geolux-lx-80-nmea", "level", period_s=0.05), "level", 0.001),
    ("gnss", device("nmea-gnss-rtk", "up", period_s=0.05, base=BASE), "up", 1.0),
    ("tilt", device("bei-inclinometer-rs232", "x", period_s=0.05), "x", 0.001),
)


@pytest.mark.parametrize(("kind", "sensor", "item", "step"), KINDS, ids=[k[0] for k in KINDS])
async def test_only_what_was_said_whole_becomes_a_value(
    tmp_path: Path, kind: str, sensor: DeviceSettings, item: str, step: float
) -> None:
    link = tmp_path / "bus0"
    with TalkerProcess(link, kind, EVERY_S, share=0.5) as talker:
        async with talking(bus(link, sensor)) as (running, sink):
            await sink.until(lambda: len(sink.values(item)) >= VALUES)
            strange = running.health()["units"][sensor.name]["strange"]
    numbers = [value / step for value in sink.values(item)]
    assert numbers == pytest.approx([round(n) for n in numbers], abs=0.02)
    assert {round(n) for n in numbers} <= set(talker.report["whole"])
    assert all(count > 0 for count in talker.report["lines"].values() if kind != "tilt")
    assert strange, "mishaps are counted by name"
    if kind == "gnss":
        worth = {round(s.value): s.flag for s in sink.samples if s.value is not None}
        expected = {0: Flag.FAIL, 4: Flag.SUSPECT}
        assert worth == {n: expected.get(n % 8, Flag.GOOD) for n in worth}


async def test_a_talker_that_dies_is_missed_and_heard_again(tmp_path: Path) -> None:
    link = tmp_path / "bus0"
    sounder = device("nmea-echo-sounder", "depth", period_s=0.05)
    with TalkerProcess(link, "depth", EVERY_S, share=0.0):
        running_bus = talking(bus(link, sounder))
        running, sink = await running_bus.__aenter__()
        await sink.until(lambda: len(sink.values("depth")) >= 5)
    await sink.until(lambda: bool(sink.samples[-1].reasons & Reason.PORT))
    assert running.health()["fault"] in ("missing", "vanished")
    count = len(sink.values("depth"))
    with TalkerProcess(link, "depth", EVERY_S, share=0.0):
        await sink.until(lambda: len(sink.values("depth")) >= count + 5)
        assert running.health()["fault"] == ""
        await running_bus.__aexit__(None, None, None)
