"""Ladders through the fold against their words, looked up in the whole past at every reading.

A river with gaps, every tenth reading twice, all shuffled within the lateness of an hour.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from rig.millions import COUNTS, IDS, LATE_MS, feed, times
from rig.rulebook import GATEWAY, HOUR_MS, bound, fold_of

from egret_core.rules.event import Phase
from egret_core.rules.model import ChannelPlace, Family, LadderLaw, Rung

if TYPE_CHECKING:
    from collections.abc import Callable

MIN_MS = 60_000
RIVER = ChannelPlace("st1", "wl", "water_level", "m", "Local", GATEWAY, LATE_MS / 1000)
WAITS_MS = [minutes * MIN_MS for minutes in (1, 5, 5, 5, 10)]
GAPS_MS = [minutes * MIN_MS for minutes in (29, 31, 200, 3000)]
GAP_MS, FLAP_MS = 30 * MIN_MS, 5 * HOUR_MS
RUNGS = (  # raise, clear, persistence, hold
    (3.0, 2.8, 10 * MIN_MS, HOUR_MS),
    (3.5, 3.3, 0, 20 * MIN_MS),
    (4.0, 3.8, 15 * MIN_MS, HOUR_MS),
    (5.0, 4.8, 0, HOUR_MS),
)
LABELS = ("blue", "yellow", "orange", "red")
Rows = list[tuple[int, float]]


def river(count: int, seed: int) -> Rows:
    dice, level, out = random.Random(seed), 3.0, []
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.003):
        leaps = dice.random() < 0.02  # over a rung or two at once
        step = dice.choice((-1.3, 1.3) if leaps else (-0.3, -0.1, 0.0, 0.1, 0.32))
        level = max(0.5, level + step + 0.02 * (3.2 - level))
        out.append((now, round(level, 3)))
    return out


def stretch_ms(rows: Rows, at: int, holds: Callable[[float], bool], first: int, gap_ms: int) -> int:
    """Return how long the readings up to one have all been so, back to `first` at most."""
    if at < first or not holds(rows[at][1]):
        return -1
    start = at

    def joins(one: int) -> bool:
        return holds(rows[one - 1][1]) and rows[one][0] - rows[one - 1][0] <= gap_ms

    while start > first and joins(start):
        start -= 1
        if rows[at][0] - rows[start][0] > FLAP_MS + HOUR_MS:
            break
    return rows[at][0] - rows[start][0]


class Words:
    """The rank that holds, found anew at each reading from all that was read."""

    def __init__(self, rows: Rows, flap_ms: int) -> None:
        self.rows, self.flap_ms = rows, flap_ms
        self.rank, self.risen_at = 0, -1
        self.rises: dict[int, list[int]] = {rank: [] for rank in range(1, 5)}
        self.held: set[int] = set()  # ranks that flap
        self.flapped = 0

    def judge(self, at: int) -> int:
        """Return the rank after a reading."""
        now = self.rows[at][0]
        up = max((k for k in range(1, 5) if self._persists(at, k)), default=0)
        if up > self.rank:
            for k in range(self.rank + 1, up + 1):
                self.rises[k].append(now)
                third = self.rises[k][-3:]
                if self.flap_ms and len(third) == 3 and now - third[0] <= self.flap_ms:
                    self.held.add(k)
                    self.flapped += 1
            self.rank, self.risen_at = up, at
            return up
        while self.rank and self._is_over(at, self.rank):
            self.held.discard(self.rank)
            self.rank -= 1
        return self.rank

    def _persists(self, at: int, k: int) -> bool:
        over, _, need_ms, _ = RUNGS[k - 1]
        return stretch_ms(self.rows, at, lambda x: x >= over, 0, 10**15) >= need_ms

    def _is_over(self, at: int, k: int) -> bool:
        _, clear, _, hold_ms = RUNGS[k - 1]
        wait_ms = max(hold_ms, self.flap_ms) if k in self.held else hold_ms
        first = self.risen_at + 1  # what was before the rise is no part of its fall
        return stretch_ms(self.rows, at, lambda x: x < clear, first, GAP_MS) >= wait_ms


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
@pytest.mark.parametrize("flap_ms", [0, FLAP_MS], ids=["plain", "flaps"])
def test_levels_are_those_of_the_words(flap_ms: int, count: int) -> None:
    rows = river(count, 61)
    rungs = [
        Rung(label, on, off, persistence_ms=need, hold_ms=hold)
        for label, (on, off, need, hold) in zip(LABELS, RUNGS, strict=True)
    ]
    law = LadderLaw(tuple(rungs), "m", "Local", 0, 0, GAP_MS, flap_ms)
    fold = fold_of([RIVER], [bound(law, Family.LEVEL, RIVER)])
    events = feed(fold, RIVER, rows, 61)
    settled_ms = fold.channels["st1"]["wl"].settled_ms
    words, rank, expected = Words(rows, flap_ms), 0, []
    for at, (now, _) in enumerate(rows):
        if now > settled_ms:
            break
        new = words.judge(at)
        if new != rank:
            expected.append((now, new))
        rank = new
    assert [(e.time_ms, e.rank) for e in events if e.phase is Phase.SETTLED] == expected
    assert {rank for _, rank in expected} == set(range(5))
    assert len(expected) > count // 300
    assert (words.flapped > 20) == bool(flap_ms)
