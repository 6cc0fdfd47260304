"""The centre's own running time, counted in ticks, and the fault of having none.

The intake journals a tick every 10 s while it is subscribed. Running time grows with the ticks
and stands still while the centre is down: what waits for it is paused, never reset. More than
10 minutes between two ticks is a fault of its own.
"""

from __future__ import annotations

from typing import Any

from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.model import Cause

TICK_COUNTS_MS = 30_000  # most that one tick adds: three periods; beyond it nobody was listening
TICKS_GAP_MS = 600_000  # longest time without ticks before it is said (DESIGN 7)
RULE = "centre-ticks@1"
SUBJECT = "centre"
HAZARD = "ticks"
LABEL = "fault"


class Running:
    """Running time in ms; starts at 0 with the first tick."""

    __slots__ = ("_count_ms", "last_tick_ms")

    def __init__(self) -> None:
        self._count_ms = 0
        self.last_tick_ms: int | None = None

    def at(self, received_ms: int) -> int:
        """Return the running time of a receipt that follows the newest tick, ms."""
        if self.last_tick_ms is None:
            return self._count_ms
        return self._count_ms + min(max(received_ms - self.last_tick_ms, 0), TICK_COUNTS_MS)

    def tick(self, now_ms: int, out: list[ConditionEvent]) -> int:
        """Count one tick; append the centre's own fault; return the running time, ms."""
        last = self.last_tick_ms
        self._count_ms = self.at(now_ms)
        self.last_tick_ms = now_ms
        if last is not None and now_ms - last > TICKS_GAP_MS:
            evidence = {"last_tick_ms": last, "limit_s": TICKS_GAP_MS / 1000}
            out.append(_event(Change.RAISED, last + TICKS_GAP_MS, Cause.NO_TICKS, evidence))
            back = {"silent_s": (now_ms - last) / 1000, "limit_s": TICKS_GAP_MS / 1000}
            out.append(_event(Change.RETURNED, now_ms, Cause.TICKS_AGAIN, back))
        return self._count_ms

    def dump(self) -> list[int | None]:
        """Return the state as JSON values."""
        return [self._count_ms, self.last_tick_ms]

    def restore(self, saved: list[Any]) -> None:
        """Take a state that `dump` returned."""
        self._count_ms, self.last_tick_ms = saved


def _event(change: Change, time_ms: int, cause: Cause, evidence: dict[str, Any]) -> ConditionEvent:
    here = change is Change.RAISED
    return ConditionEvent(
        rule=RULE,
        subject=SUBJECT,
        hazard=HAZARD,
        change=change,
        phase=Phase.SETTLED,
        level=LABEL if here else "",
        rank=int(here),
        time_ms=time_ms,
        reason=str(cause),
        evidence=evidence,
    )
