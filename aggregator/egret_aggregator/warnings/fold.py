"""The pure fold: ledger lines in, warnings out. No clock, no I/O.

Levels rise by rule and fall by a person. `eased`, `returned` and `refuted` change what the rule
holds (`condition`, `holding_level`), never the level on record. A warning is one episode of one
rule at one subject; the rule's version is no part of that key, so that an edited rule goes on
with the warning that is open instead of opening a second one beside it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egret_aggregator.warnings import lookback
from egret_aggregator.warnings.record import Kind
from egret_aggregator.warnings.state import OBSERVED, Condition, Mark, State, Step, WarningState
from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.model import Cause
from egret_core.sources import is_gateway

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.warnings.record import Record

_RISING = (Change.RAISED, Change.UPGRADED)
_NO_STATION = ("gateway", "centre", "area")  # first words of subjects that are no station


def event_json(event: ConditionEvent) -> dict[str, Any]:
    """Return an event as JSON values; `event_of` is its inverse."""
    return {
        "id": event.id,
        "rule": event.rule,
        "subject": event.subject,
        "hazard": event.hazard,
        "change": str(event.change),
        "phase": str(event.phase),
        "level": event.level,
        "rank": event.rank,
        "time_ms": event.time_ms,
        "reason": event.reason,
        "evidence": dict(event.evidence),
        "provisional_id": event.provisional_id,
    }


def event_of(body: Mapping[str, Any]) -> ConditionEvent:
    """Return the event in a body that `event_json` made."""
    facts = {key: value for key, value in body.items() if key != "id"}
    facts["change"] = Change(facts["change"])
    facts["phase"] = Phase(facts["phase"])
    return ConditionEvent(**facts)


def rule_id(rule: str) -> str:
    """Return a rule's id without its version: `river-level@1a2b` -> `river-level`."""
    return rule.partition("@")[0]


def place(
    event: ConditionEvent, standing: WarningState | None, named: WarningState | None
) -> WarningState | None:
    """Return the warning an event belongs to, None where it opens a new one or concerns none.

    Args:
        event: what the judge says.
        standing: the warning of this rule and subject that is not closed, if there is one.
        named: the warning of the provisional event that this one settles or refutes.
    """
    if named is None:
        return standing
    outgrown = named.state is State.CLOSED and event.rank > named.peak_rank
    # A person closed a lesser warning: what has settled now is more than that person judged.
    return standing if outgrown and opens(event) else named


def opens(event: ConditionEvent) -> bool:
    """Tell whether an event without a warning of its own opens one."""
    return event.change in _RISING and event.phase is not Phase.REFUTED


def opened(event: ConditionEvent, seq: int, time_ms: int) -> WarningState:
    """Return the warning that an event opens."""
    first, _, _ = event.subject.partition("/")
    state = WarningState(
        id=event.id,
        rule=rule_id(event.rule),
        subject=event.subject,
        station="" if first in _NO_STATION or not is_gateway(first) else first,
        hazard=event.hazard,
        state=State.OPEN,
        condition=Condition.ACTIVE,
        level=event.level,
        rank=event.rank,
        peak_rank=event.rank,
        phase=str(event.phase),
        holding_level=event.level,
        holding_rank=event.rank,
        onset_ms=event.time_ms,
        opened_ms=time_ms,
        changed_ms=time_ms,
        opened_seq=seq,
        last_seq=seq,
        levels={event.level: event.rank},
        basis=_basis(event),
    )
    if event.retrospective:
        return lookback.opened(state, event)
    return replace(state, steps=(_step(event),))


def after_event(state: WarningState, event: ConditionEvent, seq: int, time_ms: int) -> WarningState:
    """Return a warning after a further event of its condition."""
    state = replace(state, changed_ms=time_ms, last_seq=seq)
    if event.level:
        state = replace(state, levels={**state.levels, event.level: event.rank})
    if event.retrospective:
        return lookback.after(state, event)
    if event.phase is Phase.REFUTED:
        if not state.steps and state.phase == Phase.SETTLED:
            return state  # what had settled and returned is not made a false alarm afterwards
        return _held(state, _without(state.steps, event.provisional_id), Condition.REFUTED)
    if event.change in _RISING:
        return _risen(state, event)
    if event.reason == Cause.RULE_WITHDRAWN:
        return _withdrawn(state, event)
    if event.change is Change.RETURNED:
        return _held(state, (), Condition.RETURNED)
    kept = tuple(step for step in state.steps if step.rank < event.rank)
    return _held(state, (*kept, _step(event)), Condition.EASED)


