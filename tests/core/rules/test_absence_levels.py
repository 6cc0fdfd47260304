"""Silence on two levels: a fault after the limit, an alarm where it goes on; also of a feed."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rig.packbook import PACKS, RIVER, of_pack, refused
from rig.rulebook import (
    GATEWAY,
    Arrival,
    at,
    bound,
    brief,
    fold_of,
    killed,
    place,
    play,
    prompt,
    reading,
    shuffled,
    timeline,
)

from egret_core.errors import ConfigError
from egret_core.quality import Reason
from egret_core.rules.absence import Absence
from egret_core.rules.binding import bind
from egret_core.rules.event import Phase, settled_hash
from egret_core.rules.model import AbsenceLaw, BoundRule, Family
from egret_core.rules.step import Change, Fold, Receipt, Tick, step
from egret_core.rules.warmup import span_ms

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent

LAW = AbsenceLaw("fault", 300_000, (("alarm", 1_800_000),))
RULE = bound(LAW, Family.ABSENCE, place())
GATE = bound(LAW, Family.ABSENCE, gateways=(GATEWAY,))
EVERY_MINUTE = [reading(60 * n, 1.0) for n in range(10)]  # the last one at 540 s


def judged(arrivals: Any, tail_s: float = 120, rule: BoundRule = RULE) -> list[ConditionEvent]:
    return play(fold_of([place()], [rule]), timeline(arrivals, tail_s))


@pytest.mark.parametrize("rule", [RULE, GATE])
def test_a_silence_is_a_fault_and_then_an_alarm(rule: BoundRule) -> None:
    events = judged(prompt(EVERY_MINUTE), 2400, rule)
    assert brief(events) == [("raised", "fault", 840), ("upgraded", "alarm", 2340)]
    assert [(e.phase, e.rank) for e in events] == [
        (Phase.PROVISIONAL, 1),
        (Phase.SETTLED, 1),
        (Phase.PROVISIONAL, 2),
        (Phase.SETTLED, 2),
    ]
    assert events[3].provisional_id == events[2].id
    assert events[3].evidence == {"last_good_ms": at(540), "limit_s": 1800.0}


def test_the_alarm_is_said_within_ten_seconds_of_its_limit() -> None:
    fold = fold_of([place()], [RULE])
    said = [
        (item.now_ms, event)
        for item in timeline(prompt(EVERY_MINUTE), tail_s=2400)
        for event in step(fold, item)[1]
    ]
    first = next(now for now, event in said if event.rank == 2)
    assert at(2340) <= first <= at(2350) + 500


def test_one_return_ends_both_levels() -> None:
    back = [*EVERY_MINUTE, *(reading(3000 + 60 * n, 1.0) for n in range(5))]
    events = judged(prompt(back))
    assert brief(events)[2:] == [("returned", "", 3000)]
    assert events[-1].evidence == {"silent_s": 2460.0, "limit_s": 1800.0}
    again = [*back, *(reading(5000 + 60 * n, 1.0) for n in range(3))]
    assert [row[:2] for row in brief(judged(prompt(again)))] == [
        ("raised", "fault"),
        ("upgraded", "alarm"),
        ("returned", ""),
        ("raised", "fault"),
        ("returned", ""),
    ]


def test_a_return_before_the_alarm_is_of_the_fault_alone() -> None:
    back = [*EVERY_MINUTE, *(reading(2000 + 60 * n, 1.0) for n in range(3))]
    events = brief(judged(prompt(back)))
    assert events == [("raised", "fault", 840), ("returned", "", 2000)]


def test_a_reading_from_inside_the_longer_limit_refutes_the_alarm_alone() -> None:
    late = Arrival(at(2355), reading(2330, 1.0))
    events = judged([*prompt(EVERY_MINUTE), late], tail_s=100)
    assert [(e.phase, e.level) for e in events[2:]] == [
        (Phase.PROVISIONAL, "alarm"),
        (Phase.REFUTED, "alarm"),
        (Phase.SETTLED, ""),
    ]
    assert events[3].provisional_id == events[2].id
    assert brief(events)[-1] == ("returned", "", 2330)


def test_a_gap_just_over_the_longer_limit_is_an_alarm() -> None:
    back = Arrival(at(2362), reading(2360, 1.0))
    events = brief(judged([*prompt(EVERY_MINUTE), back], tail_s=100))
    assert events[1:] == [("upgraded", "alarm", 2340), ("returned", "", 2360)]


def test_downtime_of_the_centre_counts_for_neither_level() -> None:
    fold = fold_of([place()], [RULE])
    play(fold, timeline(prompt(EVERY_MINUTE), tail_s=400))
    day = 86_400
    items: list[Any] = [Tick(at(day + 10 * n)) for n in range(20)]
    said = [e for e in play(fold, items) if e.subject != "centre"]
    assert said == [], "a day without ticks is no silence"


def test_maintenance_pauses_the_way_to_the_alarm() -> None:
    work = [reading(1000 + 60 * n, 1.0, reasons=Reason.MAINTENANCE) for n in range(60)]
    events = brief(judged(prompt([*EVERY_MINUTE, *work]), tail_s=100))
    assert events == [("raised", "fault", 840)]


def test_maintenance_that_is_told_too_late_pauses_nothing() -> None:
    work = [
        Arrival(at(1500 + n), reading(600 + n, 1.0, reasons=Reason.MAINTENANCE)) for n in (0, 99)
    ]
    events = brief(judged([*prompt(EVERY_MINUTE), *work], tail_s=900))
    assert events == [("raised", "fault", 840), ("upgraded", "alarm", 2340)]


@pytest.mark.parametrize(("late_s", "ends"), [(330, True), (330.001, False)])
def test_a_reading_ends_the_silence_up_to_limit_and_lateness_after_it(
    late_s: float, *, ends: bool
) -> None:
    events = judged([*prompt(EVERY_MINUTE), Arrival(at(700 + late_s), reading(700, 1.0))], 300)
    assert [e.phase for e in events][:2] == [Phase.PROVISIONAL, Phase.SETTLED]
    assert any(str(e.change) == "returned" for e in events) is ends


def test_a_withdrawn_rule_refutes_all_that_it_only_suspected() -> None:
    close = bound(AbsenceLaw("fault", 300_000, (("alarm", 310_000),)), Family.ABSENCE, place())
    fold = fold_of([place()], [close])
    said = play(fold, timeline(prompt([reading(0, 1.0)]), tail_s=322))
    assert [(e.phase, e.level) for e in said] == [
        (Phase.PROVISIONAL, "fault"),
        (Phase.PROVISIONAL, "alarm"),
    ]
    events = step(fold, Change([place()], [], at(323)))[1]
    assert [(e.phase, e.provisional_id) for e in events] == [
        (Phase.REFUTED, said[0].id),
        (Phase.REFUTED, said[1].id),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_shuffled_and_killed_it_settles_the_same(seed: int) -> None:
    rows = [*EVERY_MINUTE, *(reading(3000 + 60 * n, 1.0) for n in range(20))]
    plain = timeline(prompt(rows), 2500)
    expected = play(fold_of([place()], [RULE]), plain)
    mixed = timeline(shuffled(rows, seed), 2500)
    cuts = {7 * n + seed for n in range(200)}
    assert settled_hash(killed([place()], [RULE], mixed, cuts)) == settled_hash(expected)
    assert len(brief(expected)) == 5


@pytest.mark.parametrize(
    ("state", "said", "rank", "silent"),
    [(0, "", 0, False), (1, "abc", 0, True), (2, "", 1, True)],
)
def test_a_state_of_one_level_is_taken(state: int, said: str, rank: int, *, silent: bool) -> None:
    absence = Absence(RULE, LAW, "st1/wl", (0, 0, 30_000))
    absence.restore([state, [0, True], 0, 0, [None, 0, 0], said])
    assert (absence.rank, absence.silent) == (rank, silent)
    again = Absence(RULE, LAW, "st1/wl", (0, 0, 30_000))
    again.restore(json.loads(json.dumps(absence.dump())))
    assert again.dump() == absence.dump()


def test_history_reaches_back_to_the_longest_limit() -> None:
    assert span_ms(LAW) == 1_800_000


def test_the_pack_has_two_levels_of_ten_minutes_and_an_hour() -> None:
    assert of_pack("absence", RIVER).law == AbsenceLaw("fault", 600_000, (("alarm", 3_600_000),))
    law = of_pack("absence", RIVER, "limit_s = 900\nalarm_s = 1000").law
    assert law.levels == (("fault", 900_000), ("alarm", 1_000_000))
    assert of_pack("absence", RIVER, 'alarm_level = ""').law == AbsenceLaw("fault", 600_000)


@pytest.mark.parametrize(
    ("parameters", "key", "says"),
    [
        ("alarm_s = 600", "alarm_s", "more than limit_s (600)"),
        ("limit_s = 7200\nalarm_s = 3600", "alarm_s", "for one level"),
        ('alarm_level = "fault"', "alarm_level", "once"),
        ('alarm_level = "\\u0007"', "alarm_level", "printable"),
    ],
)
def test_a_wrong_second_level_is_refused(parameters: str, key: str, says: str) -> None:
    seen, remedy = refused("absence", RIVER, parameters)
    assert (seen, says in remedy) == (key, True), remedy


FED = replace(place(), gateway="feed:hydrology")
ON_FEED = '[[rule]]\nid = "r"\npack = "absence"\nchannels = ["feed:hydrology"]\n'


def on_feed(text: str = ON_FEED) -> BoundRule:
    (rule,) = bind(text, "rules.toml", PACKS, {("st1", "wl"): FED})
    return rule


def test_a_feed_is_heard_by_any_of_its_readings() -> None:
    rule = on_feed()
    assert rule.gateways == ("feed:hydrology",)
    fold = fold_of([FED], [rule])
    rows = [row._replace(gateway="feed:hydrology") for row in prompt(EVERY_MINUTE)]
    events = play(fold, timeline(rows, tail_s=3700))
    assert brief(events) == [("raised", "fault", 1140), ("upgraded", "alarm", 4140)]
    assert {event.subject for event in events} == {"feed:hydrology"}
    back = [Receipt("feed:hydrology", at(s) + 500, [reading(s, 1.0)]) for s in (5000, 5060)]
    assert brief(play(fold, back)) == [("returned", "", 5000)]


def test_a_feed_keeps_its_count_through_a_restart() -> None:
    rule = on_feed()
    fold = fold_of([FED], [rule])
    rows = [row._replace(gateway="feed:hydrology") for row in prompt(EVERY_MINUTE)]
    play(fold, timeline(rows, tail_s=100))
    disk = {key: body for key, body in fold.changed().items() if body is not None}
    again = Fold()
    step(again, Change([FED], [rule], 0))
    again.restore(disk)
    said = play(again, [Tick(at(10 * n)) for n in range(64, 125)])
    assert brief(said) == [("raised", "fault", 1140)]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (ON_FEED.replace("feed:hydrology", "feed:hydrologie"), "did you mean 'feed:hydrology'"),
        (ON_FEED.replace("feed:hydrology", "gateway/feed:hydrology"), "unknown gateway"),
        (ON_FEED.replace("feed:hydrology", "hydrology"), "feed:ID"),
    ],
)
def test_a_feed_that_nobody_is_is_refused(wrong: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        on_feed(wrong)
    assert (caught.value.key, says in caught.value.remedy) == ("rule[0].channels[0]", True)


def test_only_an_absence_rule_judges_a_feed() -> None:
    text = ON_FEED.replace('"absence"', '"cn-rain-signals"')
    with pytest.raises(ConfigError) as caught:
        on_feed(text)
    assert (caught.value.key, caught.value.seen) == ("rule[0].channels", "feed:hydrology")
