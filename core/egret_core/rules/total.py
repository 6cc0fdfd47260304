"""A never-decreasing total of rain as steps: what fell between two readings, whole nanometres.

A total that falls (a device was replaced), or rises as no rain can, is a new base: that step
counts nothing. So is a total read during maintenance. Source of the largest rain:
`egret_core.screening.rain`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.rules.windows import Increment
from egret_core.screening.rain import rain_most_mm

if TYPE_CHECKING:
    from collections.abc import Sequence

NM_PER_MM = 1_000_000
TOTAL_MAX_MM = 1e12  # a thousand years of the wettest place are 3e7: beyond it all is one number
_SURELY_RAIN_NM = round(rain_most_mm(0) * NM_PER_MM)  # below it any span may have brought it


class Total:
    """The state of one total; readings come in time order. O(1).

    Attributes:
        rebased: how often the total fell, or rose as no rain can; rebased_ms: when last.
    """

    __slots__ = ("_last_ms", "_last_nm", "rebased", "rebased_ms")

    def __init__(self) -> None:
        self._last_ms: int | None = None
        self._last_nm = 0
        self.rebased = 0
        self.rebased_ms: int | None = None

    def step(self, time_ms: int, total_mm: float) -> Increment:
        """Return what fell since the reading before: 0 nm where it is the first, or a new base."""
        total_nm = nanometres(total_mm)
        if self._last_ms is None:
            self._last_ms, self._last_nm = time_ms, total_nm
            return Increment(time_ms, 0, 0)
        step = Increment(time_ms, total_nm - self._last_nm, time_ms - self._last_ms)
        self._last_ms, self._last_nm = time_ms, total_nm
        if is_no_rain(step):
            self.rebased += 1
            self.rebased_ms = time_ms
            return step._replace(rain_nm=0)
        return step

    def rebase(self, time_ms: int, total_mm: float) -> Increment:
        """Take a total that counts nothing: what it rose by was poured, and did not fall."""
        gap_ms = 0 if self._last_ms is None else time_ms - self._last_ms
        self._last_ms, self._last_nm = time_ms, nanometres(total_mm)
        return Increment(time_ms, 0, gap_ms)

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._last_ms, self._last_nm, self.rebased, self.rebased_ms]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._last_ms, self._last_nm, self.rebased, self.rebased_ms = saved


def nanometres(total_mm: float) -> int:
    """Return a total in whole nanometres; one that is no total at all is cut, never an overflow."""
    if -TOTAL_MAX_MM < total_mm < TOTAL_MAX_MM:
        return round(total_mm * NM_PER_MM)
    return round(TOTAL_MAX_MM if total_mm > 0 else -TOTAL_MAX_MM) * NM_PER_MM


def is_no_rain(step: Increment) -> bool:
    """Tell whether a total went as rain cannot: down, or up faster than ever on Earth."""
    if 0 <= step.rain_nm < _SURELY_RAIN_NM:
        return False
    return step.rain_nm < 0 or step.rain_nm > rain_most_mm(step.gap_ms / 1000) * NM_PER_MM
