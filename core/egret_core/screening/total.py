"""A never-decreasing total that falls, or leaps as no rain can: counter reset and overflow.

    reset where c[n] < c[n-1];  leap where c[n] - c[n-1] > 422 mm (h / 1 h)^0.475

Units: canonical, of c; mm and hours, of the envelope of the world's records
(`egret_core.screening.rain`), which holds for rain only. Both are suspect, and never fail: the new
total is the base of what comes, whatever it was that happened (the sums count nothing of that
step). A raw register that wraps is the gateway's to unwrap, which knows its width.
Source: SL 651-2014 (a rain register is cumulative); Jennings 1950 for the envelope.
State: the last total and its time. Cost: O(1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.quality import Flag, Reason
from egret_core.screening.rain import rain_most_mm
from egret_core.screening.verdict import GOOD, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

_SURELY_RAIN_MM = rain_most_mm(0)  # below it any span may have brought it
_RESET = Verdict(int(Flag.SUSPECT), int(Reason.COUNTER_RESET))
_LEAP = Verdict(int(Flag.SUSPECT), int(Reason.RATE))


class TotalSteps:
    """The state of one total; `rain` says whether it is of rain, in mm."""

    __slots__ = ("_last", "_last_ms", "_rain")

    def __init__(self, *, rain: bool) -> None:
        self._rain = rain
        self._last_ms: int | None = None
        self._last = 0.0

    def take(self, time_ms: int, total: float) -> Verdict:
        """Return what the step to this total is worth; the first is good."""
        last, last_ms = self._last, self._last_ms
        self._last, self._last_ms = total, time_ms
        if last_ms is None:
            return GOOD
        if total < last:
            return _RESET
        rise = total - last
        if self._rain and rise >= _SURELY_RAIN_MM:
            return _LEAP if rise > rain_most_mm((time_ms - last_ms) / 1000) else GOOD
        return GOOD

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._last_ms, self._last]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._last_ms, self._last = saved
