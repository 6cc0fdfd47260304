"""What the ground keeps of rain, through the fold, against the plainest reckoning of the stream.

A rain total with gaps, some of them longer than a month, every tenth reading twice, all shuffled
within the lateness of an hour.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from datetime import UTC, datetime
from itertools import pairwise
from math import exp, log
from typing import TYPE_CHECKING

import pytest
from rig.millions import COUNTS, IDS, LATE_MS, feed, settled, times
from rig.rulebook import GATEWAY, HOUR_MS, bound, fold_of

from egret_core.rules.antecedent import Antecedent, warm_ms
from egret_core.rules.model import ChannelPlace, Family, IndexLaw, LadderLaw, Rung
from egret_core.rules.soil_water import SoilWater
from egret_core.rules.wetness import Ground, Wetness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from egret_core.rules.index import Index

GAUGE = ChannelPlace("st1", "rn", "rain_total", "mm", "", GATEWAY, LATE_MS / 1000)
LADDER = LadderLaw((Rung("red", 1e9, 1e9),), "mm", "", 0, 0, HOUR_MS)
MINUTE_MS, DAY_MS = 60_000, 24 * HOUR_MS
WAITS_MS = [minutes * MINUTE_MS for minutes in (1, 5, 10, 10, 10, 10, 30, 60)]
GAPS_MS = [minutes * MINUTE_MS for minutes in (181, 600, 4400, 30_000, 45_000)]
TEN_MIN_MS, STEP_H = 600_000, 1 / 6
SILENT_MS = 30 * DAY_MS  # a longer silence begins the tanks and the balance anew
CHECKED = 3000  # sums over all that fell are asked for so often
Rows = list[tuple[int, int]]  # ms, total in tenths of a mm
Said = list[tuple[int, float | None]]


def noted(made: Index) -> tuple[Index, Said]:
    """Return an index that writes down what it says at every reading."""
    said: Said = []
    take = made.take

    def noting(time_ms: int, value: float) -> float | None:
        index = take(time_ms, value)
        said.append((time_ms, index))
        return index

    made.take = noting  # type: ignore[method-assign]
    return made, said


def through_the_fold(family: Family, make: Callable[[], Index], rows: Rows) -> Said:
    index, said = noted(make())
    law = IndexLaw(str(family), lambda: index, LADDER, 0, of_total=True)
    fold = fold_of([GAUGE], [bound(law, family, GAUGE)])
    feed(fold, GAUGE, [(ms, tenths / 10) for ms, tenths in rows], 5)
    assert [ms for ms, _ in said] == [ms for ms, _ in settled(rows, said)]
    return said


def stream(count: int, seed: int) -> Rows:
    """A gauge with dry spells, showers and silences."""
    dice, total, wet, out = random.Random(seed), 1000, False, []
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.001):
        wet = wet != (dice.random() < 0.01)
        total += dice.choice((0, 1, 1, 3, 9)) if wet else 0
        out.append((now, total))
    return out


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
@pytest.mark.parametrize("half_life_h", [1.5, 72])
def test_antecedent_rain_is_the_sum_of_all_that_fell_each_by_its_age(
    half_life_h: float, count: int
) -> None:
    rows, half_ms = stream(count, 21), half_life_h * HOUR_MS
    said = through_the_fold(Family.ANTECEDENT, lambda: Antecedent(half_ms, HOUR_MS), rows)
    per_ms, times_ms, fell = log(2) / half_ms, [ms for ms, _ in rows], [0.0]
    for (before, less), (now, more) in pairwise(rows):
        age = per_ms * (now - before)
        spread = (1 - exp(-age)) / age if now - before > HOUR_MS else 1.0
        fell.append((more - less) / 10 * spread)
    checked = 0
    for at in range(0, len(said), len(said) // CHECKED):
        now, found = said[at]
        assert (found is None) == (now - times_ms[0] < warm_ms(half_ms))
        if found is not None:
            first = bisect_left(times_ms, now - 50 * half_ms)  # older: less than 1e-15 is left
            ages = zip(times_ms[first : at + 1], fell[first : at + 1], strict=True)
            assert abs(found - sum(mm * exp(per_ms * (then - now)) for then, mm in ages)) <= 1e-9
            checked += found > 1
    assert checked > CHECKED / 10


def drained(s: tuple[float, float, float], rain_mm: float) -> tuple[float, float, float]:
    """One step of ten minutes as the reference writes it."""
    s1, s2, s3 = s
    q1 = 0.1 * max(s1 - 15, 0) + 0.15 * max(s1 - 60, 0)
    q2, q3 = 0.05 * max(s2 - 15, 0), 0.01 * max(s3 - 15, 0)
    return (
        s1 + rain_mm - STEP_H * (q1 + 0.12 * s1),
        s2 + STEP_H * (0.12 * s1 - q2 - 0.05 * s2),
        s3 + STEP_H * (0.05 * s2 - q3 - 0.01 * s3),
    )


class Total:
    """The total at any time, tenths of a mm, drawn straight from reading to reading."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self._at = rows, 0

    def at(self, time_ms: int) -> tuple[int, float]:
        """Return whole tenths and the rest; asked for in order of time."""
        rows = self._rows
        while self._at + 1 < len(rows) and rows[self._at + 1][0] <= time_ms:
            self._at += 1
        before, total = rows[self._at]
        if time_ms <= before or self._at + 1 == len(rows):
            return total, 0.0
        after, more = rows[self._at + 1]
        return total, (more - total) * (time_ms - before) / (after - before)


