"""Rate of rise and the trend's reach at a flashy stream: hits, lead and false alarms, two years.

Crossings are 3 h apart; alarms within 3 h are one episode, false where no crossing follows its
first alarm within 3 h; lead is from the earliest alarm within 3 h before a crossing, median.
"""

from __future__ import annotations

import csv
import gzip
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest
from rig.packbook import of_pack
from rig.rulebook import GATEWAY

from egret_core.rules.model import ChannelPlace
from egret_core.units import convert

DATA = Path(__file__).parents[4] / "shared" / "data" / "stream_plumtree_2016_2017"
WITHIN_MS = 3 * 3_600_000
PLACE = ChannelPlace("plumtree", "wl", "water_level", "m", "Gauge", GATEWAY, None)

pytestmark = pytest.mark.skipif(
    not DATA.exists(), reason="no ../shared/data/stream_plumtree_2016_2017"
)
Stage = list[tuple[int, float]]


class Score(NamedTuple):
    """How alarms did against crossings."""

    hits: int
    events: int
    lead_min: float
    far: float


def epoch_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.fixture(scope="module")
def stage_ft() -> Stage:
    with gzip.open(DATA / "stage_5min.csv.gz", "rt") as file:
        return [(epoch_ms(row["time_utc"]), float(row["stage_ft"])) for row in csv.DictReader(file)]


def crossings(threshold_ft: float) -> list[int]:
    with (DATA / "crossings.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [epoch_ms(r["crossed_at_utc"]) for r in rows if float(r["threshold_ft"]) == threshold_ft]


def scored(alarms: list[int], threshold_ft: float) -> Score:
    events, starts, last = crossings(threshold_ft), [], None
    for ms in alarms:
        if last is None or ms - last > WITHIN_MS:
            starts.append(ms)
        last = ms
    before = [[ms for ms in alarms if at - WITHIN_MS <= ms <= at] for at in events]
    leads = [(at - ms[0]) / 60_000 for at, ms in zip(events, before, strict=True) if ms]
    false = sum(not any(ms <= at <= ms + WITHIN_MS for at in events) for ms in starts)
    return Score(len(leads), len(events), median(leads), round(false / (len(leads) + false), 2))


def alarms_of(pack: str, parameters: str, stage_ft: Stage) -> list[int]:
    """Return every time at which the lowest level's index is reached and its stage is not."""
    law = of_pack(pack, PLACE, parameters).law
    index, (rung, *_) = law.make(), law.ladder.rungs
    out = []
    for time_ms, feet in stage_ft:
        value = convert("water_level", feet, "ft")
        got = index.take(time_ms, value)
        reached = law.ladder.datum and value >= rung.raise_at
        if got is not None and got >= rung.raise_at - 1e-12 and not reached:
            out.append(time_ms)
    return out


@pytest.mark.parametrize(
    ("threshold_ft", "expected"), [(3.0, Score(11, 13, 10, 0.81)), (4.0, Score(2, 2, 17.5, 0.97))]
)
def test_the_scorer_gives_the_published_figures_of_a_plain_difference(
    stage_ft: Stage, threshold_ft: float, expected: Score
) -> None:
    alarms = [
        now
        for (_, before), (now, after) in zip(stage_ft, stage_ft[3:], strict=False)
        if round(after - before, 6) >= 0.5
    ]
    assert scored(alarms, threshold_ft) == expected


@pytest.mark.parametrize(
    ("threshold_ft", "expected"), [(3.0, Score(11, 13, 10, 0.83)), (4.0, Score(2, 2, 17.5, 0.97))]
)
def test_a_rise_of_two_feet_an_hour_over_fifteen_minutes(
    stage_ft: Stage, threshold_ft: float, expected: Score
) -> None:
    text = 'unit = "ft/h"\nsamples = 4\nwindow_s = 0\nlevels = [{ level = "watch", raise = 2.0 }]'
    assert scored(alarms_of("generic-rate-of-rise", text, stage_ft), threshold_ft) == expected


@pytest.mark.parametrize(
    ("threshold_ft", "expected"), [(3.0, Score(13, 13, 20, 0.83)), (4.0, Score(2, 2, 15, 0.94))]
)
def test_the_linear_trend_crosses_within_thirty_minutes(
    stage_ft: Stage, threshold_ft: float, expected: Score
) -> None:
    text = (
        'unit = "ft"\ndatum = "Gauge"\nlead_s = 1800\nsamples = 3\n'
        f'levels = [{{ level = "watch", raise = {threshold_ft} }}]'
    )
    assert scored(alarms_of("generic-time-to-level", text, stage_ft), threshold_ft) == expected
