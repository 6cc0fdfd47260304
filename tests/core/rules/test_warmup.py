"""New rules on history: state without a word, then one word for what holds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rig.changebook import GAUGE, RIVER, again, changed, warmed
from rig.rulebook import (
    FOUR,
    GATEWAY,
    HOUR_MS,
    SIGNALS,
    at,
    bound,
    brief,
    fold_of,
    ladder,
    play,
    prompt,
    rain,
    reading,
    river_and_storm,
    shuffled,
    silence,
    timeline,
)

from egret_core.messages import ChannelMeta
from egret_core.quality import Reason
from egret_core.rules.event import settled_hash
from egret_core.rules.model import Family
from egret_core.rules.step import Change, Facts, Receipt, Tick, step
from egret_core.rules.warmup import LAST_GOOD_MS, span_ms

if TYPE_CHECKING:
    from rig.rulebook import Arrival


LEVEL = bound(ladder(*FOUR), Family.LEVEL, RIVER)
STORM = bound(rain(*SIGNALS), Family.RAIN, GAUGE)
DAY_S = 86_400


def levels(*rows: tuple[float, float]) -> list[Arrival]:
    return prompt([reading(second, value) for second, value in rows])


def test_a_level_that_holds_is_said_once_at_the_reading_that_reached_it() -> None:
    past = levels((0, 2.0), (60, 3.1), (120, 3.6), (180, 3.2), (240, 3.1))
    fold = fold_of((RIVER, GAUGE), ())
    assert play(fold, timeline(past, tail_s=0)) == []
    assert changed(fold, [LEVEL], 245, past) == []
    said = play(fold, [Tick(at(250 + 10 * n)) for n in range(30)])
    # Up to yellow at 120, eased to blue at 180: at least blue has held since 60.
    assert brief(said) == [("raised", "blue", 60)]
    assert said[0].evidence["in_force_ms"] == at(245)
    assert said[0].evidence["value"] == 3.1


def test_an_eased_level_names_what_had_been_reached() -> None:
    past = levels((0, 2.0), (60, 5.2), (120, 3.4))
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past, tail_s=0))
    changed(fold, [LEVEL], 200, past, RIVER)
    (said,) = play(fold, [Tick(at(200 + 10 * n)) for n in range(10)])
    assert (said.level, said.rank, said.time_ms) == ("yellow", 2, at(60))
    assert said.evidence["reached"] == "red"


def test_what_is_over_by_the_change_is_not_said() -> None:
    past = levels((0, 2.0), (60, 5.2), (120, 2.4))
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past, tail_s=0))
    changed(fold, [LEVEL], 200, past, RIVER)
    assert play(fold, [Tick(at(200 + 10 * n)) for n in range(10)]) == []
    assert brief(play(fold, timeline(levels((300, 3.3))))) == [("raised", "blue", 300)]


def test_between_clear_and_raise_the_level_reached_before_still_holds() -> None:
    past = levels((0, 3.1), (60, 2.9))
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past, tail_s=0))
    changed(fold, [LEVEL], 100, past, RIVER)
    said = play(fold, timeline(levels((120, 2.9), (180, 2.7)), head_s=-100))
    assert brief(said) == [("raised", "blue", 0), ("returned", "", 180)]


def test_persistence_goes_on_over_the_change() -> None:
    law = ladder(("blue", 3.0, 2.8), persistence_s=600)
    rule = bound(law, Family.LEVEL, RIVER)
    past = levels(*((60 * n, 3.2) for n in range(6)))
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past, tail_s=0))
    changed(fold, [rule], 310, past, RIVER)
    said = play(fold, timeline(levels(*((60 * n, 3.2) for n in range(6, 12))), head_s=-310))
    assert brief(said) == [("raised", "blue", 600)]
    assert said[0].evidence["since_ms"] == at(0)


def test_a_new_rain_rule_is_not_blind_for_half_a_day() -> None:
    past = prompt([reading(600 * n, 100 + 0.8 * n, GAUGE) for n in range(60)])  # 4.8 mm an hour
    later = prompt([reading(600 * n, 100 + 0.8 * n, GAUGE) for n in range(60, 72)])
    fold = fold_of((GAUGE,), ())
    play(fold, timeline(past, tail_s=0))
    cold = fold_of((GAUGE,), ())
    play(cold, timeline(past, tail_s=0))
    change_s = 600 * 59 + 5
    changed(fold, [STORM], change_s, past, GAUGE)
    step(cold, Change((GAUGE,), [STORM], at(change_s)))
    items = timeline(later, head_s=-change_s)
    # 50 mm in 12 h: 63 steps of 0.8 mm after the first reading.
    assert brief(play(fold, items)) == [("raised", "blue", 600 * 63)]
    assert play(cold, items) == []


def test_a_channel_that_was_unknown_takes_its_times_from_history() -> None:
    past = levels((0, 3.1), (60, 3.2), (120, 3.3))
    fold = fold_of((), ())
    play(fold, timeline(past, tail_s=0))
    changed(fold, [LEVEL], 125, past, RIVER)
    # 120 is within the lateness: it waits like any other, and one from before it is in time.
    said = play(fold, timeline(levels((110, 3.6), (121, 3.4)), head_s=-125, tail_s=200))
    assert brief(said) == [("raised", "blue", 0), ("upgraded", "yellow", 110)]
    assert fold.channels["st1"]["wl"].late == 0


def test_failed_and_maintenance_readings_of_the_past_raise_nothing() -> None:
    rows = [
        reading(0, 2.0),
        reading(60, 9.0, flag=4),
        reading(120, 9.0, reasons=int(Reason.MAINTENANCE)),
        reading(180, None, flag=9),
    ]
    past = prompt(rows)
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past, tail_s=0))
    changed(fold, [LEVEL], 300, past, RIVER)
    assert play(fold, [Tick(at(300 + 10 * n)) for n in range(10)]) == []


def test_another_datum_has_no_past() -> None:
    past = levels((0, 3.1), (60, 3.2))
    fold = fold_of((RIVER,), [LEVEL])
    play(fold, timeline(past, tail_s=0))
    moved = replace(RIVER, datum="Other")
    step(fold, Change((moved,), [replace(LEVEL, version="v2")], at(70)))
    assert fold.cold == []


def test_facts_told_before_the_catalogue_knew_the_channel_stop_a_misfit() -> None:
    past = levels((0, 5.5), (60, 5.5))
    fold = fold_of((), ())
    step(fold, Change((RIVER,), [LEVEL], at(70)))
    meta = ChannelMeta("st1", "wl", "water_level", "m", datum="Other")
    for warmup in fold.cold:
        warmup.learn(meta)
        assert warmup.begin() == (0, 0)
        assert warmup.earlier() == (0, 0)
        warmup.end()
    fold.warmed(at(70))
    assert play(fold, timeline(levels((100, 5.6)), head_s=-70)) == []
    assert "datum" in fold.channels["st1"]["wl"].misfit
    assert past


def test_a_rule_that_goes_on_is_not_warmed_and_hears_nothing_twice() -> None:
    past = levels((0, 3.1), (60, 3.2))
    other = replace(LEVEL, id="second")
    fold = fold_of((RIVER,), [LEVEL])
    first = play(fold, timeline(past, tail_s=60))
    assert brief(first) == [("raised", "blue", 0)]
    step(fold, Change((RIVER,), [LEVEL, other], at(120)))
    warmed(fold, past, at(120))
    said = play(fold, [Tick(at(120 + 10 * n)) for n in range(6)])
    assert [(e.rule, e.time_ms) for e in said] == [("second@v1", at(0))]


def test_state_between_the_change_and_the_first_word_survives_a_kill() -> None:
    past = levels((0, 3.1), (60, 3.6), (120, 3.4))
    whole = fold_of((RIVER,), ())
    play(whole, timeline(past, tail_s=0))
    changed(whole, [LEVEL], 125, past, RIVER)
    killed = again(whole, [LEVEL], RIVER)
    assert killed.cold == []
    items = timeline(levels((180, 4.2), (240, 2.0)), head_s=-125)
    first, second = play(whole, items), play(killed, items)
    assert [e.id for e in first] == [e.id for e in second]
    assert brief(first)[0] == ("raised", "yellow", 60)


@pytest.mark.parametrize("seed", range(12))
def test_disorder_around_a_change_gives_the_same_settled_events(seed: int) -> None:
    rows = river_and_storm(seed, 300, [(200, 230)])
    cut_s = 60 * 150 + 7 * seed
    rules = [LEVEL, STORM, replace(LEVEL, id="slow", law=ladder(*FOUR, persistence_s=180))]
    hashes = set()
    for arrivals in (
        prompt(rows, 0),
        prompt(rows),
        shuffled(rows, seed),
        shuffled(rows, seed + 99),
    ):
        fold, out = fold_of((RIVER, GAUGE), ()), []
        ordered = timeline(arrivals, tail_s=120)
        before = [item for item in ordered if _when(item) <= at(cut_s)]
        out += play(fold, before)
        out += changed(fold, rules, cut_s, arrivals)
        if seed % 2:
            fold = again(fold, rules)
        out += play(fold, ordered[len(before) :])
        hashes.add(settled_hash(out))
        assert len(out) > 5
    assert len(hashes) == 1


def _when(item: object) -> int:
    return item.now_ms if isinstance(item, Tick) else item.received_ms  # type: ignore[attr-defined]


def test_abandoned_half_way_it_is_as_cold_as_before() -> None:
    past = levels((0, 3.1), (60, 3.2), (120, 3.3))
    fold, never = fold_of((), ()), fold_of((), ())
    for one in (fold, never):
        step(one, Change((RIVER,), [LEVEL], at(125)))
    (warmup,) = fold.cold
    warmup.begin()
    warmup.feed([arrival.reading for arrival in past[:2]])
    warmup.abandon()
    fold.warmed(at(125))
    assert fold.changed() == never.changed()


def test_a_new_absence_rule_knows_the_last_good_reading() -> None:
    rule = bound(silence(900), Family.ABSENCE, RIVER)
    past = prompt([reading(0, 2.0), reading(60, 2.1), reading(120, None, flag=9)])
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past, tail_s=7200))
    changed(fold, [rule], 7000, past, RIVER)
    said = play(fold, [Tick(at(7010 + 10 * n)) for n in range(95)])
    # Its count begins with the rule: the centre's running time before it is not known.
    assert brief(said) == [("raised", "fault", 960)]
    assert said[-1].evidence["last_good_ms"] == at(60)
    assert said[-1].reason == "no_good_reading"


def test_an_edited_absence_rule_goes_on_counting() -> None:
    rule = bound(silence(900), Family.ABSENCE, RIVER, gateways=(GATEWAY,))
    past = levels((0, 2.0), (60, 2.1))
    fold = fold_of((RIVER,), [rule])
    play(fold, timeline(past, tail_s=800))
    edited = replace(rule, version="v2", law=silence(600))
    changed(fold, [edited], 850, past, RIVER)
    said = play(fold, [Tick(at(860)), Tick(at(870))])
    assert {(e.subject, e.time_ms, e.rule) for e in said if e.phase == "settled"} == {
        ("st1/wl", at(660), "absence@v2"),
        (f"gateway/{GATEWAY}", at(660), "absence@v2"),
    }


def test_an_edited_absence_rule_knows_who_came_back() -> None:
    rule = bound(silence(600), Family.ABSENCE, RIVER)
    fold = fold_of((RIVER,), [rule])
    assert brief(play(fold, timeline(levels((0, 2.0)), tail_s=800))) == [("raised", "fault", 600)]
    play(fold, timeline(levels((805, 2.0)), head_s=-801, tail_s=5))
    changed(fold, [replace(rule, version="v2")], 812, (), RIVER)
    said = play(fold, [Tick(at(820 + 10 * n)) for n in range(70)])
    assert brief(said) == [("raised", "fault", 805 + 600)]


def test_a_gateway_was_last_heard_when_its_channels_were() -> None:
    rule = bound(silence(900), Family.ABSENCE, gateways=(GATEWAY,))
    past = levels((0, 2.0), (60, 2.1))
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past, tail_s=600))
    changed(fold, [rule], 500, past, RIVER)
    said = play(fold, [Tick(at(700 + 10 * n)) for n in range(100)])
    assert brief(said) == [("raised", "fault", 960)]


def test_a_fact_of_an_unwatched_channel_changes_nothing() -> None:
    fold = fold_of((RIVER,), ())
    meta = ChannelMeta("st1", "wl", "water_level", "m", datum="Local")
    step(fold, Facts(GATEWAY, [meta]))
    assert changed(fold, (), 10, (), RIVER) == []
    assert fold.cold == []


def test_spans_reach_as_far_as_a_law_can_look() -> None:
    assert span_ms(ladder(*FOUR, persistence_s=600, hold_s=60, gap_s=3600)) == 4_260_000
    assert span_ms(rain(*SIGNALS)) == (12 + 12.6 + 1) * HOUR_MS
    assert span_ms(silence(900)) == 900_000
    assert LAST_GOOD_MS == DAY_S * 1000


@pytest.mark.parametrize("copied", [False, True])
def test_a_copy_of_maintenance_before_the_rule_does_not_move_its_count(*, copied: bool) -> None:
    work = reading(160, 1.0, reasons=int(Reason.MAINTENANCE))
    past = prompt([reading(0, 1.0), work])
    fold = fold_of((RIVER,), ())
    play(fold, timeline(past, tail_s=0))
    changed(fold, [bound(silence(300), Family.ABSENCE, RIVER)], 180, past, RIVER)
    if copied:
        step(fold, Receipt(GATEWAY, at(185), [work]))
    first_ms = next(ms for ms in range(at(190), at(900), 10_000) if step(fold, Tick(ms))[1])
    assert first_ms == at(480), "five minutes after the change, by the centre's own time"
