from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.rulebook import (
    GATEWAY,
    START_MS,
    Arrival,
    at,
    bound,
    brief,
    fold_of,
    place,
    play,
    prompt,
    reading,
    shuffled,
    silence,
    timeline,
)

from egret_core.quality import Flag, Reason
from egret_core.rules.event import Phase
from egret_core.rules.model import BoundRule, Family
from egret_core.rules.step import Change, Fold, Receipt, Tick, step

RULE = bound(silence(300), Family.ABSENCE, place())
EVERY_MINUTE = [reading(60 * n, 1.0) for n in range(10)]  # the last one at 540 s


def judged(arrivals: Any, rule: BoundRule = RULE, tail_s: float = 120, **how: bool) -> Any:
    return play(fold_of([place()], [rule]), timeline(arrivals, tail_s, **how))


def test_silence_is_said_at_the_limit_and_settled_after_the_lateness() -> None:
    events = judged(prompt(EVERY_MINUTE), tail_s=400)
    assert [(e.phase, e.reason) for e in events] == [
        (Phase.PROVISIONAL, "no_good_reading"),
        (Phase.SETTLED, "no_good_reading"),
    ]
    assert brief(events) == [("raised", "fault", 840)]
    assert events[1].provisional_id == events[0].id
    assert events[1].evidence == {"last_good_ms": at(540), "limit_s": 300.0}


def test_it_is_said_within_ten_seconds_of_the_limit() -> None:
    fold = fold_of([place()], [RULE])
    items = timeline(prompt([reading(0, 1.0)]), tail_s=400)
    said_ms = next(item.now_ms for item in items if step(fold, item)[1])
    assert at(300) <= said_ms <= at(310) + 500


def test_a_reading_in_time_keeps_it_quiet() -> None:
    assert judged(prompt(reading(290 * n, 1.0) for n in range(20)), tail_s=200) == []


def test_a_channel_never_seen_counts_from_the_binding() -> None:
    events = judged([], tail_s=400)
    assert brief(events) == [("raised", "fault", 300)]
    assert events[0].reason == "never_seen"


def test_the_first_reading_after_it_returns_at_its_own_time() -> None:
    back = [*EVERY_MINUTE, *(reading(1200 + 60 * n, 1.0) for n in range(5))]
    assert brief(judged(prompt(back))) == [("raised", "fault", 840), ("returned", "", 1200)]


def test_the_earliest_of_a_mixed_return_is_taken() -> None:
    mixed = [Arrival(at(1215), reading(1210, 1.0)), Arrival(at(1220), reading(1200, 1.0))]
    events = brief(judged([*prompt(EVERY_MINUTE), *mixed]))
    assert events[-1] == ("returned", "", 1200)


def test_an_old_backlog_clears_nothing() -> None:
    backlog = [Arrival(at(2000), reading(600 + 60 * n, 1.0)) for n in range(10)]
    assert brief(judged([*prompt(EVERY_MINUTE), *backlog], tail_s=400)) == [
        ("raised", "fault", 840)
    ]


def test_a_copy_of_the_last_reading_is_no_news() -> None:
    fold = fold_of([place()], [RULE])
    copies = [Arrival(at(700 + 50 * n), EVERY_MINUTE[-1]) for n in range(6)]
    items = timeline([*prompt(EVERY_MINUTE), *copies], tail_s=400)
    said_ms = next(item.now_ms for item in items if step(fold, item)[1])
    assert at(840) <= said_ms <= at(850) + 500


def test_failed_readings_end_no_silence() -> None:
    failing = [reading(600 + 60 * n, None, flag=Flag.MISSING) for n in range(10)]
    assert brief(judged(prompt([*EVERY_MINUTE, *failing]))) == [("raised", "fault", 840)]


def test_a_reading_from_inside_the_limit_refutes_it() -> None:
    late = Arrival(at(855), reading(830, 1.0))  # 25 s on its way: within the lateness
    events = judged([*prompt(EVERY_MINUTE), late], tail_s=100)
    assert [e.phase for e in events] == [Phase.PROVISIONAL, Phase.REFUTED]
    assert events[1].provisional_id == events[0].id


