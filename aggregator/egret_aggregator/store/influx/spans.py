"""Where a channel may have rows already: a few closed intervals of time. Pure.

A store that overwrites must be asked before an identity is written twice; these say when. They
hold every time ever written, and may hold more: a needless question, never a lost first value.
Flat: first, last, first, last, ... ascending.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SPANS_MAX = 16  # of one channel: its outages and the fronts of their backlogs; 256 B kept
NEAR_MS = 90_000  # a shorter gap is not worth a span: a late row in it costs one question


def overlap(spans: array[int], first_ms: int, last_ms: int) -> bool:
    """Tell whether rows in [first, last] may exist."""
    at = bisect_left(spans, first_ms)
    return at % 2 == 1 or (at < len(spans) and spans[at] <= last_ms)


def holds(spans: array[int], time_ms: int) -> bool:
    """Tell whether a row at this time may exist."""
    return overlap(spans, time_ms, time_ms)


def continued(spans: array[int], first_ms: int, last_ms: int) -> array[int] | None:
    """Return spans that go on to `last`, where a channel just goes on speaking; else None."""
    if not spans or first_ms < spans[-1] or last_ms - spans[-1] > NEAR_MS:
        return None
    return spans[:-1] + array("q", (last_ms,))


def grown(spans: array[int], times_ms: Sequence[int]) -> array[int]:
    """Return spans that also hold these times, at most `SPANS_MAX`: the nearest are merged.

    Args:
        spans: as they are.
        times_ms: ascending, at least one.
    """
    pieces = [(spans[at], spans[at + 1]) for at in range(0, len(spans), 2)]
    pieces += [(time_ms, time_ms) for time_ms in times_ms]
    pieces.sort()
    apart = [list(pieces[0])]
    for first, last in pieces[1:]:
        if first - apart[-1][1] > NEAR_MS:
            apart.append([first, last])
        elif last > apart[-1][1]:
            apart[-1][1] = last
    return array("q", [edge for piece in _fewer(apart) for edge in piece])


def _fewer(apart: list[list[int]]) -> list[list[int]]:
    if len(apart) <= SPANS_MAX:
        return apart
    gaps = sorted(range(1, len(apart)), key=lambda at: apart[at][0] - apart[at - 1][1])
    merged = [apart[0]]
    wide = set(gaps[1 - SPANS_MAX :])
    for at in range(1, len(apart)):
        if at in wide:
            merged.append(apart[at])
        else:
            merged[-1][1] = apart[at][1]
    return merged
