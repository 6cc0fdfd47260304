"""The second stage in the fold: facts, order, silence, changes of rules, and what is saved."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rig.jointbook import PACKS, PLACES, RAIN, RIVER, rules
from rig.rulebook import GATEWAY, START_MS, at, brief, fold_of, place, play, reading

from egret_core.rules.binding import bind
from egret_core.rules.event import Change as Said
from egret_core.rules.event import ConditionEvent, Phase
from egret_core.rules.second import in_order
from egret_core.rules.step import Change, Fold, Receipt, Tick, step
from egret_core.rules.verdict import INSTANTS_MAX, SHOWN_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.model import BoundRule
    from egret_core.rules.step import Item

VOTE = """
[[rule]]
id = "vote"
pack = "generic-vote"
inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl", "st3/wl"] }]
parameters = { need = 2, stale_s = 900 }
"""
RULES = rules(VOTE, RIVER)
RIVERS = [place(station=f"st{n}") for n in (1, 2, 3)]


def scene(*rows: tuple[float, int, float], until: float, period: float = 60) -> list[Item]:
    """Return readings every minute and ticks: each row is (from when, station, value)."""
    items: list[tuple[int, int, Item]] = []
    for n, one in enumerate(RIVERS, 1):
        mine = [(start, value) for start, station, value in rows if station == n]
        for k in range(int(until // period)):
            second = k * period
            value = [v for start, v in mine if start <= second][-1:]
            if value and value[0] > 0:  # 0: it says nothing
                row = reading(second, value[0], one)
                items.append((at(second) + 500, 1, Receipt(GATEWAY, at(second) + 500, [row])))
    items += [(at(s), 0, Tick(at(s))) for s in range(10, int(until) + 200, 10)]
    return [item for _, _, item in sorted(items, key=lambda row: row[:2])]


def of(events: Sequence[ConditionEvent], rule: str = "vote") -> list[ConditionEvent]:
    return [event for event in events if event.rule.partition("@")[0] == rule]


QUIET = ((0, 1, 1.0), (0, 2, 1.0), (0, 3, 1.0))


def test_two_of_three_raise_and_one_alone_does_not() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (600, 2, 5.5), (900, 2, 1.0), until=1200)
    events = of(play(fold_of(PLACES, RULES), items))
    assert brief(events) == [("raised", "orange", 600), ("returned", "", 900)]
    raised, back = events
    assert (raised.subject, raised.reason) == ("area/vote", "inputs_hold")
    assert (back.reason, back.evidence["holding"], back.evidence["need"]) == ("inputs_eased", 1, 2)
    rows = [(row["subject"], row["level"], row["since_ms"]) for row in raised.evidence["inputs"]]
    assert rows == [("st2/wl", "red", at(600)), ("st1/wl", "orange", at(300)), ("st3/wl", "", None)]
    assert raised.evidence["inputs"][0]["rule"] == RULES[0].name
    assert (raised.evidence["missing"], raised.phase) == ([], Phase.SETTLED)


def test_a_provisional_event_votes_for_nothing() -> None:
    fold = fold_of(PLACES, RULES)
    rows = [reading(60, 5.5, one) for one in RIVERS]
    said = step(fold, Receipt(GATEWAY, at(61), rows))[1]
    assert {event.phase for event in said} == {Phase.PROVISIONAL}
    assert of(said) == []
    settled = [event for n in range(7, 20) for event in step(fold, Tick(at(10 * n)))[1]]
    assert brief(of(settled)) == [("raised", "red", 60)]


def test_an_input_that_goes_silent_keeps_its_level_and_is_told() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (360, 1, 0), (3000, 2, 4.1), (3600, 2, 1.0), until=4200)
    events = of(play(fold_of(PLACES, RULES), items))
    assert brief(events) == [("raised", "orange", 3000), ("returned", "", 3600)]
    for event in events:
        assert event.evidence["missing"] == [{"subject": "st1/wl", "last_good_ms": at(300)}]
    silent = [row["missing"] for row in events[0].evidence["inputs"]]
    assert sorted(silent) == [False, False, True]


def test_when_all_fall_silent_nothing_is_lowered() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), (600, 1, 0), (600, 2, 0), until=1200)
    fold = fold_of(PLACES, RULES)
    events = of(play(fold, [*items, *(Tick(at(n)) for n in range(1400, 40_000, 10))]))
    assert brief(events) == [("raised", "orange", 300)]
    assert fold.second.missing() == {RULES[1].name: ["st1/wl", "st2/wl", "st3/wl"]}


def test_one_that_was_never_seen_is_told_without_a_time() -> None:
    items = scene((0, 1, 1.0), (0, 2, 1.0), (300, 1, 4.5), (300, 2, 4.5), until=600)
    (event,) = of(play(fold_of(PLACES, RULES), items))
    assert event.evidence["missing"] == [{"subject": "st3/wl", "last_good_ms": None}]


def test_one_that_is_back_before_the_verdict_was_still_missing_at_its_time() -> None:
    fold = fold_of(PLACES, RULES)
    for n, second in ((0, 0), (1, 0), (2, 0), (0, 2900), (1, 2990)):
        row = reading(second, 5.5 if second == 2900 or n == 2 else 1.0, RIVERS[n])
        step(fold, Receipt(GATEWAY, row.time_ms + 500, [row]))
    events = []
    for n, second in ((0, 2960), (1, 3060), (2, 3070)):  # the third holds the verdict up till then
        row = reading(second, 5.5 if n != 1 else 1.0, RIVERS[n])
        events += of(step(fold, Receipt(GATEWAY, row.time_ms + 500, [row]))[1])
    assert brief(events) == [("raised", "red", 2900)]
    missing = {row["subject"]: row["last_good_ms"] for row in events[0].evidence["missing"]}
    assert missing == {"st2/wl": at(0), "st3/wl": at(0)}


def test_a_silent_channel_holds_up_nothing_longer_than_twice_its_lateness() -> None:
    fold = fold_of(PLACES, RULES)
    for second in range(10, 121, 10):
        step(fold, Tick(at(second)))
    rows = [reading(120, 5.5, one) for one in RIVERS[:2]]  # the third has never said a word
    step(fold, Receipt(GATEWAY, at(121), rows))
    heard = [s for s in range(130, 400, 10) if of(step(fold, Tick(at(s)))[1])]
    assert heard == [180]


def test_while_the_centre_is_down_a_silent_channel_has_time() -> None:
    fold = fold_of(PLACES, RULES)
    rows = [reading(5, 5.5, one) for one in RIVERS[:2]]
    step(fold, Receipt(GATEWAY, at(6), rows))
    for second in (10, 20, 5000, 5010):
        assert of(step(fold, Tick(at(second)))[1]) == []
    assert brief(of(step(fold, Tick(at(5020)))[1])) == [("raised", "red", 5)]


def test_what_comes_later_than_allowed_is_taken_at_once_and_after_what_was_judged() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (600, 1, 1.0), (300, 2, 0), until=1200)
    fold = fold_of(PLACES, RULES)
    events = play(fold, items)
    assert of(events) == []
    for second in (300, 360, 1200):  # a backlog: at 600 the first one had returned
        row = reading(second, 4.5, RIVERS[1])
        events += step(fold, Receipt(GATEWAY, at(1500), [row]))[1]
    events += play(fold, [Tick(at(s)) for s in range(1510, 1600, 10)])
    assert brief(of(events)) == []
    for second in (1620, 1680, 1740):
        rows = [reading(second, 5.5, RIVERS[0]), reading(second, 4.5, RIVERS[1])]
        events += step(fold, Receipt(GATEWAY, at(second + 1), rows))[1]
    events += play(fold, [Tick(at(s)) for s in range(1750, 2000, 10)])
    assert brief(of(events)) == [("raised", "orange", 1620)]
    assert of(events)[0].evidence["inputs"][1]["since_ms"] == at(300)


def test_events_of_two_late_facts_differ_in_their_ids() -> None:
    fold = fold_of(PLACES, rules(VOTE.replace("need = 2", "need = 1"), RIVER))
    events = play(fold, scene(*QUIET, (300, 2, 0), until=1200))
    events += play(fold, [Tick(at(1400))])
    verdict = fold.second.verdicts[0]
    verdict.at_ms = at(1300)
    for value, second in ((5.5, 300), (1.0, 360), (5.5, 420), (1.0, 480), (1.0, 1200)):
        row = reading(second, value, RIVERS[1])
        events += step(fold, Receipt(GATEWAY, at(1401), [row]))[1]
    said = of(events)
    assert [event.change for event in said] == [Said.RAISED, Said.RETURNED] * 2
    assert len({event.id for event in said}) == 4
    assert [event.time_ms - at(1300) for event in said] == [1, 2, 3, 4]


def forecast_of(rank: int, n: int, second: float, *, forecast: bool = True) -> ConditionEvent:
    """Return a settled event of the first stage that rests on a forecast, or on a reading."""
    basis = {"basis": "forecast"} if forecast else {}
    change, level = (Said.RAISED, "red") if rank else (Said.RETURNED, "")
    river, phase = RULES[0].name, Phase.SETTLED
    return ConditionEvent(
        river, f"st{n}/wl", "level", change, phase, level, rank, at(second), "", basis
    )


def test_a_level_that_a_forecast_makes_is_marked_as_one() -> None:
    fold = fold_of(PLACES, RULES)
    play(fold, scene(*QUIET, until=600))
    fold.second.hear([forecast_of(4, 1, 601), forecast_of(4, 2, 602, forecast=False)], 0)
    (first,) = of(play(fold, [Tick(at(s)) for s in range(800, 900, 10)]))
    assert (first.level, first.evidence["basis"]) == ("red", "forecast")
    rows = {row["subject"]: row.get("basis") for row in first.evidence["inputs"]}
    assert rows == {"st1/wl": "forecast", "st2/wl": None, "st3/wl": None}
    assert fold.second.verdicts[0].level_of(RULES[1].name) == (4, True)
    fold.second.hear([forecast_of(0, 1, 901), forecast_of(4, 3, 1000, forecast=False)], 0)
    events = of(play(fold, [Tick(at(s)) for s in range(900, 1200, 10)]))
    assert brief(events) == [("returned", "", 901), ("raised", "red", 1000)]
    assert "basis" not in events[1].evidence, "two readings are enough, whatever is forecast"


def test_one_forecast_beside_enough_readings_makes_no_forecast_of_them() -> None:
    fold = fold_of(PLACES, RULES)
    play(fold, scene(*QUIET, until=600))
    fold.second.hear([forecast_of(4, n, 601, forecast=n == 1) for n in (1, 2, 3)], 0)
    (event,) = of(play(fold, [Tick(at(s)) for s in range(800, 900, 10)]))
    assert "basis" not in event.evidence


def test_what_was_found_afterwards_in_a_backlog_is_no_fact_about_now() -> None:
    fold = fold_of(PLACES, RULES)
    said = [
        ConditionEvent(
            RULES[0].name, f"st{n}/wl", "level", Said.RAISED, Phase.SETTLED, "red", 4, at(0), "", x
        )
        for n, x in ((1, {"retrospective": True}), (2, {"retrospective": True}))
    ]
    fold.second.hear(said, 0)
    assert not fold.second.verdicts[0].waits
    fold.second.hear([replace(said[0], evidence={}), replace(said[1], evidence={})], 1)
    assert fold.second.verdicts[0].waits


NESTED = (
    VOTE
    + """