def test_a_gap_just_over_the_limit_is_raised_and_returned() -> None:
    back = Arrival(at(862), reading(860, 1.0))
    events = brief(judged([*prompt(EVERY_MINUTE), back], tail_s=100))
    assert events == [("raised", "fault", 840), ("returned", "", 860)]


@pytest.mark.parametrize("delay_s", [0.5, 20, 29])
def test_a_gap_over_the_limit_is_one_however_late_its_ends_came(delay_s: float) -> None:
    before, after = reading(540, 1.0), reading(855, 1.0)
    arrivals = [*prompt(EVERY_MINUTE[:-1]), Arrival(at(540 + delay_s), before)]
    arrivals += [Arrival(at(855.5), after), *prompt([reading(870, 1.0)])]
    assert brief(judged(arrivals)) == [("raised", "fault", 840), ("returned", "", 855)]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([60, 280, 290, 299, 300, 301, 310, 320, 400]), max_size=8))
def test_gaps_are_the_same_in_any_order_of_receipt(gaps_s: list[int]) -> None:
    times = [60, *(60 + sum(gaps_s[: n + 1]) for n in range(len(gaps_s)))]
    rows = [reading(second, 1.0) for second in times]
    expected = brief(judged(prompt(rows), tail_s=200))
    long = [at for at, gap in zip(times, gaps_s, strict=False) if gap > 300]
    assert [(word, second) for word, _, second in expected] == [
        pair
        for start, gap in zip(times, gaps_s, strict=False)
        if gap > 300
        for pair in (("raised", start + 300), ("returned", start + gap))
    ]
    assert len(expected) == 2 * len(long)
    for seed in range(5):
        assert brief(judged(shuffled(rows, seed), tail_s=200)) == expected


