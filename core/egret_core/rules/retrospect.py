"""The second fold: late readings of a gap, from the snapshot of its start to its end (DESIGN 7).

The live fold takes an outage for a gap and has gone on. Here twins of its detectors begin with the
state at the gap's start and settle what came late, in time order. What they say is of the past:
each event's evidence has `retrospective: true`, its id is no live event's, and it goes on record
beside the live warnings. For the present it changes two things. Rain that fell in the gap stands
in the sums in place of the jump over it (`Rain.fill`). And an index becomes what it had been with
the gap's readings: its twin goes on to the newest settled reading and takes its place
(`Graded.fill`). Levels that hold stay. Absence is judged on receipts and knows nothing of this.
Cost: O(readings since the gap began), beside the live fold; state: that of the detectors.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.quality import counts, is_base
from egret_core.rules.event import RETROSPECTIVE, Change, ConditionEvent, Phase
from egret_core.rules.index import Graded
from egret_core.rules.ladder import Ladder
from egret_core.rules.model import AHEAD_MS, IndexLaw, LadderLaw, RainLaw
from egret_core.rules.rain import Rain
from egret_core.rules.screened import FAIL, mark
from egret_core.rules.step import detectors_of
from egret_core.screening.chain import Chain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from egret_core.reading import Reading
    from egret_core.rules.backlog import Snapshot
    from egret_core.rules.channel import Channel, Detector
    from egret_core.rules.model import BoundRule, ChannelPlace, Law
    from egret_core.rules.step import Fold
    from egret_core.screening.chain import Flagged

EVENTS_MAX = 500  # told of one gap: one commit; a new highest level is told all the same
AFTER_MAX = 20_000  # readings after a gap that an index is brought up to date with: 14 days of them
TRIES_MAX = 3  # a channel that is faster than its store keeps the index it has
_RISING = (Change.RAISED, Change.UPGRADED)


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
        left_out: events over `EVENTS_MAX`; fed: readings that counted.
    """

    def __init__(
        self, channel: Channel, gap: Snapshot, rules: Iterable[BoundRule], now_ms: int
    ) -> None:
        start_ms, end_ms, states = gap[:3]
        # A snapshot of an older program has no value at its end: sums are left alone then.
        self._end_value: float | None = gap[3] if len(gap) > 3 else None  # noqa: PLR2004
        self._whole = len(gap) > 3  # noqa: PLR2004
        self.place: ChannelPlace = channel.place
        self.span = Span(start_ms, end_ms, end_ms - AHEAD_MS, now_ms)
        self._up_to = channel.backlog.newest_at
        pair = (self.place.station, self.place.channel)
        self._rules = {rule.name: rule for rule in rules if pair in rule.channels}
        self._twins: list[Detector] = []
        for twin in detectors_of(self._rules.values(), self.place.name):
            if twin.rule in states:
                twin.restore(deepcopy(states[twin.rule]))
                twin.withdraw([])  # what was provisional then has been settled by the live fold
                self._twins.append(twin)
        self._sums = [
            twin for twin in self._twins if not isinstance(twin, Ladder) and twin.of_total
        ]
        # Screened from the gap's start on, by itself: what others read then is not asked.
        screening = channel.place.screening
        self._moves = screening is None or not screening.movement
        self._chain = None if screening is None else Chain(screening, channel.place.quantity)
        self._based = bool(self._sums) or (self._chain is not None and self._chain.of_total)
        self._indices = [twin for twin in self._twins if isinstance(twin, Graded)]
        self._after: list[tuple[int, float, bool]] = []
        self._last_ms = start_ms
        self._events: list[ConditionEvent] = []
        self._peak: dict[str, int] = {}
        self.left_out = 0
        self.fed = 0

    def feed(self, readings: Iterable[Reading]) -> None:
        """Take late readings in time order; a copy, and what lies outside the gap, fill nothing."""
        inside = (one for one in readings if one.time_ms < self.span.to_ms)
        for time_ms, value, base, flagged in self._counted(inside):
            self.fed += 1
            said: list[ConditionEvent] = []
            for twin in () if base else self._twins:
                twin.settle(time_ms, value, said)
            for total in self._sums if base else ():
                total.rebase(time_ms, value)
            if flagged is not None:
                mark(said, 0, flagged)
            for event in said:
                self._keep(event)

    def _counted(
        self, readings: Iterable[Reading]
    ) -> Iterator[tuple[int, float, bool, Flagged | None]]:
        """Yield time, value, whether it is only a base, and the centre's doubt, of what counts."""
        for _, _, time_ms, value, _, flag, reasons in readings:
            base = self._based and is_base(flag, reasons)
            taken = base or counts(flag, reasons)
            if value is None or not taken or time_ms <= self._last_ms:
                continue
            self._last_ms = time_ms
            flagged = None
            if self._chain is not None and base:
                self._chain.rebase(time_ms, value)
            elif self._chain is not None:
                flagged, _ = self._chain.take(time_ms, value, expected=self._moves)
                if flagged.flag == FAIL:
                    continue
            yield time_ms, value, base, flagged

    @property
    def wants_after(self) -> bool:
        """Whether readings from the gap's end to the present are wanted too, for an index."""
        return bool(self._indices) and self.fed > 0 and len(self._after) < AFTER_MAX

    def go_on(self, readings: Iterable[Reading]) -> None:
        """Take readings from the gap's end on in time order, as far as they are there."""
        self._after += [(row[0], row[1], row[2]) for row in self._counted(readings)]

    def reaches(self, channel: Channel) -> bool:
        """Tell whether what is after the gap reaches to the channel's newest settled reading."""
        if not self._indices or not self.fed:
            return True
        reached_ms = self._after[-1][0] if self._after else self.span.to_ms
        return len(self._after) < AFTER_MAX and channel.settled_ms <= reached_ms

    def end(self, channel: Channel) -> bool:
        """All is fed: hand over to the live fold; tell whether this gap is still the channel's.

        Args:
            channel: as it stands now, its rules may have changed meanwhile.
        """
        from_ms, to_ms, *_ = self.span
        if [from_ms, to_ms] not in [gap[:2] for gap in channel.backlog.snapshots]:
            return False
        said = self._marked()
        if self.fed and self.reaches(channel):
            self._fill_indices(channel)
        now = self._fill(channel) if self.fed and self._whole else []
        # What holds now goes on record first: a rise that lasted until now is of that warning.
        channel.wake_ms = -inf  # what is said is told at the next tick
        channel.backlog.done(from_ms, self._up_to, [*now, *said])
        channel.dirty = True
        return True

    def _fill_indices(self, channel: Channel) -> None:
        """Set the channel's indices right, and those in the snapshots of later gaps."""
        later = [gap for gap in channel.backlog.snapshots if gap[0] >= self.span.to_ms]
        for time_ms, value, base in self._after:
            while later and later[0][0] < time_ms:
                self._keep_indices(later.pop(0)[2])
                channel.backlog.changed = True
            if time_ms > channel.settled_ms:
                break
            self._bring_on(time_ms, value, base=base)
        twins = {twin.rule: twin for twin in self._indices}
        for live in channel.detectors:
            if isinstance(live, Graded) and live.rule in twins:
                live.fill(twins[live.rule])

    def _bring_on(self, time_ms: int, value: float, *, base: bool) -> None:
        for twin in self._indices:
            if not base:
                twin.settle(time_ms, value, [])
            elif twin.of_total:
                twin.rebase(time_ms, value)

    def _keep_indices(self, states: dict[str, Any]) -> None:
        for twin in self._indices:
            if twin.rule in states:
                index, _, total = deepcopy(twin.dump())
                states[twin.rule] = [index, states[twin.rule][1], total]

    def _fill(self, channel: Channel) -> list[ConditionEvent]:
        """Set the channel's sums right, and those in the snapshots of later gaps."""
        gap = (self.span.from_ms, self.span.to_ms)
        now: list[ConditionEvent] = []
        twins = {twin.rule: twin for twin in self._twins if isinstance(twin, Rain)}
        for twin in twins.values():
            if self._end_value is not None:
                twin.settle(gap[1], self._end_value, [])
        for live in channel.detectors:
            if not isinstance(live, Rain) or live.rule not in twins:
                continue
            live.fill(twins[live.rule], gap)
            live.judge(now)
            for later in channel.backlog.snapshots:
                if later[0] >= gap[1]:
                    self._keep_sums(later[2], twins[live.rule])
                    channel.backlog.changed = True
        return now

    def _keep_sums(self, states: dict[str, Any], twin: Rain) -> None:
        rule = self._rules[twin.rule]
        if twin.rule in states and isinstance(rule.law, RainLaw):
            then = Rain(rule, rule.law, self.place.name)
            then.restore(deepcopy(states[twin.rule]))
            then.fill(twin, (self.span.from_ms, self.span.to_ms))
            states[twin.rule] = deepcopy(then.dump())

    def _keep(self, event: ConditionEvent) -> None:
        if event.phase is not Phase.SETTLED or event.evidence.get("basis") == "forecast":
            return  # a forecast that nobody made warns nobody: what was measured is told
        peak = self._peak.get(event.rule, 0)
        self._peak[event.rule] = max(peak, event.rank)
        if len(self._events) < EVENTS_MAX or event.rank > peak:
            self._events.append(event)
        else:
            self.left_out += 1

    def _marked(self) -> list[ConditionEvent]:
        """Return the events as those of the past, each with its gap.

        A rise that lasts to the gap's end is raised there by the live fold too, within the
        persistence; one of rain, once its sums are right. The evidence says until when a live onset
        is of the same rise.
        """
        ranks = {twin.rule: twin.rank for twin in self._twins}
        until_ms = {
            twin.rule: self.span.by_ms
            if isinstance(twin, Rain)
            else self.span.to_ms + _persistence_ms(self._rules[twin.rule].law)
            for twin in self._twins
        }
        out: list[ConditionEvent] = []
        for event in reversed(self._events):
            evidence = {
                **event.evidence,
                RETROSPECTIVE: True,
                "gap_from_ms": self.span.from_ms,
                "gap_to_ms": self.span.to_ms,
            }
            if event.change in _RISING and event.rank <= ranks[event.rule]:
                evidence["same_rise_until_ms"] = until_ms[event.rule]
            ranks[event.rule] = min(ranks[event.rule], event.rank)
            out.append(replace(event, evidence=evidence, provisional_id=""))
        return out[::-1]


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


def end(fold: Fold, found: Sequence[LookBack]) -> int:
    """Hand over what was looked at; return how many gaps are done."""
    count = 0
    for look in found:
        channel = fold.channels.get(look.place.station, {}).get(look.place.channel)
        if channel is None:
            continue
        if not look.reaches(channel) and channel.backlog.tries < TRIES_MAX:
            channel.backlog.tries += 1  # it went on meanwhile: at the next tick once more
            continue
        count += look.end(channel)
    return count


def _persistence_ms(law: Law) -> int:
    """Return the longest time that a value must stay before it raises."""
    ladder = law.ladder if isinstance(law, IndexLaw) else law
    if not isinstance(ladder, LadderLaw):
        return 0
    return max(ladder.persistence_ms, *(rung.persistence_ms or 0 for rung in ladder.rungs))
