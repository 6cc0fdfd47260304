"""What judgement says: a condition began, rose, eased or ended, and why.

A condition event is deterministic: the same readings and rules give the same id, so that it can
be inserted or ignored. Equality of two runs is `settled_hash`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORECAST = "forecast"  # basis in the evidence of what no reading has reached yet
RETROSPECTIVE = "retrospective"  # true in the evidence of an event of the past
HELD_BEFORE = "held_before"  # true in the evidence of what held before its rule took effect
_ID_B = 16  # bytes of SHA-256 in an event id: 2**64 events before a likely collision


class Phase(StrEnum):
    """How sure an event is."""

    PROVISIONAL = "provisional"  # one good reading decided it; later ones may still arrive
    SETTLED = "settled"  # no reading within the allowed lateness can change it
    REFUTED = "refuted"  # a provisional event that proved false


class Change(StrEnum):
    """What an event says of its condition."""

    RAISED = "raised"  # from no level to one
    UPGRADED = "upgraded"  # to a higher one
    EASED = "eased"  # a lower level holds now: a proposal, a person lowers
    RETURNED = "returned"  # no level holds any more: a proposal, a person closes


@dataclass(frozen=True, slots=True)
class ConditionEvent:
    """One step of one condition.

    Attributes:
        rule: rule id and version, ``river-level@1a2b3c4d``.
        subject: what it is about: ``station/channel``, ``gateway/ID``, ``area/NAME``, ``centre``.
        hazard: family of the rule: ``level``, ``rain``, ``absence``, ``ticks``.
        change: what happened; phase: how sure.
        level: label of the level now holding, "" after `returned`; the pack's word.
        rank: 1 for the lowest level, 0 after `returned`.
        time_ms: event time: the earliest time at which it qualified.
        reason: named reason, e.g. ``at_or_above``, ``sum_over_window``, ``no_good_reading``.
        evidence: the numbers behind it, JSON, each with its unit in the key.
        provisional_id: of the provisional event this one settles or refutes, "" for none.
    """

    rule: str
    subject: str
    hazard: str
    change: Change
    phase: Phase
    level: str
    rank: int
    time_ms: int
    reason: str
    evidence: Mapping[str, Any]
    provisional_id: str = ""

    @property
    def retrospective(self) -> bool:
        """Whether it was found in late readings, by the second fold."""
        return bool(self.evidence.get(RETROSPECTIVE))

    @property
    def id(self) -> str:
        """Deterministic id: the rule, subject, change, phase, level and event time.

        One of the past has another than a live one has, whatever else is the same; so has what
        a rule that was put back says again of a level that was given up meanwhile.
        """
        parts = [self.rule, self.subject, self.change, self.phase, self.level, self.time_ms]
        if self.retrospective:
            parts.append(RETROSPECTIVE)
        if self.evidence.get(HELD_BEFORE):
            parts.append(self.evidence["in_force_ms"])
        text = json.dumps([str(part) for part in parts])
        return hashlib.sha256(text.encode()).digest()[:_ID_B].hex()


def held_before(in_force_ms: int) -> dict[str, Any]:
    """Return what the evidence says of a level that held before its rule took effect then."""
    return {"in_force_ms": in_force_ms, HELD_BEFORE: True}


def is_forecast(evidence: Mapping[str, Any]) -> bool:
    """Tell whether a level was reached by a forecast, and not by a reading yet."""
    return bool(evidence.get("basis") == FORECAST)


def last_fall_ms(fell_ms: int, events: Iterable[ConditionEvent]) -> int:
    """Return when a level last came down: `fell_ms`, or later by one of these events."""
    falls = (one.time_ms for one in events if one.change in (Change.EASED, Change.RETURNED))
    return max((fell_ms, *falls))


def settled_hash(events: Iterable[ConditionEvent]) -> str:
    """Return SHA-256 over the settled events: equal for equal judgements.

    Sorted by event time, rule and subject; without provisional ids, processing times or actors.
    """
    rows = sorted(
        (
            event.time_ms,
            event.rule,
            event.subject,
            event.rank,
            str(event.change),
            event.level,
            event.reason,
            json.dumps(event.evidence, sort_keys=True),
        )
        for event in events
        if event.phase is Phase.SETTLED
    )
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
