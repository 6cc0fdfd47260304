"""Which gaps of a channel late readings have come into, and what looking back on them has said.

A reading at or behind the watermark changes no state (`egret_core.rules.channel`). Where it lies
in a gap whose start is kept, or in the silence under way, it marks that gap. Once none has come
for `QUIET_MS` of the centre's running time, or the first is `PATIENCE_MS` old, the gap is due for
the second fold (`egret_core.rules.retrospect`). What that says waits here for the next tick, or the
next reading that settles: it is said from saved state, so that a replay says the same, and before
what is newer. A copy of a settled reading marks nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from egret_core.rules.event import Change, ConditionEvent, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

QUIET_MS = 60_000  # a gateway sends its backlog every few seconds: a minute without is its end
PATIENCE_MS = 3_600_000  # a slow link may need days: what is here is looked at every hour
SNAPSHOTS_MAX = 4  # gaps whose start is kept
GAPS_MAX = 5  # marked ones: the kept gaps of a channel, and the silence under way

NO_BACKLOG = (), 0, 0, ()  # in states of a program from before there was one

# Start and end of a gap, ms; state by rule at its start; value at its end, None in maintenance.
Snapshot = list[Any]


class Backlog:
    """Marks of one channel's gaps; O(gaps kept).

    Attributes:
        gaps: the marked ones, by their start; empty but for minutes after an outage.
        snapshots: of the newest gaps, oldest first; changed: since they were saved.
        said: what was found and not told yet.
        newest_at: running time of the newest late reading in a marked gap, ms.
        late: how many readings were too late; late_span: time of the first and the last, ms.
        tries: how often what was read did not reach the present; not saved.
    """

    __slots__ = (
        "_since",
        "changed",
        "gaps",
        "late",
        "late_span",
        "newest_at",
        "said",
        "snapshots",
        "tries",
    )

    def __init__(self) -> None:
        self.gaps: list[int] = []
        self.snapshots: list[Snapshot] = []
        self.changed = False
        self._since = 0
        self.newest_at = 0
        self.tries = 0
        self.late = 0
        self.late_span: list[int] = []
        self.said: list[ConditionEvent] = []

    def keep(self, start_ms: int, end_ms: int, states: dict[str, Any], value: float | None) -> None:
        """Keep the start of a gap: states by rule there, the value at its end (see `Snapshot`)."""
        self.snapshots.append([start_ms, end_ms, states, value])
        del self.snapshots[:-SNAPSHOTS_MAX]
        self.changed = True

    def inherit(self, old: Backlog, *, goes_on: bool) -> None:
        """Take over the gaps kept before a change, unless they are another channel's."""
        self.snapshots = old.snapshots if goes_on else []
        self.changed = old.changed or self.snapshots != old.snapshots

    def note(self, time_ms: int, running_ms: int, taken_ms: int, *, judged: bool) -> None:
        """Count a late reading; mark the gap that it lies in, if it lies in one.

        Args:
            time_ms: of the reading.
            running_ms: running time of its receipt.
            taken_ms: the newest reading taken, where a gap to come would begin.
            judged: it would have been judged, had it come in time.
        """
        self.late += 1
        span = self.late_span or [time_ms, time_ms]
        self.late_span = [min(span[0], time_ms), max(span[1], time_ms)]
        if not judged:
            return
        start_ms = next((gap[0] for gap in self.snapshots if gap[0] < time_ms < gap[1]), taken_ms)
        if time_ms <= taken_ms == start_ms:
            return
        if not self.gaps:
            self._since = running_ms
        self.newest_at = running_ms
        if start_ms not in self.gaps:
            self.gaps = sorted((*self.gaps, start_ms))[-GAPS_MAX:]

    def due(self, running_ms: int, taken_ms: int) -> list[Snapshot]:
        """Return the gaps to look back on now; marks of what became no gap are let go."""
        if not self.gaps:
            return []
        waited_ms = running_ms - self._since
        if running_ms - self.newest_at < QUIET_MS and waited_ms < PATIENCE_MS:
            return []
        found = [gap for gap in self.snapshots if gap[0] in self.gaps]
        starts = [gap[0] for gap in found]
        self.gaps = [start for start in self.gaps if start in starts or start == taken_ms]
        return found

    def done(self, start_ms: int, up_to: int, said: Iterable[ConditionEvent]) -> None:
        """Take what looking back on a gap has said.

        Args:
            start_ms: of the gap.
            up_to: `newest_at` when it was looked at: a mark made since then stays.
            said: to be told at the next tick, or before what settles next.
        """
        self.said += said
        self.tries = 0
        if self.newest_at == up_to:
            self.gaps = [start for start in self.gaps if start != start_ms]
        else:
            self._since = self.newest_at

    def tell(self) -> list[ConditionEvent]:
        """Return what waits to be told, once."""
        said, self.said = self.said, []
        return said

    def dump(self) -> list[Any]:
        """Return the state as JSON values; the snapshots are kept apart, they are seldom new."""
        said = [asdict(event) for event in self.said]
        return [self.gaps, self._since, self.newest_at, said, self.late, self.late_span]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        gaps, self._since, self.newest_at, said, self.late, span = saved
        self.late_span = list(span)
        self.gaps = list(gaps)
        self.said = [_event(row) for row in said]


def _event(row: dict[str, Any]) -> ConditionEvent:
    return ConditionEvent(**{**row, "change": Change(row["change"]), "phase": Phase(row["phase"])})
