"""The gateway's bus reads the valley over a paced line, and no fault of the line makes a value."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from egret_core.quality import Flag
from egret_core.timescale import Timescale
from egret_demo import site
from egret_demo.faults import Fate
from egret_demo.instruments import TIP_MM
from egret_demo.processes import Family
from egret_demo.valley import Valley
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from egret_gateway.sample import Sample

LIMIT_S = 60
ENOUGH = 10  # good readings of each live channel
SCALE = 60
SEED = 11
LIVE = (site.BRIDGE, site.WEIR, site.RIDGE)
pytestmark = [pytest.mark.system, pytest.mark.alone]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[site.Site]:
    now_ms = round(time.time() * 1000)
    # Ten minutes into the storm, so that there is something to read.
    found = site.Site(tmp_path, 8420, 1883, SEED, Timescale(SCALE, now_ms - 10_000, now_ms))
    site.write(found)
    family = Family(tmp_path)
    python = [sys.executable, "-m"]
    family.start("bus", [*python, "egret_demo.paced_bus", str(found.bus), "1", "9600"])
    family.wait_until((found.bus / "master").exists, "the line", LIMIT_S)
    family.start("valley", [*python, "egret_demo.station", str(found.file("valley.toml"))])
    yield found
    family.stop_all()
    fates = json.loads((tmp_path / "fates.json").read_text(encoding="utf-8"))
    assert fates[f"246/{Fate.WHOLE.value}"] >= ENOUGH
    assert fates[f"11/{Fate.DEAD.value}"] >= 1


async def test_every_value_is_the_valleys_own(place: site.Site) -> None:
    (settings,) = load(place.file("gateway.toml")).buses
    taken: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    enough = asyncio.Event()

    def emit(samples: Sequence[Sample], _memory: Mapping[str, str]) -> None:
        for sample in samples:
            taken[sample.station, sample.channel].append(sample)
        if all(sum(s.flag == Flag.GOOD for s in taken[key]) >= ENOUGH for key in LIVE):
            enough.set()

    bus = Bus(settings, place.timescale, emit, {}, lambda: False)
    offset_ms = time.time() * 1000 - time.monotonic() * 1000
    polling = asyncio.create_task(bus.run())
    async with asyncio.timeout(LIMIT_S):
        await enough.wait()
    polling.cancel()
    await asyncio.gather(polling, return_exceptions=True)

    def near(sample: Sample, name: str) -> tuple[float, float]:
        """The valley's lowest and highest value in the two seconds before the sample."""
        at = place.timescale.at(sample.mono_ms + offset_ms) - place.timescale.to_ms
        values = [getattr(valley.at(at / 1000 - 10 * back), name) for back in range(13)]
        return min(values) - 0.02, max(values) + 0.02

    valley = Valley(SEED)
    for (station, _), name in ((site.BRIDGE, "bridge_m"), (site.WEIR, "weir_m")):
        for sample in taken[station, "wl"]:
            assert (sample.value is None) == (sample.flag == Flag.MISSING)
            if sample.value is not None:
                low, high = near(sample, name)
                assert low <= sample.value <= high
    rain = [sample.value for sample in taken[site.RIDGE] if sample.value is not None]
    assert rain == sorted(rain)
    tips = [(value - rain[0]) / TIP_MM for value in rain]
    assert all(abs(count - round(count)) < 0.01 for count in tips), rain
    assert {sample.flag for sample in taken[site.CULVERT]} == {Flag.MISSING}
