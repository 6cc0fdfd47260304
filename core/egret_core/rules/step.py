"""The event-time fold: `step(fold, item)` takes one item of the journal and says what follows.

Pure: time is in the items. The state is changed in place and handed back, so that a fold over
millions of readings copies nothing; whoever holds a `Fold` owns it alone. Over the same items, in
order, shuffled within the lateness, repeated, or cut anywhere by `changed` and `restore`, the
settled events are the same (`egret_core.rules.event.settled_hash`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.rules.absence import Absence
from egret_core.rules.channel import Channel, Detector
from egret_core.rules.gateway import Gateway
from egret_core.rules.index import Graded
from egret_core.rules.ladder import Ladder
from egret_core.rules.model import (
    CUT_S,
    LATE_MAX_S,
    LATE_S,
    AbsenceLaw,
    IndexLaw,
    LadderLaw,
    RainLaw,
)
from egret_core.rules.order import default_late_ms
from egret_core.rules.rain import Rain
from egret_core.rules.running import Running
from egret_core.rules.screened import join
from egret_core.rules.second import Second
from egret_core.rules.succession import Elder, id_of, lost
from egret_core.rules.warmup import Warmup
from egret_core.sources import subject_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from egret_core.messages import ChannelMeta
    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule, ChannelPlace

SLICE = 256  # readings or subjects judged between two breaths of the process (DESIGN 7)
_CENTRE = "centre"
_GATEWAY_LATE_MS = round((LATE_S + CUT_S) * 1000)


class Receipt(NamedTuple):
    """Readings of one gateway, received together."""

    gateway: str
    received_ms: int
    readings: Sequence[Reading]


class Facts(NamedTuple):
    """What a gateway tells of its channels."""

    gateway: str
    channels: Sequence[ChannelMeta]


class Tick(NamedTuple):
    """The centre was listening at this instant."""

    now_ms: int


class Change(NamedTuple):
    """These rules hold from this instant."""

    places: Sequence[ChannelPlace]
    rules: Sequence[BoundRule]
    now_ms: int


Item = Receipt | Facts | Tick | Change


@dataclass(slots=True)
class Counts:
    """Readings since the fold was made: judged, and not judged for a named reason."""

    judged: int = 0
    foreign: int = 0  # of a gateway that does not own the channel
    unknown: int = 0  # the catalogue does not know the channel


class Fold:
    """The state of all judgement: channels by place, gateways by id, running time."""

    def __init__(self) -> None:
        self.running = Running()
        self.counts = Counts()
        self.channels: dict[str, dict[str, Channel]] = {}
        self.gateways: dict[str, Gateway] = {}
        self.second = Second()
        self.rules: Sequence[BoundRule] = ()
        self._subjects: list[Channel | Gateway] = []
        self._gone: set[str] = set()
        self._ticked = True
        self.cold: list[Warmup] = []  # of the newest change: channels that want history
        self._unheard: list[tuple[str, Absence]] = []  # new rules on gateways without an elder

    def receive(self, receipt: Receipt, out: list[ConditionEvent]) -> None:
        """Take readings as received; append what they decide and settle."""
        gateway, received_ms, readings = receipt
        running_ms = self.running.at(received_ms)
        stations, counts, said = self.channels, self.counts, len(out)
        none: dict[str, Channel] = {}
        judged = 0
        for reading in readings:
            channel = stations.get(reading[0], none).get(reading[1])
            if channel is None:
                counts.unknown += 1
            elif channel.gateway != gateway:
                counts.foreign += 1
            else:
                judged += 1
                channel.arrive(reading, received_ms, running_ms, out)
        counts.judged += judged
        heard = self.gateways.get(gateway)
        if heard is not None:
            heard.hear(readings, received_ms, running_ms, out)
        self.second.receive(out, said)

    def learn(self, facts: Facts) -> None:
        """Take a gateway's facts on the channels that it owns."""
        for fact in facts.channels:
            channel = self.channels.get(fact.station, {}).get(fact.channel)
            if channel is not None and channel.gateway == facts.gateway:
                channel.meta(fact.quantity, fact.datum, fact.cut_s, fact.period_s)

    def tick(self, now_ms: int) -> Iterator[list[ConditionEvent]]:
        """Count a tick; yield what it settles, in slices of at most `SLICE` subjects."""
        out: list[ConditionEvent] = []
        running_ms = self.running.tick(now_ms, out)
        self._ticked = True
        subjects = self._subjects
        for start in range(0, max(len(subjects), 1), SLICE):
            for subject in subjects[start : start + SLICE]:
                if running_ms >= subject.wake_ms:
                    subject.tick(running_ms, out)
            self.second.hear(out, 0)
            yield out
            out = []
        yield from self.second.tick(now_ms, running_ms)

    def change(self, change: Change, out: list[ConditionEvent]) -> None:
        """Bind other rules: state goes on by ``id@version``, the rest is ended or begun."""
        for subject in self._subjects:
            if isinstance(subject, Channel):  # what waits is told before its rule may go
                out += subject.backlog.tell()
        saved = {key_of(subject): subject.dump() for subject in self._subjects}
        before, self._subjects = self._subjects, []
        self._bind(change)
        now = {key_of(subject): subject for subject in self._subjects}
        for subject in before:
            key = key_of(subject)
            heir = now.get(key)
            subject.withdraw(_inherited(subject, heir), out)
            if heir is None or not heir.continues(subject):
                for elder in _lost(subject, set(), change.now_ms):
                    out += elder.after()
            if heir is None:
                self._gone |= {key, _gaps_key(subject)}
                continue
            heir.restore(saved[key])
            if isinstance(heir, Channel) and isinstance(subject, Channel):
                heir.backlog.inherit(subject.backlog, goes_on=heir.continues(subject))
        self._gone -= set(now)
        self._chill(change, {key_of(subject): subject for subject in before}, out)
        out += self.second.bind(change.rules, self.channels, change.now_ms)

    def warmed(self, now_ms: int) -> None:
        """End the warming at a change: a gateway was last heard when its channels were."""
        self.cold = []
        for gateway, absence in self._unheard:
            newest = [
                channel.newest_ms
                for here in self.channels.values()
                for channel in here.values()
                if channel.gateway == gateway and channel.newest_ms is not None
            ]
            if newest:
                absence.known(min(max(newest), now_ms))
        self._unheard = []

    def changed(self) -> dict[str, bytes | None]:
        """Return what changed since the last call, by key; None for what is gone."""
        out: dict[str, bytes | None] = {}
        for part in self.changed_slices():
            out.update(part)
        return out

    def changed_slices(self) -> Iterator[dict[str, bytes | None]]:
        """Yield what `changed` returns, in slices of at most `SLICE` subjects."""
        out: dict[str, bytes | None] = dict.fromkeys(self._gone)
        self._gone.clear()
        if self._ticked:
            out[_CENTRE] = _json(self.running.dump())
            self._ticked = False
        for subject in self._subjects:
            if subject.dirty:
                out[key_of(subject)] = _json(subject.dump())
                subject.dirty = False
            if isinstance(subject, Channel) and subject.backlog.changed:
                out[_gaps_key(subject)] = _json(subject.backlog.snapshots)
                subject.backlog.changed = False
            if len(out) >= SLICE:
                yield out
                out = {}
        out.update(self.second.changed())
        yield out

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take what `changed` returned since the beginning, for the rules that are bound."""
        if _CENTRE in state:
            self.running.restore(json.loads(state[_CENTRE]))
            self._ticked = False
        for subject in self._subjects:
            saved = state.get(key_of(subject))
            if saved is not None:
                subject.restore(json.loads(saved))
                subject.dirty = False
            if isinstance(subject, Channel):
                gaps = state.get(_gaps_key(subject))
                subject.backlog.snapshots = json.loads(gaps) if gaps is not None else []
        self.second.restore(state)
        self.cold, self._unheard = [], []

    def capped(self) -> list[str]:
        """Return the channels whose gateway tells a longer cut than judgement waits for."""
        channels = [channel for here in self.channels.values() for channel in here.values()]
        most_ms = round(LATE_MAX_S * 1000)
        free = [one for one in channels if one.place.late_s is None]
        return sorted(one.place.name for one in free if one.late_ms >= most_ms)

    def _chill(
        self,
        change: Change,
        before: Mapping[str, Channel | Gateway],
        out: list[ConditionEvent],
    ) -> None:
        """Find the rules that begin without state; hand on what elders know and hold."""
        by_name = {rule.name: rule for rule in change.rules}
        at = (change.now_ms, self.running.at(change.now_ms))
        self.cold, self._unheard = [], []
        for subject in self._subjects:
            old = before.get(key_of(subject))
            if old is not None and not subject.continues(old):
                continue  # another quantity or datum: what was before is of another channel
            elders = old.absences if old is not None else ()
            known = {part.rule for part in _parts(old)} if old is not None else set()
            new = [part for part in _parts(subject) if part.rule not in known]
            orphans = [part for part in new if not (isinstance(part, Absence) and elders)]
            for part in new:
                if isinstance(part, Absence) and elders:
                    part.follow(elders[0])
            if old is not None:
                gone = _lost(old, _inherited(old, subject), change.now_ms)
                _succeed(subject, gone, at[1], out)
            if isinstance(subject, Gateway):
                self._unheard += [(subject.name, p) for p in orphans if isinstance(p, Absence)]
            elif orphans:
                rules = [by_name[part.rule] for part in orphans]
                fresh = subject.newest_ms is None
                self.cold.append(Warmup(subject, rules, at, fresh=fresh))

    def _bind(self, change: Change) -> None:
        running_ms = self.running.at(change.now_ms)
        by_channel: dict[tuple[str, str], list[BoundRule]] = {}
        by_gateway: dict[str, list[BoundRule]] = {}
        for rule in change.rules:
            for pair in rule.channels:
                by_channel.setdefault(pair, []).append(rule)
            for name in rule.gateways:
                by_gateway.setdefault(name, []).append(rule)
        self.channels, self.gateways = {}, {}
        self.rules = tuple(change.rules)
        for place in change.places:
            rules = by_channel.get((place.station, place.channel), [])
            since = (change.now_ms, running_ms, default_late_ms(place, CUT_S))
            absences = _absences(rules, place.name, since)
            channel = Channel(place, detectors_of(rules, place.name), absences)
            self.channels.setdefault(place.station, {})[place.channel] = channel
            self._subjects.append(channel)
        join(self.channels)
        for name, rules in by_gateway.items():
            since = (change.now_ms, running_ms, _GATEWAY_LATE_MS)
            gateway = Gateway(name, _absences(rules, subject_of(name), since))
            self.gateways[name] = gateway
            self._subjects.append(gateway)


def step(fold: Fold, item: Item) -> tuple[Fold, list[ConditionEvent]]:
    """Take one item; return the fold, changed in place, and the events that follow."""
    out: list[ConditionEvent] = []
    if isinstance(item, Receipt):
        fold.receive(item, out)
    elif isinstance(item, Tick):
        for events in fold.tick(item.now_ms):
            out.extend(events)
    elif isinstance(item, Facts):
        fold.learn(item)
    else:
        fold.change(item, out)
    return fold, out


def key_of(subject: Channel | Gateway) -> str:
    """Return the key under which a subject's state is saved."""
    if isinstance(subject, Channel):
        return f"channel/{subject.place.name}"
    return f"gateway/{subject.name}"


