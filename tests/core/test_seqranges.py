"""Ranges of sequence numbers against plain sets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core import seqranges as sr

sets = st.frozensets(st.integers(1, 40), max_size=30)


@given(sets, sets)
def test_the_algebra_is_that_of_sets(a: frozenset[int], b: frozenset[int]) -> None:
    x, y = sr.of_numbers(a), sr.of_numbers(b)
    assert set(sr.numbers(sr.union(x, y))) == a | b
    assert set(sr.numbers(sr.minus(x, y))) == a - b
    assert set(sr.numbers(sr.common(x, y))) == a & b
    assert sr.size(x) == len(a)
    assert {n for n in range(42) if sr.contains(x, n)} == a


@given(sets, sets)
def test_results_are_normal(a: frozenset[int], b: frozenset[int]) -> None:
    for made in (
        sr.union(sr.of_numbers(a), sr.of_numbers(b)),
        sr.minus(sr.of_numbers(a), sr.of_numbers(b)),
    ):
        assert sr.normalised(made) == made
        assert all(made[i][1] + 1 < made[i + 1][0] for i in range(len(made) - 1))


@given(sets, st.integers(-1, 45))
def test_first_takes_the_lowest(a: frozenset[int], count: int) -> None:
    assert list(sr.numbers(sr.first(sr.of_numbers(a), count))) == sorted(a)[: max(count, 0)]


def test_pairs_are_joined_and_checked() -> None:
    assert sr.normalised([[5, 7], [1, 2], [3, 4], [7, 9]]) == ((1, 9),)
    with pytest.raises(ValueError, match="ends before it starts"):
        sr.normalised([[3, 2]])
