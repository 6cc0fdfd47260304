"""A warning whose rule was withdrawn: nothing holds it, and only a person closes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rig.events import event, guess
from rig.ledgers import opened

from egret_aggregator.database.warning_rows import Query
from egret_aggregator.warnings import audit, fold
from egret_aggregator.warnings.acts import Act, ActRefusedError, Refusal
from egret_aggregator.warnings.record import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.warnings.state import WarningState
    from egret_core.rules.event import ConditionEvent

NEW = "river-level@5e6f7a8b"


def withdrawn(change: str, rank: int, minute: int, **more: Any) -> ConditionEvent:
    evidence = {"held_level": "orange", **more}
    return replace(event(change, rank, minute), reason="rule_withdrawn", evidence=evidence)


def told(*events: ConditionEvent) -> WarningState:
    state = fold.opened(events[0], 1, 1000)
    for seq, one in enumerate(events[1:], 2):
        state = fold.after_event(state, one, seq, 1000 + seq)
    return state


def test_nothing_holds_it_and_its_level_stays_on_record() -> None:
    state = told(event("raised", 1), event("upgraded", 3, 1), withdrawn("returned", 0, 2))
    assert (state.state, state.condition) == ("open", "returned")
    assert (state.level, state.rank, state.holding_level) == ("orange", 3, "")
    assert state.steps == ()


def test_what_the_version_in_force_holds_takes_its_place() -> None:
    state = told(event("raised", 3), withdrawn("eased", 2, 2), event("raised", 2, 0, rule=NEW))
    assert (state.condition, state.holding_level) == ("eased", "yellow")
    assert [step.rule for step in state.steps] == [NEW]


def test_what_the_version_in_force_has_said_already_stays() -> None:
    settled = event("raised", 2, 1, rule=NEW)
    state = told(event("raised", 3), settled, withdrawn("eased", 2, 2, successor=NEW))
    assert (state.condition, state.holding_level) == ("eased", "yellow")
    assert [(step.rule, step.event) for step in state.steps] == [(NEW, settled.id)]


def test_a_guess_of_the_version_in_force_is_not_taken_down_with_the_old_one() -> None:
    early = guess("raised", 4, 1, rule=NEW)
    state = told(event("raised", 3), early, withdrawn("returned", 0, 2, successor=NEW))
    assert (state.condition, state.level, state.holding_level) == ("active", "red", "red")
    assert [step.event for step in state.steps] == [early.id]


async def test_it_is_closed_by_a_person_and_by_nothing_else(tmp_path: Path) -> None:
    first = event("raised", 3)
    close = Act(Kind.CLOSED, first.id, "officer:li", note="the gauge was taken out")
    async with opened(tmp_path / "egret.db") as (ledger, database):
        await ledger.take([first])
        with pytest.raises(ActRefusedError) as refused:
            await ledger.act(close)
        assert refused.value.why is Refusal.CONDITION_HOLDS
        end = withdrawn("returned", 0, 2)
        await ledger.take([end])
        await ledger.take([end])
        (state,) = await ledger.find(Query())
        assert (state.state, state.condition, state.level) == ("open", "returned", "orange")
        assert state.last_seq == 2
        acted = await ledger.act(close)
        assert (acted.state.state, acted.record.actor) == ("closed", "officer:li")
        assert not (await audit.verify(database)).findings


async def test_a_rise_under_the_new_version_goes_on_with_the_same_warning(tmp_path: Path) -> None:
    first = event("raised", 3)
    async with opened(tmp_path / "egret.db") as (ledger, _):
        await ledger.take([first, withdrawn("returned", 0, 2)])
        await ledger.take([event("raised", 3, 5, rule=NEW)])
        (state,) = await ledger.find(Query())
        assert (state.id, state.condition, state.holding_level) == (first.id, "active", "orange")


def test_what_a_version_before_held_goes_with_its_successor() -> None:
    higher = event("raised", 4, 1, rule=NEW)
    last = replace(withdrawn("returned", 0, 2), rule=NEW)
    state = told(event("raised", 3), higher, last)
    assert (state.condition, state.holding_level, state.steps) == ("returned", "", ())


def test_on_another_ladder_a_level_keeps_its_place_by_its_word() -> None:
    """Orange was the third of four, then the first of two: red above it is news all the same."""
    scale = ["orange", "red"]
    edited = replace(withdrawn("eased", 1, 2, successor=NEW, levels=scale), level="orange")
    red = replace(event("upgraded", 2, 3, rule=NEW), level="red")
    state = told(event("raised", 3), edited)
    assert (state.level, state.rank, state.condition) == ("orange", 1, "active")
    assert state.levels == {"orange": 1, "red": 2}
    risen = fold.after_event(replace(state, state="acknowledged"), red, 9, 9000)
    assert (risen.state, risen.level, risen.rank, risen.holding_level) == ("open", "red", 2, "red")


def test_a_level_that_the_ladder_in_force_lacks_hides_nothing_that_rises() -> None:
    edited = withdrawn("returned", 0, 2, successor=NEW, levels=["watch", "warning"])
    first = replace(event("raised", 1, 3, rule=NEW), level="watch")
    state = told(event("raised", 3), edited)
    assert (state.level, state.rank, state.condition) == ("orange", 0, "returned")
    risen = fold.after_event(state, first, 9, 9000)
    assert (risen.state, risen.level, risen.holding_level) == ("open", "watch", "watch")
