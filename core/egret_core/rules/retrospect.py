"""The second fold: late readings of a gap, from the snapshot of its start to its end (DESIGN 7).

The live fold takes an outage for a gap and has gone on. Here twins of its detectors begin with the
state at the gap's start and settle what came late, in time order. What they say is of the past:
each event's evidence has `retrospective: true`, its id is no live event's, and it goes on record
beside the live warnings. For the present it changes what sums: a twin of rain or of an index goes
on to the newest settled reading, and then IS the detector that had heard all. The live one takes
its state. A level that the twin holds and the live one does not is told as of now, with the
instants at which the twin said so (`egret_core.rules.hindsight`): they do not depend on when the
readings were there. What was over by then is told as of the past. No level comes down by it.
Where the present is not reached, rain of the gap stands in the sums in place of the jump over it
(`Rain.fill`). Absence is judged on receipts and knows nothing of this.
Cost: O(readings since the gap began), beside the live fold; state: that of the detectors.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.quality import counts, is_base
from egret_core.rules.event import RETROSPECTIVE, ConditionEvent, Phase, is_forecast
from egret_core.rules.hindsight import RISING, Finding, Hindsight, Row
from egret_core.rules.ladder import Ladder
from egret_core.rules.model import AHEAD_MS, LadderLaw
from egret_core.rules.rain import Rain
from egret_core.rules.screened import FAIL
from egret_core.rules.step import detectors_of
from egret_core.screening.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egret_core.reading import Reading
    from egret_core.rules.backlog import Snapshot
    from egret_core.rules.channel import Channel, Detector
    from egret_core.rules.model import BoundRule, ChannelPlace, Law
    from egret_core.rules.step import Fold

EVENTS_MAX = 500  # told of one gap: one commit; a new highest level is told all the same
AFTER_MAX = 20_000  # readings after a gap that a twin is brought on with: 14 days of them
TRIES_MAX = 3  # a channel that is faster than its store keeps its indices, and fills its sums


class Span(NamedTuple):
    """Readings to look back on.

    Attributes:
        from_ms, to_ms: from_ms < time < to_ms.
        received_ms: earliest receipt: what came before was judged, or refused, as it came.
        by_ms: latest receipt.
    """

    from_ms: int
    to_ms: int
    received_ms: int
    by_ms: int


class LookBack:
    """The second fold of one gap.

    Args:
        channel: whose gap it is; it goes on meanwhile, nothing of it is held.
        gap: one of its snapshots.
        rules: in force; those that were not at the gap's start have nothing to say of it.
        now_ms: instant of the tick at which it was due.

    Attributes:
        reached_ms: time of the newest reading taken: what follows is still to be read.
        left_out: events over `EVENTS_MAX`; fed: readings that counted.
    """

    def __init__(
        self, channel: Channel, gap: Snapshot, rules: Iterable[BoundRule], now_ms: int
    ) -> None:
        start_ms, end_ms, states = gap[:3]
        # A snapshot of an older program has no value at its end: no sum can be filled then.
        self._end_value: float | None = gap[3] if len(gap) > 3 else None  # noqa: PLR2004
        self._whole = len(gap) > 3  # noqa: PLR2004
        self.place: ChannelPlace = channel.place
        self.span = Span(start_ms, end_ms, end_ms - AHEAD_MS, now_ms)
        self._up_to = channel.backlog.newest_at
        pair = (self.place.station, self.place.channel)
        self._rules = {rule.name: rule for rule in rules if pair in rule.channels}
        both = zip(self._begin(states), self._begin(states), strict=True)
        self._parts = {twin.rule: Hindsight(twin, shadow) for twin, shadow in both}
        self._onward = [part for part in self._parts.values() if part.goes_on]
        self._of_total = any(part.of_total for part in self._onward)
        # Screened from the gap's start on, by itself: what others read then is not asked.
        screening = channel.place.screening
        self._moves = screening is None or not screening.movement
        self._chain = None if screening is None else Chain(screening, channel.place.quantity)
        self._based = self._of_total or (self._chain is not None and self._chain.of_total)
        self._after: list[Row] = []  # what was not settled yet when it was read
        self._after_count = 0
        self._gone_on = False
        self._later: dict[int, dict[str, Any]] = {}  # start of a later gap -> twins' states there
        self.reached_ms = start_ms
        self._findings: list[Finding] = []
        self._peak: dict[str, int] = {}
        self.left_out = 0
        self.fed = 0
        self.read_on(channel, now_ms)

    def _begin(self, states: dict[str, Any]) -> list[Detector]:
        """Return detectors with these states by rule."""
        out = []
        for part in detectors_of(self._rules.values(), self.place.name):
            if part.rule in states:
                part.restore(deepcopy(states[part.rule]))
                part.withdraw([])  # what was provisional then has been settled by the live fold
                out.append(part)
        return out

    def read_on(self, channel: Channel, now_ms: int) -> None:
        """Go on to what was received by a later tick, from `reached_ms` on."""
        self.span = self.span._replace(by_ms=now_ms)
        self._sure_ms = channel.taken_ms
        later = [gap for gap in channel.backlog.snapshots if gap[0] >= self.span.to_ms]
        self._starts = [gap[0] for gap in later if gap[0] not in self._later]
        # A gap that is to be looked back on itself is the jump to this one that it was live.
        self._waits = [(gap[0], gap[1]) for gap in later if gap[0] in channel.backlog.gaps]

    def feed(self, readings: Iterable[Reading]) -> None:
        """Take late readings in time order; a copy, and what lies outside the gap, fill nothing."""
        inside = (one for one in readings if one.time_ms < self.span.to_ms)
        for row in self._counted(inside):
            self.fed += 1
            for part in self._parts.values():
                self._keep(part.settle(row))

    def _counted(self, readings: Iterable[Reading]) -> Iterator[Row]:
        """Yield what counts of readings in time order, screened."""
        for _, _, time_ms, value, _, flag, reasons in readings:
            base = self._based and is_base(flag, reasons)
            taken = base or counts(flag, reasons)
            if value is None or not taken or time_ms <= self.reached_ms:
                continue
            self.reached_ms = time_ms
            flagged = None
            if self._chain is not None and base:
                self._chain.rebase(time_ms, value)
            elif self._chain is not None:
                flagged, _ = self._chain.take(time_ms, value, expected=self._moves)
                if flagged.flag == FAIL:
                    continue
            yield Row(time_ms, value, base, flagged)

    @property
    def wants_after(self) -> bool:
        """Whether readings from the gap's end to the present are wanted too."""
        return bool(self._onward) and self.fed > 0 and self._after_count < AFTER_MAX

    def go_on(self, readings: Iterable[Reading]) -> None:
        """Take readings from the gap's end on in time order, as far as they are there."""
        for row in self._counted(readings):
            self._after_count += 1
            self._after.append(row)
        self._settle(self._sure_ms)

    def reaches(self, channel: Channel) -> bool:
        """Tell whether what is after the gap reaches to the channel's newest settled reading."""
        if not self._onward or not self.fed:
            return True
        return self._after_count < AFTER_MAX and channel.taken_ms <= self.reached_ms

    def end(self, channel: Channel) -> bool:
        """All is fed: hand over to the live fold; tell whether this gap is still the channel's.

        Args:
            channel: as it stands now, its rules may have changed meanwhile.
        """
        from_ms, to_ms, *_ = self.span
        if [from_ms, to_ms] not in [gap[:2] for gap in channel.backlog.snapshots]:
            return False
        # What holds now goes on record first: a rise that lasted until now is of that warning.
        said = [*self._hand_over(channel), *self._marked(channel)] if self.fed else []
        channel.wake_ms = -inf  # what is said is told at the next tick at the latest
        channel.backlog.done(from_ms, self._up_to, said)
        channel.dirty = True
        return True

    def _settle(self, to_ms: int) -> None:
        """Bring the twins on to an instant, and note them at the starts of later gaps."""
        count = 0
        for row in self._after:
            if row.time_ms > to_ms:
                break
            count += 1
            self._gone_on = True
            while self._starts and self._starts[0] < row.time_ms:
                states = {part.twin.rule: deepcopy(part.twin.dump()) for part in self._onward}
                self._later[self._starts.pop(0)] = states
            if any(start < row.time_ms < end for start, end in self._waits):
                continue
            for part in self._onward:
                self._keep(part.go_on(row))
        del self._after[:count]

    def _hand_over(self, channel: Channel) -> list[ConditionEvent]:
        """Set the channel's sums and indices right; return what holds now and was not said."""
        reached = self.reaches(channel)
        if reached:
            self.read_on(channel, self.span.by_ms)
            self._settle(channel.taken_ms)
        now: list[ConditionEvent] = []
        for live in channel.detectors:
            part = self._parts.get(live.rule)
            if part is None or isinstance(live, Ladder):
                continue
            if reached:
                now += part.hand_over(live)
            elif self._whole and isinstance(live, Rain):
                self._fill(live, part.twin)
                live.judge(now)
        for start_ms, _, states, *_ in channel.backlog.snapshots:
            if start_ms >= self.span.to_ms:
                self._correct(start_ms, states)
                channel.backlog.changed = True
        return now

    def _fill(self, rain: Rain, twin: Any) -> None:  # noqa: ANN401  (of the same class as the rule)
        """Put the gap's rain in place of the jump over it, where the present is not reached."""
        if self._end_value is not None and not self._gone_on:
            twin.settle(self.span.to_ms, self._end_value, [])
        rain.fill(twin, (self.span.from_ms, self.span.to_ms))

    def _correct(self, start_ms: int, states: dict[str, Any]) -> None:
        """Set the states at the start of a later gap right: it began with this one's readings."""
        for part in self._onward:
            rule = part.twin.rule
            if rule not in states:
                continue
            then: Any = self._begin({rule: states[rule]})[0]
            if start_ms in self._later:
                (twin,) = self._begin({rule: self._later[start_ms][rule]})
                then.take_over(twin)
                then.hold_as(twin, ())
            elif self._whole and isinstance(then, Rain):
                self._fill(then, part.twin)
            states[rule] = deepcopy(then.dump())

    def _keep(self, found: Iterable[Finding]) -> None:
        for one in found:
            event = one.event
            if event.phase is not Phase.SETTLED or is_forecast(event.evidence):
                continue  # a forecast that nobody made warns nobody: what was measured is told
            peak = self._peak.get(event.rule, 0)
            self._peak[event.rule] = max(peak, event.rank)
            if len(self._findings) < EVENTS_MAX or event.rank > peak:
                self._findings.append(one)
            else:
                self.left_out += 1

    def _marked(self, channel: Channel) -> list[ConditionEvent]:
        """Return the events as those of the past, each with its gap.

        A rise that lasts to the gap's end is raised there by the live fold too: a level's within
        the persistence, a sum's while the twin holds it. The evidence says until when a live onset
        is of the same rise.
        """
        now_ms = max(self.span.by_ms, self.reached_ms, channel.taken_ms)
        to_ms = self.span.to_ms
        until_ms = {
            rule: now_ms if part.goes_on else to_ms + _persistence_ms(self._rules[rule].law)
            for rule, part in self._parts.items()
        }
        out: list[ConditionEvent] = []
        for one in self._findings:
            event, over_ms = one.event, one.over_ms
            if one.live and event.time_ms >= to_ms:
                continue
            evidence = {
                **event.evidence,
                RETROSPECTIVE: True,
                "gap_from_ms": self.span.from_ms,
                "gap_to_ms": to_ms,
            }
            if event.change in RISING and (over_ms is None or over_ms >= to_ms):
                evidence["same_rise_until_ms"] = over_ms or until_ms[event.rule]
            out.append(replace(event, evidence=evidence, provisional_id=""))
        return out


