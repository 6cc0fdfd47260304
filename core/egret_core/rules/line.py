"""A straight line through what a window of time holds, by least squares.

    N = n Sty - St Sy    D = n Stt - St^2    E = n Syy - Sy^2
    slope = N / D        r2 = N^2 / (D E)    zero = St/n - (Sy/n) (D/N)

t is ms since 1970, y a whole number of whatever the caller counts in: sums are whole numbers, so
that nothing drifts in a year. Windows are spans of time, not numbers of readings: the same slope
seen daily, six-hourly or hourly gives the same line. Readings within one of `CELLS` parts of the
window are one point, at their mean time and mean value, so that a burst of readings weighs no more
than a single one and the state is bounded. Source: ordinary least squares.
State: at most `CELLS` + 2 points and six sums. Cost: O(1) a reading.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

CELLS = 32  # points of a full window: a daily reading in 32 days, an hourly one in 32 hours
POINTS_MIN = 3  # two points always lie on a line

Sums = tuple[int, int, int, int, int, int]
NOTHING: Sums = (0, 0, 0, 0, 0, 0)


class Fit(NamedTuple):
    """A line and how well it lies.

    Attributes:
        slope: y per ms; r2: share of the spread that the line explains, 0 for a level one.
        mean_ms: mean time of the points; zero_ms: when the line meets 0, None where it never does.
        spread: sum of the squared times from their mean, ms2.
        points: how many; span_ms: from the first to the last.
    """

    slope: float
    r2: float
    mean_ms: float
    zero_ms: float | None
    spread: float
    points: int
    span_ms: int


class Line:
    """The state of one window; times never go back.

    Args:
        window_ms: what is older than the newest reading by more than this is forgotten.
    """

    __slots__ = ("_cell_ms", "_open", "_points", "_sums", "_window_ms")

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._cell_ms = max(window_ms // CELLS, 1)
        self._points: deque[tuple[int, int]] = deque()  # of the cells that are over
        self._sums = NOTHING  # n, St, Sy, Stt, Sty, Syy of them
        self._open: list[int] = []  # the cell under way: its number, n, St, Sy

    def take(self, time_ms: int, y: int) -> None:
        """Take a reading."""
        cell = time_ms // self._cell_ms
        if self._open and self._open[0] != cell:
            self._points.append(_mean(self._open))
            self._sums = _with(self._sums, self._points[-1])
            self._open = []
        _, count, times, ys = self._open or (cell, 0, 0, 0)
        self._open = [cell, count + 1, times + time_ms, ys + y]
        # Half a cell of play: a daily reading some minutes late is still five days old.
        oldest_ms = time_ms - self._window_ms - self._cell_ms // 2
        while self._points and self._points[0][0] < oldest_ms:
            self._sums = _with(self._sums, self._points.popleft(), -1)

    def clear(self) -> None:
        """Forget everything."""
        self._points.clear()
        self._sums = NOTHING
        self._open = []

    def fit(self) -> Fit | None:
        """Return the line, None through fewer than `POINTS_MIN` points or at one instant."""
        if not self._open:
            return None
        last = _mean(self._open)
        count, times, ys, squares, products, heights = _with(self._sums, last)
        spread = count * squares - times * times
        if count < POINTS_MIN or spread <= 0:
            return None
        mixed = count * products - times * ys
        height = count * heights - ys * ys
        return Fit(
            slope=mixed / spread,
            r2=mixed * mixed / (spread * height) if height else 0.0,
            mean_ms=times / count,
            zero_ms=(times * mixed - ys * spread) / (count * mixed) if mixed else None,
            spread=spread / count,
            points=count,
            span_ms=last[0] - self._points[0][0],
        )

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [list(self._points), self._open]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self.clear()
        for time_ms, y in saved[0]:
            self._points.append((time_ms, y))
            self._sums = _with(self._sums, (time_ms, y))
        self._open = list(saved[1])


def _mean(cell: Sequence[int]) -> tuple[int, int]:
    _, count, times, ys = cell
    return (2 * times + count) // (2 * count), (2 * ys + count) // (2 * count)


def _with(sums: Sums, point: tuple[int, int], sign: int = 1) -> Sums:
    count, times, ys, squares, products, heights = sums
    t, y = point
    return (
        count + sign,
        times + sign * t,
        ys + sign * y,
        squares + sign * t * t,
        products + sign * t * y,
        heights + sign * y * y,
    )
