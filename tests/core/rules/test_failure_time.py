"""Time of failure: exact series of Voight's law, and what the lines say of each other."""

from __future__ import annotations

from itertools import pairwise
from math import log
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.slopes import reborn

from egret_core.rules.failure_time import (
    FailureTime,
    Forecast,
    evidence_of,
    inverse_velocity,
    saito_failure_time,
)
from egret_core.rules.line import Line
from egret_core.rules.movement import MS_PER_DAY
from egret_core.rules.velocity import Motion

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_MS = 3_600_000
FAILURE_H = 100.0
TENS = [10.0 * n for n in range(10)]  # t = 0, 10 .. 90 h


def voight(alpha: float, a: float) -> Callable[[float], float]:
    """Return the exact velocity at t hours of a series that fails at 100 h, mm/h."""
    return lambda t: (a * (alpha - 1) * (FAILURE_H - t)) ** (-1 / (alpha - 1))


def zero_h(rows: list[tuple[float, float]], alpha: float = 2.0) -> float:
    """Return where the line through times and velocities meets 0, h."""
    line = Line(1000 * HOUR_MS // 10)
    for t, v in rows:
        line.take(round(t * HOUR_MS), round(inverse_velocity(v, alpha) * 10**12))
    fit = line.fit()
    assert fit is not None
    assert fit.zero_ms is not None
    return fit.zero_ms / HOUR_MS


def test_velocities_and_displacements_of_the_exact_series() -> None:
    speed = voight(2, 0.01)
    assert [speed(t) for t in (0, 50, 90)] == pytest.approx([1, 2, 10])
    moved = [-100 * log((FAILURE_H - t) / FAILURE_H) for t in (50, 90)]
    assert moved == pytest.approx([69.3147, 230.2585], abs=5e-5)


def test_a_line_through_exact_inverse_velocities_meets_zero_at_failure() -> None:
    speed = voight(2, 0.01)
    assert zero_h([(t, speed(t)) for t in TENS]) == pytest.approx(100.000, abs=5e-7)


def test_differences_of_displacement_are_early() -> None:
    def moved(t: float) -> float:
        return -100 * log((FAILURE_H - t) / FAILURE_H)

    rows = [((a + b) / 2, (moved(b) - moved(a)) / 10) for a, b in pairwise(TENS)]
    assert zero_h(rows) == pytest.approx(99.518, abs=5e-4)
    assert zero_h(rows[-3:]) == pytest.approx(99.213, abs=5e-4)


@pytest.mark.parametrize(
    ("alpha", "everything", "last_five"),
    [(1.5, 80.00, 88.33), (1.8, 91.85, 95.21), (2.2, 108.28, 104.88)],
)
def test_a_line_is_wrong_where_alpha_is_not_2_and_right_at_its_own(
    alpha: float, everything: float, last_five: float
) -> None:
    speed = voight(alpha, 0.05)
    rows = [(t, speed(t)) for t in TENS]
    assert zero_h(rows) == pytest.approx(everything, abs=5e-3)
    assert zero_h(rows[-5:]) == pytest.approx(last_five, abs=5e-3)
    assert zero_h(rows, alpha) == pytest.approx(100.0, abs=1e-6)


def test_saito_s_three_times() -> None:
    found = saito_failure_time(39.34693403, 63.21205588, 77.68698399)
    assert found == pytest.approx(100.000000, abs=5e-6)
    assert saito_failure_time(0, 10, 20) is None
    assert saito_failure_time(0, 10, 25) is None
    assert saito_failure_time(5, 5, 5) is None


def fed(
    speed: Callable[[float], float], days: range, *, long: bool = True, uniform: float | None = 0.5
) -> Forecast | None:
    """Return the forecast after daily velocities; the longer window lags by 2.5 d."""
    lines, said = FailureTime(10 * MS_PER_DAY, 0.9), None
    for day in days:
        short = Motion(day * MS_PER_DAY, speed(day), 0.0)
        lag = Motion(round((day - 2.5) * MS_PER_DAY), speed(day - 2.5), 0.0) if long else None
        said = lines.take(short, lag, uniform)
    return said


def exact(alpha: float) -> Callable[[float], float]:
    """Return the velocity, mm/d, of a slope that fails at day 100."""
    return lambda day: (0.05 * (alpha - 1) * (100 - day)) ** (-1 / (alpha - 1))


def test_every_line_of_an_exact_series_names_its_failure() -> None:
    said = fed(exact(2.0), range(60, 96))
    assert said is not None
    for found in (said.failure_ms, said.early_ms, said.late_ms):
        assert found / MS_PER_DAY == pytest.approx(100, abs=1e-6)
    assert (said.lines, said.alpha) == (3, 2.0)
    assert said.r2 == pytest.approx(1)
    assert said.onset_ms == 80 * MS_PER_DAY  # from then on v is above twice uniform creep


@pytest.mark.parametrize("alpha", [1.5, 1.8, 2.0, 2.2])
def test_the_band_of_alpha_holds_the_failure(alpha: float) -> None:
    said = fed(exact(alpha), range(60, 96))
    assert said is not None
    assert said.alpha_early_ms is not None
    assert said.alpha_late_ms is not None
    early, late = said.alpha_early_ms / MS_PER_DAY, said.alpha_late_ms / MS_PER_DAY
    assert early - 1e-6 <= 100 <= late + 1e-6
    # Above 2 the line is late, which is the dangerous side: the band's early end is not.
    assert (said.failure_ms / MS_PER_DAY > 100.5) == (alpha > 2)


def test_where_inverse_velocity_bends_the_other_line_still_speaks() -> None:
    said = fed(lambda day: (100 - day) ** -4.0 * 1e4, range(60, 99))
    assert said is not None
    assert said.alpha == 1.5
    assert said.failure_ms == said.alpha_late_ms
    assert evidence_of(said)["failure_alpha"] == 1.5


def test_a_slope_that_slows_or_stands_has_no_forecast() -> None:
    assert fed(lambda day: 50 - 0.4 * day, range(60, 96)) is None
    assert fed(lambda _: 3.0, range(60, 96)) is None
    assert fed(lambda _: 0.0, range(60, 96)) is None
    assert fed(lambda day: 1 + 0.0001 * day, range(60, 96)) is None  # fails in thirty years
    assert evidence_of(None) == {}


def test_a_velocity_not_above_zero_ends_all_lines() -> None:
    lines = FailureTime(10 * MS_PER_DAY, 0.9)
    speed = exact(2.0)
    for day in range(60, 90):
        lines.take(Motion(day * MS_PER_DAY, speed(day), 0), None, 0.5)
    assert lines.take(Motion(90 * MS_PER_DAY, -0.1, 0), None, 0.5) is None
    said = [lines.take(Motion(d * MS_PER_DAY, speed(d), 0), None, 0.5) for d in range(91, 100)]
    assert [one is None for one in said] == [True] * 8 + [False]


def test_without_v_eq_or_the_longer_window_there_is_no_onset_but_a_forecast() -> None:
    for said in (
        fed(exact(2.0), range(60, 96), uniform=None),
        fed(exact(2.0), range(60, 96), long=False),
    ):
        assert said is not None
        assert said.onset_ms is None
        assert said.failure_ms / MS_PER_DAY == pytest.approx(100, abs=1e-6)


def test_the_onset_begins_anew_when_the_slope_rests() -> None:
    lines = FailureTime(10 * MS_PER_DAY, 0.9)
    for day in range(60, 99):
        failure = 150 if day < 80 else 100
        fast = 0.6 if day == 80 else 60 / (failure - day)
        motions = Motion(day * MS_PER_DAY, fast, 0), Motion(day * MS_PER_DAY - 1, fast * 0.99, 0)
        said = lines.take(motions[0], motions[1] if day != 80 else motions[0], 0.3)
    assert said is not None
    assert said.onset_ms == 81 * MS_PER_DAY
    assert said.lines == 3
    assert said.early_ms / MS_PER_DAY == pytest.approx(100, abs=1e-6)
    assert said.late_ms / MS_PER_DAY == pytest.approx(100, abs=1e-6)


@given(
    st.lists(
        st.tuples(st.integers(0, 3000), st.floats(-1e12, 1e12), st.floats(-1e12, 1e12)), max_size=40
    ),
    st.integers(0),
)
def test_any_velocity_is_taken_and_a_restart_says_the_same(
    rows: list[tuple[int, float, float]], cut: int
) -> None:
    def fresh() -> FailureTime:
        return FailureTime(10 * MS_PER_DAY, 0.2)

    whole, parts, now = fresh(), fresh(), 0
    for n, (wait_min, fast, slow) in enumerate(rows):
        now += wait_min * 60_000
        if n == cut % len(rows):
            parts = reborn(parts, fresh())
        motions = Motion(now, fast, 0), Motion(now, slow, 0)
        assert whole.take(*motions, 0.5) == parts.take(*motions, 0.5)
