"""Rules that change between two things that belong together: nothing is lost, nothing stays."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.changebook import GAUGE, RIVER, changed
from rig.jointbook import PACKS, PLACES, RAIN, VOTE, rules
from rig.jointbook import RIVER as RIVER_RULE
from rig.lookback import Watch, backlog, falls
from rig.rulebook import (
    FOUR,
    GATEWAY,
    at,
    bound,
    fold_of,
    ladder,
    place,
    play,
    prompt,
    rain,
    reading,
    timeline,
)

from egret_core.rules.binding import bind
from egret_core.rules.event import Phase
from egret_core.rules.model import Family, IndexLaw
from egret_core.rules.packs import parse_pack
from egret_core.rules.standings import standings_of
from egret_core.rules.step import Change, Receipt, Tick, step

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule

PAST = prompt([reading(60 * n, 2.0 if n < 3 else 4.2) for n in range(10)])  # orange from 180 on
LEVEL = bound(ladder(*FOUR), Family.LEVEL, RIVER)


def on_orange(version: BoundRule) -> list[ConditionEvent]:
    """Return what an edit says while the river is at orange."""
    fold = fold_of((RIVER, GAUGE), [LEVEL])
    play(fold, timeline(PAST, tail_s=60))
    said = changed(fold, [version], 605, PAST)
    return [*said, *play(fold, [Tick(at(610 + 10 * n)) for n in range(6)])]


def test_a_ladder_with_other_ranks_says_so_though_the_level_goes_on() -> None:
    shorter = replace(bound(ladder(*FOUR[2:]), Family.LEVEL, RIVER), version="v2")
    edit, again = on_orange(shorter)
    assert (edit.rule, str(edit.change), edit.level, edit.rank) == (
        "level@v1",
        "eased",
        "orange",
        1,
    )
    assert edit.evidence["levels"] == ["orange", "red"]
    assert (again.rule, again.level, again.rank) == ("level@v2", "orange", 1)


def test_a_ladder_with_a_level_more_on_top_says_nothing_of_it() -> None:
    taller = ladder(*FOUR, ("purple", 9.0, 8.9))
    (again,) = on_orange(replace(bound(taller, Family.LEVEL, RIVER), version="v2"))
    assert (again.rule, again.level, again.rank) == ("level@v2", "orange", 3)


@pytest.mark.parametrize("how", ["rule withdrawn", "channel gone", "datum changed"])
def test_what_a_look_back_found_is_told_before_its_rule_goes(how: str) -> None:
    gauge = place("rn", "rain_total")
    storm = bound(rain(("blue", 1, 1, 5), ("red", 2, 1, 20)), Family.RAIN, gauge)
    rows = falls(*([0] * 70 + [3] * 30 + [0] * 20))
    late = backlog(rows[30:100], 60 * 102 + 0.3, 0.05)
    heard = prompt([*rows[:30], *rows[100:]])
    watch, said = Watch([gauge], [storm]), []
    for item in timeline(sorted([*heard, *late], key=lambda a: a.received_ms), tail_s=300):
        said += watch.play([item])
        if watch.looked:
            assert watch.fold.channels["st1"]["rn"].backlog.said, "it waits for the next tick"
            places = [] if how == "channel gone" else [gauge]
            if how == "datum changed":
                places = [replace(gauge, datum="New")]
            now = [] if how == "rule withdrawn" else [storm]
            said += step(watch.fold, Change(places, now, item.now_ms + 1))[1]
            break
    live = [one for one in said if one.phase is Phase.SETTLED and not one.retrospective]
    assert [(str(one.change), one.level) for one in live] == [("raised", "blue"), ("returned", "")]
    assert live[-1].reason == "rule_withdrawn"


@pytest.mark.parametrize(("value", "rank"), [(5.5, 4), (1.0, 0)])
def test_a_joint_rule_that_is_edited_while_a_reading_waits_holds_what_its_inputs_hold(
    value: float, rank: int
) -> None:
    edited = rules(VOTE.replace("stale_s = 900", "stale_s = 901"), RIVER_RULE)
    rivers = PLACES[0::2][:3]
    fold = fold_of(PLACES, rules(VOTE, RIVER_RULE))
    for second in range(0, 606, 60):
        now = value if second == 600 else (3.6 if second >= 300 else 1.0)
        step(fold, Tick(at(second)))
        step(fold, Receipt(GATEWAY, at(second) + 500, [reading(second, now, r) for r in rivers]))
    step(fold, Change(PLACES, edited, at(605)))
    for warmup in fold.cold:
        warmup.begin()
        warmup.end()
    fold.warmed(at(605))
    for second in range(610, 1800, 10):
        step(fold, Tick(at(second)))
        if second % 60 == 0:
            row = [reading(second, value, r) for r in rivers]
            step(fold, Receipt(GATEWAY, at(second) + 500, row))
    assert fold.second.verdicts[0].rank == rank


def test_a_joint_rule_over_one_that_can_never_hold_is_no_all_clear() -> None:
    vote = """
[[rule]]
id = "vote"
pack = "generic-vote"
inputs = [{ rule = "rain", channels = ["st1/rn", "st2/rn"] }]
parameters = { need = 1, stale_s = 9000 }
"""
    slow = [replace(one, period_s=7200.0) if one.channel == "rn" else one for one in PLACES]
    gauges = [one for one in slow if one.channel == "rn" and one.station in ("st1", "st2")]
    fold = fold_of(slow, rules(vote, RAIN))
    for turn in range(6):
        second = 7200 * turn
        step(fold, Tick(at(second)))
        row = [reading(second, 100.0 + 50 * turn, one) for one in gauges]
        step(fold, Receipt(GATEWAY, at(second) + 500, row))
        step(fold, Tick(at(second + 40)))
    told = standings_of(fold.channels["st1"]["rn"], fold.second)
    assert sorted(told.values()) == ["inputs_missing", "invalid"]


@pytest.mark.parametrize("name", ["caine-1980", "usgs-seattle-intensity-duration"])
def test_a_storm_rule_of_a_pack_from_before_clear_ratio_still_binds(name: str) -> None:
    """A saved catalogue has its packs' texts of then; one that fails would take all rules along."""
    gauge = place("rn", "rain_total")
    then = re.sub(r"\[parameters\.clear_ratio\]\n(?:.+\n)+\n", "", PACKS[name].text)
    assert "clear_ratio" in PACKS[name].text
    assert "[parameters.clear_ratio]" not in then
    text = f'[[rule]]\nid = "r"\npack = "{name}"\nchannels = ["{gauge.name}"]\n'
    packs = {name: parse_pack(then, f"{name}.toml")}
    (rule,) = bind(text, "rules.toml", packs, {(gauge.station, gauge.channel): gauge})
    assert isinstance(rule.law, IndexLaw)
    assert [rung.clear_at for rung in rule.law.ladder.rungs] == [
        rung.raise_at for rung in rule.law.ladder.rungs
    ]
