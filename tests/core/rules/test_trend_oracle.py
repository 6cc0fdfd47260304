"""What a stage's own past says of its future, through the fold, against the long way round.

A trend drawn on, and a nowcast with its band: a flashy river with gaps, readings between two steps
and leaps, every tenth reading twice, all shuffled within the lateness of an hour.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from rig.equations import solved as weights_of
from rig.millions import COUNTS, IDS, LATE_MS, feed, settled, times
from rig.rulebook import GATEWAY, HOUR_MS, bound, fold_of

from egret_core.rules.index import Standing
from egret_core.rules.model import ChannelPlace, Family, IndexLaw, LadderLaw, Rung
from egret_core.rules.nowcast import Nowcast, Setting
from egret_core.rules.reach import Reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RIVER = ChannelPlace("st1", "wl", "water_level", "m", "Local", GATEWAY, LATE_MS / 1000)
LADDER = LadderLaw((Rung("red", 1e9, 1e9),), "m", "Local", 0, 0, HOUR_MS)
WAITS_MS = (300_000,) * 20 + (296_000, 304_000, 329_000, 100_000)
GAPS_MS = (331_000, 900_000, 4_000_000, 90_000_000)
FT, LEAD = 0.3048, 3
SETTING = Setting(LEAD, 1.0, quantile=0.75)
RISING_M = 0.15 * FT + 1e-6
Rows = list[tuple[int, float]]
Said = list[tuple[int, float | None, float | None, Standing]]


def river(count: int, seed: int) -> Rows:
    """Waves of all sizes, now and then of another kind, and a leap that no stage takes."""
    dice, level, rise, left, out = random.Random(seed), 1.0, 0.0, 5, []
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.002):
        left -= 1
        if left < 0:
            rise = dice.choice((0.0, 0.0, 0.02, 0.05, 0.09)) if rise <= 0 else -0.04
            left = dice.randrange(4, 40)
        rise *= dice.choice((0.9, 1.0, 1.1)) if rise > 0 else 1.0
        level = max(1.0, level + max(-0.3, min(rise, 0.3)) + dice.choice((0.0, 0.0, 0.01, -0.01)))
        leap = dice.random()
        off = 3.5 if leap < 0.0005 else 0.0
        out.append((now, 2e4 if leap < 0.0001 else round(level + off, 3)))
    return out


def through_the_fold(index: Any, rows: Rows) -> Said:
    said: Said = []
    take = index.take

    class Noted:
        """The index, writing down what it says."""

        dump, restore, evidence = index.dump, index.restore, index.evidence
        standing = Standing.WARMING_UP

        def take(self, time_ms: int, value: float) -> float | None:
            found = take(time_ms, value)
            self.standing = index.standing
            said.append((time_ms, found, getattr(index, "change_m", None), index.standing))
            return found

    law = IndexLaw("noted", Noted, LADDER, 0)
    feed(fold_of([RIVER], [bound(law, Family.NOWCAST, RIVER)]), RIVER, rows, 6)
    assert [row[0] for row in said] == [ms for ms, _ in settled(rows, said)]
    return said


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_a_reach_is_the_plain_slope_drawn_on(count: int) -> None:
    rows = [(ms, value) for ms, value in river(count, 51) if value < 1e4]
    lead_ms, samples = 1_800_000, 6
    said = through_the_fold(Reach((samples, 0, HOUR_MS), lead_ms, ()), rows)
    began, both = 0, Counter[bool]()
    for at, (now, found, _, _) in enumerate(said):
        began = at if at and now - rows[at - 1][0] > HOUR_MS else began
        assert (found is None) == (at - began + 1 < samples)
        if found is None:
            continue
        window = rows[at - samples + 1 : at + 1]
        mean_t = sum(ms for ms, _ in window) / samples
        mean_y = sum(value for _, value in window) / samples
        slope = sum((ms - mean_t) * (value - mean_y) for ms, value in window)
        slope /= sum((ms - mean_t) ** 2 for ms, _ in window)
        assert abs(found - (rows[at][1] + max(slope, 0.0) * lead_ms)) <= 1e-9
        both[slope > 0] += 1
    assert min(both.values()) > count // 10


def samples_of(rows: Rows) -> Iterator[tuple[int, list[float] | None]]:
    """Yield each time and the samples up to it, None between two and for what is no stage."""
    run: list[float] = []
    last = 0
    for now, value in rows:
        if abs(value - 1.0) > 1e4:
            run = []
            yield now, None
            continue
        if run and now - last < 295_000:
            yield now, None
            continue
        if not run or now - last > 330_000 or abs(value - run[-1]) > 3:
            run = []
        run.append(value)
        last = now
        yield now, run


def rises(run: Sequence[float], at: int) -> bool:
    """Tell whether there is a forecast at a sample: its terms are whole, and it rose."""
    return at >= 12 and run[at] - run[at - 6] > RISING_M


def terms(run: Sequence[float], at: int) -> list[float]:
    """Return the eleven terms of the reference, in feet."""
    h = [(level - 1.0) / FT for level in run[at - 12 : at + 1]]
    d = [h[-n] - h[-n - 1] for n in range(1, 7)]
    return [1.0, h[-1], *d, h[-1] - h[-7], h[-1] - h[0], max(d[0], 0.0) ** 2]


class Sums:
    """The weighted sums that recursive least squares stands for; solved when asked."""

    def __init__(self) -> None:
        self.square = [[1e-3 if a == b else 0.0 for b in range(11)] for a in range(11)]
        self.right, self.learned = [0.0] * 11, 0

    def learn(self, x: Sequence[float], y: float) -> None:
        for a, row in enumerate(self.square):
            row[:] = [0.999 * old + x[a] * one for old, one in zip(row, x, strict=True)]
        self.square[self.learned % 11][self.learned % 11] += 11 * 0.001 * 1e-3
        self.right = [0.999 * old + one * y for old, one in zip(self.right, x, strict=True)]
        self.learned += 1

    def estimate(self, x: Sequence[float]) -> float:
        weights = weights_of(self.square, self.right)
        return sum(a * b for a, b in zip(weights, x, strict=True))


def quantile(errors: Sequence[int], share: float) -> float:
    at = share * (len(errors) - 1)
    low, part = int(at), at % 1
    ranked = [*sorted(errors), 0]
    return (ranked[low] * (1 - part) + ranked[low + 1] * part) / 10_000


class Trail:
    """Every change that came and was forecast, none forgotten; judged by the newest 200."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int]] = []

    def score(self, came: float, made: float, spread: float) -> None:
        tenths = [round(x * 10_000) for x in (came, came - made, (came - made) / spread)]
        self.rows.append((tenths[0], tenths[1], tenths[2]))

    @property
    def index(self) -> float:
        newest = self.rows[-200:]
        squares = sum(came**2 for came, _, _ in newest)
        return 1 - sum(error**2 for _, error, _ in newest) / squares if squares else 0.0


