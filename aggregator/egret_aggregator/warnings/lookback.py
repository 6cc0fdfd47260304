"""Events of the past: found in late readings by the second fold. Pure.

None of them says that anything holds now, so none raises a live warning or takes one down. What
belongs to a live warning (the same rise, or a level that stood and holds) goes on its record
and may only make its onset earlier. The rest opens a retrospective warning, one for each rule,
subject and gap: its level is the highest that was reached, its onset is in the past, nothing holds
it, and a person closes it. A rise that a person closed is not opened again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from egret_aggregator.warnings.state import Condition, State
from egret_core.rules.event import Change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_aggregator.warnings.state import WarningState
    from egret_core.rules.event import ConditionEvent

_RISING = (Change.RAISED, Change.UPGRADED)


def gap_of(event: ConditionEvent) -> int | None:
    """Return the start of the gap that it was found in, ms; None for a live event."""
    return int(event.evidence["gap_from_ms"]) if event.retrospective else None


def place(event: ConditionEvent, known: Sequence[WarningState]) -> WarningState | None:
    """Return the warning that an event of the past belongs to, None where it opens one or none.

    Args:
        event: of the second fold.
        known: warnings of its rule and subject, closed ones too, the newest first.
    """
    gap_ms = gap_of(event)
    ours = [state for state in known if state.gap_from_ms == gap_ms]
    live = [state for state in known if not state.retrospective]
    if event.change not in _RISING:
        return ours[0] if ours else None
    for state in live:
        if state.peak_rank >= event.rank and _same_rise(event, state):
            return state
    for state in live:
        stood = state.state is not State.CLOSED and state.onset_ms <= (gap_ms or 0)
        if stood and any(step.rank >= event.rank for step in state.steps):
            return state
    for state in ours:
        if state.state is not State.CLOSED or state.peak_rank >= event.rank:
            return state
    return None


def opened(state: WarningState, event: ConditionEvent) -> WarningState:
    """Return a warning that an event of the past has opened: nothing holds it now."""
    return _past(replace(state, gap_from_ms=gap_of(event)))


def after(state: WarningState, event: ConditionEvent) -> WarningState:
    """Return a warning after an event of the past, the level's word known already."""
    if event.change in _RISING:
        state = replace(state, onset_ms=min(state.onset_ms, event.time_ms))
    if not state.retrospective:
        return state
    if event.rank > state.rank and state.state is not State.CLOSED:
        peak = max(state.peak_rank, event.rank)
        state = replace(state, level=event.level, rank=event.rank, peak_rank=peak, state=State.OPEN)
    return _past(state)


def _past(state: WarningState) -> WarningState:
    return replace(state, condition=Condition.RETURNED, steps=(), holding_level="", holding_rank=0)


def _same_rise(event: ConditionEvent, state: WarningState) -> bool:
    """Tell whether a live warning began with the rise that the event shows the beginning of."""
    until_ms = event.evidence.get("same_rise_until_ms")
    gap_ms = gap_of(event)
    return until_ms is not None and gap_ms is not None and gap_ms < state.onset_ms <= until_ms
