"""Flat-line test (QARTOD test 8): a value that has not moved for too long.

    max(x) - min(x) < tolerance over the last N seconds;  suspect from N = S on, fail from N = F on

Units: canonical, of x and the tolerance; ms of event time, of S and F. Quiet water is flat too: a
small stream was seen to hold one value for ten days. So a channel may need a reason to expect
movement (rain, a neighbour) before it is judged. Source: QARTOD manual for water level data,
test 8; as `flat_line_test` of ioos-qc 3.0.0 on regular steps, by time on others.

State: the extremes of the longest flat end of the series, each with the time of the value after
it, at most `EXTREMES_MAX` of each kind. When there are more, the oldest extreme is taken to last
until the next: the range is then over-estimated, never under. Cost: O(1) amortised.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTREMES_MAX = 64  # steps of a drift within the tolerance that are told apart
_FAIL = Verdict(int(Flag.FAIL), int(Reason.FLAT_LINE))
_SUSPECT = Verdict(int(Flag.SUSPECT), int(Reason.FLAT_LINE))


class Stillness(NamedTuple):
    """When a series counts as flat.

    Attributes:
        tolerance: a range below it is no movement, canonical, more than 0.
        suspect_ms, fail_ms: how long it must have been so, fail None for never.
    """

    tolerance: float
    suspect_ms: int
    fail_ms: int | None = None


class FlatLine:
    """The state of one series; times never go back."""

    __slots__ = ("_highs", "_limits", "_lows", "_since_ms")

    def __init__(self, limits: Stillness) -> None:
        self._limits = limits
        self.restart()

    def restart(self) -> None:
        """Begin anew: nobody knows what was in a gap."""
        self._since_ms: int | None = None
        # [value, time of the value after it]; falling and rising: the oldest is the extreme
        self._highs: deque[list[Any]] = deque()
        self._lows: deque[list[Any]] = deque()

    def take(self, time_ms: int, value: float, *, expected: bool = True) -> Verdict:
        """Return whether the series has been flat too long, up to this value.

        Args:
            time_ms: event time.
            value: canonical.
            expected: whether there is a reason to expect movement; without one it is good.
        """
        highs, lows = self._highs, self._lows
        if self._since_ms is None:
            self._since_ms = time_ms
        else:
            highs[-1][1] = lows[-1][1] = time_ms  # the newest value stands last in both
        while highs and highs[-1][0] <= value:
            highs.pop()
        while lows and lows[-1][0] >= value:
            lows.pop()
        highs.append([value, None])
        lows.append([value, None])
        if highs[0][0] - lows[0][0] >= self._limits.tolerance:
            self._shorten(self._limits.tolerance)
        for edge in (highs, lows):
            if len(edge) > EXTREMES_MAX:
                edge[1][0] = edge.popleft()[0]
        return self._verdict(time_ms - self._since_ms) if expected else GOOD

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._since_ms, [list(row) for row in self._highs], [list(r) for r in self._lows]]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._since_ms = saved[0]
        self._highs = deque([value, after_ms] for value, after_ms in saved[1])
        self._lows = deque([value, after_ms] for value, after_ms in saved[2])

    def _shorten(self, tolerance: float) -> None:
        """Let the flat end begin after its older extreme, until its range is small enough."""
        highs, lows = self._highs, self._lows
        while highs[0][0] - lows[0][0] >= tolerance:
            # The newest value, which has no next yet, is the one extreme: the other goes.
            older = lows if highs[0][1] is None else highs
            self._since_ms = older.popleft()[1]

    def _verdict(self, flat_ms: int) -> Verdict:
        limits = self._limits
        if limits.fail_ms is not None and flat_ms >= limits.fail_ms:
            return _FAIL
        return _SUSPECT if flat_ms >= limits.suspect_ms else GOOD
