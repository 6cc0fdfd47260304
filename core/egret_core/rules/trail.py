"""The newest forecasts and what became of them: trailing persistence index, quantiles of errors.

    PI = 1 - sum (y - y^)^2 / sum y^2     y: change that came, y^: change that was forecast, m

1 is perfect, 0 is as good as saying that nothing changes, below 0 is worse. Quantiles are of errors
in units of a spread that each forecast brings, so that a band is wide where the river is wild. All
are kept in whole 0.1 mm, so that the sums are exact however long it runs. State: 3 x `TRAIL`
integers; O(1) to add, O(n log n) for a quantile.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

TRAIL = 200  # forecasts; a season of a flashy stream
PER_M = 10_000  # 0.1 mm


class Trail:
    """The state of one trail."""

    __slots__ = ("_changes", "_error_squares", "_errors", "_squares", "_units")

    def __init__(self) -> None:
        self._changes: deque[int] = deque()
        self._errors: deque[int] = deque()
        self._units: deque[int] = deque()  # errors over their spread
        self._squares = 0
        self._error_squares = 0

    def __len__(self) -> int:
        return len(self._errors)

    def add(self, change_m: float, forecast_m: float, spread: float = 1.0) -> None:
        """Take a change that came and the one that was forecast, m, and the forecast's spread."""
        if len(self) == TRAIL:
            self._squares -= self._changes.popleft() ** 2
            self._error_squares -= self._errors.popleft() ** 2
            self._units.popleft()
        error_m = change_m - forecast_m
        change, error = round(change_m * PER_M), round(error_m * PER_M)
        self._changes.append(change)
        self._errors.append(error)
        self._units.append(round(error_m / spread * PER_M))
        self._squares += change**2
        self._error_squares += error**2

    @property
    def persistence_index(self) -> float:
        """PI of the forecasts in the trail; 0 where nothing changed."""
        return 1 - self._error_squares / self._squares if self._squares else 0.0

    def quantile(self, share: float) -> float:
        """Return what this share of the errors stays below, m at spread 1; 0 without any.

        Between two errors it is interpolated, the least is at 0 and the greatest at 1.
        """
        if not self._units:
            return 0.0
        errors = sorted(self._units)
        at = share * (len(errors) - 1)
        low = int(at)
        high = min(low + 1, len(errors) - 1)
        return (errors[low] + (at - low) * (errors[high] - errors[low])) / PER_M

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [list(self._changes), list(self._errors), list(self._units)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._changes, self._errors, self._units = (deque(row) for row in saved)
        self._squares = sum(change**2 for change in self._changes)
        self._error_squares = sum(error**2 for error in self._errors)
