"""Recursive least squares against the sums it stands for, and its soundness over a year."""

from __future__ import annotations

import json
import random
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.equations import solved

from egret_core.rules.rls import RecursiveLeastSquares

RIDGE = 1e-3
Sample = tuple[list[float], float]


def samples(count: int, size: int, seed: int = 1) -> list[Sample]:
    dice = random.Random(seed)
    truth = [dice.gauss(0, 1) for _ in range(size)]
    out = []
    for _ in range(count):
        terms = [1.0, *(dice.gauss(0, 1) for _ in range(size - 1))]
        target = sum(a * b for a, b in zip(truth, terms, strict=True)) + dice.gauss(0, 0.1)
        out.append((terms, target))
    return out


def test_one_term_by_hand() -> None:
    model = RecursiveLeastSquares(1, 1.0, 1.0)
    model.learn([2.0], 4.0)  # (2 * 4) / (2 * 2 + 1)
    assert model.weights == [pytest.approx(1.6)]
    model.learn([1.0], 3.0)  # (8 + 3) / (5 + 1)
    assert model.weights == [pytest.approx(11 / 6)]
    assert model.estimate([3.0]) == pytest.approx(5.5)


def test_without_forgetting_it_is_ridge_regression() -> None:
    size, rows = 6, samples(300, 6)
    model = RecursiveLeastSquares(size, RIDGE, 1.0)
    for terms, target in rows:
        model.learn(terms, target)
    square = [
        [sum(x[a] * x[b] for x, _ in rows) + (RIDGE if a == b else 0.0) for b in range(size)]
        for a in range(size)
    ]
    right = [sum(x[a] * y for x, y in rows) for a in range(size)]
    assert model.weights == pytest.approx(solved(square, right), abs=1e-9)


def test_with_forgetting_it_is_the_weighted_sums_and_the_ridge_comes_back_in_turn() -> None:
    size, forget, rows = 4, 0.95, samples(200, 4)
    model = RecursiveLeastSquares(size, RIDGE, forget)
    square = [[RIDGE if a == b else 0.0 for b in range(size)] for a in range(size)]
    right = [0.0] * size
    for count, (terms, target) in enumerate(rows):
        model.learn(terms, target)
        square = [
            [forget * square[a][b] + terms[a] * terms[b] for b in range(size)] for a in range(size)
        ]
        square[count % size][count % size] += size * (1 - forget) * RIDGE
        right = [forget * right[a] + terms[a] * target for a in range(size)]
    assert model.weights == pytest.approx(solved(square, right), abs=1e-9)
    assert model.resets == 0


def test_a_change_of_the_river_is_learned_and_the_old_one_forgotten() -> None:
    quick, never = RecursiveLeastSquares(1, RIDGE, 0.95), RecursiveLeastSquares(1, RIDGE, 1.0)
    for model in (quick, never):
        for n in range(400):
            model.learn([1.0], 1.0 if n < 300 else 2.0)
    assert quick.weights[0] == pytest.approx(2.0, abs=0.01)
    assert never.weights[0] == pytest.approx(1.25, abs=0.01)


def wound_up(model: RecursiveLeastSquares, steps: int, seed: int) -> None:
    """Learn where one term never moves and the last is the sum of the others: no way to tell."""
    dice, size = random.Random(seed), len(model.weights)
    for _ in range(steps):
        free = [dice.gauss(0, 0.1) for _ in range(size - 2)]
        model.learn([0.0, *free, sum(free)], sum(free) + dice.gauss(0, 0.01))


def spread(model: RecursiveLeastSquares) -> float:
    """Return the largest diagonal of P."""
    _, lower, _, _ = model.dump()
    return max(row[-1] for row in lower)


def test_terms_that_never_move_do_not_wind_it_up() -> None:
    # At 0.98 a sample, 20,000 are as many lives of the memory as 400,000 are at 0.999.
    model = RecursiveLeastSquares(5, RIDGE, 0.98)
    wound_up(model, 20_000, 3)
    assert spread(model) <= 1.2 / RIDGE
    assert model.resets == 0
    assert model.estimate([0.0, 0.1, 0.1, 0.1, 0.3]) == pytest.approx(0.3, abs=0.02)


@pytest.mark.long
def test_a_million_rising_samples() -> None:
    model = RecursiveLeastSquares(11, RIDGE, 0.999)
    wound_up(model, 1_000_000, 4)
    assert spread(model) <= 1.2 / RIDGE
    assert model.resets == 0
    assert all(isfinite(weight) for weight in model.weights)


@given(
    st.lists(
        st.tuples(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), st.floats(-1e6, 1e6)),
        max_size=60,
    )
)
def test_it_stays_finite_and_its_diagonal_positive_whatever_comes(rows: list[Sample]) -> None:
    model = RecursiveLeastSquares(3, RIDGE, 0.999)
    for terms, target in rows:
        model.learn(terms, target)
        _, lower, _, _ = model.dump()
        assert all(row[at] > 0 for at, row in enumerate(lower))
        assert all(isfinite(value) for row in lower for value in row)
        assert all(isfinite(weight) for weight in model.weights)


def test_where_rounding_leaves_nothing_positive_it_begins_anew_and_keeps_its_weights() -> None:
    model = RecursiveLeastSquares(2, RIDGE, 0.999)
    model.learn([1.0, 2.0], 3.0)
    weights, _, learned, resets = model.dump()
    model.restore([weights, [[-1.0], [0.0, -1.0]], learned, resets])
    model.learn([1.0, 1.0], 2.0)
    assert model.resets > 0
    assert model.weights == pytest.approx(weights, rel=0.01)
    assert spread(model) == pytest.approx(1 / RIDGE, rel=0.01)


def test_a_diagonal_that_turns_negative_is_not_kept() -> None:
    model = RecursiveLeastSquares(2, RIDGE, 1.0)
    model.restore([[0.0, 0.0], [[1.0], [5.0, 1.0]], 1, 0])  # no such P: x' P x > 0 all the same
    model.learn([1.0, 1.0], 0.5)
    assert (model.resets, spread(model)) == (1, 1 / RIDGE)


@given(st.integers(0, 39), st.sampled_from([1.0, 0.999, 0.9]))
def test_a_restart_anywhere_says_the_same(cut: int, forgetting: float) -> None:
    whole = RecursiveLeastSquares(4, RIDGE, forgetting)
    parts = RecursiveLeastSquares(4, RIDGE, forgetting)
    for n, (terms, target) in enumerate(samples(40, 4, seed=2)):
        if n == cut:
            saved = json.loads(json.dumps(parts.dump()))
            parts = RecursiveLeastSquares(4, RIDGE, forgetting)
            parts.restore(saved)
        whole.learn(terms, target)
        parts.learn(terms, target)
        assert whole.weights == parts.weights
    assert whole.dump() == parts.dump()
