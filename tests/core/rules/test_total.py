"""A rain total as steps: what fell, new bases, and numbers that are no totals."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.rulebook import GATEWAY, SIGNALS, bound, fold_of, place, rain, reading

from egret_core.rules.model import Family
from egret_core.rules.step import Receipt, step
from egret_core.rules.total import NM_PER_MM, TOTAL_MAX_MM, Total, nanometres
from egret_core.rules.windows import Increment

GAUGE = place("rn", "rain_total")
HUGE = (1e305, -1e305, 1.7976931348623157e308)


def test_steps_are_what_fell_between_two_readings() -> None:
    total = Total()
    assert total.step(0, 100.2) == Increment(0, 0, 0)
    assert total.step(60_000, 100.4) == Increment(60_000, 200_000, 60_000)
    assert total.step(90_000, 100.4) == Increment(90_000, 0, 30_000)


def test_a_total_that_fell_or_rose_as_no_rain_can_is_a_new_base() -> None:
    total = Total()
    total.step(0, 100.0)
    assert total.step(60_000, 3.0).rain_nm == 0
    assert total.step(120_000, 4.0).rain_nm == NM_PER_MM
    assert total.step(180_000, 900.0).rain_nm == 0
    assert (total.rebased, total.rebased_ms) == (2, 180_000)


def test_what_was_poured_moves_the_base_and_is_no_rain() -> None:
    total = Total()
    total.step(0, 100.0)
    assert total.rebase(60_000, 150.0) == Increment(60_000, 0, 60_000)
    assert total.step(120_000, 151.0).rain_nm == NM_PER_MM


@pytest.mark.parametrize("value", HUGE)
def test_a_finite_number_that_is_no_total_ends_nobody(value: float) -> None:
    assert abs(nanometres(value)) == TOTAL_MAX_MM * NM_PER_MM
    fold = fold_of([GAUGE], [bound(rain(*SIGNALS), Family.RAIN, GAUGE)])
    for second, total in ((0, 1.0), (60, value), (120, 2.0), (180, 3.0)):
        one = reading(second, total, GAUGE)
        assert step(fold, Receipt(GATEWAY, one.time_ms + 40_000, [one]))[1] == []


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20))
def test_a_restart_anywhere_gives_the_same_steps(values: list[float]) -> None:
    whole, parts = Total(), Total()
    for n, value in enumerate(values):
        saved = json.loads(json.dumps(parts.dump()))
        parts = Total()
        parts.restore(saved)
        step_ = whole.step(60_000 * n, value)
        assert step_ == parts.step(60_000 * n, value)
        assert step_.rain_nm >= 0
