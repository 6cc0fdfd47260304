"""Rise, day sums and rain windows through the fold, against a plain reckoning of the same stream.

Gaps, every tenth reading twice, all shuffled within the lateness of an hour.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import Any

import pytest
from rig.packbook import PACKS
from rig.rulebook import GATEWAY, HOUR_MS, START_MS, bound, fold_of

from egret_core.reading import Reading
from egret_core.rules.binding import bind
from egret_core.rules.day_sum import DaySum
from egret_core.rules.event import Phase
from egret_core.rules.index import Standing
from egret_core.rules.model import ChannelPlace, Family, IndexLaw, LadderLaw, Rung
from egret_core.rules.rise import Rise
from egret_core.rules.step import Receipt, step

LATE_MS = HOUR_MS
RIVER = ChannelPlace("st1", "wl", "water_level", "m", "Local", GATEWAY, LATE_MS / 1000)
GAUGE = ChannelPlace("st1", "rn", "rain_total", "mm", "", GATEWAY, LATE_MS / 1000)
LADDER = LadderLaw((Rung("red", 1e9, 1e9),), "m", "", 0, 0, HOUR_MS)
WAITS_MIN = (1, 5, 5, 5, 10, 30)
GAPS_MIN = (61, 200, 700, 3000)
SAMPLES, WINDOW_MS, GAP_MS = 12, HOUR_MS, HOUR_MS
TENTH_NM = 100_000
BATCH = 64
COUNTS = [30_000, pytest.param(1_000_000, marks=pytest.mark.long)]
IDS = ["some", "a million"]
Rows = list[tuple[int, int]]  # ms, tenths of a mm or mm of stage


class ByCount(Rise):
    """Writes down what it says at every reading."""

    said: list[tuple[int, float | None]]

    def take(self, time_ms: int, value: float) -> float | None:
        slope = super().take(time_ms, value)
        self.said.append((time_ms, slope))
        return slope


class Days(DaySum):
    """The same."""

    said: list[tuple[int, float | None, bool]]

    def take(self, time_ms: int, value: float) -> float | None:
        total = super().take(time_ms, value)
        self.said.append((time_ms, total, self.standing is Standing.OK))
        return total


def times(count: int, dice: random.Random) -> list[int]:
    waits = (
        dice.choice(WAITS_MIN if dice.random() < 0.998 else GAPS_MIN) * 60_000 for _ in range(count)
    )
    return [START_MS + ms for ms in accumulate(waits)]


def storm(count: int, seed: int) -> Rows:
    """A gauge with dry spells, showers and cloudbursts, in tenths of a mm."""
    dice, total, heavy, out = random.Random(seed), 1000, 0, []
    for now in times(count, dice):
        if dice.random() < 0.004:
            heavy = dice.choice((0, 0, 1, 3, 12, 40))
        total += dice.choice((0, heavy, heavy))
        out.append((now, total))
    return out


def feed(fold: Any, place: ChannelPlace, rows: Rows, scale: int, seed: int) -> list[Any]:
    """Send the rows, shuffled and some twice; return what is said."""
    dice, out = random.Random(seed), []
    arrivals = [
        (time_ms + dice.randrange(LATE_MS), Reading("st1", place.channel, time_ms, value / scale))
        for time_ms, value in rows
        for _ in range(2 if dice.random() < 0.1 else 1)
    ]
    arrivals.sort(key=lambda row: row[0])
    for at in range(0, len(arrivals), BATCH):
        batch = arrivals[at : at + BATCH]
        out += step(fold, Receipt(GATEWAY, batch[-1][0], [one for _, one in batch]))[1]
    assert fold.channels["st1"][place.channel].late == 0
    return out


def plain_slope(window: Rows) -> float:
    """Return the slope by the two-pass formula, m/h from mm."""
    count = len(window)
    mean_t = sum(ms for ms, _ in window) / count
    mean_y = sum(mm for _, mm in window) / count
    above = sum((ms - mean_t) * (mm - mean_y) for ms, mm in window)
    return above / sum((ms - mean_t) ** 2 for ms, _ in window) * HOUR_MS / 1000


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_a_slope_is_the_plain_one_by_count_and_by_time(count: int) -> None:
    dice, level = random.Random(7), 3000
    rows: Rows = []
    for now in times(count, dice):
        level = max(0, level + dice.randrange(-60, 62))
        rows.append((now, level))
    lines = (ByCount(SAMPLES, 0, GAP_MS), ByCount(0, WINDOW_MS, GAP_MS))
    rules = []
    for line, family in zip(lines, (Family.RISE, Family.REACH), strict=True):
        line.said = []
        law = IndexLaw(str(family), lambda line=line: line, LADDER, 0)
        rules.append(bound(law, family, RIVER))
    feed(fold_of([RIVER], rules), RIVER, rows, 1000, 7)
    by_count, by_time = (line.said for line in lines)
    assert count - BATCH < len(by_count) == len(by_time) <= count
    began = first = 0
    for at, ((now, one), (_, two)) in enumerate(zip(by_count, by_time, strict=True)):
        assert now == rows[at][0]
        if at and now - rows[at - 1][0] > GAP_MS:
            began = at
        enough = at - began + 1 >= SAMPLES
        assert (one is not None) == enough
        if one is not None:
            assert abs(one - plain_slope(rows[at - SAMPLES + 1 : at + 1])) <= 1e-9
        first = max(first, began)
        while rows[first][0] < now - WINDOW_MS:
            first += 1
        enough = at - first >= 2 and 2 * (now - rows[first][0]) >= WINDOW_MS
        assert (two is not None) == enough
        if two is not None:
            assert abs(two - plain_slope(rows[first : at + 1])) <= 1e-9


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_a_day_is_the_plain_sum_since_its_boundary(count: int) -> None:
    rows, period = storm(count, 11), 12 * HOUR_MS
    days = Days(0, period, HOUR_MS)
    days.said = []
    law = IndexLaw("days", lambda: days, LADDER, 0, of_total=True)
    feed(fold_of([GAUGE], [bound(law, Family.DAY_SUM, GAUGE)]), GAUGE, rows, 10, 11)
    assert count - BATCH < len(days.said) <= count
    day, total, most, whole, unsaid = -1, 0, 0, False, 0
    for at, (now, said, known) in enumerate(days.said):
        before, less = rows[at - 1] if at else rows[0]
        begun = (now - 1) // period
        placed = before >= begun * period or now - before <= HOUR_MS
        if begun != day:
            day, total, most, whole = begun, 0, 0, bool(at) and placed
        total += rows[at][1] - less if placed else 0
        most += rows[at][1] - less  # with what nobody can place
        assert (now, known) == (rows[at][0], whole)
        assert said == total / 10 or (not whole and said in (None, most / 10))
        unsaid += said is None
    assert 0 < unsaid < count // 10


TABLE = """
[[rule]]
id = "storm"
pack = "generic-rain"
channels = ["st1/rn"]
[rule.parameters]
dry_s = 0
levels = [
  { level = "blue", window_h = 12, sum = 50 },
  { level = "yellow", window_h = 3, sum = 40, and = [{ window_h = 1, over = 25 }] },
  { level = "red", window_h = 6, over = 80, and = [
    { window_h = 1, sum = 30 }, { window_h = 24, sum = 90 },
  ] },
]
"""
LEVELS = (  # rank, then window h, least tenths of a mm, the window in which it may lie, h
    (3, ((6, 801, 0), (1, 300, 6), (24, 900, 0))),
    (2, ((3, 400, 0), (1, 251, 3))),
    (1, ((12, 500, 0),)),
)


class Sums:
    """Plain sums over any window, from running totals; what came over a gap only in longer ones."""

    def __init__(self, rows: Rows) -> None:
        self.times = [now for now, _ in rows]
        self.by_hours = {}
        for hours in (1, 3, 6, 12, 24):
            steps = [0]
            for (before, less), (now, more) in pairwise(rows):
                reach = hours * HOUR_MS + hours * HOUR_MS // 20
                steps.append(more - less if now - before <= reach else 0)
            self.by_hours[hours] = [0, *accumulate(steps)]

    def at(self, at: int, hours: int) -> int:
        """Return the sum of the window that ends at a reading."""
        start = bisect_right(self.times, self.times[at] - hours * HOUR_MS, 0, at + 1)
        return self.by_hours[hours][at + 1] - self.by_hours[hours][start]

    def since(self, at: int, hours: int, least: int) -> int:
        """Return the newest time from which rain up to a reading is that much."""
        fell = self.by_hours[hours]
        return self.times[bisect_right(fell, fell[at + 1] - least) - 1]


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_levels_of_joined_windows_are_the_plain_ones(count: int) -> None:
    rows = storm(count, 13)
    rules = bind(TABLE, "rules.toml", PACKS, {("st1", "rn"): GAUGE})
    fold = fold_of([GAUGE], rules)
    events = feed(fold, GAUGE, rows, 10, 13)
    settled_ms = fold.channels["st1"]["rn"].settled_ms
    sums, met, rank, expected = Sums(rows), {}, 0, []
    for at, (now, _) in enumerate(rows):
        if now > settled_ms:
            break
        top = 0
        for level, needs in LEVELS:
            holds = True
            for hours, least, within in needs:
                if sums.at(at, hours) >= least:
                    met[hours, least] = sums.since(at, hours, least)
                elif within:
                    holds &= met.get((hours, least), 0) > now - within * HOUR_MS
                else:
                    holds = False
            top = max(top, level) if holds else top
        if top != rank:
            expected.append((now, top))
            rank = top
    said = [(e.time_ms, e.rank) for e in events if e.phase is Phase.SETTLED]
    assert said == expected
    assert len({rank for _, rank in said}) == len(LEVELS) + 1
    refuted = [e for e in events if e.phase is Phase.REFUTED]
    assert len(refuted) <= len(said)
