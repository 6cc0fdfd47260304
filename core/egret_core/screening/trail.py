"""What a channel did lately, for others that ask: its range by slots of ten minutes.

    slot = floor(t / 600 s);  kept of each: lowest, highest and last settled value

Units: ms of event time, canonical values. Others are judged at their own times, and their order of
arrival must change nothing: an answer uses only whole slots that ended so long before the asked
time that all that belongs in them is settled (twice the channel's lateness, and a tick).
Source: our own. State: the slots that may be asked, at most `SLOTS_MAX`. Cost: O(1) a value,
O(slots asked) a question.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

SLOT_MS = 600_000
SLOTS_MAX = 256  # 42 h without a pause
LOOK_BACK_MAX_MS = 36 * 3_600_000  # what may be asked: inside the slots kept, lateness included
TICK_MS = 10_000
SPARE_SLOTS = 40  # for lateness, and for one that asks late: 6 h 40 min
FRESH_SLOTS = 6  # a neighbour's value older than an hour is none


class Trail:
    """The slots of one channel; settled values come in time order.

    Attributes:
        late_ms: the channel's allowed lateness.
    """

    __slots__ = ("_slots", "late_ms")

    def __init__(self, look_back_ms: int = LOOK_BACK_MAX_MS) -> None:
        self.late_ms = 0
        slots = min(look_back_ms // SLOT_MS + SPARE_SLOTS, SLOTS_MAX)
        self._slots: deque[list[Any]] = deque(maxlen=slots)  # slot, lowest, highest, last

    def take(self, time_ms: int, value: float) -> None:
        """Take a settled value."""
        slot = time_ms // SLOT_MS
        if self._slots and self._slots[-1][0] == slot:
            row = self._slots[-1]
            row[1], row[2], row[3] = min(row[1], value), max(row[2], value), value
        else:
            self._slots.append([slot, value, value, value])

    def moved(self, time_ms: int, span_ms: int) -> bool:
        """Tell whether its value changed in the whole slots of a span before a time."""
        first, end = (time_ms - span_ms) // SLOT_MS, self._end(time_ms)
        rows = [row for row in self._slots if first <= row[0] < end]
        return bool(rows) and max(row[2] for row in rows) > min(row[1] for row in rows)

    def latest(self, time_ms: int) -> float | None:
        """Return its last value in the whole slots before a time, None where none is fresh."""
        end = self._end(time_ms)
        for row in reversed(self._slots):
            if row[0] < end:
                return float(row[3]) if row[0] >= end - FRESH_SLOTS else None
        return None

    def dump(self) -> list[list[Any]]:
        """Return the state as JSON values."""
        return [list(row) for row in self._slots]

    def restore(self, saved: Sequence[list[Any]]) -> None:
        """Take a state that `dump` returned."""
        self._slots = deque((list(row) for row in saved), maxlen=self._slots.maxlen)

    def _end(self, time_ms: int) -> int:
        """Return the first slot that may still be open."""
        return (time_ms - 2 * self.late_ms - TICK_MS) // SLOT_MS