class Handed(NamedTuple):
    """What became of second folds at a tick.

    Attributes:
        done: how many were handed over; behind: those to read on with, `LookBack.reached_ms` says
            from where.
    """

    done: int
    behind: list[LookBack]


def due(fold: Fold, now_ms: int, most: int) -> list[LookBack]:
    """Return second folds that are due at a tick: one of a channel, at most so many."""
    running_ms = fold.running.at(now_ms)
    out: list[LookBack] = []
    for here in fold.channels.values():
        for channel in here.values():
            if not channel.backlog.gaps:
                continue
            gaps = channel.backlog.due(running_ms, channel.taken_ms)
            if gaps and not channel.misfit:
                # The earliest first: its rain stands in the sums at the start of the next.
                out.append(LookBack(channel, gaps[0], fold.rules, now_ms))
            if len(out) >= most:
                return out
    return out


def end(fold: Fold, found: Sequence[LookBack], now_ms: int) -> Handed:
    """Hand over what was looked at, at a tick; what went on meanwhile is to be read on with."""
    count, behind = 0, []
    for look in found:
        channel = fold.channels.get(look.place.station, {}).get(look.place.channel)
        if channel is None:
            continue
        if not look.reaches(channel) and channel.backlog.tries < TRIES_MAX:
            channel.backlog.tries += 1
            look.read_on(channel, now_ms)
            behind.append(look)
            continue
        count += look.end(channel)
    return Handed(count, behind)


def _persistence_ms(law: Law) -> int:
    """Return the longest time that a value must stay before a level raises."""
    if not isinstance(law, LadderLaw):
        return 0
    return max(law.persistence_ms, *(rung.persistence_ms or 0 for rung in law.rungs))
