"""Changes of rules and channels under the second stage, and what it saves."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from rig.jointbook import (
    PLACES,
    QUIET,
    RAIN,
    RIVER,
    RIVERS,
    VOTE,
    VOTED,
    of,
    rules,
    scene,
)
from rig.rulebook import GATEWAY, START_MS, at, brief, fold_of, play, reading

from egret_core.rules.step import Change, Fold, Receipt, Tick, step


def test_a_new_joint_rule_takes_the_levels_that_hold_already() -> None:
    river = rules("", RIVER)
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600)
    fold = fold_of(PLACES, river)
    assert of(play(fold, items)) == []
    change_ms = at(800)
    events = step(fold, Change(PLACES, VOTED, change_ms))[1]
    events += play(fold, [Tick(at(s)) for s in range(810, 900, 10)])
    assert brief(of(events)) == [("raised", "orange", 800)]
    assert of(events)[0].evidence["inputs"][0]["since_ms"] == change_ms


def test_a_change_that_keeps_the_rule_keeps_its_state_and_says_nothing() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600)
    fold = fold_of(PLACES, VOTED)
    play(fold, items)
    events = step(fold, Change(PLACES, [*VOTED, *rules("", RAIN)], at(800)))[1]
    events += play(fold, [Tick(at(s)) for s in range(810, 900, 10)])
    assert of(events) == []
    assert fold.second.verdicts[0].rank == 3


def test_a_channel_that_became_another_gives_its_level_up() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600)
    fold = fold_of(PLACES, VOTED)
    play(fold, items)
    moved = [replace(one, datum="New") if one.name == "st2/wl" else one for one in PLACES]
    events = step(fold, Change(moved, VOTED, at(800)))[1]
    events += play(fold, [Tick(at(s)) for s in range(810, 900, 10)])
    assert brief(of(events)) == [("returned", "", 800)]


def test_an_edited_input_is_another_version_of_the_joint_rule() -> None:
    edited = rules(VOTE, RIVER.replace("raise = 4.0", "raise = 4.2"))
    assert edited[1].version != VOTED[1].version
    fold = fold_of(PLACES, VOTED)
    play(fold, scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600))
    step(fold, Change(PLACES, edited, at(800)))
    assert fold.second.verdicts[0].rank == 0
    rows = [reading(860, 4.5, one) for one in RIVERS[:2]]
    events = step(fold, Receipt(GATEWAY, at(861), rows))[1]
    events += play(fold, [Tick(at(s)) for s in range(870, 1000, 10)])
    # Without its history it cannot know that the level held on: it says so, and raises again.
    assert brief(of(events)) == [("returned", "", 800), ("raised", "orange", 860)]
    assert of(events)[0].reason == "rule_withdrawn"


def saved(fold: Fold) -> dict[str, Any]:
    return {key: None if b is None else json.loads(b) for key, b in fold.changed().items()}


def test_state_is_saved_under_keys_of_its_own_and_only_when_it_changed() -> None:
    fold = fold_of(PLACES, VOTED)
    state = saved(fold)
    assert state["area/vote"]["rule"] == VOTED[1].name
    step(fold, Tick(at(10)))
    assert set(saved(fold)) == {"centre", "areas"}
    step(fold, Receipt(GATEWAY, at(11), [reading(10, 1.0, RIVERS[0])]))
    assert set(saved(fold)) == {"channel/st1/wl"}
    play(fold, scene(*QUIET, (300, 1, 4.5), until=600))
    assert len(saved(fold)["area/vote"]["inputs"]) == 3
    step(fold, Change(PLACES, VOTED[:1], at(1000)))
    assert saved(fold)["area/vote"] is None
    assert "area/vote" not in saved(fold)


def test_state_of_another_version_is_none() -> None:
    fold = fold_of(PLACES, VOTED)
    play(fold, scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600))
    disk = {key: body for key, body in fold.changed().items() if body is not None}
    other = rules(VOTE.replace("need = 2", "need = 3"), RIVER)
    again = Fold()
    step(again, Change(PLACES, other, 0))
    again.restore(disk)
    assert again.second.verdicts[0].rank == 0


def test_a_new_centre_says_what_has_held_since_before() -> None:
    fold = fold_of(PLACES, VOTED, at(3600))
    for warmup in fold.cold:
        warmup.begin()
        high = warmup.place.station in ("st1", "st3")
        warmup.feed(
            reading(60 * n, 4.5 if high and n > 20 else 1.0, warmup.place) for n in range(59)
        )
        warmup.end()
    fold.warmed(at(3600))
    events = play(fold, [Tick(at(s)) for s in range(3610, 3800, 10)])
    assert brief(of(events)) == [("raised", "orange", 1260)]


def test_without_joint_rules_nothing_is_saved_for_them() -> None:
    fold = fold_of(PLACES, rules("", RIVER))
    step(fold, Tick(START_MS + 10_000))
    assert not [key for key in fold.changed() if key.startswith("area")]
