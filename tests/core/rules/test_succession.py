"""A level that holds when its rule is edited or withdrawn is told as ended, and never as low."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.changebook import GAUGE, RIVER, changed, lived
from rig.packbook import of_pack, totals
from rig.rulebook import (
    FOUR,
    GATEWAY,
    at,
    bound,
    brief,
    fold_of,
    ladder,
    play,
    prompt,
    rain,
    reading,
    timeline,
)

from egret_core.rules.event import Change as Is
from egret_core.rules.event import ConditionEvent, Phase, settled_hash
from egret_core.rules.model import Family
from egret_core.rules.step import Change, Fold, Receipt, Tick, step
from egret_core.rules.succession import Elder, elder_of, id_of, restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.model import BoundRule, LadderLaw

COLOURS = ("blue", "yellow", "orange", "red")
LEVEL = bound(ladder(*FOUR), Family.LEVEL, RIVER)
PAST = prompt([reading(60 * n, 2.0 if n < 3 else 4.2) for n in range(10)])  # orange from 180 on
CHANGE_S = 605
BEFORE = timeline(PAST, tail_s=60)
AFTER = [Tick(at(CHANGE_S + 5 + 10 * n)) for n in range(20)]


def edited(law: LadderLaw, version: str = "v2") -> BoundRule:
    return replace(bound(law, Family.LEVEL, RIVER), version=version)


def raised(rules: Sequence[BoundRule] = (LEVEL,)) -> Fold:
    """Return a fold in which the river is at orange."""
    fold = fold_of((RIVER, GAUGE), rules)
    assert brief(play(fold, BEFORE)) == [("raised", "orange", 180)]
    return fold


def told(events: Sequence[ConditionEvent]) -> list[tuple[str, str, str, float]]:
    return [
        (one.rule, str(one.change), one.level, (one.time_ms - at(0)) / 1000)
        for one in events
        if one.phase is Phase.SETTLED
    ]


def test_a_withdrawn_rule_gives_up_its_level_once_and_is_no_fall() -> None:
    fold = raised()
    (said,) = changed(fold, (), CHANGE_S, PAST)
    assert (said.rule, said.subject, said.hazard) == ("level@v1", "st1/wl", "level")
    assert (said.change, said.phase) == (Is.RETURNED, Phase.SETTLED)
    assert (said.level, said.rank, said.time_ms) == ("", 0, at(CHANGE_S))
    assert said.reason == "rule_withdrawn"
    assert said.evidence == {"held_level": "orange"}
    assert play(fold, AFTER) == []
    assert changed(fold, (), CHANGE_S + 300, PAST) == []


def test_a_rule_that_holds_nothing_goes_without_a_word() -> None:
    fold = fold_of((RIVER,), [LEVEL])
    play(fold, timeline(prompt([reading(60 * n, 2.0) for n in range(5)])))
    assert changed(fold, (), CHANGE_S, (), RIVER) == []


def test_what_had_returned_before_does_not_return_again() -> None:
    fold = raised()
    low = [reading(620 + 60 * n, 1.0) for n in range(3)]
    assert brief(play(fold, timeline(prompt(low)))) == [("returned", "", 620)]
    assert changed(fold, (), 900, PAST) == []


@pytest.mark.parametrize("case", ["unbound", "gone", "another datum"])
def test_a_channel_that_its_rule_loses_gives_its_level_up(case: str) -> None:
    fold = raised()
    places = {
        "unbound": (RIVER, GAUGE),
        "gone": (GAUGE,),
        "another datum": (replace(RIVER, datum="New"), GAUGE),
    }[case]
    rule = replace(LEVEL, channels=()) if case != "another datum" else LEVEL
    said = step(fold, Change(places, [rule], at(CHANGE_S)))[1]
    assert told(said) == [("level@v1", "returned", "", CHANGE_S)]
    assert [one.reason for one in said] == ["rule_withdrawn"]
    assert told(play(fold, AFTER)) == []


def test_a_guess_is_taken_back_before_what_had_settled_is_given_up() -> None:
    fold = raised()
    (guess,) = step(fold, Receipt(GATEWAY, at(601), [reading(600, 5.5)]))[1]
    said = changed(fold, (), CHANGE_S, PAST)
    assert [(one.phase, one.change, one.provisional_id) for one in said] == [
        (Phase.REFUTED, Is.RAISED, guess.id),
        (Phase.SETTLED, Is.RETURNED, ""),
    ]


def test_an_edited_rule_whose_level_still_holds_goes_on() -> None:
    fold = raised()
    lower = edited(ladder(("blue", 2.9, 2.7), *FOUR[1:]))
    assert changed(fold, [lower], CHANGE_S, PAST) == []
    assert told(play(fold, AFTER)) == [("level@v2", "raised", "orange", 180)]


def test_an_edited_rule_that_holds_less_gives_way_to_what_it_holds() -> None:
    fold = raised()
    higher = edited(ladder(*FOUR[:2], ("orange", 4.5, 4.3), FOUR[3]))
    assert changed(fold, [higher], CHANGE_S, PAST) == []
    said = play(fold, AFTER)
    assert told(said) == [
        ("level@v1", "eased", "yellow", CHANGE_S),
        ("level@v2", "raised", "yellow", 180),
    ]
    assert said[0].evidence == {"held_level": "orange", "successor": "level@v2"}
    assert (said[0].reason, said[0].rank) == ("rule_withdrawn", 2)


def test_an_edited_rule_that_holds_nothing_gives_the_level_up() -> None:
    fold = raised()
    assert changed(fold, [edited(ladder(("blue", 6.0, 5.8)))], CHANGE_S, PAST) == []
    said = play(fold, AFTER)
    assert told(said) == [("level@v1", "returned", "", CHANGE_S)]
    assert said[0].evidence == {
        "held_level": "orange",
        "successor": "level@v2",
        "levels": ["blue"],
    }


def test_a_rung_that_is_gone_leaves_the_one_below_it() -> None:
    fold = raised()
    changed(fold, [edited(ladder(*FOUR[:2], FOUR[3]))], CHANGE_S, PAST)
    assert told(play(fold, AFTER))[0] == ("level@v1", "eased", "yellow", CHANGE_S)


def test_a_level_that_changed_its_place_among_the_rungs_is_known_by_its_word() -> None:
    fold = raised()
    changed(fold, [edited(ladder(FOUR[2], FOUR[3]))], CHANGE_S, PAST)
    assert told(play(fold, AFTER)) == [
        ("level@v1", "eased", "orange", CHANGE_S),  # its rank is another one now
        ("level@v2", "raised", "orange", 180),
    ]


def test_without_history_the_level_is_given_up_before_the_new_version_speaks() -> None:
    fold = raised()
    assert step(fold, Change((RIVER, GAUGE), [edited(ladder(*FOUR))], at(CHANGE_S)))[1] == []
    rows = [reading(610, 4.2), reading(645, 4.2)]
    said = step(fold, Receipt(GATEWAY, at(646), rows))[1]
    assert told(said) == [
        ("level@v1", "returned", "", CHANGE_S),
        ("level@v2", "raised", "orange", 610),
    ]
    assert told(play(fold, AFTER)) == []


def test_history_that_cannot_be_read_leaves_no_level_behind() -> None:
    fold = raised()
    step(fold, Change((RIVER, GAUGE), [edited(ladder(*FOUR))], at(CHANGE_S)))
    for warmup in fold.cold:
        warmup.begin()
        warmup.abandon()
    assert told(play(fold, AFTER)) == [("level@v1", "returned", "", CHANGE_S)]


def test_of_two_edits_at_once_the_last_one_speaks_for_the_first() -> None:
    fold = raised()
    changed(fold, [edited(ladder(("blue", 6.0, 5.8)))], CHANGE_S, PAST)
    changed(fold, [edited(ladder(*FOUR), "v3")], CHANGE_S + 1, PAST)
    assert told(play(fold, AFTER)) == [("level@v3", "raised", "orange", 180)]


def test_an_edit_that_is_withdrawn_at_once_gives_up_what_the_first_version_held() -> None:
    fold = raised()
    assert changed(fold, [edited(ladder(*FOUR))], CHANGE_S, PAST) == []
    said = changed(fold, (), CHANGE_S + 1, PAST)
    assert told(said) == [("level@v1", "returned", "", CHANGE_S)]
    assert play(fold, AFTER) == []


def test_a_version_that_never_spoke_has_nothing_to_give_up() -> None:
    fold = fold_of((RIVER, GAUGE), ())
    play(fold, BEFORE)
    changed(fold, [LEVEL], CHANGE_S, PAST)
    assert changed(fold, (), CHANGE_S + 1, PAST) == []


def test_rain_and_an_index_give_their_levels_up_as_well() -> None:
    storm = bound(rain(("orange", 1, 1, 20)), Family.RAIN, GAUGE)
    soil = of_pack("jma-soil-water", GAUGE, 'levels = [{ level = "yellow", raise = 20 }]\n')
    fold = fold_of((RIVER, GAUGE), [storm, soil])
    rows = [reading(second, mm, GAUGE) for second, mm in totals([30.0] * 600, 600)]
    play(fold, timeline(prompt(rows)))
    said = changed(fold, (), 400_000, ())
    assert sorted((one.rule, one.evidence["held_level"]) for one in said) == [
        (soil.name, "yellow"),
        (storm.name, "orange"),
    ]
    assert {(one.change, one.reason) for one in said} == {(Is.RETURNED, "rule_withdrawn")}


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (edited(ladder(*FOUR)),),
        (edited(ladder(("blue", 3.0, 2.8), ("yellow", 6.0, 5.8))),),
        (edited(ladder(("blue", 6.0, 5.8))),),
    ],
    ids=["withdrawn", "goes on", "holds less", "holds nothing"],
)
def test_a_restart_at_any_step_of_a_change_says_the_same_once(rules: Sequence[BoundRule]) -> None:
    places = (RIVER, GAUGE)
    items = [*BEFORE, Change(places, rules, at(CHANGE_S)), *AFTER]
    whole = lived(places, [LEVEL], items, PAST, -1)
    last = len(BEFORE) + len(AFTER)
    assert len({one.id for one in whole}) == len(whole)
    for kill_at in range(last + 1):
        other = lived(places, [LEVEL], items, PAST, kill_at)
        assert [one.id for one in other] == [one.id for one in whole]
        assert settled_hash(other) == settled_hash(whole)


def elder(level: str, levels: Sequence[str] = COLOURS) -> Elder:
    rank = levels.index(level) + 1
    return Elder("river@v1", "st1/wl", "level", rank, at(0), tuple(levels))


@pytest.mark.parametrize(
    ("held", "rank", "levels", "goes_on"),
    [
        ("orange", 3, COLOURS, True),
        ("orange", 4, COLOURS, True),
        ("orange", 2, COLOURS, False),
        ("orange", 1, ("orange",), True),
        ("orange", 1, ("red",), True),  # its word stood above
        ("orange", 1, ("yellow",), False),
        ("orange", 2, ("prepare", "orange"), True),
        ("orange", 1, ("prepare", "orange"), False),
        ("orange", 3, ("prepare", "orange", "move now"), True),  # above the word that held
        ("yellow", 2, ("a", "b"), True),  # no word in common: by rank
        ("orange", 2, ("a", "b"), False),
    ],
)
def test_levels_of_two_ladders_are_compared_by_their_words_first(
    held: str, rank: int, levels: Sequence[str], *, goes_on: bool
) -> None:
    said = elder(held).after("river@v2", rank, levels)
    assert elder(held)._goes_on(rank, levels) is goes_on
    assert (said == []) is (goes_on and levels == COLOURS)
    if said:
        assert (said[0].change, said[0].rank) == (Is.EASED, rank)
        assert said[0].level == levels[rank - 1]
        assert said[0].evidence.get("levels", list(COLOURS)) == list(levels), (
            "ranks are of a ladder"
        )


def test_an_elder_comes_back_from_json() -> None:
    one = elder("orange")
    assert restored(json.loads(json.dumps(one))) == one
    assert one.level == "orange"
    assert id_of("river@v1") == "river"


def test_what_holds_nothing_is_no_elder() -> None:
    fold = fold_of((RIVER,), [LEVEL])
    (detector,) = fold.channels["st1"]["wl"].detectors
    assert elder_of(detector, at(0)) is None


def test_a_level_of_a_rule_that_was_put_back_is_said_anew() -> None:
    fold = raised()
    changed(fold, (), CHANGE_S, PAST)
    changed(fold, [LEVEL], CHANGE_S + 60, PAST)
    (said,) = play(fold, [Tick(at(CHANGE_S + 65 + 10 * n)) for n in range(9)])
    assert (said.rule, said.change, said.time_ms) == ("level@v1", Is.RAISED, at(180))
    assert said.evidence["held_before"] is True
    assert said.evidence["in_force_ms"] == at(CHANGE_S + 60)
    older = {k: v for k, v in said.evidence.items() if k not in ("held_before", "in_force_ms")}
    assert replace(said, evidence=older).id != said.id, "the ledger would ignore it as known"
