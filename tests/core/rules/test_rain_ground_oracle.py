"""Storms and sums of days through the fold, against the plainest reckoning of the same stream.

A rain total with gaps, every tenth reading twice, all shuffled within the lateness of an hour.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import pytest
from rig.rulebook import GATEWAY, HOUR_MS, START_MS, bound, fold_of

from egret_core.reading import Reading
from egret_core.rules import recent_antecedent, storm
from egret_core.rules.curves import Curve, Terms
from egret_core.rules.model import ChannelPlace, Family, IndexLaw, LadderLaw, Rung
from egret_core.rules.step import Receipt, step
from egret_core.rules.total import NM_PER_MM
from egret_core.rules.windows import Increment

LATE_MS = HOUR_MS
GAUGE = ChannelPlace("st1", "rn", "rain_total", "mm", "", GATEWAY, LATE_MS / 1000)
LADDER = LadderLaw((Rung("red", 1e9, 1e9),), "mm", "", 0, 0, HOUR_MS)
WAITS_MIN = (1, 5, 10, 10, 10, 10, 30, 60)
GAPS_MIN = (181, 600, 4400, 30_000)
SUMS = recent_antecedent.Terms(72 * HOUR_MS, 360 * HOUR_MS, 0.67, HOUR_MS)
LONGEST_H = 20  # for which the curve holds
STORM = Terms((Curve(14.82, 0.39),), "a test", 1, LONGEST_H * HOUR_MS, 3 * HOUR_MS)
TENTH_NM = 100_000
BATCH = 64


class Days(recent_antecedent.RecentAntecedent):
    """Writes down what it says at every reading."""

    said: list[tuple[int, int, int, float | None]]

    def take(self, time_ms: int, value: float) -> float | None:
        index = super().take(time_ms, value)
        self.said.append((time_ms, *self.sums_nm, index))
        return index


class Storms(storm.Storm):
    """The same."""

    said: list[tuple[int, float, float, float | None]]

    def take(self, time_ms: int, value: float) -> float | None:
        index = super().take(time_ms, value)
        self.said.append((time_ms, self.duration_h, self.intensity_mm_h, index))
        return index


def stream(count: int, seed: int) -> list[tuple[int, int]]:
    """(ms, total in tenths of a mm) of a gauge with dry spells, showers and silences."""
    dice, now, total, wet, out = random.Random(seed), START_MS, 1000, False, []
    for _ in range(count):
        now += dice.choice(WAITS_MIN if dice.random() < 0.999 else GAPS_MIN) * 60_000
        wet = wet != (dice.random() < 0.01)
        total += dice.choice((0, 1, 1, 3, 9)) if wet else 0
        out.append((now, total))
    return out


def fed(rows: list[tuple[int, int]], seed: int) -> tuple[list[Any], list[Any]]:
    """What both detectors said, the stream shuffled and repeated on its way into the fold."""
    days, storms = Days(SUMS), Storms(STORM)
    days.said, storms.said = [], []
    laws = [IndexLaw("days", lambda: days, LADDER, 0, of_total=True)]
    laws.append(IndexLaw("storms", lambda: storms, LADDER, 0, of_total=True))
    families = (Family.RECENT_ANTECEDENT, Family.STORM)
    rules = [bound(law, family, GAUGE) for law, family in zip(laws, families, strict=True)]
    fold, dice = fold_of([GAUGE], rules), random.Random(seed)
    arrivals = [
        (time_ms + dice.randrange(LATE_MS), Reading("st1", "rn", time_ms, tenths / 10))
        for time_ms, tenths in rows
        for _ in range(2 if dice.random() < 0.1 else 1)
    ]
    arrivals.sort(key=lambda row: row[0])
    for at in range(0, len(arrivals), BATCH):
        batch = arrivals[at : at + BATCH]
        step(fold, Receipt(GATEWAY, batch[-1][0], [reading for _, reading in batch]))
    assert fold.channels["st1"]["rn"].late == 0
    return days.said, storms.said


class Sums(NamedTuple):
    """Times of increments, and what fell up to each."""

    times: list[int]
    depths: list[int]

    def up_to(self, time_ms: int) -> int:
        return self.depths[bisect_right(self.times, time_ms)]


def sums(steps: list[Increment]) -> Sums:
    return Sums([s.time_ms for s in steps], [0, *accumulate(s.rain_nm for s in steps)])


def increments(rows: list[tuple[int, int]]) -> list[Increment]:
    out = [Increment(rows[0][0], 0, 0)]
    for (before, less), (now, more) in pairwise(rows):
        out.append(Increment(now, (more - less) * TENTH_NM, now - before))
    return out


def joined(wet: list[Increment]) -> list[Increment]:
    """Rain less than an hour after the first of its group is dated with the last of it."""
    out: list[Increment] = []
    first_ms = 0
    for one in wet:
        if out and one.time_ms - first_ms < HOUR_MS and out[-1].gap_ms <= HOUR_MS + HOUR_MS // 20:
            out[-1] = Increment(one.time_ms, out[-1].rain_nm + one.rain_nm, out[-1].gap_ms)
        else:
            out.append(one)
            first_ms = one.time_ms
    return out


def window_sums(steps: list[Increment], length_ms: int) -> list[int]:
    """The sum of the window that ends at each step; a group still growing counts as it stands."""
    wet = [s for s in steps if s.rain_nm]
    groups = joined(wet)
    # Rain of a group up to now, and of those before it that are dated inside the window.
    counted = sums([g for g in groups if g.gap_ms <= length_ms + length_ms // 20])
    ends = [g.time_ms for g in groups]
    done, out = sums(wet), []
    for step_ in steps:
        now = step_.time_ms
        at = bisect_right(ends, now)
        total = counted.up_to(now) - counted.up_to(now - length_ms)
        if at < len(groups):
            growing = groups[at]
            before = ends[at - 1] if at else -1
            so_far = done.up_to(now) - done.up_to(before)
            total += so_far if growing.gap_ms <= length_ms + length_ms // 20 else 0
        out.append(total)
    return out


def storms_of(steps: list[Increment]) -> list[tuple[float, float]]:
    """Duration and intensity at each step: storms are cut first, and read off afterwards."""
    wet = [s for s in steps if s.rain_nm]
    starts: list[int] = []
    for n, one in enumerate(wet):
        dry_ms = one.time_ms - one.gap_ms - wet[n - 1].time_ms if n else 0
        new = not n or dry_ms >= STORM.gap_ms or one.gap_ms >= STORM.gap_ms
        starts.append(one.time_ms - one.gap_ms if new else starts[-1])
    fell, out = sums(wet), []
    for step_ in steps:
        at = bisect_right(fell.times, step_.time_ms) - 1
        if at < 0 or step_.time_ms - fell.times[at] >= STORM.gap_ms:
            out.append((0.0, 0.0))
            continue
        hours = (step_.time_ms - starts[at]) / HOUR_MS
        depth_nm = fell.up_to(step_.time_ms) - fell.up_to(starts[at])
        out.append((hours, depth_nm / NM_PER_MM / hours))
    return out


@pytest.mark.parametrize(
    "count", [50_000, pytest.param(1_000_000, marks=pytest.mark.long)], ids=["some", "a million"]
)
def test_as_the_plainest_reckoning_says(count: int) -> None:
    seed = 20_261_129
    rows = stream(count, seed)
    days, storms = fed(rows, seed)
    steps = increments(rows)
    recent, both = (window_sums(steps, ms) for ms in (SUMS.recent_ms, SUMS.span_ms))
    assert count - BATCH < len(days) == len(storms) <= count
    for (time_ms, recent_nm, antecedent_nm, index), one, a, b in zip(
        days, steps, recent, both, strict=False
    ):
        assert (time_ms, recent_nm, antecedent_nm) == (one.time_ms, a, b - a)
        if index is not None:
            assert abs(index - ((a + 0.67 * (b - a)) / 1e6 if a else 0.0)) <= 1e-9
    assert sum(index is not None for *_, index in days) > count // 2
    ratios = 0
    for (time_ms, hours, intensity, index), one, (h, i) in zip(
        storms, steps, storms_of(steps), strict=False
    ):
        assert (time_ms, hours) == (one.time_ms, h)
        assert abs(intensity - i) <= 1e-9
        if time_ms - steps[0].time_ms < STORM.gap_ms or h > LONGEST_H:
            assert index is None
        else:
            assert index is not None
            assert abs(index - (i / (14.82 * h**-0.39) if h else 0.0)) <= 1e-9
            ratios += h > 0
    assert ratios > count // 10
    assert sum(hours > LONGEST_H for _, hours, *_ in storms) > 10
