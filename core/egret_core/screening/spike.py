"""Spike test (QARTOD test 6), differential form: a value that leaves and comes back at once.

    d1 = x[n] - x[n-1],  d2 = x[n+1] - x[n],  s = min(|d1|, |d2|) where d1 d2 < 0, else 0
    suspect where s > S, fail where s > F

Units: canonical, of x, S and F. The average form is not used: it condemns both neighbours of a
spike. The test needs the next value, so it answers twice: at once, provisionally suspect where
|d1| > S, because it may come back; and when the next value is in, for good. A flash flood does
not come back: it is suspect for one reading, and cleared by the next.

Source: QARTOD manual for water level data, test 6; as `spike_test` of ioos-qc 3.0.0 with
method="differential". State: the last value and the last step. Cost: O(1).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.quality import Flag

if TYPE_CHECKING:
    from collections.abc import Sequence


class Limits(NamedTuple):
    """Sizes above which a test doubts, and above which it fails, canonical."""

    suspect: float
    fail: float = inf


class Spike:
    """The state of one series."""

    __slots__ = ("_last", "_limits", "_step")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.restart()

    def restart(self) -> None:
        """Forget what was before a gap: values so far apart are no neighbours."""
        self._last: float | None = None
        self._step: float | None = None

    def take(self, value: float) -> tuple[int, int | None]:
        """Return the provisional flag of this value, and the last word on the one before.

        The first of a series, and the last one, are not evaluated: they have one neighbour.
        """
        last, step = self._last, self._step
        self._last = value
        if last is None:
            self._step = None
            return 2, None
        self._step = back = value - last
        limit = self._limits.suspect
        now = 3 if back > limit or -back > limit else 1
        if step is None:
            return now, 2
        if step > 0 > back:
            size = min(step, -back)
        elif step < 0 < back:
            size = min(-step, back)
        else:
            return now, 1
        if size > self._limits.fail:
            return now, int(Flag.FAIL)
        return now, int(Flag.SUSPECT) if size > limit else 1

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._last, self._step]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._last, self._step = saved