def test_a_stop_of_the_centre_is_no_gap_of_a_channel() -> None:
    stop = range(560, 900)
    readings = [reading(30 * n, 1.0) for n in range(40)]
    late = [one for one in readings if (one.time_ms - START_MS) // 1000 in stop]
    arrivals = prompt(one for one in readings if one not in late)
    arrivals += [Arrival(at(930 + n), one) for n, one in enumerate(late)]  # the backlog comes after
    items = [
        i for i in timeline(arrivals) if not (isinstance(i, Tick) and at(560) < i.now_ms < at(900))
    ]
    assert brief(play(fold_of([place()], [RULE]), items)) == []


def test_one_batch_of_a_slow_gateway_is_no_gap() -> None:
    rule = bound(silence(300), Family.ABSENCE, gateways=(GATEWAY,))
    items: list[Any] = [Tick(at(10 * n)) for n in range(121)]
    for end_s in (300, 590, 880, 1170):  # cut every 290 s, a reading a minute in each
        rows = [reading(end_s - 60 * n, 1.0) for n in reversed(range(5))]
        items.append(Receipt(GATEWAY, at(end_s) + 500, rows))
    items.sort(key=lambda item: item.now_ms if isinstance(item, Tick) else item.received_ms)
    assert brief(play(fold_of([place()], [rule]), items)) == []


def test_maintenance_pauses_the_count_only_while_it_lasts() -> None:
    work = [reading(600 + 60 * n, 1.0, reasons=Reason.MAINTENANCE) for n in range(30)]
    rows = prompt([*EVERY_MINUTE, *work])
    assert judged(rows, tail_s=200) == []
    events = judged(rows, tail_s=700)
    assert brief(events) == [("raised", "fault", 840)]


def test_downtime_of_the_centre_pauses_the_count_and_resets_nothing() -> None:
    fold = fold_of([place()], [RULE])
    play(fold, timeline(prompt(EVERY_MINUTE), tail_s=200))  # 200 s of silence are counted
    day = 86_400
    items = [Tick(at(day + 10 * n)) for n in range(40)]
    said = [(item.now_ms, event) for item in items for event in step(fold, item)[1]]
    centre = [event for _, event in said if event.subject == "centre"]
    assert brief(centre) == [("raised", "fault", 740 + 600), ("returned", "", day)]
    first = next(now for now, event in said if event.subject == "st1/wl")
    # of the downtime one tick's worth (30 s) counts, so about 70 s of running are left
    assert at(day + 60) <= first <= at(day + 90)


def test_nine_minutes_without_ticks_are_no_fault_of_the_centre() -> None:
    fold = fold_of([place()], [])
    assert play(fold, [Tick(at(0)), Tick(at(599)), Tick(at(1199))]) == []
    assert brief(play(fold, [Tick(at(1800))])) == [
        ("raised", "fault", 1799),
        ("returned", "", 1800),
    ]


def test_without_ticks_there_is_no_verdict() -> None:
    rows = [*EVERY_MINUTE, reading(90_000, 1.0)]
    assert judged(prompt(rows), ticks=False) == []


def test_a_gateway_is_heard_by_any_of_its_readings_even_failed_ones() -> None:
    rule = bound(silence(300), Family.ABSENCE, gateways=(GATEWAY,))
    failing = [reading(60 * n, None, flag=Flag.FAIL) for n in range(10)]
    assert judged(prompt(failing), rule) == []
    back = [*failing, *(reading(1200 + 60 * n, None, flag=Flag.FAIL) for n in range(5))]
    events = judged(prompt(back), rule)
    assert brief(events) == [("raised", "fault", 840), ("returned", "", 1200)]
    assert events[0].subject == "gateway/GW-1"


def test_a_reading_later_than_allowed_ends_a_silence_and_never_before_it_began() -> None:
    # Settled at 330 s; the reading of 290 s comes at 360 s: inside limit and lateness of its age.
    fold = fold_of([place()], [RULE])
    play(fold, timeline(prompt([reading(0, 1.0)]), tail_s=350))
    late = Receipt(GATEWAY, at(360), [reading(290, 1.0)])
    events = play(fold, [late, *(Tick(at(s)) for s in (370, 380, 390, 400))])
    assert brief(events) == [("returned", "", 300)]
    assert events[0].evidence["silent_s"] == 300.0


def test_it_can_be_raised_again_after_a_return() -> None:
    twice = [*EVERY_MINUTE, *(reading(1200 + 60 * n, 1.0) for n in range(5))]
    events = brief(judged(prompt(twice), tail_s=400))
    assert [row[0] for row in events] == ["raised", "returned", "raised"]
    assert events[-1][2] == 1440 + 300


def test_a_restart_at_every_item_changes_nothing() -> None:
    twice = [*EVERY_MINUTE, *(reading(1200 + 60 * n, 1.0) for n in range(5))]
    items = timeline(prompt(twice), tail_s=400)
    expected = play(fold_of([place()], [RULE]), items)
    fold, disk, actual = fold_of([place()], [RULE]), {}, []
    for item in items:
        actual += step(fold, item)[1]
        disk.update(fold.changed())
        fold = Fold()
        step(fold, Change([place()], [RULE], 0))
        fold.restore(disk)
    assert actual == expected


def test_a_reading_ahead_of_its_receipt_counts_as_heard_at_its_receipt() -> None:
    fold = fold_of([place()], [RULE])
    ahead = Receipt(GATEWAY, START_MS, [reading(7200, 1.0)])
    events = play(fold, [ahead, *(Tick(at(10 * n)) for n in range(1, 40))])
    assert brief(events) == [("raised", "fault", 300)]


def test_a_return_is_settled_by_a_reading_that_much_newer_without_a_tick() -> None:
    fold = fold_of([place()], [RULE])
    play(fold, timeline(prompt(EVERY_MINUTE), tail_s=400))
    receipts = [Receipt(GATEWAY, at(s) + 500, [reading(s, 1.0)]) for s in (1200, 1215, 1230)]
    assert brief(play(fold, receipts)) == [("returned", "", 1200)]


def test_a_withdrawn_rule_refutes_the_silence_it_only_suspected() -> None:
    fold = fold_of([place()], [RULE])
    said = play(fold, timeline(prompt([reading(0, 1.0)]), tail_s=315))
    assert [e.phase for e in said] == [Phase.PROVISIONAL]
    events = step(fold, Change([place()], [], at(320)))[1]
    assert [(e.phase, e.reason, e.provisional_id) for e in events] == [
        (Phase.REFUTED, "rule_withdrawn", said[0].id)
    ]


def test_a_gateway_keeps_its_count_through_a_change_and_a_restart() -> None:
    rule = bound(silence(300), Family.ABSENCE, gateways=(GATEWAY,))
    fold = fold_of([place()], [rule])
    play(fold, timeline(prompt(EVERY_MINUTE), tail_s=100))
    step(fold, Change([place()], [rule, RULE], at(641)))
    disk = {key: body for key, body in fold.changed().items() if body is not None}
    again = Fold()
    step(again, Change([place()], [rule, RULE], 0))
    again.restore(disk)
    said = play(again, [Tick(at(10 * n)) for n in range(65, 100)])
    heard = [event for event in said if event.subject == "gateway/GW-1"]
    assert brief(heard) == [("raised", "fault", 840)]


def test_old_work_on_the_site_does_not_pause_the_count() -> None:
    old = reading(0, 1.0, reasons=Reason.MAINTENANCE)
    late = [Arrival(at(600 + 30 * n), old) for n in range(20)]
    assert brief(judged([*prompt(EVERY_MINUTE), *late], tail_s=100)) == [("raised", "fault", 840)]


def test_a_sensor_that_only_fails_is_silent_while_its_gateway_is_heard() -> None:
    rule = bound(silence(300), Family.ABSENCE, place(), gateways=(GATEWAY,))
    doubts = ((Flag.FAIL, Reason.SENSOR_FAULT), (Flag.SUSPECT, Reason.SPIKE), (Flag.MISSING, 128))
    broken = [
        reading(60 * n, 1.0 if flag != Flag.MISSING else None, flag=flag, reasons=int(why))
        for n, (flag, why) in zip(range(10, 25), doubts * 5, strict=True)
    ]
    events = judged(prompt([*EVERY_MINUTE, *broken]), rule)
    assert {event.subject for event in events} == {"st1/wl"}
    assert brief(events) == [("raised", "fault", 840)]


def test_a_second_rule_on_a_gateway_begins_its_own_count_after_a_restart() -> None:
    first = bound(silence(300), Family.ABSENCE, gateways=(GATEWAY,))
    second = replace(first, id="short", law=silence(60))
    fold = fold_of([place()], [first])
    play(fold, timeline(prompt(EVERY_MINUTE), tail_s=100))
    disk = {key: body for key, body in fold.changed().items() if body is not None}
    again = Fold()
    step(again, Change([place()], [first, second], at(641)))
    again.restore(disk)
    said = play(again, [Tick(at(10 * n)) for n in range(65, 100)])
    assert [
        (e.rule, row)
        for e, row in zip(said, brief(said, None), strict=True)
        if e.phase == Phase.SETTLED
    ] == [
        (second.name, ("raised", "fault", 701)),
        (first.name, ("raised", "fault", 840)),
    ]


@pytest.mark.parametrize(
    ("flag", "why"), [(Flag.NOT_EVALUATED, 0), (Flag.GOOD, Reason.GAP), (Flag.GOOD, Reason.CLOCK)]
)
def test_a_doubt_that_leaves_a_reading_good_ends_the_silence_too(flag: Flag, why: int) -> None:
    back = [reading(1200 + 60 * n, 1.0, flag=flag, reasons=int(why)) for n in range(5)]
    events = brief(judged(prompt([*EVERY_MINUTE, *back])))
    assert events == [("raised", "fault", 840), ("returned", "", 1200)]
