"""The second stage: joint rules on the level changes of the first (DESIGN 7).

Settled events of the first stage are its facts, and its own events are facts for the joint rules
that stand above. Provisional ones are not: a vote waits. What was found afterwards in a backlog
is history, and no fact about now. Over the same items, in any order within the lateness, repeated,
or cut by a restart, it says the same.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from egret_core.rules.event import Phase, is_forecast
from egret_core.rules.horizon import NO_TIME, Horizon
from egret_core.rules.index import Graded, Standing
from egret_core.rules.model import JointLaw
from egret_core.rules.standings import deaf
from egret_core.rules.succession import id_of
from egret_core.rules.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from egret_core.rules.channel import Channel
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule
    from egret_core.rules.verdict import Source

_HORIZON = "areas"
_RETROSPECTIVE = "retrospective"


class ChannelSource:
    """A channel as a source of levels."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def frontier_ms(self) -> int:
        """Everything of it at or before this is settled."""
        return self._channel.frontier_ms

    @property
    def wait_ms(self) -> int:
        """Running time within which a reading is in and settled by ticks, from its time on."""
        return self._channel.late_ms

    def seen_ms(self, at_ms: int) -> int:
        """Return the newest good reading at or before an instant, no time for none."""
        return self._channel.presence.seen_ms(at_ms, self._channel.settled_ms)

    @property
    def first_ms(self) -> int | None:
        """The first good reading that is remembered, None before there is one."""
        return self._channel.presence.first_ms(self._channel.settled_ms)

    def level_of(self, rule: str) -> tuple[int, bool]:
        """Return the level that a rule holds on it now, and whether it is a forecast."""
        for part in self._channel.detectors:
            if part.rule == rule:
                return part.rank, isinstance(part, Graded) and part.forecast
        return 0, False

    def can_judge(self, rule: str) -> bool:
        """Tell whether a rule on it can judge now."""
        here = self._channel
        return not here.misfit and rule not in here.standings() and rule not in deaf(here)