def _gaps_key(subject: Channel | Gateway) -> str:
    return f"gap/{key_of(subject)}"


def _inherited(old: Channel | Gateway, heir: Channel | Gateway | None) -> set[str]:
    """Return the rules whose state goes on from an old subject to its heir."""
    if heir is None or not heir.continues(old):
        return set()
    return {part.rule for part in _parts(heir)}


def _parts(subject: Channel | Gateway) -> Sequence[Detector | Absence]:
    if isinstance(subject, Channel):
        return (*subject.detectors, *subject.absences)
    return subject.absences


def _lost(subject: Channel | Gateway, kept: set[str], now_ms: int) -> list[Elder]:
    """Return the levels on record that go out of force at a change."""
    waiting: dict[str, Elder | None] = {}
    if isinstance(subject, Channel):
        waiting |= subject.warming.elders
    for one in subject.absences:
        if one.elder is not None and not one.rank:  # a second word on it has a time of its own
            waiting[one.rule] = one.elder._replace(until_ms=now_ms)
    return lost(_parts(subject), kept, waiting, now_ms)


def _succeed(
    subject: Channel | Gateway, gone: Iterable[Elder], running_ms: int, out: list[ConditionEvent]
) -> None:
    """Have levels that went out of force succeeded by the rules in their place, or ended."""
    heirs = {id_of(part.rule): part for part in _parts(subject)}
    for elder in gone:
        heir = heirs.get(id_of(elder.rule))
        if heir is None:
            out += elder.after()
        elif isinstance(heir, Absence):  # it knows already how long it has been silent
            reached = heir.reached(running_ms)
            said = elder.after(heir.rule, reached, heir.levels)
            out += said
            # What it has reached a late reading may still refute.
            left = elder._replace(rank=reached, levels=heir.levels) if said else elder
            heir.elder = left if reached else None
        elif isinstance(subject, Channel):
            subject.warming.succeed(heir.rule, elder)


def detectors_of(rules: Iterable[BoundRule], subject: str) -> list[Detector]:
    """Return fresh detectors of these rules for one channel, in their order."""
    out: list[Detector] = []
    for rule in rules:
        if isinstance(rule.law, LadderLaw):
            out.append(Ladder(rule, rule.law, subject))
        elif isinstance(rule.law, RainLaw):
            out.append(Rain(rule, rule.law, subject))
        elif isinstance(rule.law, IndexLaw):
            out.append(Graded(rule, rule.law, subject))
    return out


def _absences(
    rules: Iterable[BoundRule], subject: str, since: tuple[int, int, int]
) -> list[Absence]:
    return [
        Absence(rule, rule.law, subject, since)
        for rule in rules
        if isinstance(rule.law, AbsenceLaw)
    ]


def _json(value: Any) -> bytes:  # noqa: ANN401  (JSON values have no better type)
    return json.dumps(value, separators=(",", ":")).encode()
