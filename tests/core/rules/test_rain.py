from __future__ import annotations

from copy import deepcopy
from random import Random
from typing import Any

import pytest
from rig.rulebook import (
    SIGNALS,
    at,
    bound,
    brief,
    fold_of,
    place,
    play,
    prompt,
    rain,
    reading,
    timeline,
)

from egret_core.rules.event import Phase
from egret_core.rules.model import BoundRule, Family, RainLaw
from egret_core.rules.rain import Rain
from egret_core.rules.step import Change, step

GAUGE = place("rn", "rain_total")
RULE = bound(rain(*SIGNALS), Family.RAIN, GAUGE)


def judged(falls: Any, rule: BoundRule = RULE, step_s: float = 60, start_mm: float = 1000.0) -> Any:
    """Judge rain given as mm per step, as the never-decreasing total that travels."""
    fold, total, rows = fold_of([GAUGE], [rule]), start_mm, [reading(0, start_mm, GAUGE)]
    for n, mm in enumerate(falls, 1):
        total = round(total + mm, 6)
        rows.append(reading(n * step_s, total, GAUGE))
    return play(fold, timeline(prompt(rows)))


def levels(events: Any) -> list[str]:
    return [level for change, level, _ in brief(events) if change in ("raised", "upgraded")]


def test_fifty_mm_in_an_hour_is_orange() -> None:
    assert levels(judged([0.5] * 100, step_s=36))[-1:] == ["orange"]


def test_a_hundred_mm_in_three_hours_is_red() -> None:
    assert levels(judged([0.5] * 200, step_s=54))[-1:] == ["red"]


def test_just_under_fifty_mm_in_twelve_hours_is_nothing() -> None:
    assert judged([0.1] * 499, step_s=86) == []


def test_fifty_mm_spread_over_more_than_six_hours_is_blue() -> None:
    assert levels(judged([0.1] * 504, step_s=84)) == ["blue"]


def test_the_sum_is_exact_at_the_threshold() -> None:
    # 500 tips of 0.1 mm in three hours are 50 mm: no drift hides the last tip
    events = judged([0.1] * 500, step_s=20)
    assert brief(events) == [("raised", "orange", 10_000)]
    raised = next(e for e in events if e.phase is Phase.SETTLED)
    assert raised.evidence == {"value": 50.0, "threshold": 50.0, "unit": "mm", "window_h": 3.0}
    assert raised.reason == "sum_over_window"


def test_a_sum_already_over_is_said_at_once_and_named_when_settled() -> None:
    events = judged([60.0, 0.0], step_s=600)
    provisional, settled = events[0], events[1]
    assert (provisional.phase, provisional.level) == (Phase.PROVISIONAL, "orange")
    assert (settled.phase, settled.provisional_id) == (Phase.SETTLED, provisional.id)


def test_it_eases_when_below_and_dry_for_an_hour() -> None:
    wet, dry = [10.0] * 6, [0.0] * 20 * 6
    events = brief(judged([*wet, *dry], step_s=600))
    assert [row[:2] for row in events] == [
        ("raised", "orange"),
        ("eased", "yellow"),
        ("eased", "blue"),
        ("returned", ""),
    ]
    # the sum of 60 mm falls to 50 and then 40 as its first steps leave the window
    assert [row[2] for row in events] == [
        3000,
        600 * 2 + 10_800,
        600 * 2 + 21_600,
        600 * 2 + 43_200,
    ]


def test_it_does_not_ease_while_it_still_rains() -> None:
    drizzle = [0.01] * 24 * 6
    events = brief(judged([60.0, *drizzle], step_s=600))
    assert [row[:2] for row in events] == [("raised", "orange")]


def test_a_jump_over_a_gap_counts_only_in_windows_at_least_as_long() -> None:
    assert levels(judged([60.0], step_s=3.5 * 3600)) == ["yellow"]
    assert levels(judged([60.0], step_s=6.5 * 3600)) == ["blue"]
    assert levels(judged([60.0], step_s=12.6 * 3600)) == ["blue"]
    assert levels(judged([60.0], step_s=12.61 * 3600)) == []


def test_a_total_that_falls_is_a_new_base_and_the_evidence_says_so() -> None:
    fold = fold_of([GAUGE], [RULE])
    totals = [(0, 900.0), (600, 940.0), (1200, 3.0), (1800, 14.0), (2400, 14.0)]
    events = play(fold, timeline(prompt(reading(s, v, GAUGE) for s, v in totals)))
    raised = [e for e in events if e.phase is Phase.SETTLED]
    assert brief(raised) == [("raised", "orange", 1800)]
    assert raised[0].evidence["value"] == 51.0
    assert raised[0].evidence["rebased_ms"] == raised[0].time_ms - 600_000