[[rule]]
id = "top"
pack = "generic-logic"
area = "valley"
hazard = "flood"
inputs = [{ rule = "vote" }, { rule = "rain", name = "storm" }]
[rule.parameters]
levels = [{ level = "act", all = { vote = "orange", storm = "yellow" } }]
"""
)


def storm(total: float, second: float) -> Item:
    row = reading(second, total, place("rn", "rain_total", "st1"))
    return Receipt(GATEWAY, row.time_ms + 500, [row])


def test_a_joint_rule_feeds_another() -> None:
    both = rules(NESTED, RIVER + RAIN)
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), (900, 1, 1.0), until=1200)
    items += [storm(100 + 4 * k, 60 * k + 1) for k in range(20)]
    items.sort(key=lambda item: item.now_ms if isinstance(item, Tick) else item.received_ms)
    events = of(play(fold_of(PLACES, both), items), "top")
    assert brief(events) == [("raised", "act", 300), ("returned", "", 900)]
    assert (events[0].subject, events[0].hazard) == ("area/valley", "flood")
    rows = {row["subject"]: row["level"] for row in events[0].evidence["inputs"]}
    assert rows["area/vote"] == "orange"


def test_rules_are_judged_after_those_that_feed_them_whatever_their_order() -> None:
    text = NESTED.split("[[rule]]")
    turned = rules("[[rule]]" + "[[rule]]".join((text[2], text[1])), RIVER + RAIN)
    assert [rule.id for rule in turned] == ["river", "rain", "top", "vote"]
    assert [rule.id for rule in in_order(turned)] == ["vote", "top"]


def test_a_new_joint_rule_takes_the_levels_that_hold_already() -> None:
    river = rules("", RIVER)
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600)
    fold = fold_of(PLACES, river)
    assert of(play(fold, items)) == []
    change_ms = at(800)
    events = step(fold, Change(PLACES, RULES, change_ms))[1]
    events += play(fold, [Tick(at(s)) for s in range(810, 900, 10)])
    assert brief(of(events)) == [("raised", "orange", 800)]
    assert of(events)[0].evidence["inputs"][0]["since_ms"] == change_ms


def test_a_change_that_keeps_the_rule_keeps_its_state_and_says_nothing() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600)
    fold = fold_of(PLACES, RULES)
    play(fold, items)
    events = step(fold, Change(PLACES, [*RULES, *rules("", RAIN)], at(800)))[1]
    events += play(fold, [Tick(at(s)) for s in range(810, 900, 10)])
    assert of(events) == []
    assert fold.second.verdicts[0].rank == 3


def test_a_channel_that_became_another_gives_its_level_up() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600)
    fold = fold_of(PLACES, RULES)
    play(fold, items)
    moved = [replace(one, datum="New") if one.name == "st2/wl" else one for one in PLACES]
    events = step(fold, Change(moved, RULES, at(800)))[1]
    events += play(fold, [Tick(at(s)) for s in range(810, 900, 10)])
    assert brief(of(events)) == [("returned", "", 800)]


def test_an_edited_input_is_another_version_of_the_joint_rule() -> None:
    edited = rules(VOTE, RIVER.replace("raise = 4.0", "raise = 4.2"))
    assert edited[1].version != RULES[1].version
    fold = fold_of(PLACES, RULES)
    play(fold, scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600))
    step(fold, Change(PLACES, edited, at(800)))
    assert fold.second.verdicts[0].rank == 0
    rows = [reading(860, 4.5, one) for one in RIVERS[:2]]
    events = step(fold, Receipt(GATEWAY, at(861), rows))[1]
    events += play(fold, [Tick(at(s)) for s in range(870, 1000, 10)])
    assert brief(of(events)) == [("raised", "orange", 860)]


def saved(fold: Fold) -> dict[str, Any]:
    return {key: None if b is None else json.loads(b) for key, b in fold.changed().items()}


def test_state_is_saved_under_keys_of_its_own_and_only_when_it_changed() -> None:
    fold = fold_of(PLACES, RULES)
    state = saved(fold)
    assert state["area/vote"]["rule"] == RULES[1].name
    step(fold, Tick(at(10)))
    assert set(saved(fold)) == {"centre", "areas"}
    step(fold, Receipt(GATEWAY, at(11), [reading(10, 1.0, RIVERS[0])]))
    assert set(saved(fold)) == {"channel/st1/wl"}
    play(fold, scene(*QUIET, (300, 1, 4.5), until=600))
    assert len(saved(fold)["area/vote"]["inputs"]) == 3
    step(fold, Change(PLACES, RULES[:1], at(1000)))
    assert saved(fold)["area/vote"] is None
    assert "area/vote" not in saved(fold)


def test_state_of_another_version_is_none() -> None:
    fold = fold_of(PLACES, RULES)
    play(fold, scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), until=600))
    disk = {key: body for key, body in fold.changed().items() if body is not None}
    other = rules(VOTE.replace("need = 2", "need = 3"), RIVER)
    again = Fold()
    step(again, Change(PLACES, other, 0))
    again.restore(disk)
    assert again.second.verdicts[0].rank == 0


def test_an_area_lists_its_highest_inputs_and_counts_the_rest() -> None:
    many = [place(station=f"s{n}") for n in range(SHOWN_MAX + 8)]
    names = ", ".join(f'"{one.name}"' for one in many)
    text = RIVER.replace('"st1/wl", "st2/wl", "st3/wl", "st4/wl"', names)
    area = '[[rule]]\nid = "all"\npack = "generic-area"\ninputs = [{ rule = "river" }]\n'
    bound = bind_at(text + area, many)
    fold = fold_of(many, bound)
    rows = [reading(60, 5.5 if n == 39 else 1.0, one) for n, one in enumerate(many)]
    step(fold, Receipt(GATEWAY, at(61), rows))
    (event,) = of(play(fold, [Tick(at(s)) for s in range(70, 130, 10)]), "all")
    assert event.evidence["inputs"][0]["subject"] == "s39/wl"
    assert len(event.evidence["inputs"]) == SHOWN_MAX
    assert event.evidence["inputs_not_listed"] == 8
    assert (event.evidence["holding"], event.evidence["of"]) == (1, 40)


def test_many_instants_of_one_tick_come_in_slices() -> None:
    many = [place(station=f"s{n}") for n in range(3 * INSTANTS_MAX)]
    names = ", ".join(f'"{one.name}"' for one in many)
    text = RIVER.replace('"st1/wl", "st2/wl", "st3/wl", "st4/wl"', names)
    area = '[[rule]]\nid = "all"\npack = "generic-area"\ninputs = [{ rule = "river" }]\n'
    fold = fold_of(many, bind_at(text + area + "parameters = { need = 150 }\n", many))
    rows = [reading(60 + n / 10, 5.5, one) for n, one in enumerate(many)]
    step(fold, Receipt(GATEWAY, at(80), rows))
    ticks = [list(fold.tick(at(second))) for second in range(90, 200, 10)]
    assert max(len(slices) for slices in ticks) >= 3
    said = [event for slices in ticks for part in slices for event in part]
    assert brief(of(said, "all")) == [("raised", "red", 60 + 149 / 10)]


def bind_at(text: str, places: Sequence[Any]) -> tuple[BoundRule, ...]:
    return bind(text, "rules.toml", PACKS, {(one.station, one.channel): one for one in places})


def test_without_joint_rules_nothing_is_saved_for_them() -> None:
    fold = fold_of(PLACES, rules("", RIVER))
    step(fold, Tick(START_MS + 10_000))
    assert not [key for key in fold.changed() if key.startswith("area")]