def standing(run: Sequence[float], trail: Trail) -> Standing:
    if len(run) < 13 or len(trail.rows) < 100:
        return Standing.WARMING_UP
    return Standing.OK if trail.index > 0 else Standing.NOT_APPLICABLE


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_a_nowcast_is_that_of_the_weighted_sums_and_the_newest_errors(count: int) -> None:
    rows = river(count, 52)
    nowcast = Nowcast(SETTING)
    said = through_the_fold(nowcast, rows)
    sums, trail, seen = Sums(), Trail(), Counter[Standing]()
    made: dict[int, float | None] = {}  # by place in the run
    solved = 0
    for (_, run), (_, found, change, stands) in zip(samples_of(rows), said, strict=False):
        if run is None:
            assert found is None
            continue
        at = len(run) - 1
        then = at - LEAD
        if then >= 0 and rises(run, then):
            came, forecast = run[at] - run[then], made[then]
            assert forecast is not None
            trail.score(came, forecast, ((run[then] - run[then - 6]) / (0.15 * FT)) ** 0.5)
            sums.learn(terms(run, then), came / FT)
        made = {**{n: made[n] for n in range(max(then, 0), at)}, at: change}
        assert (change is not None) == rises(run, at)
        seen[stands] += 1
        assert stands is standing(run, trail)
        if change is not None and sums.learned % 50 == 7:
            solved += 1
            assert abs(change - sums.estimate(terms(run, at)) * FT) <= 1e-9
        if stands is not Standing.OK:
            assert found is None
        elif change is None:
            assert found == run[at]
        else:
            spread = ((run[at] - run[at - 6]) / (0.15 * FT)) ** 0.5
            error = quantile([row[2] for row in trail.rows[-200:]], 0.75) * spread
            assert found is not None
            assert abs(found - (run[at] + change + error)) <= 0.5e-4 + 1e-9, "told in 0.1 mm"
    assert sums.learned > count // 20
    assert solved > count // 2000
    assert min(seen[one] for one in (Standing.OK, Standing.WARMING_UP)) > 1000, seen
    assert nowcast._model.resets == 0