class Second:
    """All joint rules, those that feed others first."""

    def __init__(self) -> None:
        self.verdicts: list[Verdict] = []
        self._rows: dict[tuple[str, str], list[tuple[Verdict, int]]] = {}
        self._horizon = Horizon()
        self._longest_ms = 0
        self._gone: set[str] = set()
        self._busy = False
        self._above: dict[tuple[str, str], list[str]] = {}  # joint rules by channel under them
        self._standings: dict[str, str] | None = None  # as of the newest tick, once asked for

    def bind(
        self,
        rules: Sequence[BoundRule],
        channels: Mapping[str, Mapping[str, Channel]],
        now_ms: int,
    ) -> list[ConditionEvent]:
        """Bind other rules: state goes on by ``id@version``; the new ones take what holds now.

        Returns:
            What ends: levels of rules that nothing takes the place of.
        """
        before = {(id_of(verdict.rule), verdict.subject): verdict for verdict in self.verdicts}
        keys = {_key(verdict) for verdict in self.verdicts}
        self.verdicts, self._rows = [], {}
        made: dict[str, Verdict] = {}
        for rule in in_order(rules):
            sources: list[Source] = [
                made[one.rule]
                if one.channel is None
                else ChannelSource(channels[one.channel[0]][one.channel[1]])
                for one in rule.inputs
            ]
            if not isinstance(rule.law, JointLaw):
                continue
            verdict = Verdict(rule, rule.law, sources)
            verdict.in_force_ms = now_ms
            made[rule.name] = verdict
            self.verdicts.append(verdict)
            old = before.pop((rule.id, rule.place), None)
            if old is not None and old.rule == rule.name:
                verdict.restore(old.dump())
            elif old is not None:
                verdict.elder = old.on_record(now_ms)
            for index, one in enumerate(rule.inputs):
                self._rows.setdefault((one.rule, one.subject), []).append((verdict, index))
            verdict.agree(now_ms)
        self._longest_ms = max((verdict.wait_ms for verdict in self.verdicts), default=0)
        self._gone = (self._gone | keys) - {_key(verdict) for verdict in self.verdicts}
        self._busy = True
        self._above, self._standings = _above(self.verdicts), None
        gone = [verdict.on_record(now_ms) for verdict in before.values()]
        return [event for elder in gone if elder is not None for event in elder.after()]

    def hear(self, events: Sequence[ConditionEvent], first: int) -> None:
        """Take the facts among events, from the first of them on."""
        for event in events[first:] if self._rows else ():
            if event.phase is not Phase.SETTLED or _RETROSPECTIVE in event.evidence:
                continue
            for verdict, index in self._rows.get((event.rule, event.subject), ()):
                forecast = is_forecast(event.evidence)
                verdict.take(index, event.time_ms, event.rank, forecast=forecast)
                self._busy = True

    def receive(self, out: list[ConditionEvent], first: int) -> None:
        """Take the facts of a receipt, and judge what is in by it."""
        if not self.verdicts:
            return
        if len(out) > first:
            self.hear(out, first)
        if self._busy:
            self._advance(out)

    def tick(self, now_ms: int, running_ms: int) -> Iterator[list[ConditionEvent]]:
        """Judge what is in by a tick, in slices; the facts of its channels are here already."""
        if not self.verdicts:
            return
        self._standings = None
        self._longest_ms = max(self._longest_ms, *(one.wait_ms for one in self.verdicts))
        self._horizon.tick(now_ms, running_ms, self._longest_ms)
        for verdict in self.verdicts:
            more = True
            while more:
                out: list[ConditionEvent] = []
                more = verdict.advance(self._horizon, out)
                self.hear(out, 0)
                if not more:
                    out += verdict.succeed()
                if out or more:
                    yield out
        self._busy = any(verdict.waits for verdict in self.verdicts)

    def missing(self) -> dict[str, list[str]]:
        """Return, by rule, the inputs that are missing at the newest instant of any of them."""
        out: dict[str, list[str]] = {}
        for verdict in self.verdicts:
            at_ms = max(verdict.frontier_ms, verdict.at_ms)
            gone = verdict.missing(at_ms) if at_ms != NO_TIME else []
            if gone:
                out[verdict.rule] = gone
        return out

    def standings(self, pair: tuple[str, str]) -> dict[str, str]:
        """Return what the joint rules over a (station, channel) could say at the newest tick."""
        if self._standings is None:
            self._standings = {
                verdict.rule: str(Standing.OK if verdict.look() else Standing.INPUTS_MISSING)
                for verdict in self.verdicts
            }
        return {rule: self._standings[rule] for rule in self._above.get(pair, ())}

    def changed(self) -> Iterator[tuple[str, bytes | None]]:
        """Yield what changed since the last call, by key; None for what is gone."""
        yield from dict.fromkeys(sorted(self._gone)).items()
        self._gone.clear()
        if self._horizon.dirty:
            self._horizon.dirty = False
            yield _HORIZON, _json(self._horizon.dump())
        for verdict in self.verdicts:
            if verdict.dirty:
                verdict.dirty = False
                yield _key(verdict), _json(verdict.dump())

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take what `changed` yielded since the beginning, for the rules that are bound."""
        if _HORIZON in state:
            self._horizon.restore(json.loads(state[_HORIZON]))
            self._horizon.dirty = False
        for verdict in self.verdicts:
            saved = state.get(_key(verdict))
            if saved is not None:
                verdict.restore(json.loads(saved))
                verdict.dirty = False
        self._busy, self._standings = True, None

    def _advance(self, out: list[ConditionEvent]) -> None:
        """Judge what is in by a receipt, where facts wait."""
        for verdict in self.verdicts:
            more = verdict.waits
            while more:
                said = len(out)
                more = verdict.advance(self._horizon, out)
                self.hear(out, said)
        self._busy = any(verdict.waits for verdict in self.verdicts)


def _above(verdicts: Sequence[Verdict]) -> dict[tuple[str, str], list[str]]:
    above: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        for pair in sorted({pair for one in verdict.inputs for pair in one.sensors}):
            above.setdefault(pair, []).append(verdict.rule)
    return above


def in_order(rules: Sequence[BoundRule]) -> list[BoundRule]:
    """Return the joint rules, each after those that it takes; they are known to form no circle."""
    by_name = {rule.name: rule for rule in rules if isinstance(rule.law, JointLaw)}
    out: dict[str, BoundRule] = {}

    def put(rule: BoundRule) -> None:
        for one in rule.inputs:
            if one.rule in by_name and one.rule not in out:
                put(by_name[one.rule])
        out[rule.name] = rule

    for rule in by_name.values():
        if rule.name not in out:
            put(rule)
    return list(out.values())


def _key(verdict: Verdict) -> str:
    return f"area/{verdict.rule.partition('@')[0]}"


def _json(value: Any) -> bytes:  # noqa: ANN401  (JSON values have no better type)
    return json.dumps(value, separators=(",", ":")).encode()
