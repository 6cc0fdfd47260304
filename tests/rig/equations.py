"""Linear equations solved by elimination with pivots: another way to least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Return x of `matrix` x = `right`; the matrix is square and not singular."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for at in range(size):
        best = max(range(at, size), key=lambda n: abs(rows[n][at]))
        rows[at], rows[best] = rows[best], rows[at]
        for below in rows[at + 1 :]:
            part = below[at] / rows[at][at]
            for to in range(at, size + 1):
                below[to] -= part * rows[at][to]
    out = [0.0] * size
    for at in reversed(range(size)):
        known = sum(rows[at][to] * out[to] for to in range(at + 1, size))
        out[at] = (rows[at][size] - known) / rows[at][at]
    return out
