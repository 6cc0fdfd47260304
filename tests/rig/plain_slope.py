"""A moving slope reckoned the long way round: every line drawn anew from all that was read.

Nothing is summed up and nothing is forgotten: each answer goes back through the readings' cells.
"""

from __future__ import annotations

from math import atan, degrees, sqrt
from typing import NamedTuple

CELLS = 32
PER_DAY = 86_400_000 / 1e6  # mm/d of one nm/ms
ALPHAS = (2.2, 2.0, 1.5)
UNITS = 10**12


class Drawn(NamedTuple):
    """A line: y per ms, share explained, mean time, time of its zero, squares, points, span."""

    slope: float
    r2: float
    mean_ms: float
    zero_ms: float
    squares: float
    points: int
    span_ms: int


class Speed(NamedTuple):
    """Mean time, velocity and what noise stays below, mm/d."""

    time_ms: int
    mm_per_day: float
    noise: float


class Cells:
    """All readings of a series, those of one cell together."""

    def __init__(self, window_ms: int) -> None:
        self.window_ms, self.cell_ms = window_ms, max(window_ms // CELLS, 1)
        self.rows: list[list[int]] = []  # cell, readings, sum of times, sum of values
        self.means: list[tuple[int, int]] = []
        self.newest = 0

    def take(self, time_ms: int, y: int) -> None:
        cell = time_ms // self.cell_ms
        if not self.rows or self.rows[-1][0] != cell:
            self.rows.append([cell, 0, 0, 0])
            self.means.append((0, 0))
        row = self.rows[-1]
        row[1:] = row[1] + 1, row[2] + time_ms, row[3] + y
        self.means[-1] = _half_up(row[2], row[1]), _half_up(row[3], row[1])
        self.newest = time_ms

    def line(self) -> Drawn | None:
        """Draw a line through the cells of the newest window, by the two-pass formula."""
        points = self.means[-1:]
        for mean in reversed(self.means[:-1]) if len(self.means) < 99 else self.means[-2:-99:-1]:
            if mean[0] < self.newest - self.window_ms - self.cell_ms // 2:
                break
            points.append(mean)
        count, end = len(points), points[0][0]
        if count < 3:
            return None
        mean_t = sum(t - end for t, _ in points) / count
        mean_y = sum(y for _, y in points) / count
        off = [(t - end - mean_t, y - mean_y) for t, y in points]
        squares = sum(t * t for t, _ in off)
        mixed, heights = sum(t * y for t, y in off), sum(y * y for _, y in off)
        if not squares:
            return None
        slope, level = mixed / squares, not any(y != points[0][1] for _, y in points)
        r2 = 0.0 if level else mixed * mixed / (squares * heights)
        zero = end + mean_t - mean_y / slope if slope else float("inf")
        return Drawn(slope, r2, end + mean_t, zero, squares, count, end - points[-1][0])


def speed(cells: Cells, sigma_mm: float) -> Speed | None:
    """Return the velocity over a window, None where its cells do not fill it."""
    line = cells.line()
    if line is None or line.span_ms < 0.6 * cells.window_ms:
        return None
    noise = 4 * sigma_mm * 1e6 / sqrt(line.squares)
    return Speed(round(line.mean_ms), line.slope * PER_DAY, noise * PER_DAY)


class Lowest:
    """The lowest angle of the newest span."""

    def __init__(self, span_ms: int) -> None:
        self.span_ms, self.cell_ms = span_ms, max(span_ms // CELLS, 1)
        self.rows: list[tuple[int, float]] = []  # first time of a cell, lowest in it

    def take(self, time_ms: int, angle: float) -> float | None:
        rows = self.rows
        if rows and rows[-1][0] // self.cell_ms == time_ms // self.cell_ms:
            rows[-1] = rows[-1][0], min(angle, rows[-1][1])
        else:
            rows.append((time_ms, angle))
        oldest = time_ms - self.span_ms - self.cell_ms
        kept = [row for row in rows[-99:] if row[0] >= oldest]
        if len(kept) < 3:
            kept = [row for row in rows[-3:] if row[0] >= oldest - self.span_ms]
        if len(kept) < 3 or time_ms - kept[0][0] < 0.8 * self.span_ms:
            return None
        return min(low for _, low in kept)


class Learnt:
    """v_eq: the first line of `learn_ms` that has eight points and fills four fifths of it."""

    def __init__(self, learn_ms: int, floor: float) -> None:
        self.cells, self.learn_ms, self.floor = Cells(learn_ms), learn_ms, floor
        self.began: int | None = None
        self.found: float | None = None

    def take(self, time_ms: int, um: int) -> float | None:
        self.began = time_ms if self.began is None else self.began
        if self.found is None:
            self.cells.take(time_ms, um)
            line = self.cells.line()
            enough = time_ms - self.began >= self.learn_ms
            if enough and line and line.points >= 8 and line.span_ms >= 0.8 * self.learn_ms:
                self.found = max(line.slope * PER_DAY, self.floor)
        return self.found


class Inverse:
    """The lines of 1/v, and where they meet 0."""

    def __init__(self, fit_ms: int, r2_min: float) -> None:
        self.fit_ms, self.r2_min = fit_ms, r2_min
        self.onset: int | None = None
        self._end()

    def _end(self) -> None:
        self.recent = {alpha: Cells(self.fit_ms) for alpha in ALPHAS}
        self.slow, self.since, self.onset = Cells(self.fit_ms), Cells(3 * self.fit_ms), None

    def zeros(self, short: Speed, long: Speed | None, uniform: float) -> dict[str, float | None]:
        """Return when it fails: by each alpha, by twice the window, and since its onset."""
        if not 1e-6 <= short.mm_per_day <= 1e9:
            self._end()
            return {}
        for alpha, cells in self.recent.items():
            cells.take(short.time_ms, _counted(short, alpha))
        if long is not None:
            faster = short.mm_per_day > max(long.mm_per_day, 0) and (
                short.mm_per_day >= 2 * uniform
            )
            if not faster:
                self.onset, self.since = None, Cells(3 * self.fit_ms)
            else:
                self.onset = short.time_ms if self.onset is None else self.onset
                self.since.take(short.time_ms, _counted(short, 2.0))
            if 1e-6 <= long.mm_per_day <= 1e9:
                self.slow.take(long.time_ms, _counted(long, 2.0))
            else:
                self.slow = Cells(self.fit_ms)
        out = {str(alpha): self._zero(cells, 0.75) for alpha, cells in self.recent.items()}
        return {**out, "slow": self._zero(self.slow, 0.75), "since": self._zero(self.since, 0.5)}

    def _zero(self, cells: Cells, filled: float) -> float | None:
        line = cells.line() if cells.rows else None
        if line is None or line.slope >= 0 or line.r2 < self.r2_min or line.points < 5:
            return None
        near = line.zero_ms - line.mean_ms <= 10 * self.fit_ms
        return line.zero_ms if near and line.span_ms >= filled * self.fit_ms else None


def stage_of(
    now: int, found: tuple[Speed, float, float], zeros: dict[str, float | None], horizon_ms: int
) -> int:
    """Return the stage: 1 uniform, 2 early, 3 one line of evidence, 4 both.

    `found` is the velocity, v_eq and the angle that holds.
    """
    short, uniform, held = found
    first = zeros.get("2.0") or zeros.get("1.5")
    converges = False
    if first and short.mm_per_day >= 5 * uniform and first <= now + horizon_ms:
        ends = [zeros["slow"], zeros["since"], zeros["1.5"], first]
        converges = short.time_ms < max(end for end in ends if end)
    steep = held >= degrees(atan(5))
    if steep and converges:
        return 4
    if held >= 80 or converges:
        return 3
    return 2 if held >= 63.4 else 1


def _counted(one: Speed, alpha: float) -> int:
    return round(one.mm_per_day ** (1 - alpha) * UNITS)


def _half_up(total: int, count: int) -> int:
    return (2 * total + count) // (2 * count)
