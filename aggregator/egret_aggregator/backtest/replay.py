"""History through the fold, in the order in which the centre received it.

A stored reading knows how much later than its time it was received, so that what was judged is
judged again in the same order; the centre ticks all the while. The span is read in slices of all
channels, so that memory follows the slice, not the span. Before it, as much history as the rules
look back is judged and not told: a level that holds at the beginning is told as standing.

What the store does not know: when the centre itself was down (a backtest listens always), and
readings more than 60 s ahead of their receipt, which are left out and counted. A reading that an
administrator brought in later counts as received when it was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.store.model import Note
from egret_core.reading import Reading
from egret_core.rules.event import ConditionEvent, Phase
from egret_core.rules.model import AHEAD_MS, AbsenceLaw
from egret_core.rules.step import Change, Facts, Fold, Receipt, Tick, step
from egret_core.rules.warmup import span_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egret_aggregator.backtest.history import History
    from egret_aggregator.catalogue import Catalogue, ChannelPlace
    from egret_aggregator.store.model import StoredReading

TICK_MS = 10_000  # as the intake ticks
TICK_SLOW_MS = 30_000  # where no rule judges silence: the most that one tick counts
SLICE_ROWS = 60_000  # readings of one slice at which it is made shorter: about 30 MB
SLICE_ROWS_MAX = 2 * SLICE_ROWS  # at which it is given up and read anew, shorter
SLICE_CUT = 8  # by how much
SLICE_MIN_MS, SLICE_MAX_MS = 600_000, 8 * 86_400_000
PAGE_ROWS = 20_000  # of one question to the history
HELD_MAX = 200_000  # readings that wait for their receipt: a backlog of days; 60 MB
LEAD_MAX_MS = 400 * 86_400_000  # the longest memory of a rule that is read before the span
EVENTS_MAX = 100_000  # settled events that are kept; all are counted
_LATE_MS = 3_661_000  # after the span: until the latest reading that may wait is settled
_AHEAD = int(Note.CLOCK_AHEAD)
_IMPORTED = int(Note.IMPORTED)

Came = tuple[int, str, Reading]  # receipt, gateway, reading


class Span(NamedTuple):
    """What is asked for: event times in [from, to), ms since 1970."""

    from_ms: int
    to_ms: int


class Told(NamedTuple):
    """How far a backtest is: share of the span from 0 to 1, and counts so far."""

    share: float
    to_ms: int
    readings: int
    events: int


@dataclass(slots=True)
class Outcome:
    """What the rules would have said.

    Attributes:
        events: settled ones in the span, in the order they were said.
        standing: the newest event of each rule and subject whose level held at the beginning.
        settled, provisional, refuted: counts in the span.
        readings: judged, with those before the span; late: too late to be judged; ahead: left out
            because their clock was ahead; early: judged before their receipt, for lack of room.
    """

    events: list[ConditionEvent] = field(default_factory=list)
    standing: dict[tuple[str, str], ConditionEvent] = field(default_factory=dict)
    settled: int = 0
    provisional: int = 0
    refuted: int = 0
    readings: int = 0
    late: int = 0
    ahead: int = 0
    early: int = 0


def _needed(catalogue: Catalogue) -> list[ChannelPlace]:
    """Return the channels that rules judge, or that screening asks about those."""
    rules = catalogue.rules
    heard = {name for rule in rules for name in rule.gateways}
    wanted = [pair for rule in rules for pair in rule.channels]
    wanted += [(p.station, p.channel) for p in catalogue.places() if p.gateway in heard]
    found: set[tuple[str, str]] = set()
    while wanted:
        pair = wanted.pop()
        place = catalogue.place(*pair)
        if pair not in found and place is not None:
            found.add(pair)
            wanted += place.screening.company if place.screening is not None else ()
    return [place for place in catalogue.places() if (place.station, place.channel) in found]


class Backtest:
    """One run of rules over a span of history.

    Args:
        history: where readings come from; catalogue: places and rules.
        span: what is told; tell: told of progress, once a slice.
    """

    def __init__(
        self,
        history: History,
        catalogue: Catalogue,
        span: Span,
        tell: Callable[[Told], None] = lambda _told: None,
    ) -> None:
        self._history = history
        self._catalogue = catalogue
        self._span = span
        self._tell = tell
        self._fold = Fold()
        self._outcome = Outcome()
        self._held: list[Came] = []
        rules = catalogue.rules
        silence = any(isinstance(rule.law, AbsenceLaw) for rule in rules)
        self._tick_ms = TICK_MS if silence else TICK_SLOW_MS
        lead_ms = max((span_ms(rule.law) for rule in rules), default=0) + _LATE_MS
        start_ms = span.from_ms - min(lead_ms, LEAD_MAX_MS)
        self._start_ms = start_ms - start_ms % TICK_MS
        self._next_tick_ms = self._start_ms
        self._places = _needed(catalogue)

    async def run(self) -> Outcome:
        """Judge the span; return what was said.

        Raises:
            StoreError: history cannot be read.
        """
        await self._begin()
        at_ms, end_ms, width_ms = self._start_ms, self._span.to_ms, SLICE_MIN_MS
        while at_ms < end_ms:
            to_ms = min(at_ms + width_ms, end_ms)
            rows = await self._read(at_ms, to_ms)
            if rows is None:
                width_ms = max((to_ms - at_ms) // SLICE_CUT, SLICE_MIN_MS)
                continue
            count = self._slice(rows, to_ms)
            at_ms = to_ms
            self._progress(at_ms)
            if count > SLICE_ROWS:
                width_ms = max(width_ms // 2, SLICE_MIN_MS)
            elif count < SLICE_ROWS // 4:
                width_ms = min(width_ms * 2, SLICE_MAX_MS)
        self._judge(len(self._held))
        self._ticks(end_ms + _LATE_MS)
        channels = [c for here in self._fold.channels.values() for c in here.values()]
        self._outcome.late = sum(channel.late for channel in channels)
        self._outcome.readings = self._fold.counts.judged
        return self._outcome

    async def _begin(self) -> None:
        catalogue = self._catalogue
        step(self._fold, Tick(self._start_ms))
        self._take(Change(self._places, catalogue.rules, self._start_ms))
        for fact in await self._history.metas():
            self._take(Facts(fact.gateway, [fact.meta]))

    async def _read(self, from_ms: int, to_ms: int) -> list[Came] | None:
        """Read all channels in [from, to); None where that is more than one slice may hold.

        What is dense comes without notice after what is sparse, whose slices are long.
        """
        held: list[Came] = []
        ahead, short = 0, to_ms - from_ms <= SLICE_MIN_MS
        for place in self._places:
            at_ms = from_ms
            while True:
                page = await self._history.range(
                    place.station, place.channel, at_ms, to_ms, PAGE_ROWS
                )
                ahead += _hold(page.rows, place.gateway, held)
                if len(held) > SLICE_ROWS_MAX and not short:
                    return None
                if not page.truncated or not page.rows:
                    break
                at_ms = page.rows[-1].time_ms + 1
        self._outcome.ahead += ahead
        return held

    def _slice(self, rows: list[Came], to_ms: int) -> int:
        """Judge what can be in order, read up to an instant; return how many were read."""
        self._held += rows
        self._held.sort(key=itemgetter(0, 1))
        # What is still to be read was received after this: its clock is not further ahead.
        sure_ms = to_ms - AHEAD_MS
        ready = sum(came[0] < sure_ms for came in self._held)
        over = len(self._held) - ready - HELD_MAX
        if over > 0:
            self._outcome.early += over
            ready += over
        self._judge(ready)
        return len(rows)

    def _judge(self, ready: int) -> None:
        """Judge the first readings that are held, with the ticks between them."""
        held, self._held = self._held[:ready], self._held[ready:]
        for (came_ms, gateway), group in groupby(held, key=itemgetter(0, 1)):
            if came_ms >= self._next_tick_ms:
                self._ticks(came_ms)
            self._take(Receipt(gateway, came_ms, [came[2] for came in group]))

    def _ticks(self, to_ms: int) -> None:
        while self._next_tick_ms <= to_ms:
            self._take(Tick(self._next_tick_ms))
            self._next_tick_ms += self._tick_ms

    def _take(self, item: Receipt | Facts | Tick | Change) -> None:
        _, events = step(self._fold, item)
        for event in events:
            self._note(event)

    def _note(self, event: ConditionEvent) -> None:
        outcome = self._outcome
        if event.phase is Phase.SETTLED and event.time_ms < self._span.from_ms:
            key = (event.rule, event.subject)
            outcome.standing.pop(key, None)
            if event.rank:
                outcome.standing[key] = event
        if not self._span.from_ms <= event.time_ms < self._span.to_ms:
            return
        if event.phase is Phase.SETTLED:
            outcome.settled += 1
            if len(outcome.events) < EVENTS_MAX:
                outcome.events.append(event)
        elif event.phase is Phase.PROVISIONAL:
            outcome.provisional += 1
        else:
            outcome.refuted += 1

    def _progress(self, at_ms: int) -> None:
        whole_ms = max(self._span.to_ms - self._start_ms, 1)
        share = (at_ms - self._start_ms) / whole_ms
        self._tell(Told(share, at_ms, self._fold.counts.judged, self._outcome.settled))


def _hold(rows: Sequence[StoredReading], gateway: str, held: list[Came]) -> int:
    """Add readings with their receipts; return how many are left out, their clock ahead."""
    ahead = 0
    for row in rows:
        if row.notes & _AHEAD:
            ahead += 1
            continue
        came_ms = row.time_ms if row.notes & _IMPORTED else row.time_ms + row.lag_ms
        held.append((came_ms, gateway, Reading._make(row[:7])))
    return ahead
