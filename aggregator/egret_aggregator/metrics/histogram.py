"""A distribution of durations in fixed buckets. Pure."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FIELD_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
DISK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Histogram:
    """Counts of durations in seconds, each in the first bucket whose bound it does not exceed.

    Args:
        bounds_s: upper bounds, rising; a last bucket without a bound is added.
    """

    __slots__ = ("_bounds_s", "_counts", "sum_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = tuple(bounds_s)
        self._counts = [0] * (len(self._bounds_s) + 1)
        self.sum_s = 0.0

    def observe(self, span_s: float) -> None:
        """Count one duration; below zero, where two clocks disagree, it counts as none at all."""
        span_s = max(0.0, span_s)
        self._counts[bisect_left(self._bounds_s, span_s)] += 1
        self.sum_s += span_s

    @property
    def count(self) -> int:
        """Return how many durations were counted."""
        return sum(self._counts)

    def cumulated(self) -> Iterator[tuple[float, int]]:
        """Yield (upper bound, durations up to it); the last bound is infinite."""
        total = 0
        for bound_s, count in zip((*self._bounds_s, float("inf")), self._counts, strict=True):
            total += count
            yield bound_s, total
