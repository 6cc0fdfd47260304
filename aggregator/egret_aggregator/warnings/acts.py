"""What a person may do with a warning, and the named reason where it is refused. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from egret_aggregator.errors import AggregatorError
from egret_aggregator.warnings.record import Kind
from egret_aggregator.warnings.state import Condition, State

if TYPE_CHECKING:
    from egret_aggregator.warnings.state import WarningState

NOTE_MAX = 2000  # characters of a note: a page, and a line of the ledger stays small


class Refusal(StrEnum):
    """Why an act is refused; promised on the API as `code`."""

    UNKNOWN_WARNING = "unknown_warning"
    ALREADY_ACKNOWLEDGED = "already_acknowledged"
    WARNING_CLOSED = "warning_closed"
    NOTE_MISSING = "note_missing"
    NOTE_TOO_LONG = "note_too_long"
    UNKNOWN_LEVEL = "unknown_level"
    NOT_LOWER = "not_lower"
    CONDITION_HOLDS = "condition_holds"
    CHANGED_MEANWHILE = "changed_meanwhile"
    KEY_REUSED = "idempotency_key_reused"


class ActRefusedError(AggregatorError):
    """An act that was not recorded.

    Attributes:
        why: a `Refusal`; detail: one sentence for the person.
        state: the warning as it stands, None where there is none.
    """

    def __init__(self, why: Refusal, detail: str, state: WarningState | None = None) -> None:
        self.why = why
        self.detail = detail
        self.state = state
        super().__init__(f"{why}: {detail}")


@dataclass(frozen=True, slots=True)
class Act:
    """What a person asks for.

    Attributes:
        kind: `acknowledged`, `lowered` or `closed`; warning: its id.
        actor: `ROLE:NAME`; note: the person's words, needed to lower and to close.
        level: label to lower to, "" for the other acts.
        despite_condition: lower or close although the rule says that the level holds.
        key: the caller's idempotency key, "" for none.
        expected_seq: the newest line the person had seen, None where it does not matter.
    """

    kind: Kind
    warning: str
    actor: str
    note: str = ""
    level: str = ""
    despite_condition: bool = False
    key: str = ""
    expected_seq: int | None = None

    def content(self, state: WarningState) -> dict[str, Any]:
        """Return what the ledger records of the act on a warning that stands so."""
        return {
            "note": self.note,
            "level": self.level,
            "from_level": state.level,
            "holding_level": state.holding_level,
            "despite_condition": self.despite_condition,
        }


def check(state: WarningState | None, act: Act) -> WarningState:
    """Return the warning an allowed act applies to.

    Raises:
        ActRefusedError: with the named reason.
    """
    if state is None:
        raise ActRefusedError(Refusal.UNKNOWN_WARNING, f"there is no warning {act.warning!r}")
    if act.expected_seq is not None and act.expected_seq != state.last_seq:
        raise ActRefusedError(
            Refusal.CHANGED_MEANWHILE, f"the warning has changed: line {state.last_seq}", state
        )
    if state.state is State.CLOSED:
        mark = state.closed
        by = f" by {mark.by}" if mark else ""
        raise ActRefusedError(Refusal.WARNING_CLOSED, f"the warning was closed{by}", state)
    if len(act.note) > NOTE_MAX:
        raise ActRefusedError(Refusal.NOTE_TOO_LONG, f"at most {NOTE_MAX} characters", state)
    if act.kind is Kind.ACKNOWLEDGED:
        _check_acknowledge(state)
    else:
        _check_down(state, act)
    return state


def _check_acknowledge(state: WarningState) -> None:
    if state.state is State.ACKNOWLEDGED and state.acknowledged is not None:
        detail = f"acknowledged by {state.acknowledged.by}"
        raise ActRefusedError(Refusal.ALREADY_ACKNOWLEDGED, detail, state)


def _check_down(state: WarningState, act: Act) -> None:
    if not act.note.strip():
        raise ActRefusedError(Refusal.NOTE_MISSING, "say in `note` why it may come down", state)
    below = 0
    if act.kind is Kind.LOWERED:
        if act.level not in state.levels:
            known = ", ".join(sorted(state.levels, key=lambda label: state.levels[label]))
            raise ActRefusedError(
                Refusal.UNKNOWN_LEVEL, f"{act.level!r} is none of its levels: {known}", state
            )
        below = state.levels[act.level]
        if below >= state.rank:
            detail = f"{act.level!r} is not below {state.level!r}; levels rise by rule only"
            raise ActRefusedError(Refusal.NOT_LOWER, detail, state)
    holds = state.condition in (Condition.ACTIVE, Condition.EASED) and state.holding_rank > below
    if holds and not act.despite_condition:
        detail = (
            f"the rule says that {state.holding_level!r} holds; "
            "send `despite_condition: true` to take it down all the same"
        )
        raise ActRefusedError(Refusal.CONDITION_HOLDS, detail, state)
