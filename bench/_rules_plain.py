"""The loop that anybody writes first: sums, levels and silence, in order, with nothing in doubt.

The same whole-number sums and the same thresholds as the rules beside it; no late reading, no
quality, no provisional word, nothing to save. What judgement costs beyond this is the price of
those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.reading import Reading
    from egret_core.rules.step import Receipt, Tick

NM_PER_MM = 1_000_000
REACH_PART = 20  # of a window: a gap that much longer still counts in it


class Gauge:
    """Rolling sums of one total over several windows."""

    def __init__(self, lengths_ms: Sequence[int], levels: Sequence[tuple[int, int]]) -> None:
        self.lengths_ms = tuple(lengths_ms)
        self.levels = tuple(levels)  # (window, threshold in nm), the highest first
        self.steps: list[tuple[int, int, int]] = []  # time, rain, time since the reading before
        self.tails = [0] * len(lengths_ms)
        self.sums = [0] * len(lengths_ms)
        self.last_nm: int | None = None
        self.last_ms = 0
        self.rank = 0

    def take(self, time_ms: int, total_mm: float) -> bool:
        """Take a total; tell whether the level changed."""
        nm = round(total_mm * NM_PER_MM)
        if self.last_nm is None:
            self.last_nm, self.last_ms = nm, time_ms
            return False
        rain, gap, self.last_nm, self.last_ms = (
            nm - self.last_nm,
            time_ms - self.last_ms,
            nm,
            time_ms,
        )
        self._roll(time_ms, rain, gap)
        rank = len(self.levels)
        for at, threshold in self.levels:
            if self.sums[at] >= threshold:
                break
            rank -= 1
        changed, self.rank = rank != self.rank, rank
        return changed

    def _roll(self, time_ms: int, rain: int, gap: int) -> None:
        steps, sums, tails = self.steps, self.sums, self.tails
        if rain > 0:
            steps.append((time_ms, rain, gap))
        for at, length in enumerate(self.lengths_ms):
            if rain > 0 and gap <= length + length // REACH_PART:  # a longer jump counts nowhere
                sums[at] += rain
            tail, start = tails[at], time_ms - length
            while tail < len(steps) and steps[tail][0] <= start:
                if steps[tail][2] <= length + length // REACH_PART:
                    sums[at] -= steps[tail][1]
                tail += 1
            tails[at] = tail


class Ladder:
    """A ladder with hysteresis."""

    def __init__(self, rungs: Sequence[tuple[float, float]]) -> None:
        self.rungs = tuple(rungs)  # (raise, clear), the lowest first
        self.rank = 0

    def take(self, _time_ms: int, value: float) -> bool:
        """Take a value; tell whether the rank changed."""
        before = rank = self.rank
        while rank < len(self.rungs) and value >= self.rungs[rank][0]:
            rank += 1
        while rank and value < self.rungs[rank - 1][1]:
            rank -= 1
        self.rank = rank
        return rank != before


class Plain:
    """The loop itself.

    Attributes:
        changes: of levels, and silences.
    """

    def __init__(
        self, channels: dict[str, dict[str, tuple[Gauge | Ladder, ...]]], limit_ms: int
    ) -> None:
        self.channels = channels
        self.limit_ms = limit_ms
        self.changes = 0
        self.heard: dict[tuple[str, str], int] = {}
        self.silent: set[tuple[str, str]] = set()

    def run(self, items: Sequence[Receipt | Tick]) -> int:
        for item in items:
            if len(item) == 1:
                self.tick(item[0])
            else:
                self.receive(item[2])
        return self.changes

    def tick(self, now_ms: int) -> None:
        limit_ms, silent = self.limit_ms, self.silent
        for key, at_ms in self.heard.items():
            if now_ms - at_ms >= limit_ms and key not in silent:
                silent.add(key)
                self.changes += 1

    def receive(self, readings: Sequence[Reading]) -> None:
        channels, heard, silent = self.channels, self.heard, self.silent
        for station, channel, time_ms, value, _, flag, reasons in readings:
            key = (station, channel)
            if flag != 1 or reasons or value is None or time_ms <= heard.get(key, 0):
                continue  # doubtful, a copy, or older than what is known
            heard[key] = time_ms
            if silent:
                silent.discard(key)
            for detector in channels[station][channel]:
                self.changes += detector.take(time_ms, value)
