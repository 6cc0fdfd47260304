"""Rate-of-change test (QARTOD test 7): a change faster than is believed.

    r = |x[n] - x[n-1]| / (t[n] - t[n-1]);  suspect where r > S, fail where r > F

Units: canonical unit per second, of r, S and F; the time between is the real one. A real flash
flood is fast: it may be suspect, and a channel's screening at the centre only ever doubts by this
test. Source: QARTOD manual for water level data, test 7; as `rate_of_change_test` of ioos-qc
3.0.0. State: the last value and its time. Cost: O(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.screening.spike import Limits

_FAIL = Verdict(int(Flag.FAIL), int(Reason.RATE))
_SUSPECT = Verdict(int(Flag.SUSPECT), int(Reason.RATE))


class Rate:
    """The state of one series; limits in the canonical unit per second."""

    __slots__ = ("_last", "_last_ms", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._last_ms: int | None = None
        self._last = 0.0

    def take(self, time_ms: int, value: float) -> Verdict:
        """Return what the change since the value before is worth; the first is good.

        A time that does not go on is no change, and moves nothing.
        """
        last_ms = self._last_ms
        if last_ms is not None and time_ms <= last_ms:
            return GOOD
        last, self._last, self._last_ms = self._last, value, time_ms
        if last_ms is None:
            return GOOD
        rate = abs(value - last) / ((time_ms - last_ms) / 1000)
        if rate > self._limits.fail:
            return _FAIL
        return _SUSPECT if rate > self._limits.suspect else GOOD

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._last_ms, self._last]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._last_ms, self._last = saved