def test_a_total_that_rises_as_no_rain_can_is_a_new_base_and_warns_nobody() -> None:
    """An old card put back, a used gauge: thousands of millimetres within a minute."""
    fold = fold_of([GAUGE], [RULE])
    totals = [(0, 30.0), (600, 45.0), (660, 7045.0), (720, 7045.2), (780, 45.2), (840, 45.4)]
    totals += [(1440, 75.4), (2040, 86.0)]
    events = play(fold, timeline(prompt(reading(s, v, GAUGE) for s, v in totals)))
    assert brief(events) == [("raised", "orange", 2040)]
    assert events[-1].evidence["value"] == pytest.approx(15 + 0.2 + 0.2 + 30 + 10.6)
    rain = fold.channels["st1"]["rn"].detectors[0]
    assert isinstance(rain, Rain)
    assert rain.rebased == 2, "up, and down again"


def test_the_heaviest_minute_on_record_is_rain() -> None:
    """31.2 mm in a minute at Unionville, 38 mm at Barot: WMO's list of extremes."""
    events = judged([38.0, 20.0], step_s=60)
    assert levels(events) == ["orange"]


def test_a_restart_in_the_middle_changes_nothing() -> None:
    state, copy = (Rain(RULE, RULE.law, "st1/rn") for _ in range(2))
    one, two = [], []
    for n in range(400):
        total = 100 + min(n, 100) * 0.9
        state.settle(n * 300_000, total, one)
        copy.settle(n * 300_000, total, two)
        fresh = Rain(RULE, RULE.law, "st1/rn")
        fresh.restore(copy.dump())
        copy = fresh
    assert one == two
    assert len(one) == 3


@pytest.mark.parametrize("phase", [Phase.REFUTED])
def test_a_provisional_sum_that_never_came_is_refuted(phase: Phase) -> None:
    state, out = Rain(RULE, RULE.law, "st1/rn"), []
    state.settle(0, 0.0, out)
    said = state.alert(1000, 60.0)
    state.settle(1000, 0.0, out)
    assert [(e.phase, e.provisional_id, e.reason) for e in out] == [
        (phase, said.id, "not_confirmed")
    ]


def test_a_withdrawn_rule_refutes_the_sum_it_only_guessed() -> None:
    fold = fold_of([GAUGE], [RULE])
    rows = [reading(0, 0.0, GAUGE), reading(60, 60.0, GAUGE)]
    said = play(fold, timeline(prompt(rows), tail_s=5))
    assert [(e.phase, e.level) for e in said] == [(Phase.PROVISIONAL, "orange")]
    events = step(fold, Change([GAUGE], [], at(70)))[1]
    assert [(e.phase, e.reason, e.provisional_id) for e in events] == [
        (Phase.REFUTED, "rule_withdrawn", said[0].id)
    ]


def alone() -> Rain:
    assert isinstance(RULE.law, RainLaw)
    return Rain(RULE, RULE.law, GAUGE.name)


def of_state(known: Rain) -> Rain:
    """Return a rule with the same state that has not looked at what its levels lack."""
    fresh = alone()
    fresh.restore(deepcopy(known.dump()))
    return fresh


@pytest.mark.parametrize("seed", range(8))
def test_an_unsettled_total_decides_the_same_whether_or_not_is_known_what_levels_lack(
    seed: int,
) -> None:
    dice, rule = Random(seed), alone()
    now_ms, total_mm, said, silent = 0, 100.0, 0, 0
    for _ in range(600):
        now_ms += dice.choice((60_000, 60_000, 600_000, 3_600_000))
        total_mm = round(total_mm + dice.choice((0, 0, 0, 0.2, 1.0, 5.0, 20.0)), 1)
        tried_mm = round(total_mm + dice.choice((0.2, 5.0, 29.9, 49.8, 50.0, 99.9)), 1)
        other = of_state(rule)
        event = rule.alert(now_ms, tried_mm)
        assert event == other.alert(now_ms, tried_mm)
        assert rule.dump() == other.dump()
        said, silent = said + (event is not None), silent + (event is None)
        rule.settle(now_ms, total_mm, [])
    assert said > 20
    assert silent > 20


def test_what_late_rain_has_filled_in_counts_for_the_next_unsettled_total() -> None:
    live, twin, end_ms = alone(), alone(), 14 * 3_600_000
    for time_ms, total_mm in ((0, 100.0), (60_000, 100.2)):
        live.settle(time_ms, total_mm, [])
        twin.settle(time_ms, total_mm, [])
    live.settle(end_ms, 149.0, [])  # over a gap that is longer than every window
    assert of_state(live).alert(end_ms + 60_000, 150.4) is None
    for time_ms, total_mm in ((end_ms - 3_600_000, 100.2), (end_ms - 60_000, 149.0)):
        twin.settle(time_ms, total_mm, [])
    twin.settle(end_ms, 149.0, [])
    live.fill(twin, (60_000, end_ms))
    event = live.alert(end_ms + 60_000, 150.4)
    assert event is not None
    assert (event.level, event.evidence["value"]) == ("orange", 50.2)
