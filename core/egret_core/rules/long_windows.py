"""Rolling rain sums over days to weeks, whole nanometres, in bounded state.

The windows are those of `egret_core.rules.windows`: (end - w, end], and a jump over a gap counts
only in windows that reach over it. Increments less than `join_ms` after the first of
their group are joined to it, and the group is dated with its youngest: its rain counts up to
`join_ms` longer than named, never shorter. Readings no closer than `join_ms` are never joined:
their sums are exact. State: at most two groups for each `join_ms` of the longest window. Cost: O(1)
amortised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.rules.windows import Increment, Windows, reach_ms

if TYPE_CHECKING:
    from collections.abc import Sequence


class LongWindows:
    """Sums of one series over a fixed set of windows; times never go back.

    Args:
        lengths_ms: of the windows; join_ms: at most the shortest of them.
    """

    __slots__ = ("_first_ms", "_group", "_join_ms", "_lengths_ms", "_now_ms", "_windows")

    def __init__(self, lengths_ms: tuple[int, ...], join_ms: int) -> None:
        self._lengths_ms = lengths_ms
        self._join_ms = join_ms
        self._windows = Windows(lengths_ms)
        self._group: Increment | None = None  # the newest, which may still grow
        self._first_ms = 0  # when it began
        self._now_ms = 0

    def take(self, step: Increment) -> None:
        """Take what fell between two readings, dry steps too: windows end at the newest."""
        group, time_ms = self._group, step.time_ms
        if group is not None and not self._grows(group, time_ms):
            self._windows.add(group)
            group = None
        if step.rain_nm > 0:
            if group is None:
                self._first_ms, group = time_ms, step
            else:
                group = Increment(time_ms, group.rain_nm + step.rain_nm, group.gap_ms)
        self._group, self._now_ms = group, time_ms
        if time_ms >= self._windows.next_ms:
            self._windows.advance(time_ms)

    @property
    def sums_nm(self) -> list[int]:
        """The sums, by window, in the order given."""
        sums, group = self._windows.sums_nm, self._group
        if group is None:
            return list(sums)
        return [
            total + (group.rain_nm if group.gap_ms <= reach_ms(length) else 0)
            for total, length in zip(sums, self._lengths_ms, strict=True)
        ]

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._windows.dump(), self._group, self._first_ms, self._now_ms]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        steps, group, self._first_ms, self._now_ms = saved
        self._group = None if group is None else Increment(*group)
        self._windows.restore(steps, self._now_ms)

    def _grows(self, group: Increment, time_ms: int) -> bool:
        return time_ms - self._first_ms < self._join_ms and group.gap_ms <= reach_ms(self._join_ms)
