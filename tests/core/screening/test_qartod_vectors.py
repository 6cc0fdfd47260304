"""The vectors of a published QARTOD implementation, one by one through the streaming tests."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING

import pytest

from egret_core.quality import Flag, Reason
from egret_core.screening.flat_line import FlatLine, Stillness
from egret_core.screening.range import Span, check_range
from egret_core.screening.rate import Rate
from egret_core.screening.sentinel import check_sentinel
from egret_core.screening.spike import Limits, Spike

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP_MS = 300_000


def spikes(values: Sequence[float], suspect: float, fail: float = inf) -> list[int]:
    test = Spike(Limits(suspect, fail))
    last_words = [test.take(value)[1] for value in values][1:]
    assert None not in last_words
    return [*(flag or 0 for flag in last_words), 2]  # nothing comes after the last one


def rates(values: Sequence[float], suspect: float, fail: float = inf) -> list[int]:
    test = Rate(Limits(suspect, fail))
    return [test.take(n * STEP_MS, value).flag for n, value in enumerate(values)]


def flats(values: Sequence[float], suspect_s: float, fail_s: float, tolerance: float) -> list[int]:
    test = FlatLine(Stillness(tolerance, round(suspect_s * 1000), round(fail_s * 1000)))
    return [test.take(n * STEP_MS, value).flag for n, value in enumerate(values)]


def test_spike_by_the_differential_form_condemns_no_neighbour() -> None:
    assert spikes([1, 1, 1.2, 1, 1, 5, 1, 1], 0.15, 1) == [2, 1, 3, 1, 1, 4, 1, 2]


def test_rate_of_change() -> None:
    assert rates([1, 1.1, 1.2, 2, 2, 2.1, 2.1, 2.1], 0.001) == [1, 1, 1, 3, 1, 1, 1, 1]
    assert rates([1, 1.1, 1.2, 2, 2, 2.1], 0.001, 0.002) == [1, 1, 1, 4, 1, 1]


def test_flat_line() -> None:
    values = [1, 1.1, 1.1, 1.1, 1.1, 1.1, 1.2, 1.3]
    assert flats(values, 600, 1200, 0.01) == [1, 1, 1, 3, 3, 4, 1, 1]


def test_gross_range() -> None:
    values = [-11, -3, 0, 2.9, 3.1, 11]
    flags = [check_range(value, Span(-10, 10), Span(-2, 3)).flag for value in values]
    assert flags == [4, 3, 1, 1, 3, 4]


def test_what_is_no_number_never_reaches_a_test_that_compares() -> None:
    assert check_sentinel(nan, ()).flag == Flag.FAIL
    assert check_range(nan, Span(-10, 10)).flag == Flag.FAIL


def test_a_spike_is_told_at_once_and_corrected_by_the_next_value() -> None:
    test = Spike(Limits(0.5, 2.0))
    assert test.take(1.0) == (2, None)
    assert test.take(1.1) == (1, 2)
    assert test.take(4.0) == (3, 1)  # may come back
    assert test.take(1.0) == (3, 4)  # it did
    assert test.take(2.0) == (3, 3)  # so what came back was a spike of its own, a smaller one
    assert test.take(2.6) == (3, 1)  # and this one stays


def test_the_smaller_of_both_steps_is_the_size_of_a_spike() -> None:
    for sign in (1, -1):
        assert spikes([sign * v for v in (0, 3, 2.6, 2.6)], 1, 2) == [2, 1, 1, 2]
        assert spikes([sign * v for v in (0, 0.4, -2.6, 0)], 1, 2) == [2, 1, 4, 2]
        assert spikes([sign * v for v in (2.6, 3, 0, 0)], 0.3, 2) == [2, 3, 1, 2]


def test_a_flood_that_stays_is_cleared_by_the_next_value() -> None:
    test = Spike(Limits(0.5, 2.0))
    flags = [test.take(value) for value in (1.0, 1.0, 4.0, 4.0, 4.1)]
    assert flags == [(2, None), (1, 2), (3, 1), (1, 1), (1, 1)]


def test_a_spike_needs_neighbours_on_the_same_side_of_a_gap() -> None:
    test = Spike(Limits(0.5))
    test.take(1.0)
    test.restart()
    assert test.take(9.0) == (2, None)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_spike_may_point_either_way(sign: int) -> None:
    assert spikes([sign * v for v in (0, 0, 3, 0)], 1, 2) == [2, 1, 4, 2]


def test_the_rate_is_by_real_time_and_an_equal_time_is_no_change() -> None:
    test = Rate(Limits(0.001))
    assert test.take(0, 1.0).flag == 1
    assert test.take(1_000_000, 2.0).flag == 1  # 0.001 per second, not above it
    assert test.take(1_000_000, 9.0).flag == 1
    assert test.take(500_000, 9.0).flag == 1
    assert test.take(1_001_000, 2.1).reasons == Reason.RATE


def test_a_flat_line_needs_a_reason_to_move_where_one_is_asked_for() -> None:
    test = FlatLine(Stillness(0.01, 600_000, 1_200_000))
    quiet = [test.take(n * STEP_MS, 1.0, expected=False).flag for n in range(10)]
    assert quiet == [1] * 10
    assert test.take(10 * STEP_MS, 1.0).flag == Flag.FAIL  # it has been still all along


def test_a_flat_line_without_a_time_to_fail_only_doubts() -> None:
    test = FlatLine(Stillness(0.01, 600_000))
    assert [test.take(n * STEP_MS, 1.0).flag for n in range(100)][2:] == [3] * 98


@pytest.mark.parametrize("kind", [Spike, Rate, FlatLine])
def test_state_survives_a_restart_anywhere(kind: type) -> None:
    limits = {Spike: Limits(0.15, 1), Rate: Limits(0.001, 0.01), FlatLine: None}[kind]
    limits = limits or Stillness(0.25, 600_000, 1_200_000)
    values = [1, 1.1, 1.2, 1.0, 1.1, 5, 1, 1.2, 1.1, 1.0, 1.1, 1.2, 1.1, 2, 2, 2, 2, 2, 2]

    def said(cut: int) -> list[object]:
        test, out = kind(limits), []
        for n, value in enumerate(values):
            if n == cut:
                saved = test.dump()
                test = kind(limits)
                test.restore(saved)
            out.append(test.take(value) if kind is Spike else test.take(n * STEP_MS, value))
        return out

    whole = said(-1)
    assert all(said(cut) == whole for cut in range(len(values)))
