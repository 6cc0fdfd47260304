"""Rolling sums over several windows of time, in whole nanometres, O(1) amortised.

A window of length w ends at the newest reading and holds the increments dated in (end - w, end].
An increment is known only over the time since the reading before it: it counts in a window that
reaches over that gap (`reach_ms`), and in no shorter one. Whole numbers: no drift builds up.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

STEPS_MAX = 4096  # increments kept: 24 h at one every 21 s without a pause
_JOIN = 1024  # how many of the oldest are joined, two by two, when the list is full
# Readings jitter by seconds. A gap longer than a window by this part of it still counts there: 5 %
# more time may bring that much more rain, on the safe side.
REACH_PART = 20
_TRIM_AT = 512  # spent increments before the list is cut: trimming stays O(1) amortised


class Increment(NamedTuple):
    """What fell between two readings.

    Attributes:
        time_ms: of the later reading; rain_nm: how much; gap_ms: since the earlier one.
    """

    time_ms: int
    rain_nm: int
    gap_ms: int


def reach_ms(length_ms: int) -> int:
    """Return the longest gap whose increment counts in a window of this length."""
    return length_ms + length_ms // REACH_PART


class Windows:
    """Sums of one series over a fixed set of windows; times never go back.

    Attributes:
        sums_nm: by window, in the order given.
        next_ms: before this time no window loses anything (inf when all are empty).
    """

    __slots__ = (
        *("_head", "_least_reach_ms", "_lengths_ms", "_reaches_ms", "_shortest_ms", "_steps"),
        *("_tails", "next_ms", "sums_nm"),
    )

    def __init__(self, lengths_ms: tuple[int, ...]) -> None:
        self._lengths_ms = lengths_ms
        self._shortest_ms = min(lengths_ms)
        self._reaches_ms = tuple(reach_ms(length) for length in lengths_ms)
        self._least_reach_ms = min(self._reaches_ms)
        self._steps: list[Increment] = []
        self._head = 0  # index, in the series, of the first increment kept
        self._tails = [0] * len(lengths_ms)  # index of the first one inside each window
        self.sums_nm = [0] * len(lengths_ms)
        self.next_ms: float = inf

    def add(self, step: Increment) -> None:
        """Take an increment; `advance` to its time is part of it."""
        if len(self._steps) >= STEPS_MAX:
            self._join_oldest()
        self._steps.append(step)
        rain_nm = step.rain_nm
        if step.gap_ms <= self._least_reach_ms:  # the common case: it counts in every window
            self.sums_nm = [total + rain_nm for total in self.sums_nm]
        else:
            for at, reach in enumerate(self._reaches_ms):
                if step.gap_ms <= reach:
                    self.sums_nm[at] += rain_nm
        self.next_ms = min(self.next_ms, step.time_ms + self._shortest_ms)
        if step.time_ms >= self.next_ms:
            self.advance(step.time_ms)

    def advance(self, time_ms: int) -> None:
        """Let go of what has left the windows that end at `time_ms`."""
        steps, head, tails = self._steps, self._head, self._tails
        end = head + len(steps)
        soonest: float = inf
        for at, length in enumerate(self._lengths_ms):
            tail = tails[at]
            while tail < end:
                then_ms, rain_nm, gap_ms = steps[tail - head]
                leaves_ms = then_ms + length
                if leaves_ms > time_ms:
                    if leaves_ms < soonest:  # noqa: PLR1730  (a call would cost more)
                        soonest = leaves_ms
                    break
                if gap_ms <= self._reaches_ms[at]:
                    self.sums_nm[at] -= rain_nm
                tail += 1
            tails[at] = tail
        self.next_ms = soonest
        spent = min(self._tails, default=end) - head
        if spent >= _TRIM_AT or spent == len(steps):
            del steps[:spent]
            self._head += spent

    def preview(self, step: Increment, at: int) -> int:
        """Return the sum of one window if this increment came now; nothing is changed."""
        reach = self._reaches_ms[at]
        start = step.time_ms - self._lengths_ms[at]
        total = self.sums_nm[at] + (step.rain_nm if step.gap_ms <= reach else 0)
        for old in self._steps[self._tails[at] - self._head :]:
            if old.time_ms > start:
                break
            if old.gap_ms <= reach:
                total -= old.rain_nm
        return total

    def empty(self) -> Windows:
        """Return the same windows over nothing."""
        return Windows(self._lengths_ms)

    def since_ms(self, at: int, least_nm: int) -> int:
        """Return the newest time from which one window's rain is `least_nm`; its sum is as much."""
        reach, total = self._reaches_ms[at], 0
        for step in reversed(self._steps):
            total += step.rain_nm if step.gap_ms <= reach else 0
            if total >= least_nm:
                return step.time_ms
        return self._steps[0].time_ms

    def refill(self, gap: tuple[int, int], other: Windows, time_ms: int) -> None:
        """Put what another series of the same windows holds of a gap in place of what is held.

        Args:
            gap: (from, to], ms.
            other: the series whose increments there are right.
            time_ms: of the newest reading.
        """
        start_ms, end_ms = gap
        mine = self.dump()
        before = [step for step in mine if step[0] <= start_ms]
        within = [step for step in other.dump() if start_ms < step[0] <= end_ms]
        self.restore([*before, *within, *(step for step in mine if step[0] > end_ms)], time_ms)
        while len(self._steps) >= STEPS_MAX:
            self._join_oldest()
        self.advance(time_ms)

    def dump(self) -> list[list[int]]:
        """Return the increments still inside a window; sums and places follow from them."""
        inside = min(self._tails, default=0) - self._head
        return [list(step) for step in self._steps[inside:]]

    def restore(self, saved: list[list[int]], time_ms: int) -> None:
        """Take what `dump` returned, at the time of the newest reading."""
        self._steps = [Increment(*row) for row in saved]
        self._head = 0
        self._tails = [0] * len(self._lengths_ms)
        self.sums_nm = [
            sum(step.rain_nm for step in self._steps if step.gap_ms <= reach)
            for reach in self._reaches_ms
        ]
        self.advance(time_ms)

    def _join_oldest(self) -> None:
        # The older rain is dated with the younger: it counts a little longer, never shorter.
        inside = min(self._tails, default=0) - self._head
        del self._steps[:inside]
        self._head += inside
        if len(self._steps) < STEPS_MAX:
            return
        steps = self._steps
        joined = [
            Increment(b.time_ms, a.rain_nm + b.rain_nm, min(a.gap_ms, b.gap_ms))
            for a, b in zip(steps[:_JOIN:2], steps[1:_JOIN:2], strict=True)
        ]
        self.restore([list(step) for step in (*joined, *steps[_JOIN:])], steps[-1].time_ms)
