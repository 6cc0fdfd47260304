"""Readings gathered into buckets of time: extremes with their instants, sum, ends, doubt. Pure.

A bucket of width w starts at a multiple of w since 1970 UTC. Values that do not count
(`egret_core.quality.counts`) enter `seen` and `worst` and nothing else. Ten-minute buckets are
made of readings and wider ones of them, so that every way to the same bucket gives the same sum.
"""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, NamedTuple

from egret_core.quality import counts, worst

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TEN_MIN_MS = 600_000
HOUR_MS = 3_600_000


class Point(NamedTuple):
    """What a bucket takes of a reading: time in ms, value in the canonical unit, quality."""

    time_ms: int
    value: float | None
    flag: int
    reasons: int


class Bucket(NamedTuple):
    """What is known of one span of one channel; values are None where `n` is 0.

    Attributes:
        at_ms: start, ms since 1970 UTC.
        seen: readings in it; n: those that count.
        worst: the worst flag of all of them, by `quality.WORST_ORDER`.
        total: sum of those that count, None also where it is beyond a float.
        low, high, first, last: values that count; each `_ms` is the earliest such instant.
    """

    at_ms: int
    seen: int
    n: int
    worst: int
    total: float | None
    low: float | None
    low_ms: int | None
    high: float | None
    high_ms: int | None
    first: float | None
    first_ms: int | None
    last: float | None
    last_ms: int | None

    @property
    def mean(self) -> float | None:
        """Return total / n, None where nothing counts."""
        return None if self.total is None or not self.n else self.total / self.n


def floor(time_ms: int, width_ms: int) -> int:
    """Return the start of the bucket that an instant lies in."""
    return time_ms - time_ms % width_ms


def gather(points: Iterable[Point], width_ms: int) -> list[Bucket]:
    """Return the buckets of points that are in time order; empty buckets are not among them."""
    out: list[Bucket] = []
    held: list[Point] = []
    at_ms = 0
    for point in points:
        if held and point.time_ms - at_ms >= width_ms:
            out.append(_of(at_ms, held))
            held = []
        if not held:
            at_ms = floor(point.time_ms, width_ms)
        held.append(point)
    if held:
        out.append(_of(at_ms, held))
    return out


def coarser(buckets: Iterable[Bucket], width_ms: int) -> list[Bucket]:
    """Return wider buckets of narrower ones that are in time order."""
    out: list[Bucket] = []
    held: list[Bucket] = []
    at_ms = 0
    for bucket in buckets:
        if held and bucket.at_ms - at_ms >= width_ms:
            out.append(_merged(at_ms, held))
            held = []
        if not held:
            at_ms = floor(bucket.at_ms, width_ms)
        held.append(bucket)
    if held:
        out.append(_merged(at_ms, held))
    return out


def _of(at_ms: int, points: Sequence[Point]) -> Bucket:
    flag = points[0].flag
    for point in points:
        if point.flag != flag:
            flag = worst(flag, point.flag)
    good = [(p[1], p[0]) for p in points if p[1] is not None and counts(p[2], p[3])]
    if not good:
        return Bucket(at_ms, len(points), 0, flag, *(None,) * 9)
    low = min(good)
    high = max(good, key=lambda pair: (pair[0], -pair[1]))
    total = _sum(value for value, _ in good)
    return Bucket(at_ms, len(points), len(good), flag, total, *low, *high, *good[0], *good[-1])


def _merged(at_ms: int, parts: Sequence[Bucket]) -> Bucket:
    flag = parts[0].worst
    for part in parts:
        if part.worst != flag:
            flag = worst(flag, part.worst)
    seen = sum(part.seen for part in parts)
    good = [part for part in parts if part.n]
    if not good:
        return Bucket(at_ms, seen, 0, flag, *(None,) * 9)
    low = min((part.low, part.low_ms) for part in good)
    top = max(good, key=lambda part: (part.high, -(part.high_ms or 0)))
    totals = [part.total for part in good if part.total is not None]
    total = _sum(totals) if len(totals) == len(good) else None
    return Bucket(
        at_ms,
        seen,
        sum(part.n for part in good),
        flag,
        total,
        *low,
        top.high,
        top.high_ms,
        good[0].first,
        good[0].first_ms,
        good[-1].last,
        good[-1].last_ms,
    )


def _sum(values: Iterable[float]) -> float | None:
    try:
        return fsum(values)
    except OverflowError:
        return None
