"""A warning on record: what it says now, and what it rests on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

OBSERVED = "observed"  # what no evidence says otherwise of


class State(StrEnum):
    """Where people stand with a warning."""

    OPEN = "open"  # nobody has acknowledged its level yet
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"  # by a person; a new rise is a new warning


class Condition(StrEnum):
    """Where the rule stands with it; below the level on record it is only a proposal."""

    ACTIVE = "active"  # the level on record, or a higher one, holds
    EASED = "eased"  # a lower level holds: lowering is proposed
    RETURNED = "returned"  # no level holds: closing is proposed
    REFUTED = "refuted"  # what raised it proved false: closing is proposed


class Step(NamedTuple):
    """A level that holds, and the event it rests on; one per rank.

    Attributes:
        event: id of the event; rank, level: its level; phase: how sure it is.
        time_ms: event time at which it qualified; reason: the rule's named reason.
        rule: rule id@version that judged; basis: what it rests on, `observed` or `forecast`.
    """

    event: str
    rank: int
    level: str
    phase: str
    time_ms: int
    reason: str
    rule: str
    basis: str = OBSERVED


class Mark(NamedTuple):
    """A person's act: by whom, when (the centre's clock), with which words."""

    by: str
    time_ms: int
    note: str


@dataclass(frozen=True, slots=True)
class WarningState:
    """The fold of one warning's ledger lines.

    Attributes:
        id: deterministic, the id of the condition event that opened it.
        rule: rule id without its version; subject: what it is about.
        station: id of the place, "" for a gateway, an area or the centre.
        hazard: family of the rule.
        state, condition: as people and as the rule see it.
        level, rank: on record: raised by rule, lowered by a person only.
        peak_rank: the highest rank it ever had on record.
        phase: how sure the highest level that holds is; `refuted` when nothing holds it.
        holding_level, holding_rank: what the rule says holds now, "" and 0 for none.
        onset_ms: event time at which it first qualified.
        opened_ms, changed_ms: first and last line's record time.
        opened_seq, last_seq: first and last line.
        steps: levels that hold, lowest first.
        levels: every level it has met, by label, with its rank.
        acknowledged, lowered, closed: the newest act of each kind.
        gap_from_ms: start of the gap in whose late readings it was found, None for a live one.
        basis: what the level that holds rests on: `observed`, or `forecast` as its evidence says.
    """

    id: str
    rule: str
    subject: str
    station: str
    hazard: str
    state: State
    condition: Condition
    level: str
    rank: int
    peak_rank: int
    phase: str
    holding_level: str
    holding_rank: int
    onset_ms: int
    opened_ms: int
    changed_ms: int
    opened_seq: int
    last_seq: int
    steps: tuple[Step, ...] = ()
    levels: Mapping[str, int] = field(default_factory=dict)
    acknowledged: Mark | None = None
    lowered: Mark | None = None
    closed: Mark | None = None
    basis: str = OBSERVED
    gap_from_ms: int | None = None

    @property
    def retrospective(self) -> bool:
        """Whether it is of the past: found in late readings."""
        return self.gap_from_ms is not None


def to_json(state: WarningState) -> dict[str, Any]:
    """Return a state as JSON values; `from_json` is its inverse."""
    body = asdict(state)
    body["steps"] = [list(s if s.basis != OBSERVED else s[:-1]) for s in state.steps]
    for name in ("acknowledged", "lowered", "closed"):
        mark: Mark | None = getattr(state, name)
        body[name] = None if mark is None else list(mark)
    if not state.retrospective:
        del body["gap_from_ms"]  # rows from before there were such warnings stay right
    if state.basis == OBSERVED:
        del body["basis"]  # rows and lines from before there was another stay right
    return body


def from_json(body: Mapping[str, Any]) -> WarningState:
    """Return the state in a body that `to_json` made."""
    known = {item.name for item in fields(WarningState)}
    facts = {key: value for key, value in body.items() if key in known}
    facts["state"] = State(facts["state"])
    facts["condition"] = Condition(facts["condition"])
    facts["steps"] = tuple(Step(*step) for step in facts["steps"])
    for name in ("acknowledged", "lowered", "closed"):
        facts[name] = None if facts[name] is None else Mark(*facts[name])
    return WarningState(**facts)


def summary(state: WarningState) -> dict[str, Any]:
    """Return what a line and the stream say of the warning after it: enough to show it."""
    body = {
        "id": state.id,
        "rule": state.rule,
        "subject": state.subject,
        "station": state.station,
        "hazard": state.hazard,
        "state": str(state.state),
        "condition": str(state.condition),
        "level": state.level,
        "rank": state.rank,
        "phase": state.phase,
        "holding_level": state.holding_level,
        "holding_rank": state.holding_rank,
        "onset_ms": state.onset_ms,
    }
    if state.retrospective:
        body["retrospective"] = True
    return body if state.basis == OBSERVED else {**body, "basis": state.basis}
