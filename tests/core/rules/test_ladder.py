from __future__ import annotations

import random
from typing import Any

import pytest
from rig.rulebook import FOUR, bound, brief, fold_of, ladder, place, play, prompt, reading, timeline

from egret_core.rules.event import Phase
from egret_core.rules.ladder import Ladder
from egret_core.rules.model import Family, LadderLaw

ONE = (("blue", 3.0, 2.8),)


def judged(law: LadderLaw, pairs: Any) -> Any:
    fold = fold_of([place()], [bound(law, Family.LEVEL, place())])
    return play(fold, timeline(prompt(reading(s, v) for s, v in pairs)))


def test_hysteresis_gives_one_raise_and_one_proposed_lowering() -> None:
    events = judged(ladder(*ONE), [(0, 3.00), (60, 2.90), (120, 3.01), (180, 2.79)])
    assert brief(events) == [("raised", "blue", 0), ("returned", "", 180)]


def test_noise_around_a_threshold_for_a_day_raises_once() -> None:
    dice = random.Random(5)
    noise = [(60 * n, 3.0 * (1 + dice.uniform(-0.02, 0.02))) for n in range(1440)]
    events = judged(ladder(("blue", 3.0, 2.9)), noise)
    assert [change for change, _, _ in brief(events)] in (["raised"], ["raised", "returned"])
    quiet = judged(ladder(*ONE), noise)
    assert [change for change, _, _ in brief(quiet)] == ["raised"]


def test_a_jump_over_several_rungs_is_one_raise_to_the_highest() -> None:
    events = judged(ladder(*FOUR), [(0, 1.0), (60, 4.2), (120, 5.0), (180, 3.4), (240, 1.0)])
    assert brief(events) == [
        ("raised", "orange", 60),
        ("upgraded", "red", 120),
        ("eased", "yellow", 180),
        ("returned", "", 240),
    ]


def test_the_evidence_names_value_threshold_unit_and_datum() -> None:
    raised = [e for e in judged(ladder(*FOUR), [(0, 3.6), (60, 3.6)]) if e.phase is Phase.SETTLED]
    assert raised[0].evidence == {"value": 3.6, "threshold": 3.5, "unit": "m", "datum": "Local"}
    assert (raised[0].reason, raised[0].rank, raised[0].subject) == ("at_or_above", 2, "st1/wl")


def test_the_value_raises_at_once_provisionally_and_the_settled_event_names_it() -> None:
    events = judged(ladder(*ONE), [(0, 1.0), (60, 3.2), (120, 3.2)])
    first, second = events
    assert (first.phase, second.phase) == (Phase.PROVISIONAL, Phase.SETTLED)
    assert second.provisional_id == first.id
    assert first.id != second.id
    assert first.time_ms == second.time_ms


def test_the_raise_value_itself_is_said_at_once() -> None:
    fold = fold_of([place()], [bound(ladder(*ONE), Family.LEVEL, place())])
    (first,) = play(fold, timeline(prompt([reading(0, 3.0)]), tail_s=1))
    assert (first.phase, brief([first])) == (Phase.PROVISIONAL, []), "not a lateness later"


def test_persistence_waits_in_event_time_and_says_nothing_provisionally() -> None:
    rising = [(60 * n, 3.1) for n in range(12)]
    events = judged(ladder(*ONE, persistence_s=600), rising)
    assert brief(events, None) == [("raised", "blue", 600)]
    assert events[0].evidence["since_ms"] == events[0].time_ms - 600_000


def test_one_reading_an_hour_old_does_not_fire_a_ten_minute_rule() -> None:
    law = ladder(*ONE, persistence_s=600)
    fold = fold_of([place()], [bound(law, Family.LEVEL, place())])
    late = [
        one._replace(received_ms=one.received_ms + 3_600_000) for one in prompt([reading(0, 9.9)])
    ]
    assert play(fold, timeline(late, tail_s=3600)) == []


