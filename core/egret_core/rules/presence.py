"""When a channel had good readings: what was missing at an instant that lies behind it by now.

Who looks from another channel looks back by lateness: a reading may have ended the silence since.
State: the newest gaps. Cost: nothing for a reading, but for one behind a gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.rules.horizon import NO_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP_MS = 900_000  # a shorter silence is none: `stale_s` of a joint rule is at least as long
GAPS_MAX = 8  # gaps that are remembered: two hours of silence at least, for seconds of looking back


class Presence:
    """The gaps of one channel, and where it is screened its newest value that did not fail."""

    __slots__ = ("_gaps", "_good_ms")

    def __init__(self) -> None:
        self._gaps: list[list[int]] = []
        self._good_ms: int | None = None  # None: every settled value is good

    def gap(self, before_ms: int, after_ms: int) -> None:
        """Take two neighbouring readings that are far apart; of a screened channel `take` does."""
        if self._good_ms is None:
            self._gaps = [*self._gaps, [before_ms, after_ms]][-GAPS_MAX:]

    def take(self, time_ms: int, *, failed: bool) -> None:
        """Take a value of a screened channel; one that failed is silence."""
        if self._good_ms is None:
            self._gaps, self._good_ms = [], NO_TIME
        if failed:
            return
        if time_ms - self._good_ms > GAP_MS:
            self._gaps = [*self._gaps, [self._good_ms, time_ms]][-GAPS_MAX:]
        self._good_ms = time_ms

    def seen_ms(self, at_ms: int, settled_ms: int) -> int:
        """Return the newest good reading at or before an instant, no time for none.

        Args:
            at_ms: the instant.
            settled_ms: the channel's newest settled reading.
        """
        newest_ms = settled_ms if self._good_ms is None else self._good_ms
        if newest_ms <= at_ms:
            return newest_ms
        for before_ms, after_ms in reversed(self._gaps):
            if before_ms <= at_ms < after_ms:
                return before_ms
        return at_ms  # between two readings that are near each other

    def first_ms(self, settled_ms: int) -> int | None:
        """Return the first good reading that is remembered, None before there is one.

        Args:
            settled_ms: the channel's newest settled reading.
        """
        newest_ms = settled_ms if self._good_ms is None else self._good_ms
        if newest_ms == NO_TIME:
            return None
        return self._gaps[0][1] if self._gaps else newest_ms

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._gaps, self._good_ms]

    def restore(self, saved: Sequence[Any], *, screened: bool) -> None:
        """Take a state that `dump` returned; one from before its screening began or ended fits."""
        self._gaps = [list(gap) for gap in saved[0]]
        self._good_ms = saved[1] if screened else None
