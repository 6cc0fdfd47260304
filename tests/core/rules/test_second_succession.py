"""Joint rules that are edited or withdrawn while their level holds."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.changebook import lived, warmed
from rig.jointbook import NESTED, PLACES, QUIET, RAIN, RIVER, RIVERS, VOTE, VOTED, of, rules, scene
from rig.rulebook import Arrival, at, fold_of, play

from egret_core.rules.event import Change as Is
from egret_core.rules.event import settled_hash
from egret_core.rules.step import Change, Fold, Receipt, Tick, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule

    Events = list[ConditionEvent]

# Two of three at orange from 300 s on.
ITEMS = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600)
PAST = [Arrival(item.received_ms, item.readings[0]) for item in ITEMS if isinstance(item, Receipt)]
CHANGE_S = 805
AFTER = [Tick(at(CHANGE_S + 5 + 10 * n)) for n in range(30)]
HIGHER = RIVER.replace("raise = 4.0", "raise = 4.6")  # orange is not reached any more
AREA = """
[[rule]]
id = "basin"
pack = "generic-area"
area = "upper"
inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl", "st3/wl"] }]
parameters = { need = 2, stale_s = 900 }
"""
FUSION = """
[[rule]]
id = "agreed"
pack = "two-families-red"
inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl"] }]
parameters = { stale_s = 900 }
"""
CHAIN = """
[[rule]]
id = "wave"
pack = "generic-chain"
inputs = [{ rule = "river", name = "up", channels = ["st1/wl"] },
          { rule = "river", name = "down", channels = ["st2/wl"] }]
[rule.parameters]
levels = ["yellow", "orange"]
stages = [{ input = "up", level = "yellow" },
          { input = "down", level = "yellow", after_s = 0, within_s = 900 }]
