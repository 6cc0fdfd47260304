"""The second stage in the fold: facts, order, silence and limits."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from rig.jointbook import (
    NESTED,
    PACKS,
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
from rig.rulebook import GATEWAY, at, brief, fold_of, killed, place, play, reading

from egret_core.rules.binding import bind
from egret_core.rules.event import Change as Said
from egret_core.rules.event import ConditionEvent, Phase
from egret_core.rules.second import in_order
from egret_core.rules.step import Receipt, Tick, step
from egret_core.rules.verdict import FACTS_MAX, INSTANTS_MAX, SHOWN_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.model import BoundRule
    from egret_core.rules.step import Item


def test_two_of_three_raise_and_one_alone_does_not() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (600, 2, 5.5), (900, 2, 1.0), until=1200)
    events = of(play(fold_of(PLACES, VOTED), items))
    assert brief(events) == [("raised", "orange", 600), ("returned", "", 900)]
    raised, back = events
    assert (raised.subject, raised.reason) == ("area/vote", "inputs_hold")
    assert (back.reason, back.evidence["holding"], back.evidence["need"]) == ("inputs_eased", 1, 2)
    rows = [(row["subject"], row["level"], row["since_ms"]) for row in raised.evidence["inputs"]]
    assert rows == [("st2/wl", "red", at(600)), ("st1/wl", "orange", at(300)), ("st3/wl", "", None)]
    assert raised.evidence["inputs"][0]["rule"] == VOTED[0].name
    assert (raised.evidence["missing"], raised.phase) == ([], Phase.SETTLED)


def test_a_provisional_event_votes_for_nothing() -> None:
    fold = fold_of(PLACES, VOTED)
    rows = [reading(60, 5.5, one) for one in RIVERS]
    said = step(fold, Receipt(GATEWAY, at(61), rows))[1]
    assert {event.phase for event in said} == {Phase.PROVISIONAL}
    assert of(said) == []
    settled = [event for n in range(7, 20) for event in step(fold, Tick(at(10 * n)))[1]]
    assert brief(of(settled)) == [("raised", "red", 60)]


def test_an_input_that_goes_silent_keeps_its_level_and_is_told() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (360, 1, 0), (3000, 2, 4.1), (3600, 2, 1.0), until=4200)
    events = of(play(fold_of(PLACES, VOTED), items))
    assert brief(events) == [("raised", "orange", 3000), ("returned", "", 3600)]
    for event in events:
        assert event.evidence["missing"] == [{"subject": "st1/wl", "last_good_ms": at(300)}]
    silent = [row["missing"] for row in events[0].evidence["inputs"]]
    assert sorted(silent) == [False, False, True]


def test_when_all_fall_silent_nothing_is_lowered() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (300, 2, 4.5), (600, 1, 0), (600, 2, 0), until=1200)
    fold = fold_of(PLACES, VOTED)
    events = of(play(fold, [*items, *(Tick(at(n)) for n in range(1400, 40_000, 10))]))
    assert brief(events) == [("raised", "orange", 300)]
    assert fold.second.missing() == {VOTED[1].name: ["st1/wl", "st2/wl", "st3/wl"]}


def test_one_that_was_never_seen_is_told_without_a_time() -> None:
    items = scene((0, 1, 1.0), (0, 2, 1.0), (300, 1, 4.5), (300, 2, 4.5), until=600)
    (event,) = of(play(fold_of(PLACES, VOTED), items))
    assert event.evidence["missing"] == [{"subject": "st3/wl", "last_good_ms": None}]


def test_one_that_is_back_before_the_verdict_was_still_missing_at_its_time() -> None:
    fold = fold_of(PLACES, VOTED)
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
    fold = fold_of(PLACES, VOTED)
    for second in range(10, 121, 10):
        step(fold, Tick(at(second)))
    rows = [reading(120, 5.5, one) for one in RIVERS[:2]]  # the third has never said a word
    step(fold, Receipt(GATEWAY, at(121), rows))
    heard = [s for s in range(130, 400, 10) if of(step(fold, Tick(at(s)))[1])]
    assert heard == [180]


def test_while_the_centre_is_down_a_silent_channel_has_time() -> None:
    fold = fold_of(PLACES, VOTED)
    rows = [reading(5, 5.5, one) for one in RIVERS[:2]]
    step(fold, Receipt(GATEWAY, at(6), rows))
    for second in (10, 20, 5000, 5010):
        assert of(step(fold, Tick(at(second)))[1]) == []
    assert brief(of(step(fold, Tick(at(5020)))[1])) == [("raised", "red", 5)]


def test_what_comes_later_than_allowed_is_taken_at_once_and_after_what_was_judged() -> None:
    items = scene(*QUIET, (300, 1, 4.5), (600, 1, 1.0), (300, 2, 0), until=1200)
    fold = fold_of(PLACES, VOTED)
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
    river, phase = VOTED[0].name, Phase.SETTLED
    return ConditionEvent(
        river, f"st{n}/wl", "level", change, phase, level, rank, at(second), "", basis
    )


def test_a_level_that_a_forecast_makes_is_marked_as_one() -> None:
    fold = fold_of(PLACES, VOTED)
    play(fold, scene(*QUIET, until=600))
    fold.second.hear([forecast_of(4, 1, 601), forecast_of(4, 2, 602, forecast=False)], 0)
    (first,) = of(play(fold, [Tick(at(s)) for s in range(800, 900, 10)]))
    assert (first.level, first.evidence["basis"]) == ("red", "forecast")
    rows = {row["subject"]: row.get("basis") for row in first.evidence["inputs"]}
    assert rows == {"st1/wl": "forecast", "st2/wl": None, "st3/wl": None}
    assert fold.second.verdicts[0].level_of(VOTED[1].name) == (4, True)
    fold.second.hear([forecast_of(0, 1, 901), forecast_of(4, 3, 1000, forecast=False)], 0)
    events = of(play(fold, [Tick(at(s)) for s in range(900, 1200, 10)]))
    assert brief(events) == [("returned", "", 901), ("raised", "red", 1000)]
    assert "basis" not in events[1].evidence, "two readings are enough, whatever is forecast"


def test_one_forecast_beside_enough_readings_makes_no_forecast_of_them() -> None:
    fold = fold_of(PLACES, VOTED)
    play(fold, scene(*QUIET, until=600))
    fold.second.hear([forecast_of(4, n, 601, forecast=n == 1) for n in (1, 2, 3)], 0)
    (event,) = of(play(fold, [Tick(at(s)) for s in range(800, 900, 10)]))
    assert "basis" not in event.evidence


def test_what_was_found_afterwards_in_a_backlog_is_no_fact_about_now() -> None:
    fold = fold_of(PLACES, VOTED)
    said = [
        ConditionEvent(
            VOTED[0].name, f"st{n}/wl", "level", Said.RAISED, Phase.SETTLED, "red", 4, at(0), "", x
        )
        for n, x in ((1, {"retrospective": True}), (2, {"retrospective": True}))
    ]
    fold.second.hear(said, 0)
    assert not fold.second.verdicts[0].waits
    fold.second.hear([replace(said[0], evidence={}), replace(said[1], evidence={})], 1)
    assert fold.second.verdicts[0].waits


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


def test_facts_that_wait_are_bounded_where_no_tick_comes() -> None:
    fold = fold_of(PLACES, VOTED)
    verdict = fold.second.verdicts[0]
    events: list[ConditionEvent] = []
    for n in range(FACTS_MAX + 2):
        fold.second.hear([forecast_of(4 * (n % 2), 1 + n % 3, n, forecast=False)], 0)
        assert len(verdict.dump()["facts"]) <= FACTS_MAX + 1
        fold.second.receive(events, 0)
    assert of(events)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-(10**9), 10**9),
            st.integers(0, 2),
            st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.floats(2.5, 5.5)),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_no_finite_reading_of_any_time_is_an_exception(
    rows: list[tuple[int, int, float, bool]],
) -> None:
    fold, now_s = fold_of(PLACES, rules(NESTED, RIVER + RAIN)), 10
    for second, n, value, tick in rows:
        row = reading(second, value, RIVERS[n])
        now_s += 7
        step(fold, Receipt(GATEWAY, at(now_s), [row]))
        if tick:
            step(fold, Tick(at(now_s)))
    for verdict in fold.second.verdicts:
        assert 0 <= verdict.rank <= 4
        assert len(json.dumps(verdict.dump())) < 10_000


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


NOT_WORKS = """
[[rule]]
id = "log"
pack = "generic-logic"
inputs = [{ rule = "river", channels = ["st1/wl"] },
          { rule = "river", name = "works", channels = ["st2/wl"] }]
[rule.parameters]
levels = [{ level = "red", all = { river = "blue" }, none = { works = "blue" } }]
"""


def first_seen(second: float) -> list[Item]:
    return scene((0, 1, 1.0), (600, 1, 3.1), (second, 2, 1.0), until=1500)


def test_a_row_that_is_known_only_since_an_input_was_first_seen_is_judged_then() -> None:
    both = rules(NOT_WORKS, RIVER)
    for second, expected in ((0, 600), (900, 900)):
        items = first_seen(second)
        assert brief(of(play(fold_of(PLACES, both), items), "log")) == [("raised", "red", expected)]
        for cut in range(0, len(items), 7):  # a restart anywhere, before and after it was seen
            said = of(killed(PLACES, both, items, {cut, cut + 3}), "log")
            assert brief(said) == [("raised", "red", expected)]
