"""One rule in hindsight: its twin with a gap's late readings, and what of it nobody has said yet.

The twin is the detector as it would have been. After the gap it goes on through what the live fold
has judged, and beside it a shadow does: the same rule without the gap's readings, which says what
the live fold has said. Where the twin stands higher than its shadow, the live fold is silent.
What leads to the level that holds is kept apart, so that it can be told with its true instants.
State: two detectors, and at most three events for each level. Cost: O(readings), twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.rules.event import Change, ConditionEvent, is_forecast
from egret_core.rules.ladder import Ladder
from egret_core.rules.rain import Rain
from egret_core.rules.screened import mark

if TYPE_CHECKING:
    from egret_core.rules.channel import Detector
    from egret_core.rules.index import Graded
    from egret_core.screening.chain import Flagged

RISING = (Change.RAISED, Change.UPGRADED)


class Row(NamedTuple):
    """A reading that counts.

    Attributes:
        base: a total that counts nothing, read in maintenance.
        flagged: the centre's doubt of it.
    """

    time_ms: int
    value: float
    base: bool
    flagged: Flagged | None


@dataclass(slots=True)
class Finding:
    """An event of a twin.

    Attributes:
        event: as the detector would have said it.
        over_ms: when its level was over again, None while it holds.
        live: told as of now.
    """

    event: ConditionEvent
    over_ms: int | None = None
    live: bool = False


class Hindsight:
    """One rule's twin through a gap and what came after.

    Args:
        twin: at the gap's start.
        shadow: a second one there.

    Attributes:
        goes_on: it is brought on to the present; a level is not, the live fold counts it anew.
        of_total: it takes what a total rose by.
    """

    def __init__(self, twin: Detector, shadow: Detector) -> None:
        self.twin = twin
        self._shadow = shadow
        self._start_rank = twin.rank
        self._open: list[Finding] = []  # rises that hold
        self._trail: list[Finding] = []  # the shortest way from the rank at the start to that now
        self.goes_on = not isinstance(twin, Ladder)
        self.of_total = twin.of_total

    def settle(self, row: Row) -> list[Finding]:
        """Take a reading of the gap; return what the twin says."""
        said = _settled(self.twin, row)
        if row.flagged is not None:
            mark(said, 0, row.flagged)
        return [self._follow(event) for event in said]

    def go_on(self, row: Row) -> list[Finding]:
        """Take a reading that the live fold has judged; return what it has not said of it."""
        before = self.twin.rank
        found = self.settle(row)
        known = {event.id for event in _settled(self._shadow, row)}
        return [
            one
            for one in found
            if max(one.event.rank, before) > self._shadow.rank and one.event.id not in known
        ]

    def hand_over(self, live: Detector) -> list[ConditionEvent]:
        """Let the live detector become the twin, no level falls by it; return what is told of now.

        Args:
            live: of the same rule, at the same newest reading.
        """
        if isinstance(live, Ladder):
            return []
        way = self._way(live)
        twin: Any = self.twin  # of the same rule is of the same class
        live.take_over(twin)
        if way is not None:
            for one in way:
                one.live = True
            return live.hold_as(twin, _begun([one.event for one in way], live.rank))
        out: list[ConditionEvent] = []
        if isinstance(live, Rain):
            live.judge(out)
        return out

    def _way(self, live: Rain | Graded) -> list[Finding] | None:
        """Return what leads from the level that holds live to the twin's, the first first.

        None where that cannot be told: the level stood before the gap and came down live, or was
        live and came down, and an event said twice is one; or a forecast is part of it.
        """
        ranks = [self._start_rank, *(one.event.rank for one in self._trail)]
        lower = [at for at, rank in enumerate(ranks) if rank <= live.rank]
        if not lower:
            return None
        way = self._trail[lower[-1] :]
        if any(is_forecast(one.event.evidence) for one in way):
            return None
        return None if way and way[0].event.time_ms <= live.fell_ms else way

    def _follow(self, event: ConditionEvent) -> Finding:
        found = Finding(event)
        if event.change in RISING:
            self._open.append(found)
            self._trail.append(found)
            return found
        for one in self._open:
            if one.event.rank > event.rank:
                one.over_ms = event.time_ms
        self._open = [one for one in self._open if one.over_ms is None]
        self._trail = self._shortened(found)
        return found

    def _shortened(self, fall: Finding) -> list[Finding]:
        """Return the way to a lower level, without what was higher and is over."""
        rank = fall.event.rank
        if self._start_rank > rank:
            return [fall]
        higher = (at for at, one in enumerate(self._trail) if one.event.rank > rank)
        at = next(higher, len(self._trail))
        before = self._trail[at - 1].event.rank if at else self._start_rank
        # Where no rise led to just this level, the higher one did, and it came down to it.
        return self._trail[:at] if before == rank else [*self._trail[: at + 1], fall]


def _settled(part: Detector, row: Row) -> list[ConditionEvent]:
    """Return what a detector says of a reading."""
    said: list[ConditionEvent] = []
    if not row.base:
        part.settle(row.time_ms, row.value, said)
    elif not isinstance(part, Ladder) and part.of_total:
        part.rebase(row.time_ms, row.value)
    return said


def _begun(events: list[ConditionEvent], rank: int) -> list[ConditionEvent]:
    """Return events that begin at a level that holds."""
    change = Change.UPGRADED if rank else Change.RAISED
    return [replace(event, change=change) for event in events[:1]] + events[1:]