def after_act(state: WarningState, record: Record) -> WarningState:
    """Return a warning after a person's act; whether it was allowed is `acts.refusal`."""
    content = record.content
    mark = Mark(record.actor, record.time_ms, content["note"])
    state = replace(state, changed_ms=record.time_ms, last_seq=record.seq)
    if record.kind == Kind.ACKNOWLEDGED:
        return replace(state, state=State.ACKNOWLEDGED, acknowledged=mark)
    if record.kind == Kind.CLOSED:
        return replace(state, state=State.CLOSED, closed=mark)
    level = content["level"]
    lowered = replace(state, level=level, rank=state.levels[level], lowered=mark)
    return _held(lowered, lowered.steps, lowered.condition)


def after(state: WarningState | None, record: Record) -> WarningState | None:
    """Return the warning of a line after that line; the whole fold is this, line by line."""
    if record.kind == Kind.EVENT:
        event = event_of(record.content["event"])
        if state is not None:
            return after_event(state, event, record.seq, record.time_ms)
        return opened(event, record.seq, record.time_ms) if record.warning else None
    return state if state is None else after_act(state, record)


def _risen(state: WarningState, event: ConditionEvent) -> WarningState:
    confirmed = next((s for s in state.steps if s.event == event.provisional_id), None)
    news = confirmed is None or event.rank > confirmed.rank
    before = state.holding_rank
    refuted = state.condition is Condition.REFUTED
    onset = event.time_ms if refuted else min(state.onset_ms, event.time_ms)
    steps = (*(step for step in state.steps if not _covers(event, step)), _step(event))
    if state.state is not State.CLOSED and news:
        if event.rank > state.rank:
            peak = max(state.peak_rank, event.rank)
            state = replace(state, level=event.level, rank=event.rank, peak_rank=peak)
            state = replace(state, state=State.OPEN)
        elif event.rank == state.rank and event.rank > before:
            # It had come down and is back: the acknowledgement was of the rise before.
            state = replace(state, state=State.OPEN)
    return _held(replace(state, onset_ms=onset), steps, Condition.ACTIVE)


def _rescaled(state: WarningState, labels: Sequence[str], rank: int) -> WarningState:
    """Return the state on the ladder of the version in force: ranks of two ladders are no like.

    A level keeps its place by its word; one that the ladder does not have any more stands where
    the version in force does, so that whatever rises from there is news.

    Args:
        state: before the change.
        labels: of the version in force, lowest first.
        rank: the level that it holds, 0 for none.
    """
    levels = {label: place for place, label in enumerate(labels, 1)}
    on_record = levels.get(state.level, rank)
    return replace(state, rank=on_record, peak_rank=on_record, levels=levels)


def _withdrawn(state: WarningState, event: ConditionEvent) -> WarningState:
    """Return the state without what a version held that is out of force.

    What its successor has said stays, be it provisional: that is in force.
    """
    successor, labels = event.evidence.get("successor"), event.evidence.get("levels", ())
    if labels:
        state = _rescaled(state, labels, event.rank)
    kept = tuple(step for step in state.steps if step.rule == successor)
    if event.rank and all(step.rank != event.rank for step in kept):
        kept = (*kept, _step(event))
    return _held(state, kept, Condition.RETURNED)


def _held(state: WarningState, steps: tuple[Step, ...], empty: Condition) -> WarningState:
    """Return the state with these steps holding; `empty` says why, where none does."""
    steps = tuple(sorted(steps, key=lambda step: step.rank))
    if not steps:
        refuted = empty is Condition.REFUTED
        phase = str(Phase.REFUTED) if refuted else state.phase
        return replace(
            state, steps=(), condition=empty, phase=phase, holding_level="", holding_rank=0
        )
    top = steps[-1]
    return replace(
        state,
        steps=steps,
        condition=Condition.EASED if top.rank < state.rank else Condition.ACTIVE,
        phase=top.phase,
        basis=top.basis,
        holding_level=top.level,
        holding_rank=top.rank,
    )


def _covers(event: ConditionEvent, step: Step) -> bool:
    """Tell whether a rising event stands in for a step: its like, or a guess it settles."""
    guess = event.phase is Phase.SETTLED and step.phase == Phase.PROVISIONAL
    return step.rank == event.rank or (guess and step.rank < event.rank)


def _without(steps: tuple[Step, ...], event_id: str) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.event != event_id)


def _basis(event: ConditionEvent) -> str:
    return str(event.evidence.get("basis", OBSERVED))


def _step(event: ConditionEvent) -> Step:
    return Step(
        event.id,
        event.rank,
        event.level,
        str(event.phase),
        event.time_ms,
        event.reason,
        event.rule,
        _basis(event),
    )
