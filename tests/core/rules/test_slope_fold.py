"""Slopes through the fold: late, repeated and interrupted readings, and many against an oracle."""

from __future__ import annotations

import random
from bisect import bisect_left
from fractions import Fraction
from math import floor, log
from typing import TYPE_CHECKING, Any

import pytest
from rig.rulebook import (
    LATE_MS,
    START_MS,
    Arrival,
    bound,
    fold_of,
    killed,
    play,
    prompt,
    shuffled,
    thrice,
    timeline,
)
from rig.slopes import given

from egret_core.reading import Reading
from egret_core.rules import slope
from egret_core.rules.event import settled_hash
from egret_core.rules.line import CELLS
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.movement import MS_PER_DAY
from egret_core.rules.rungs import index_ladder
from egret_core.rules.velocity import ERRORS, FILLED, Bands

if TYPE_CHECKING:
    from collections.abc import Sequence

AT = ("rules.toml", "rule[0].parameters")
GNSS = ChannelPlace("st1", "dx", "displacement", "mm", "", "GW-1", 30.0)
MINUTE_MS = 60_000
# Spans of hours, so that days of readings hold what the pack's defaults see in months.
SPANS = {"window_s": 21_600, "fit_s": 43_200, "held_s": 8640, "horizon_s": 43_200}


def faces(seed: int) -> list[Reading]:
    """Return five days of a face that fails at their end, every 7 min, some missing."""
    dice, out = random.Random(seed), []
    for n in range(5 * 24 * 60 // 7):
        day = n * 7 / 1440
        mm = 10 * day + (30 * -log((5.05 - day) / 3.05) if day > 2 else 0.0)
        if dice.random() > 0.05:
            time_ms = START_MS + n * 7 * MINUTE_MS + dice.randrange(MINUTE_MS)
            out.append(Reading("st1", "dx", time_ms, round(mm + dice.gauss(0, 0.05), 3)))
    return out


def law() -> IndexLaw:
    parameters = given("inverse-velocity", sigma_mm=0.05, v_eq_mm_per_day=10, **SPANS)
    return slope.law(AT, parameters, [GNSS])


@pytest.mark.parametrize("seed", range(3))
def test_shuffled_repeated_and_killed_say_the_same(seed: int) -> None:
    rule, readings = bound(law(), Family.SLOPE, GNSS), faces(seed)
    plain = play(fold_of([GNSS], [rule]), timeline(prompt(readings), ticks=False))
    assert [event.level for event in plain] == ["yellow", "orange", "red"]
    mixed = timeline(shuffled(readings, seed), ticks=False)
    three = timeline(thrice(shuffled(readings, seed), seed), ticks=False)
    for items in (mixed, three):
        assert settled_hash(play(fold_of([GNSS], [rule]), items)) == settled_hash(plain)
    cuts = set(random.Random(seed).sample(range(len(mixed)), 25))
    assert settled_hash(killed([GNSS], [rule], mixed, cuts)) == settled_hash(plain)


class Noted(Bands):
    """Keeps what it said, for the oracle."""

    said: list[tuple[int, float | None]]

    def take(self, time_ms: int, value: float) -> float | None:
        found = super().take(time_ms, value)
        self.said.append((time_ms, found))
        return found


def by_hand(rows: Sequence[tuple[int, int]], at: int, window_ms: int) -> float | None:
    """Return the velocity after reading `at`, mm/d, the long way round; noise is none.

    Args:
        rows: time and whole micrometres, in order of time.
    """
    cell_ms = window_ms // CELLS
    newest = rows[at][0]
    begin = bisect_left(rows, (newest - window_ms - 2 * cell_ms, 0))
    begin = bisect_left(rows, (rows[begin][0] // cell_ms * cell_ms, 0))
    cells: dict[int, list[tuple[int, int]]] = {}
    for row in rows[begin : at + 1]:
        cells.setdefault(row[0] // cell_ms, []).append(row)
    means = [tuple(half_up([row[n] for row in cell]) for n in (0, 1)) for cell in cells.values()]
    oldest = newest - window_ms - cell_ms // 2
    means = [mean for mean in means[:-1] if mean[0] >= oldest] + means[-1:]
    if len(means) < 3 or means[-1][0] - means[0][0] < FILLED * window_ms:
        return None
    middle = Fraction(sum(t for t, _ in means), len(means))
    spread = sum((t - middle) ** 2 for t, _ in means)
    speed = float(sum((t - middle) * y for t, y in means) / spread) * MS_PER_DAY / 1e6
    noise = ERRORS * 0.3 / float(spread) ** 0.5 * MS_PER_DAY
    return 0.0 if 0 <= speed < noise else speed


def half_up(numbers: Sequence[int]) -> int:
    return floor(Fraction(sum(numbers), len(numbers)) + Fraction(1, 2))


@pytest.mark.parametrize(
    "count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)], ids=["20e3", "1e6"]
)
def test_it_equals_an_oracle_over_gaps_repeats_and_shuffling(count: int) -> None:
    dice, window_ms = random.Random(4), 6 * 3_600_000
    index, now, um, readings = Noted(window_ms, 0.3), START_MS, 0, []
    index.said = []
    for _ in range(count):
        now += dice.choice((1, 500, 20_000, MINUTE_MS, 5 * MINUTE_MS))
        now += 20_000_000 if dice.random() < 0.001 else 0
        um += dice.randrange(-90, 100)
        readings.append(Reading("st1", "dx", now, um / 1000))
    arrivals = [Arrival(one.time_ms + dice.randrange(LATE_MS - 1000), one) for one in readings]
    again = [Arrival(one.received_ms + 700, one.reading) for one in arrivals[::20]]
    arrivals = sorted([*arrivals, *again], key=lambda arrival: arrival.received_ms)
    ladder = index_ladder(AT, given("generic-velocity", v0_mm_per_day=1, sigma_mm=1), "mm/d")
    rule = bound(IndexLaw("velocity", lambda: index, ladder, 0), Family.VELOCITY, GNSS)
    play(fold_of([GNSS], [rule]), timeline(arrivals, ticks=False))

    rows = [(one.time_ms, round((one.value or 0.0) * 1_000_000)) for one in readings]
    assert len(index.said) >= count - 200  # the last half minute still waits for its order
    assert [time for time, _ in index.said] == [time for time, _ in rows[: len(index.said)]]
    stride, checked = max(count // 3000, 1), 0
    for at in range(0, len(index.said), stride):
        expected, (_, found) = by_hand(rows, at, window_ms), index.said[at]
        checked += expected is not None
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-9, rel=1e-9))
    assert checked > len(index.said) / stride / 2


def test_readings_that_are_no_movement_are_not_judged() -> None:
    told: Any = law().make()
    assert told.take(START_MS, -1e300) is None
    assert told.take(START_MS + MINUTE_MS, 1e300) is None
    for n in range(2, 900):
        told.take(START_MS + n * MINUTE_MS, 1e300 if n % 2 else -1e300)
