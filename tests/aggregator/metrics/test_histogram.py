"""Buckets by the book: cumulated, the bound included, nothing below zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.prometheus import families

from egret_aggregator.metrics import Histogram, exposition, labelled
from egret_aggregator.metrics.histogram import DISK_S, FIELD_S


def test_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1.0, 2.0))
    for span_s in (0.0, 1.0, 1.5, 2.0, 2.1):
        histogram.observe(span_s)
    assert list(histogram.cumulated()) == [(1.0, 2), (2.0, 4), (float("inf"), 5)]
    assert (histogram.count, histogram.sum_s) == (5, 6.6)


def test_clocks_that_disagree_do_not_make_a_sum_fall() -> None:
    histogram = Histogram((1.0,))
    histogram.observe(-3600.0)
    assert (histogram.count, histogram.sum_s) == (1, 0.0)


@pytest.mark.parametrize("bounds_s", [FIELD_S, DISK_S])
def test_our_bounds_rise(bounds_s: tuple[float, ...]) -> None:
    assert list(bounds_s) == sorted(set(bounds_s))
    assert bounds_s[0] > 0


@given(st.lists(st.floats(-1e3, 1e6)), st.lists(st.floats(-1e3, 1e6)))
def test_it_is_read_by_the_letter_of_the_format(one: list[float], other: list[float]) -> None:
    first, second = Histogram(FIELD_S), Histogram(FIELD_S)
    for histogram, spans in ((first, one), (second, other)):
        for span_s in spans:
            histogram.observe(span_s)
    name = "egret_warning_push_seconds"
    page = exposition(
        {
            labelled(name, phase="settled"): first,
            labelled(name, phase="provisional"): second,
            "egret_ledger_head": 1.0,
        }
    )
    found = families(page)[name]
    assert (found.kind, bool(found.help)) == ("histogram", True)
    assert found.samples['_count{phase="settled"}'] == len(one)
    assert found.samples['_bucket{phase="provisional",le="+Inf"}'] == len(other)
    assert found.samples['_bucket{phase="settled",le="60"}'] == sum(span <= 60 for span in one)


def test_without_labels_too() -> None:
    histogram = Histogram((0.5,))
    histogram.observe(0.25)
    assert exposition({"x_seconds": histogram}).splitlines() == [
        "# TYPE x_seconds histogram",
        'x_seconds_bucket{le="0.5"} 1',
        'x_seconds_bucket{le="+Inf"} 1',
        "x_seconds_sum 0.25",
        "x_seconds_count 1",
    ]
