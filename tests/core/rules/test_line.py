"""The line through a window: exact on a line, equal to the long way round, the same at any pace."""

from __future__ import annotations

import random
import statistics
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.slopes import reborn

from egret_core.rules.line import CELLS, Line

if TYPE_CHECKING:
    from egret_core.rules.line import Fit

HOUR_MS = 3_600_000
START_MS = 1_700_000_000_000


def by_hand(rows: list[tuple[int, int]], window_ms: int) -> tuple[float, float] | None:
    """Return slope per ms and r2 of the means of the cells in the window, the long way round."""
    cell_ms = window_ms // CELLS
    cells: dict[int, list[tuple[int, int]]] = {}
    for time_ms, y in rows:
        cells.setdefault(time_ms // cell_ms, []).append((time_ms, y))
    means = [
        (half_up([t for t, _ in cell]), half_up([y for _, y in cell])) for cell in cells.values()
    ]
    oldest_ms = rows[-1][0] - window_ms - cell_ms // 2
    means = [mean for mean in means[:-1] if mean[0] >= oldest_ms] + means[-1:]
    times = [float(t - START_MS) for t, _ in means]
    heights = [float(y) for _, y in means]
    if len(means) < 3 or max(times) == min(times):
        return None
    if max(heights) == min(heights):
        return 0.0, 0.0
    slope = statistics.linear_regression(times, heights).slope
    return slope, statistics.correlation(times, heights) ** 2


def half_up(numbers: list[int]) -> int:
    return floor(Fraction(sum(numbers), len(numbers)) + Fraction(1, 2))


def fitted(line: Line, rows: list[tuple[int, int]]) -> Fit | None:
    for time_ms, y in rows:
        line.take(time_ms, y)
    return line.fit()


def test_a_line_is_found_exactly_and_meets_zero_where_it_does() -> None:
    rows = [(START_MS + n * HOUR_MS, 1000 - 7 * n) for n in range(20)]
    fit = fitted(Line(32 * HOUR_MS), rows)
    assert fit is not None
    assert fit.slope * HOUR_MS == pytest.approx(-7, abs=1e-12)
    assert fit.r2 == 1.0
    assert fit.mean_ms == START_MS + 9.5 * HOUR_MS
    assert fit.zero_ms == pytest.approx(START_MS + 1000 / 7 * HOUR_MS, abs=0.01)
    assert (fit.points, fit.span_ms) == (20, 19 * HOUR_MS)


def test_two_points_and_one_instant_are_no_line() -> None:
    line = Line(32 * HOUR_MS)
    assert line.fit() is None
    assert fitted(line, [(START_MS, 1), (START_MS, 2), (START_MS + HOUR_MS, 3)]) is None
    assert fitted(line, [(START_MS + 2 * HOUR_MS, 3)]) is not None


def test_a_level_line_never_meets_zero_and_explains_nothing() -> None:
    fit = fitted(Line(32 * HOUR_MS), [(START_MS + n * HOUR_MS, 5) for n in range(9)])
    assert fit is not None
    assert (fit.slope, fit.r2, fit.zero_ms) == (0.0, 0.0, None)


@pytest.mark.parametrize("seed", range(4))
def test_it_equals_the_long_way_round_over_random_readings_with_gaps(seed: int) -> None:
    dice = random.Random(seed)
    window_ms, now, y = 48 * HOUR_MS, START_MS, 0
    line, rows = Line(window_ms), []
    for _ in range(600):
        now += dice.choice((0, 1, 600_000, HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS))
        now += 70 * HOUR_MS if dice.random() < 0.01 else 0
        y += dice.randrange(-900, 1000)
        rows.append((now, y))
        line.take(now, y)
        fit, expected = line.fit(), by_hand(rows, window_ms)
        assert (fit is None) == (expected is None)
        if fit is not None and expected is not None:
            assert fit.slope == pytest.approx(expected[0], rel=1e-9, abs=1e-15)
            assert fit.r2 == pytest.approx(expected[1], rel=1e-6, abs=1e-9)


def test_nothing_drifts_in_ten_years_of_readings() -> None:
    line, window_ms = Line(32 * HOUR_MS), 32 * HOUR_MS
    rows = [(START_MS + n * HOUR_MS, 10**12 + (n * 7919) % 1000) for n in range(87_600)]
    long = fitted(line, rows)
    short = fitted(Line(window_ms), rows[-40:])
    assert long == short


def test_a_burst_weighs_no_more_than_one_reading() -> None:
    hourly = [(START_MS + n * HOUR_MS, 10 * n) for n in range(20)]
    burst = [(START_MS + 10 * HOUR_MS + n, 100) for n in range(1, 500)]
    plain = fitted(Line(32 * HOUR_MS), hourly)
    mixed = fitted(Line(32 * HOUR_MS), sorted(hourly + burst))
    assert plain is not None
    assert mixed is not None
    assert mixed.points == plain.points
    assert mixed.slope == pytest.approx(plain.slope, rel=1e-6)


def test_the_state_is_bounded_at_any_pace() -> None:
    line = Line(CELLS * 60_000)
    for n in range(20_000):
        line.take(START_MS + 1000 * n, n * n)
        assert len(line.dump()[0]) <= CELLS + 2


@given(
    st.lists(st.tuples(st.integers(0, 90), st.integers(-(10**15), 10**15)), max_size=60),
    st.integers(0),
)
def test_a_restart_anywhere_says_the_same(rows: list[tuple[int, int]], cut: int) -> None:
    whole, parts, now = Line(32 * HOUR_MS), Line(32 * HOUR_MS), START_MS
    for n, (wait_min, y) in enumerate(rows):
        now += wait_min * 60_000
        if n == cut % len(rows):
            parts = reborn(parts, Line(32 * HOUR_MS))
        whole.take(now, y)
        parts.take(now, y)
        assert whole.fit() == parts.fit()
        assert whole.dump() == parts.dump()