def stretches(rows: Rows) -> Iterator[Rows]:
    """Cut a stream where it was silent for more than thirty days."""
    cuts = [n for n, (a, b) in enumerate(pairwise(rows), 1) if b[0] - a[0] > SILENT_MS]
    for start, end in pairwise([0, *cuts, len(rows)]):
        yield rows[start:end]


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_soil_water_is_that_of_the_total_cut_into_ten_minutes(count: int) -> None:
    rows = stream(count, 22)
    warm = 3 * DAY_MS
    said = through_the_fold(Family.SOIL_WATER, lambda: SoilWater(TEN_MIN_MS, warm), rows)
    known, wet = dict(said), 0
    parts = list(stretches(rows[: len(said)]))
    assert len(parts) > 5
    for part in parts:
        total, tanks, first = Total(part), (0.0, 0.0, 0.0), part[0][0]
        end = first - first % TEN_MIN_MS
        whole, rest = part[0][1], 0.0
        for now, _ in part:
            while end + TEN_MIN_MS <= now:
                end += TEN_MIN_MS
                tenths, more = total.at(end)
                tanks = drained(tanks, (tenths - whole + more - rest) / 10)
                whole, rest = tenths, more
            found = known[now]
            assert (found is None) == (now - first < warm)
            if found is not None:
                assert abs(found - sum(tanks)) <= 1e-9
                wet += found > 40
    assert wet > 100


def wetness_by_hand(part: Rows, ground: Ground) -> Iterator[tuple[int, float]]:
    """The balance of the reference, hour by hour where it was silent, from the driest on."""
    index, (before, less) = -ground.capacity_m, part[0]
    for now, more in part:
        hours = -(-(now - before) // HOUR_MS)
        for n in range(1, hours + 1):
            at = before + (now - before) * n // hours
            local = datetime.fromtimestamp((at + ground.utc_offset_ms) / 1000, UTC)
            dt_h = (now - before) / hours / HOUR_MS
            net = (more - less) / 10_000 / hours - ground.evaporation_m_h[local.month - 1] * dt_h
            if index < 0:
                index += net
            else:
                kept = exp(-0.01 * dt_h)
                index = index * kept + net * (1 - kept) / (0.01 * dt_h)
            index = max(index, -ground.capacity_m)
        before, less = now, more
        yield now, index


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_wetness_is_the_balance_of_its_equation(count: int) -> None:
    rows = stream(count, 23)
    evaporation = tuple(0.00002 * n for n in range(1, 13))
    ground = Ground(evaporation, 0.01, 0.18, 8 * HOUR_MS, DAY_MS)
    said = through_the_fold(Family.WETNESS, lambda: Wetness(ground), rows)
    known, both = dict(said), [0, 0]
    for part in stretches(rows[: len(said)]):
        for now, index in wetness_by_hand(part, ground):
            found = known[now]
            assert (found is None) == (now - part[0][0] < DAY_MS)
            if found is not None:
                assert abs(found - index) <= 1e-9
                both[index >= 0] += 1
    assert min(both) > count // 100, "below field capacity and above it"
