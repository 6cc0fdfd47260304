"""Condition events: deterministic ids, and a hash that sees judgement and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egret_core.rules.event import Change, ConditionEvent, Phase, held_before, settled_hash

EVENT = ConditionEvent(
    rule="river-level@1a2b3c4d",
    subject="st1/wl",
    hazard="level",
    change=Change.RAISED,
    phase=Phase.SETTLED,
    level="blue",
    rank=1,
    time_ms=1795340000000,
    reason="at_or_above",
    evidence={"value_m": 3.01, "raise_m": 3.0},
)


def test_the_id_is_the_same_for_the_same_step_and_evidence_is_no_part_of_it() -> None:
    assert EVENT.id == replace(EVENT, evidence={}, provisional_id="x", reason="y").id
    assert len(EVENT.id) == 32


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "river-level@2"},
        {"subject": "st2/wl"},
        {"change": Change.UPGRADED},
        {"phase": Phase.PROVISIONAL},
        {"level": "red"},
        {"time_ms": 1795340000001},
    ],
)
def test_another_step_has_another_id(change: dict[str, object]) -> None:
    assert replace(EVENT, **change).id != EVENT.id  # type: ignore[arg-type]


def test_what_held_before_its_rule_took_effect_has_an_id_of_that_instant() -> None:
    taken_over = replace(EVENT, evidence={**EVENT.evidence, **held_before(1795340900000)})
    again = replace(EVENT, evidence={**EVENT.evidence, **held_before(1795340900001)})
    older = replace(EVENT, evidence={**EVENT.evidence, "in_force_ms": 1795340900000})
    assert len({EVENT.id, taken_over.id, again.id}) == 3
    assert older.id == EVENT.id, "ledgers of older programs keep their ids"


def test_the_hash_sees_settled_events_in_any_order() -> None:
    later = replace(EVENT, change=Change.RETURNED, level="", rank=0, time_ms=1795340900000)
    provisional = replace(EVENT, phase=Phase.PROVISIONAL)
    refuted = replace(EVENT, phase=Phase.REFUTED)
    assert settled_hash([EVENT, later]) == settled_hash([later, provisional, refuted, EVENT])
    assert settled_hash([EVENT]) == settled_hash([replace(EVENT, provisional_id="p")])


def test_the_hash_sees_a_changed_verdict() -> None:
    for changed in (replace(EVENT, evidence={"value_m": 3.02}), replace(EVENT, rank=2)):
        assert settled_hash([changed]) != settled_hash([EVENT])
    assert settled_hash([]) != settled_hash([EVENT])
