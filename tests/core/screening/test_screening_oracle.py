"""Every test of the centre's screening, through the fold, against its definition.

A stage with gaps, nonsense, spikes and spells in which it sticks or drifts; two neighbours, and a
gauge that gives a reason to expect movement; every tenth reading twice, all shuffled within the
lateness. The last word on every value is compared.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter, deque
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from rig.millions import COUNTS, IDS, TWICE, times
from rig.rulebook import GATEWAY, LATE_MS, START_MS, fold_of, place

from egret_core.quality import Reason
from egret_core.reading import Reading
from egret_core.rules.step import Receipt, Tick, step
from egret_core.screening.chain import Chain
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import NeighbourLaw, ScreeningLaw
from egret_core.screening.range import Span
from egret_core.screening.spike import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egret_core.rules.model import ChannelPlace

TICK_MS, SLOT_MS = 10_000, 600_000
WAITS_MS = (1000, 4000, 9000, 10_000, 10_000, 20_000)
GAPS_MS = (58_000, 61_000, 300_000, 700_000, 2_000_000, 8_000_000)
LAW = ScreeningLaw(
    sensor=Span(0.0, 9.0),
    operator=Span(0.5, 6.0),
    spike=Limits(0.355, 0.905),
    rate=Limits(0.0305, 0.205),
    flat=Stillness(0.055, 240_000, 700_000),
    movement=(("st1", "rn"),),
    neighbours=NeighbourLaw((("st2", "wl"), ("st3", "wl")), 1.205, 1),
    gap_ms=60_000,
)
RIVER = replace(place(), screening=LAW)
BESIDE = [place(station=name) for name in ("st2", "st3")]
MOVES = place("rn", "rain_total")
Rows = list[tuple[int, float]]


class Word(NamedTuple):
    """What is said of a value in the end: flag and reasons."""

    flag: int
    reasons: int


def stage(count: int, dice: random.Random) -> Rows:
    """A stage on a grid of 0.01 m: it wanders, sticks, drifts within the tolerance, leaps."""
    out, value, spell, left = [], 3.0, "wander", 50
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.004):
        left -= 1
        if left < 0:
            spell = dice.choice(("wander", "wander", "still", "drift", "low", "high"))
            left = dice.randrange(20, 400)
        if spell == "wander":
            value += dice.choice((-0.2, -0.05, -0.01, 0.0, 0.01, 0.05, 0.2)) + 0.01 * (3 - value)
        elif spell == "drift":
            value += dice.choice((-0.02, -0.01, 0.0, 0.0, 0.01, 0.02))
        elif spell != "still":
            value += 0.05 * ((0.3 if spell == "low" else 6.3) - value)
        back = bool(out) and now - out[-1][0] > 50_000
        odd = dice.random() * (0.03 if back else 1.0)  # much is odd when a sensor comes back
        off = dice.choice((-1.0, -0.5, 0.4, 0.6, 1.1)) if odd < 0.005 else 0.0
        nonsense = dice.choice((99.0, -5.0, 9.01)) if 0.005 <= odd < 0.007 else None
        out.append((now, nonsense or round(min(8.9, max(0.01, value + off)), 2)))
    return out


def beside(last_ms: int, dice: random.Random, step_ms: int) -> Rows:
    """A neighbour that wanders about, and is silent for hours now and then."""
    out, now, value = [], START_MS, 3.0
    while now < last_ms:
        now += step_ms if dice.random() < 0.998 else dice.randrange(4_000_000, 20_000_000)
        value += dice.choice((-0.1, 0.0, 0.1)) + 0.02 * (3 - value)
        out.append((now, round(value, 2)))
    return out


def gauge(last_ms: int, dice: random.Random) -> Rows:
    """A total that stands for hours, then rises for some."""
    out, total, wet = [], 100.0, False
    for now in range(START_MS, last_ms, 60_000):
        wet = wet != (dice.random() < 0.01)
        total = round(total + (dice.choice((0.0, 0.2)) if wet else 0.0), 1)
        out.append((now, total))
    return out


def mixed(series: Sequence[tuple[ChannelPlace, Rows]], seed: int) -> list[tuple[int, Reading]]:
    dice = random.Random(seed)
    out = [
        (ms + dice.randrange(LATE_MS - 1000), Reading(one.station, one.channel, ms, value))
        for one, rows in series
        for ms, value in rows
        for _ in range(2 if dice.random() < TWICE else 1)
    ]
    return sorted(out, key=lambda row: row[0])


def through_the_fold(
    series: Sequence[tuple[ChannelPlace, Rows]], monkeypatch: pytest.MonkeyPatch
) -> dict[int, Word]:
    """Return the last word on every value of the first channel, by its time."""
    law = series[0][0].screening
    said: dict[int, Word] = {}
    take = Chain.take

    def noting(self: Chain, time_ms: int, value: float, *rest: Any, **more: Any) -> Any:
        now, corrected = take(self, time_ms, value, *rest, **more)
        if self._law is law:
            said[time_ms] = Word(now.flag, now.reasons)
            if corrected is not None:
                assert not corrected.provisional
                said[corrected.time_ms] = Word(corrected.flag, corrected.reasons)
        return now, corrected

    monkeypatch.setattr(Chain, "take", noting)
    fold, waiting = fold_of([one for one, _ in series], ()), deque(mixed(series, 8))
    end_ms = waiting[-1][0] + 120_000
    for now in range(START_MS, end_ms, TICK_MS):
        batch = []
        while waiting and waiting[0][0] <= now:
            batch.append(waiting.popleft()[1])
        if batch:
            step(fold, Receipt(GATEWAY, now, batch))
        step(fold, Tick(now))
    assert all(one.late == 0 for here in fold.channels.values() for one in here.values())
    return said


class Past:
    """What a neighbour did in whole slots that ended long enough ago to be settled."""

    def __init__(self, rows: Rows) -> None:
        self._slots = [ms // SLOT_MS for ms, _ in rows]
        self._values = [value for _, value in rows]

    def _end(self, now: int) -> int:
        return (now - 2 * LATE_MS - TICK_MS) // SLOT_MS

    def moved(self, now: int, span_ms: int) -> bool:
        first = bisect_left(self._slots, (now - span_ms) // SLOT_MS)
        return len(set(self._values[first : bisect_left(self._slots, self._end(now))])) > 1

    def latest(self, now: int) -> float | None:
        at = bisect_left(self._slots, self._end(now)) - 1
        fresh = at >= 0 and self._slots[at] >= self._end(now) - 6
        return self._values[at] if fresh else None


def stretches(rows: Rows) -> Iterator[Rows]:
    """Cut where it was silent for longer than the gap."""
    cuts = [n for n, (a, b) in enumerate(pairwise(rows), 1) if b[0] - a[0] > 60_000]
    for start, end in pairwise([0, *cuts, len(rows)]):
        yield rows[start:end]


def flat(part: Rows, at: int, limits: Stillness) -> int:
    """Look back from a value until the range is too large: how long was it flat?"""
    now, low = part[at]
    high, since = low, now
    while at and limits.fail_ms is not None and now - since < limits.fail_ms:
        at -= 1
        low, high = min(low, part[at][1]), max(high, part[at][1])
        if high - low >= limits.tolerance:
            break
        since = part[at][0]
    return 4 if now - since >= (limits.fail_ms or 0) else 3 if now - since >= 240_000 else 1


def spike(part: Rows, at: int) -> int:
    """A value that left and came back at once; one with a single neighbour is not evaluated."""
    if not 0 < at < len(part) - 1:
        return 1
    up, down = part[at][1] - part[at - 1][1], part[at + 1][1] - part[at][1]
    size = min(abs(up), abs(down)) if up * down < 0 else 0
    return 4 if size > 0.905 else 3 if size > 0.355 else 1


def expected(rows: Rows, neighbours: Sequence[Past], rain: Past) -> Iterator[tuple[int, Word]]:
    """Say of every value what the definitions say, once all others are known."""
    yield from ((ms, Word(4, Reason.RANGE)) for ms, value in rows if not 0 <= value <= 9)
    measured = [row for row in rows if 0 <= row[1] <= 9]
    before: tuple[int, float] | None = None
    for part in stretches(measured):
        for at, (now, value) in enumerate(part):
            known = sorted(x for one in neighbours if (x := one.latest(now)) is not None)
            middle = sum(known) / len(known) if known else value
            rate = abs(value - before[1]) / (now - before[0]) * 1000 if before else 0.0
            due = rain.moved(now, 240_000)
            verdicts = {
                Reason.RANGE: 1 if 0.5 <= value <= 6 else 3,
                Reason.NEIGHBOUR: 3 if abs(value - middle) > 1.205 else 1,
                Reason.RATE: 4 if rate > 0.205 else 3 if rate > 0.0305 else 1,
                Reason.FLAT_LINE: flat(part, at, LAW.flat) if due and LAW.flat else 1,
                Reason.SPIKE: spike(part, at),
            }
            reasons = sum(reason for reason, flag in verdicts.items() if flag > 1)
            gap = Reason.GAP if at == 0 and before else 0
            yield now, Word(max(verdicts.values()), reasons | gap)
            before = now, value


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_the_last_word_on_every_value_is_that_of_the_definitions(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(41)
    rows = stage(count, dice)
    last_ms = rows[-1][0]
    near, far = (beside(last_ms, dice, step_ms) for step_ms in (60_000, 90_000))
    rain = gauge(last_ms, dice)
    series = [(RIVER, rows), (BESIDE[0], near), (BESIDE[1], far), (MOVES, rain)]
    said = through_the_fold(series, monkeypatch)
    assert len(said) == len(rows)
    seen: Counter[tuple[int, str]] = Counter()
    open_ms = rows[-1][0]  # the newest still waits for its next
    for now, word in expected(rows, [Past(near), Past(far)], Past(rain)):
        if now == open_ms:
            continue
        assert said[now] == word, (now - START_MS, said[now], word)
        seen.update((word.flag, str(one.name)) for one in Reason if word.reasons & one)
    needs = {
        *((3, name) for name in ("RANGE", "NEIGHBOUR", "RATE", "FLAT_LINE", "SPIKE")),
        *((4, name) for name in ("RANGE", "RATE", "FLAT_LINE", "SPIKE")),
        (1, "GAP"),
    }
    assert {key for key in needs if seen[key] < 30} == set(), seen


TOTAL = replace(MOVES, screening=ScreeningLaw(sensor=Span(0.0, 1e6)))


def totals(count: int, dice: random.Random) -> Rows:
    """A rain total that falls now and then, and leaps as rain can, or as none can."""
    out, tenths = [], 5000
    for now in times(count, dice, WAITS_MS, GAPS_MS, 0.004):
        odd = dice.random()
        if odd < 0.002:
            tenths = dice.randrange(tenths)
        elif odd < 0.004:
            tenths += dice.randrange(300, 4000)
        else:
            tenths += dice.choice((0, 0, 0, 1, 5))
        out.append((now, tenths / 10))
    return out


@pytest.mark.parametrize("count", COUNTS, ids=IDS)
def test_a_total_that_falls_or_leaps_is_told_by_its_step_alone(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = totals(count, random.Random(42))
    said = through_the_fold([(TOTAL, rows)], monkeypatch)
    assert len(said) == len(rows)
    seen: Counter[Word] = Counter()
    for (before, less), (now, more) in pairwise(rows):
        most_mm = 422 * max((now - before) / 3_600_000, 1 / 60) ** 0.475  # Jennings 1950
        word = Word(3, Reason.COUNTER_RESET) if more < less else Word(1, 0)
        word = Word(3, Reason.RATE) if more - less > most_mm else word
        assert said[now] == word, (now - START_MS, more - less)
        seen[word] += 1
    assert len(seen) == 3
    assert min(seen.values()) > count // 5000, seen
