"""What became of forecasts: the index by its definition, quantiles as the library has them."""

from __future__ import annotations

import json
import random
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.rules.trail import TRAIL, Trail

PAIRS = st.lists(st.tuples(st.integers(-30_000, 30_000), st.integers(-30_000, 30_000)), max_size=30)


def filled(pairs: list[tuple[float, float]]) -> Trail:
    trail = Trail()
    for change, forecast in pairs:
        trail.add(change, forecast)
    return trail


def test_a_perfect_forecast_has_1_saying_nothing_0_and_a_wrong_one_less() -> None:
    changes = [0.1, -0.2, 0.4]
    assert filled([(one, one) for one in changes]).persistence_index == 1
    assert filled([(one, 0.0) for one in changes]).persistence_index == 0
    assert filled([(one, -one) for one in changes]).persistence_index == -3
    assert filled([(one, one / 2) for one in changes]).persistence_index == pytest.approx(0.75)


def test_where_nothing_changed_nothing_can_be_better() -> None:
    assert filled([]).persistence_index == 0
    assert filled([(0.0, 0.0), (0.0, 0.1)]).persistence_index == 0
    assert filled([]).quantile(0.9) == 0


def test_only_the_newest_count_and_the_sums_do_not_drift() -> None:
    dice, trail = random.Random(5), Trail()
    rows = [(dice.gauss(0, 0.3), dice.gauss(0, 0.3)) for _ in range(5000)]
    for change, forecast in rows:
        trail.add(change, forecast)
    assert len(trail) == TRAIL
    newest = rows[-TRAIL:]
    error = sum(round((a - b) * 10_000) ** 2 for a, b in newest)
    still = sum(round(a * 10_000) ** 2 for a, _ in newest)
    assert trail.persistence_index == 1 - error / still


def test_quantiles_are_those_of_the_standard_library() -> None:
    dice = random.Random(6)
    errors = [round(dice.gauss(0, 0.3), 4) for _ in range(150)]
    trail = filled([(one, 0.0) for one in errors])
    tenths = quantiles(errors, n=10, method="inclusive")
    found = [trail.quantile(n / 10) for n in range(1, 10)]
    assert found == pytest.approx(tenths, abs=1e-9)
    assert (trail.quantile(0), trail.quantile(1)) == (min(errors), max(errors))


def test_an_error_counts_by_its_spread_for_the_band_and_not_for_the_index() -> None:
    wide, plain = Trail(), Trail()
    for error in (0.1, 0.2, 0.4):
        wide.add(error, 0.0, 2.0)
        plain.add(error, 0.0)
    assert [wide.quantile(q) for q in (0, 0.5, 1)] == [0.05, 0.1, 0.2]
    assert wide.persistence_index == plain.persistence_index == 0


@given(PAIRS, st.integers(0))
def test_a_restart_anywhere_says_the_same(pairs: list[tuple[int, int]], cut: int) -> None:
    whole, parts = Trail(), Trail()
    for n, (change, forecast) in enumerate(pairs):
        if n == cut % len(pairs):
            saved = json.loads(json.dumps(parts.dump()))
            parts = Trail()
            parts.restore(saved)
        for trail in (whole, parts):
            trail.add(change / 1000, forecast / 1000, 1 + n % 3)
        assert whole.persistence_index == parts.persistence_index
        assert [whole.quantile(n / 10) for n in range(11)] == [
            parts.quantile(n / 10) for n in range(11)
        ]
