"""Buckets against what a reader of the definition would count by hand."""

from __future__ import annotations

from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.buckets import HOUR_MS, TEN_MIN_MS, Bucket, Point, coarser, floor, gather
from egret_core.quality import WORST_ORDER, Reason, counts

points = st.lists(
    st.builds(
        Point,
        st.integers(-3 * HOUR_MS, 3 * HOUR_MS),
        st.none() | st.floats(-1e6, 1e6),
        st.sampled_from([int(flag) for flag in WORST_ORDER]),
        st.sampled_from([0, int(Reason.MAINTENANCE), int(Reason.SPIKE)]),
    ),
    unique_by=lambda point: point.time_ms,
).map(sorted)


def brute(found: list[Point], at_ms: int, width_ms: int) -> Bucket | None:
    """What one bucket is, by the words of its definition."""
    inside = [point for point in found if at_ms <= point.time_ms < at_ms + width_ms]
    if not inside:
        return None
    good = [p for p in inside if p.value is not None and counts(p.flag, p.reasons)]
    flag = max(inside, key=lambda p: WORST_ORDER.index(p.flag)).flag  # type: ignore[arg-type]
    if not good:
        return Bucket(at_ms, len(inside), 0, flag, *(None,) * 9)
    values = [point.value for point in good if point.value is not None]
    low, high = min(values), max(values)
    return Bucket(
        at_ms,
        len(inside),
        len(good),
        flag,
        fsum(values),
        low,
        next(p.time_ms for p in good if p.value == low),
        high,
        next(p.time_ms for p in good if p.value == high),
        values[0],
        good[0].time_ms,
        values[-1],
        good[-1].time_ms,
    )


def brutes(found: list[Point], width_ms: int) -> list[Bucket]:
    starts = sorted({floor(point.time_ms, width_ms) for point in found})
    made = [brute(found, at, width_ms) for at in starts]
    return [bucket for bucket in made if bucket is not None]


def rounded(buckets: list[Bucket]) -> list[Bucket]:
    """Sums of sums may differ from a sum in a float's last digit."""
    return [
        bucket._replace(total=None if bucket.total is None else round(bucket.total, 6))
        for bucket in buckets
    ]


@given(points)
def test_gathered_is_what_the_definition_says(found: list[Point]) -> None:
    assert brutes(found, TEN_MIN_MS) == gather(found, TEN_MIN_MS)


@given(points, st.sampled_from([1, 3, 6, 18]))
def test_wider_buckets_are_the_same_from_readings_and_from_narrower_ones(
    found: list[Point], factor: int
) -> None:
    wide = coarser(gather(found, TEN_MIN_MS), factor * TEN_MIN_MS)
    assert rounded(brutes(found, factor * TEN_MIN_MS)) == rounded(wide)


@given(points)
def test_every_way_to_a_bucket_gives_the_same_sum(found: list[Point]) -> None:
    ten = gather(found, TEN_MIN_MS)
    assert coarser(ten, HOUR_MS) == coarser(coarser(ten, TEN_MIN_MS), HOUR_MS)


def test_a_mean_is_of_those_that_count() -> None:
    bucket = gather([Point(0, 1.0, 1, 0), Point(1, 2.0, 3, 0), Point(2, 99.0, 4, 0)], 10)[0]
    assert (bucket.mean, bucket.n, bucket.seen, bucket.worst) == (1.5, 2, 3, 4)
    assert gather([Point(0, None, 9, 0)], 10)[0].mean is None


def test_missing_is_worse_than_suspect_and_a_failure_is_the_worst() -> None:
    def worst_of(*flags: int) -> int:
        return gather([Point(n, 1.0, flag, 0) for n, flag in enumerate(flags)], 10)[0].worst

    assert [worst_of(1, 3, 9), worst_of(9, 4), worst_of(2, 1)] == [9, 4, 2]


def test_a_sum_beyond_a_float_is_none_and_extremes_stay() -> None:
    huge = 1.7e308
    bucket = gather([Point(0, huge, 1, 0), Point(1, huge, 1, 0)], TEN_MIN_MS)[0]
    assert (bucket.total, bucket.mean, bucket.high, bucket.n) == (None, None, huge, 2)
    assert coarser([bucket], HOUR_MS)[0].total is None


@pytest.mark.parametrize(
    ("time_ms", "start"), [(0, 0), (599_999, 0), (600_000, 600_000), (-1, -600_000)]
)
def test_buckets_start_at_multiples_since_1970(time_ms: int, start: int) -> None:
    assert floor(time_ms, TEN_MIN_MS) == start
