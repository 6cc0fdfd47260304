"""Sets of sequence numbers as sorted, disjoint, inclusive ranges: ((1, 5), (8, 8))."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Ranges = tuple[tuple[int, int], ...]

EMPTY: Ranges = ()
SEQ_MAX = 2**53 - 1  # beyond it JSON readers disagree


def normalised(pairs: Iterable[Sequence[int]]) -> Ranges:
    """Return the pairs sorted, overlaps and neighbours joined.

    Raises:
        ValueError: a pair whose end lies before its start.
    """
    out: list[tuple[int, int]] = []
    for lo, hi in sorted((int(pair[0]), int(pair[1])) for pair in pairs):
        if hi < lo:
            raise ValueError(f"range {lo}..{hi} ends before it starts")
        if out and lo <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(out[-1][1], hi))
        else:
            out.append((lo, hi))
    return tuple(out)


def told(pairs: Iterable[Sequence[int]]) -> Ranges:
    """Return ranges that a peer told, as `normalised`.

    Raises:
        ValueError: as `normalised`, or a number that is no seq: below 1 or above `SEQ_MAX`.
    """
    ranges = normalised(pairs)
    if ranges and (ranges[0][0] < 1 or ranges[-1][1] > SEQ_MAX):
        raise ValueError(f"a seq is out of range, 1 to {SEQ_MAX}")
    return ranges


def of_numbers(numbers: Iterable[int]) -> Ranges:
    """Return the ranges that hold just these numbers."""
    return normalised((n, n) for n in numbers)


def union(a: Ranges, b: Ranges) -> Ranges:
    """Return what is in a or in b."""
    return normalised((*a, *b))


def minus(a: Ranges, b: Ranges) -> Ranges:
    """Return what is in a and not in b."""
    out: list[tuple[int, int]] = []
    for start, end in a:
        lo = start
        for cut_lo, cut_hi in b:
            if cut_hi < lo or cut_lo > end:
                continue
            if cut_lo > lo:
                out.append((lo, cut_lo - 1))
            lo = cut_hi + 1
            if lo > end:
                break
        if lo <= end:
            out.append((lo, end))
    return tuple(out)


def common(a: Ranges, b: Ranges) -> Ranges:
    """Return what is in both."""
    return minus(a, minus(a, b))


def contains(ranges: Ranges, number: int) -> bool:
    """Tell whether a number lies in one of the ranges."""
    at = bisect_right(ranges, (number, 2**63)) - 1
    return at >= 0 and ranges[at][0] <= number <= ranges[at][1]


def size(ranges: Ranges) -> int:
    """Return how many numbers the ranges hold."""
    return sum(hi - lo + 1 for lo, hi in ranges)


def numbers(ranges: Ranges) -> Iterator[int]:
    """Yield every number in order; the caller has checked `size`."""
    for lo, hi in ranges:
        yield from range(lo, hi + 1)


def first(ranges: Ranges, count: int) -> Ranges:
    """Return the lowest `count` numbers."""
    out: list[tuple[int, int]] = []
    left = count
    for lo, hi in ranges:
        if left <= 0:
            break
        end = min(hi, lo + left - 1)
        out.append((lo, end))
        left -= end - lo + 1
    return tuple(out)