stale_s = 900
"""


def held(text: str = VOTE) -> Fold:
    fold = fold_of(PLACES, rules(text, RIVER))
    events = play(fold, ITEMS)
    assert of(events, rules(text, "" if not text else RIVER)[1].id)[-1].rank > 0
    return fold


def after(
    fold: Fold, new: Sequence[BoundRule]
) -> tuple[list[ConditionEvent], list[ConditionEvent]]:
    """Change the rules and warm them; return what the change said, and the ticks after it."""
    at_once = step(fold, Change(PLACES, new, at(CHANGE_S)))[1]
    warmed(fold, PAST, at(CHANGE_S))
    return at_once, play(fold, AFTER)


def told(events: Sequence[ConditionEvent], rule: str = "vote") -> list[tuple[str, str, str]]:
    return [(str(one.change), one.level, one.reason) for one in of(events, rule)]


@pytest.mark.parametrize(
    ("text", "rule", "subject"),
    [
        (VOTE, "vote", "area/vote"),
        (AREA, "basin", "area/upper"),
        (FUSION, "agreed", "area/agreed"),
        (CHAIN, "wave", "area/wave"),
    ],
)
def test_a_withdrawn_joint_rule_gives_its_level_up(text: str, rule: str, subject: str) -> None:
    fold = held(text)
    at_once, later = after(fold, rules("", RIVER))
    (said,) = at_once
    assert told(at_once, rule) == [("returned", "", "rule_withdrawn")]
    assert (said.subject, said.time_ms, said.evidence["held_level"]) == (
        subject,
        at(CHANGE_S),
        "orange",
    )
    assert later == []


def test_with_its_inputs_it_goes_as_a_whole() -> None:
    at_once, later = after(held(), ())
    assert sorted(one.subject for one in at_once) == ["area/vote", "st1/wl", "st2/wl"]
    assert {(one.change, one.reason) for one in at_once} == {(Is.RETURNED, "rule_withdrawn")}
    assert later == []


def test_an_edited_vote_that_still_holds_goes_on() -> None:
    at_once, later = after(held(), rules(VOTE.replace("need = 2", "need = 1"), RIVER))
    assert at_once == []
    assert told(later) == [("raised", "orange", "inputs_hold")]


def test_an_edited_vote_that_cannot_hold_gives_its_level_up() -> None:
    new = rules(VOTE.replace("need = 2", "need = 3"), RIVER)
    at_once, later = after(held(), new)
    assert at_once == []
    assert told(later) == [("returned", "", "rule_withdrawn")]
    assert of(later)[0].evidence == {"held_level": "orange", "successor": new[1].name}
    assert of(later)[0].rule == VOTED[1].name


def test_an_edited_input_takes_its_vote_along_once_its_history_is_in() -> None:
    at_once, later = after(held(), rules(VOTE, RIVER.replace("raise = 4.0", "raise = 4.2")))
    assert at_once == []
    assert told(later) == [("raised", "orange", "inputs_hold")]
    assert told(later, "river") == [("raised", "orange", "at_or_above")] * 2


def test_an_edited_input_that_holds_less_makes_its_vote_hold_less() -> None:
    at_once, later = after(held(), rules(VOTE, HIGHER))
    assert at_once == []
    assert told(later, "river")[:2] == [
        ("eased", "yellow", "rule_withdrawn"),
        ("raised", "yellow", "at_or_above"),
    ]
    assert told(later) == [
        ("raised", "yellow", "inputs_hold"),
        ("eased", "yellow", "rule_withdrawn"),
    ]


def test_a_rule_over_a_withdrawn_vote_goes_with_it() -> None:
    text = NESTED.replace(', storm = "yellow"', "").replace(
        ', { rule = "rain", name = "storm" }', ""
    )
    fold = held(text)
    assert {one.rule.partition("@")[0]: one.rank for one in fold.second.verdicts} == {
        "vote": 3,
        "top": 1,
    }
    at_once, later = after(fold, rules("", RIVER))
    assert sorted(one.rule.partition("@")[0] for one in at_once) == ["top", "vote"]
    assert later == []


def test_a_place_that_changed_is_left_with_no_level_and_the_new_one_gets_its_own() -> None:
    moved = rules(
        VOTE.replace('pack = "generic-vote"', 'pack = "generic-vote"\narea = "new"'), RIVER
    )
    assert moved[1].name == VOTED[1].name
    at_once, later = after(held(), moved)
    assert [(one.subject, one.change) for one in at_once] == [("area/vote", Is.RETURNED)]
    assert [(one.subject, one.change) for one in of(later)] == [("area/new", Is.RAISED)]


def test_a_second_edit_before_the_first_was_judged_ends_the_level_once() -> None:
    fold = held()
    first = rules(VOTE.replace("need = 2", "need = 3"), RIVER)
    assert step(fold, Change(PLACES, first, at(CHANGE_S)))[1] == []
    said = step(fold, Change(PLACES, rules("", RIVER), at(CHANGE_S + 5)))[1]
    assert [(one.rule, one.change) for one in said] == [(VOTED[1].name, Is.RETURNED)]


def test_a_second_edit_after_it_has_gone_on_ends_the_level_of_the_newer_version() -> None:
    fold = held()
    first = rules(VOTE.replace("need = 2", "need = 1"), RIVER)
    step(fold, Change(PLACES, first, at(CHANGE_S)))
    warmed(fold, PAST, at(CHANGE_S))
    assert told(play(fold, AFTER)) == [("raised", "orange", "inputs_hold")]
    said = step(fold, Change(PLACES, rules("", RIVER), at(CHANGE_S + 900)))[1]
    assert [(one.rule, one.change) for one in said] == [(first[1].name, Is.RETURNED)]


@pytest.mark.parametrize(
    "new",
    [
        rules("", RIVER),
        rules(VOTE.replace("need = 2", "need = 3"), RIVER),
        rules(VOTE, HIGHER),
        rules(VOTE, RIVER + RAIN),
    ],
    ids=["withdrawn", "holds nothing", "holds less", "untouched"],
)
def test_a_restart_at_any_step_says_the_same_once(new: Sequence[BoundRule]) -> None:
    items = [*ITEMS, Change(PLACES, new, at(CHANGE_S)), *AFTER]
    whole = lived(PLACES, VOTED, items, PAST, -1)
    assert len({one.id for one in whole}) == len(whole)
    for kill_at in range(len(ITEMS) - 2, len(ITEMS) + len(AFTER) + 1):
        other = lived(PLACES, VOTED, items, PAST, kill_at)
        assert [one.id for one in other] == [one.id for one in whole]
        assert settled_hash(other) == settled_hash(whole)


def test_state_from_before_there_were_elders_has_none() -> None:
    fold = held()
    disk = {key: body for key, body in fold.changed().items() if body is not None}
    older = json.loads(disk["area/vote"])
    del older["elder"]
    again = Fold()
    step(again, Change(PLACES, VOTED, 0))
    again.restore({**disk, "area/vote": json.dumps(older).encode()})
    assert again.second.verdicts[0].rank == 3
    assert again.second.verdicts[0].succeed() == []


def test_the_other_verdicts_hear_nothing_of_it() -> None:
    """The level of an input that changed its channel's datum is given up once, by agreement."""
    fold = held()
    moved = [replace(one, datum="New") if one == RIVERS[1] else one for one in PLACES]
    at_once = step(fold, Change(moved, VOTED, at(CHANGE_S)))[1]
    assert [(one.subject, one.reason) for one in at_once] == [("st2/wl", "rule_withdrawn")]
    assert told(play(fold, AFTER)) == [("returned", "", "inputs_eased")]


def test_a_joint_rule_that_was_put_back_says_its_level_anew() -> None:
    fold = held()
    first = [one for one in play(fold_of(PLACES, VOTED), ITEMS) if one.subject == "area/vote"]
    after(fold, ())
    step(fold, Change(PLACES, VOTED, at(CHANGE_S + 400)))
    warmed(fold, PAST, at(CHANGE_S + 400))
    said = of(play(fold, [Tick(at(CHANGE_S + 405 + 10 * n)) for n in range(40)]))
    assert [(one.level, one.time_ms) for one in said] == [("orange", at(300))]
    assert said[0].evidence["in_force_ms"] == at(CHANGE_S + 400)
    assert (said[0].time_ms, said[0].rule) == (first[-1].time_ms, first[-1].rule)
    assert said[0].id != first[-1].id, "the ledger would ignore it as known"