def test_persistence_goes_on_over_a_silence_with_readings_over_at_both_ends() -> None:
    law = ladder(*ONE, persistence_s=600, gap_s=900)
    raised = judged(law, [(0, 3.1), (1200, 3.1), (1500, 3.1)])
    assert brief(raised, None) == [("raised", "blue", 1200)]
    assert raised[0].evidence["since_ms"] == raised[0].time_ms - 1_200_000
    assert judged(law, [(0, 2.9), (1200, 3.1), (1500, 3.1)]) == []
    assert judged(law, [(0, 3.1), (1200, 2.9), (1500, 3.1)]) == []
    assert brief(judged(law, [(0, 3.1), (800, 3.1)]), None) == [("raised", "blue", 800)]


def test_a_dip_below_the_raise_value_starts_persistence_again() -> None:
    values = [(0, 3.1), (300, 2.9), (600, 3.1), (900, 3.1), (1200, 3.1)]
    assert brief(judged(ladder(*ONE, persistence_s=600), values)) == [("raised", "blue", 1200)]


def test_hold_keeps_a_level_until_it_was_low_for_long_enough() -> None:
    values = [(0, 3.1), (60, 2.0), (120, 2.9), (180, 2.0), (400, 2.0), (480, 2.0), (600, 2.0)]
    events = judged(ladder(*ONE, hold_s=300), values)
    assert brief(events) == [("raised", "blue", 0), ("returned", "", 480)]


def test_a_gap_proves_no_hold() -> None:
    events = judged(
        ladder(*ONE, hold_s=300, gap_s=900), [(0, 3.1), (60, 2.0), (5000, 2.0), (5100, 2.0)]
    )
    assert brief(events) == [("raised", "blue", 0)]


def test_hold_eases_rung_by_rung() -> None:
    values = [(0, 5.1), (60, 3.4), (360, 3.4), (420, 1.0), (720, 1.0)]
    events = judged(ladder(*FOUR, hold_s=300), values)
    assert brief(events) == [("raised", "red", 0), ("eased", "yellow", 360), ("returned", "", 720)]


def test_an_earlier_reading_over_takes_the_event_time_and_names_the_provisional_one() -> None:
    law = ladder(*ONE)
    fold = fold_of([place()], [bound(law, Family.LEVEL, place())])
    rows = prompt([reading(0, 1.0), reading(60, 3.2)])
    rows.append(rows[0]._replace(received_ms=rows[1].received_ms + 5000, reading=reading(50, 3.4)))
    provisional, settled = play(fold, timeline(rows))
    assert (provisional.phase, settled.phase) == (Phase.PROVISIONAL, Phase.SETTLED)
    assert settled.time_ms == provisional.time_ms - 10_000
    assert settled.provisional_id == provisional.id


def test_a_provisional_event_that_is_not_confirmed_is_refuted() -> None:
    law = ladder(*ONE)
    state = Ladder(bound(law, Family.LEVEL, place()), law, "st1/wl")
    said = state.alert(1000, 3.5)
    out = []
    state.settle(1000, 1.0, out)  # what was settled at that time was another value
    assert [(e.phase, e.reason, e.provisional_id) for e in out] == [
        (Phase.REFUTED, "not_confirmed", said.id)
    ]
    assert state.alert(2000, 3.5) is not None


def test_a_provisional_event_is_said_once_until_it_is_settled() -> None:
    law = ladder(*FOUR)
    state = Ladder(bound(law, Family.LEVEL, place()), law, "st1/wl")
    said = [state.alert(1000 + n, value) for n, value in enumerate((3.1, 3.2, 3.6, 3.1, 5.5))]
    assert [e.level if e else None for e in said] == ["blue", None, "yellow", None, "red"]
    assert [str(e.change) for e in said if e] == ["raised", "upgraded", "upgraded"]


@pytest.mark.parametrize("stop", range(1, 8))
def test_the_state_survives_as_json(stop: int) -> None:
    law = ladder(*FOUR, persistence_s=120, hold_s=120)
    values = [1.0, 3.6, 3.6, 4.2, 4.2, 4.2, 1.0, 1.0, 1.0]
    rule = bound(law, Family.LEVEL, place())
    whole, first, second = (Ladder(rule, law, "st1/wl") for _ in range(3))
    expected, actual = [], []
    for n, value in enumerate(values):
        whole.settle(n * 60_000, value, expected)
        if n == stop:
            second.restore(first.dump())
        (first if n < stop else second).settle(n * 60_000, value, actual)
    assert actual == expected
    assert len(expected) == 3
