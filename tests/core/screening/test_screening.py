from __future__ import annotations

from math import inf, nan

import pytest

from egret_core.quality import Flag, Reason
from egret_core.screening.gap import check_gap
from egret_core.screening.range import ANY, Span, check_range
from egret_core.screening.sentinel import check_sentinel
from egret_core.screening.verdict import GOOD, Verdict, combined

SENSOR = Span(0.0, 20.0)
OPERATOR = Span(1.0, 5.0)


@pytest.mark.parametrize(
    ("value", "flag"),
    [(1.0, 1), (5.0, 1), (0.99, 3), (5.01, 3), (0.0, 3), (20.0, 3), (-0.01, 4), (20.01, 4)],
)
def test_the_sensor_s_span_fails_and_the_operator_s_doubts(value: float, flag: int) -> None:
    verdict = check_range(value, SENSOR, OPERATOR)
    assert verdict.flag == flag
    assert verdict.reasons == (0 if flag == 1 else Reason.RANGE)


def test_without_bounds_everything_finite_is_good() -> None:
    assert check_range(-1e30, ANY) == GOOD
    assert check_range(nan, ANY).flag == Flag.FAIL


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (-9999.0, Verdict(Flag.MISSING, Reason.SENTINEL)),
        (nan, Verdict(Flag.FAIL, Reason.NOT_A_NUMBER)),
        (inf, Verdict(Flag.FAIL, Reason.NOT_A_NUMBER)),
        (-inf, Verdict(Flag.FAIL, Reason.NOT_A_NUMBER)),
        (0.0, GOOD),
    ],
)
def test_numbers_that_are_no_numbers(raw: float, verdict: Verdict) -> None:
    assert check_sentinel(raw, (-9999.0, 55555.0)) == verdict


def test_the_first_value_after_a_gap_says_so_and_stays_good() -> None:
    assert check_gap(None, 10_000, 3000) == GOOD
    assert check_gap(7000, 10_000, 3000) == GOOD
    assert check_gap(6999, 10_000, 3000) == Verdict(Flag.GOOD, Reason.GAP)


def test_verdicts_add_up_to_the_worst_and_all_reasons() -> None:
    total = combined(Verdict(3, 2), Verdict(1, 4096), Verdict(9, 1024))
    assert total == Verdict(9, 2 | 4096 | 1024)
    assert combined(Verdict(9, 0), Verdict(4, 0)).flag == Flag.FAIL
    assert combined() == GOOD
