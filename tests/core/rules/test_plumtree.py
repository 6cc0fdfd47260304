"""A real flashy stream: 13 crossings of 3.0 ft and 2 of 4.0 ft in two years, at their times."""

from __future__ import annotations

import csv
import gzip
from bisect import bisect_left
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.packbook import bound_to
from rig.rulebook import GATEWAY, fold_of

from egret_core.reading import Reading
from egret_core.rules.event import Phase
from egret_core.rules.model import BoundRule, ChannelPlace
from egret_core.rules.step import Receipt, step
from egret_core.units import convert

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data" / "stream_plumtree_2016_2017"
APART_MS = 3 * 3_600_000
PLACE = ChannelPlace("plumtree", "wl", "water_level", "m", "Gauge", GATEWAY, None)

pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="no ../shared/data/stream_plumtree_2016_2017"
)


def epoch_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.fixture(scope="module")
def stage() -> list[Reading]:
    with gzip.open(DATA / "stage_5min.csv.gz", "rt") as file:
        rows = [(epoch_ms(row["time_utc"]), float(row["stage_ft"])) for row in csv.DictReader(file)]
    return [Reading("plumtree", "wl", ms, convert("water_level", feet, "ft")) for ms, feet in rows]


def crossings(threshold_ft: float) -> list[int]:
    with (DATA / "crossings.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [epoch_ms(r["crossed_at_utc"]) for r in rows if float(r["threshold_ft"]) == threshold_ft]


def rule_in_feet(hysteresis_ft: float, more: str = "") -> tuple[BoundRule, ...]:
    text = f"""
        [[rule]]
        id = "plumtree"
        pack = "generic-level"
        channels = ["plumtree/wl"]
        [rule.parameters]
        unit = "ft"
        datum = "Gauge"
        levels = [
          {{ level = "yellow", raise = 3.0, clear = {3.0 - hysteresis_ft} }},
          {{ level = "orange", raise = 4.0, clear = {4.0 - hysteresis_ft} }},
        ]
        {more}
    """
    return bound_to(text, PLACE)


def judged(stage: list[Reading], rules: tuple[BoundRule, ...]) -> list[ConditionEvent]:
    """Return what the fold says of the two years, two hundred readings a receipt."""
    fold, events = fold_of([PLACE], rules, stage[0].time_ms), []
    for start in range(0, len(stage), 200):
        part = stage[start : start + 200]
        events += step(fold, Receipt(GATEWAY, part[-1].time_ms + 500, part))[1]
    assert fold.channels["plumtree"]["wl"].late == 0
    return events


@pytest.mark.parametrize("hysteresis_ft", [0, 0.1, 0.33])
def test_every_crossing_is_raised_at_its_first_reading(
    stage: list[Reading], hysteresis_ft: float
) -> None:
    events = judged(stage, rule_in_feet(hysteresis_ft))
    for rank, threshold_ft in ((1, 3.0), (2, 4.0)):
        # at or above: raised to it, or beyond it at once
        rising = ("raised", "upgraded")
        up = [
            e.time_ms
            for e in events
            if e.phase is Phase.SETTLED and e.rank >= rank and str(e.change) in rising
        ]
        apart = [ms for n, ms in enumerate(up) if n == 0 or ms - up[n - 1] >= APART_MS]
        assert apart == crossings(threshold_ft)


@pytest.mark.parametrize(
    ("hysteresis_ft", "at_3_ft", "at_4_ft"), [(0, 114, 33), (0.1, 131, 34), (0.33, 172, 35)]
)
def test_so_many_readings_are_in_alarm(
    stage: list[Reading], hysteresis_ft: float, at_3_ft: int, at_4_ft: int
) -> None:
    """By the values alone, as the published counts are: a level falls without delay."""
    events = judged(stage, rule_in_feet(hysteresis_ft, "hold_s = 0\nflap_s = 0"))
    changes = [(e.time_ms, e.rank) for e in events if e.phase is Phase.SETTLED]
    times = [one.time_ms for one in stage]
    ends = [*(ms for ms, _ in changes[1:]), times[-1] + 1]
    found = {
        least: sum(
            bisect_left(times, end) - bisect_left(times, start)
            for (start, rank), end in zip(changes, ends, strict=True)
            if rank >= least
        )
        for least in (1, 2)
    }
    assert found == {1: at_3_ft, 2: at_4_ft}


def test_the_first_raise_says_what_was_measured(stage: list[Reading]) -> None:
    at = crossings(4.0)[1]
    near = [one for one in stage if abs(one.time_ms - at) <= 3_600_000]
    fold = fold_of([PLACE], rule_in_feet(0.1), near[0].time_ms)
    events = step(fold, Receipt(GATEWAY, near[-1].time_ms, near))[1]
    top = next(e for e in events if e.phase is Phase.SETTLED and e.level == "orange")
    assert top.time_ms == at
    assert (top.evidence["threshold"], top.evidence["unit"]) == (1.2192, "m")
    assert top.evidence["value"] >= 1.2192
