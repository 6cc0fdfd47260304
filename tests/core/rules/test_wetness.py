"""The wetness index: its two branches by hand, its steps, its months."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.rulebook import HOUR_MS

from egret_core.rules.index import Standing
from egret_core.rules.wetness import MS_PER_DAY, SILENCE_MAX_MS, Ground, Wetness, month_of

MM = 1_000_000
GROUND = Ground((0.0001,) * 12, 0.01, 0.18, 0, 0)


def index(machine: Wetness) -> float:
    """The index, m, also while it warms up."""
    found = machine.dump()[0]
    assert isinstance(found, float)
    return found


def test_below_field_capacity_nothing_drains() -> None:
    assert GROUND.balance(-0.1, 0.005, 1, 1) == pytest.approx(-0.1 + 0.005 - 0.0001)
    assert GROUND.balance(-0.1, 0, 1, 10) == pytest.approx(-0.1 - 0.001)


def test_above_it_the_ground_drains_exponentially() -> None:
    kept = exp(-0.01)
    assert GROUND.balance(0.05, 0, 1, 1) == pytest.approx(
        0.05 * kept - 0.0001 * (1 - kept) / 0.01, abs=1e-12
    )
    # A year with steady rain comes to rest where drainage takes what falls: (P - E) / kd.
    found = 0.0
    for _ in range(8766):
        found = GROUND.balance(found, 0.0006, 1, 1)
    assert found == pytest.approx((0.0006 - 0.0001) / 0.01)


def test_it_is_never_drier_than_its_capacity() -> None:
    assert GROUND.balance(-0.18, 0, 7, 1) == -0.18
    hot = Ground((1.0,) * 12, 0.01, 0.18, 0, 0)
    assert hot.balance(0.5, 0, 7, 1) == -0.18
    assert hot.balance(-0.1, 0, 7, 1) == -0.18


def test_above_it_two_half_steps_are_one_step() -> None:
    half = GROUND.balance(GROUND.balance(0.05, 0.001, 1, 0.5), 0.001, 1, 0.5)
    assert half == pytest.approx(GROUND.balance(0.05, 0.002, 1, 1), abs=1e-12)


def test_a_silence_is_stepped_by_the_hour_with_its_rain_spread() -> None:
    steady, silent = Wetness(GROUND), Wetness(GROUND)
    steady.take(0, 0)
    silent.take(0, 0)
    for hour in range(1, 101):
        steady.take(hour * HOUR_MS, 4 * MM)
    silent.take(100 * HOUR_MS, 400 * MM)
    assert index(silent) == pytest.approx(index(steady), abs=1e-12)
    assert index(silent) > 0


def test_after_thirty_silent_days_it_begins_anew() -> None:
    machine = Wetness(Ground((0.0001,) * 12, 0.01, 0.18, 0, HOUR_MS))
    machine.take(0, 0)
    assert machine.take(SILENCE_MAX_MS, 500 * MM) is not None
    assert machine.take(2 * SILENCE_MAX_MS + 1, 500 * MM) is None
    assert machine.standing is Standing.WARMING_UP
    assert index(machine) == -0.18


def test_evaporation_is_that_of_the_local_month() -> None:
    table = tuple(n / 1000 for n in range(1, 13))
    newyear_ms = round(datetime(2011, 1, 1, tzinfo=UTC).timestamp() * 1000)
    utc, seattle = (Ground(table, 0.01, 0.18, hours * HOUR_MS, 0) for hours in (0, -8))
    assert (utc.month(newyear_ms - 1), utc.month(newyear_ms)) == (12, 1)
    assert seattle.month(newyear_ms + 8 * HOUR_MS - 1) == 12
    assert seattle.month(newyear_ms + 8 * HOUR_MS) == 1


@given(st.integers(-700_000, 2_900_000))
def test_months_are_the_calendar_s(day: int) -> None:
    assert month_of(day) == datetime.fromordinal(day + 719_163).month


def test_any_whole_number_is_a_day_of_some_month() -> None:
    assert {month_of(n * 10**14) for n in (-9, -1, 1, 9)} <= set(range(1, 13))


@given(st.lists(st.tuples(st.integers(1, 3_000_000), st.integers(0, 50)), max_size=30))
def test_a_restart_anywhere_says_the_same(rows: list[tuple[int, int]]) -> None:
    ground = Ground((0.0001,) * 12, 0.01, 0.18, 0, MS_PER_DAY)
    whole, parts, now = Wetness(ground), Wetness(ground), 0
    for wait_s, mm in rows:
        now += wait_s * 1000
        saved = json.loads(json.dumps(parts.dump()))
        parts = Wetness(ground)
        parts.restore(saved)
        assert whole.take(now, mm * MM) == parts.take(now, mm * MM)
        assert (whole.standing, whole.evidence()) == (parts.standing, parts.evidence())
        assert index(parts) >= -0.18
