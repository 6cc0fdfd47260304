"""Dates from monotonic time: trusted, implausible, stepped, or heard from the centre."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rig.field_box import HandClock

from egret_core.timescale import Timescale
from egret_gateway import clock as module
from egret_gateway.clock import Clock, system_hands

WALL = 1_795_340_000_000


def own(hands: HandClock, source: str = "ntp") -> Clock:
    return Clock(source, hands=hands.hands())


def test_a_sample_is_dated_when_it_came_not_when_it_is_cut() -> None:
    hands = HandClock(mono=500_000, wall=WALL)
    clock = own(hands)
    hands.pass_ms(30_000)
    assert clock.stamp(500_000) == WALL
    assert clock.stamp(529_500) == WALL + 29_500
    assert clock.stamped() == ("ntp", 0)


def test_a_clock_before_the_build_is_not_believed_until_it_is_set() -> None:
    hands = HandClock(wall=12_000)
    clock = own(hands)
    assert clock.stamp(hands.mono) is None
    assert clock.stamped() == ("none", 0)
    taken = hands.mono
    hands.mono += 5_000
    hands.wall = WALL
    assert clock.stamp(taken) == WALL - 5_000
    assert clock.stamped() == ("ntp", 0)


@pytest.mark.parametrize("source", ["ntp", "gnss"])
def test_it_is_believed_only_once_the_clock_is_verified(source: str) -> None:
    """A box without RTC boots offline where it was switched off: plausible, and wrong."""
    hands, verified = HandClock(mono=500_000, wall=WALL), [False]
    seen = replace(hands.hands(), verified=lambda: verified[0])
    clock = Clock(source, hands=seen)
    assert clock.stamp(hands.mono) is None, "it waits as monotonic time"
    clock.hear(WALL + 7_200_000, hands.mono, hands.mono)
    assert clock.stamped() == ("centre", 0)
    assert clock.stamp(hands.mono) == WALL + 7_200_000
    verified[0], hands.wall = True, WALL + 7_200_040
    assert clock.stamp(hands.mono) == WALL + 7_200_040
    assert clock.stamped() == (source, 0)


def test_an_rtc_that_the_technician_vouches_for_needs_no_verification() -> None:
    hands = HandClock(wall=WALL)
    clock = Clock("rtc", hands=replace(hands.hands(), verified=lambda: False))
    assert clock.stamp(hands.mono) == WALL
    assert clock.stamped() == ("rtc", 0)


@pytest.mark.parametrize("source", ["rtc", "ntp", "gnss"])
def test_a_clock_before_the_last_commit_is_not_believed(source: str) -> None:
    hands = HandClock(wall=WALL)
    clock = by_rtc(hands, source)
    clock.raise_floor(WALL + 1)
    assert clock.stamp(hands.mono) is None
    hands.pass_ms(1)
    assert clock.stamp(hands.mono) == WALL + 1


@pytest.mark.parametrize("source", ["ntp", "gnss"])
def test_one_date_of_the_future_bars_no_disciplined_clock(source: str) -> None:
    hands, right = HandClock(wall=WALL), [False]
    clock = Clock(source, hands=replace(hands.hands(), disciplined=lambda: right[0]))
    clock.raise_floor(WALL + 365 * DAY_MS)
    assert clock.stamp(hands.mono) is None
    right[0] = True
    assert clock.stamp(hands.mono) == WALL
    assert clock.stamped() == (source, 0)
    hands.wall = module.FLOOR_MS - 1
    assert own(hands, source).stamp(hands.mono) is None, "and 1970 is no date for anyone"


@pytest.mark.parametrize("source", ["ntp", "gnss"])
def test_what_only_an_rtc_set_is_stamped_so(source: str) -> None:
    hands, right = HandClock(wall=WALL), [False]
    clock = Clock(source, hands=replace(hands.hands(), disciplined=lambda: right[0]))
    assert clock.stamp(hands.mono) == WALL
    assert clock.stamped() == ("rtc", 0)
    right[0] = True
    assert clock.stamped() == (source, 0)


def test_a_forward_step_holds_only_for_what_comes_after_it() -> None:
    hands = HandClock(mono=1_000_000, wall=WALL)
    clock = own(hands)
    before = clock.stamp(1_000_000)
    hands.pass_ms(1_000)
    hands.wall += 3_600_000
    after = clock.stamp(1_001_000)
    assert before == WALL
    assert after == WALL + 3_601_000
    assert clock.stamp(1_000_500) == WALL + 500


@pytest.mark.parametrize("step_ms", [10, 5_000, 299_000])
def test_a_step_back_is_walked_off_and_never_reorders(step_ms: int) -> None:
    hands = HandClock(mono=1_000_000, wall=WALL)
    clock = own(hands)
    dates = [clock.stamp(hands.mono)]
    hands.wall -= step_ms
    assert clock.stamped().offset_ms == step_ms
    for _ in range(700):
        hands.pass_ms(1_000)
        dates.append(clock.stamp(hands.mono))
    assert dates == sorted(set(dates))
    assert dates[-1] == hands.wall
    assert clock.stamped().offset_ms == 0


def test_a_step_back_too_large_to_walk_holds_at_once() -> None:
    hands = HandClock(mono=1_000_000, wall=WALL + 86_400_000)
    clock = own(hands)
    assert clock.stamp(1_000_000) == WALL + 86_400_000
    hands.pass_ms(1_000)
    hands.wall -= 86_400_000
    assert clock.stamp(1_001_000) == WALL + 1_000
    assert clock.stamp(1_000_999) == WALL + 86_400_999


def test_a_clock_set_to_nonsense_at_work_changes_nothing() -> None:
    hands = HandClock(mono=1_000_000, wall=WALL)
    clock = own(hands)
    assert clock.stamp(1_000_000) == WALL
    hands.pass_ms(1_000)
    hands.wall = 0
    assert clock.stamp(1_001_000) == WALL + 1_000


def test_without_an_own_source_the_centre_tells_the_time() -> None:
    hands = HandClock(mono=1_000_000, wall=WALL + 777_000)
    clock = own(hands, "none")
    assert clock.stamp(1_000_000) is None
    clock.hear(WALL, 999_800, 1_000_000)
    assert clock.stamp(1_000_000) == WALL + 100
    assert clock.stamped().source == "centre"


def test_the_shortest_round_trip_wins_until_drift_has_aged_it() -> None:
    hands = HandClock(mono=1_000_000)
    clock = own(hands, "none")
    clock.hear(WALL, 999_900, 1_000_000)
    clock.hear(WALL + 9_000, 996_000, 1_000_000)
    assert clock.stamp(1_000_000) == WALL + 50
    hands.pass_ms(20_000_000)
    now = hands.mono
    clock.hear(WALL + 20_005_000, now - 3_000, now)
    assert clock.stamp(now) == WALL + 20_006_500


def test_answers_too_slow_negative_or_of_another_age_are_no_time() -> None:
    hands = HandClock(mono=1_000_000)
    clock = own(hands, "none")
    clock.hear(WALL, 1_000_000 - module.ROUND_TRIP_MAX_MS - 1, 1_000_000)
    clock.hear(WALL, 1_000_001, 1_000_000)
    clock.hear(12_000, 999_900, 1_000_000)
    assert clock.stamp(1_000_000) is None


def test_an_own_source_that_becomes_plausible_takes_over_from_the_centre() -> None:
    hands = HandClock(mono=1_000_000, wall=0)
    clock = own(hands, "gnss")
    clock.hear(WALL, 1_000_000, 1_000_000)
    assert clock.stamped().source == "centre"
    hands.wall = WALL + 40
    assert clock.stamp(1_000_000) == WALL + 40
    assert clock.stamped().source == "gnss"


DAY_MS = 86_400_000


def by_rtc(hands: HandClock, source: str) -> Clock:
    """A box whose clock nothing but its battery vouches for."""
    return Clock(source, hands=replace(hands.hands(), disciplined=lambda: False))


@pytest.mark.parametrize("source", ["rtc", "ntp", "gnss"])
@pytest.mark.parametrize("wrong_ms", [-DAY_MS, DAY_MS, 90_000, -365 * DAY_MS // 2])
def test_an_rtc_that_is_wrong_yields_to_the_centre(source: str, wrong_ms: int) -> None:
    hands = HandClock(mono=1_000_000, wall=WALL + wrong_ms)
    clock = by_rtc(hands, source)
    assert clock.stamp(hands.mono) == WALL + wrong_ms, "until the centre speaks"
    hands.pass_ms(1_000)
    clock.hear(WALL + 1_000, hands.mono, hands.mono)
    hands.pass_ms(600_000)
    assert clock.stamp(hands.mono) == WALL + 601_000
    assert clock.stamped() == ("centre", 0)
    hands.wall -= wrong_ms
    assert clock.stamp(hands.mono) == WALL + 601_000
    assert clock.stamped().source == "rtc", "set right, it is trusted again"


@pytest.mark.parametrize("wrong_ms", [0, 59_000, -59_000])
def test_an_rtc_that_is_about_right_keeps_its_word(wrong_ms: int) -> None:
    hands = HandClock(mono=1_000_000, wall=WALL + wrong_ms)
    clock = by_rtc(hands, "rtc")
    clock.hear(WALL, hands.mono, hands.mono)
    assert clock.stamp(hands.mono) == WALL + wrong_ms
    assert clock.stamped().source == "rtc"


def test_a_slow_answer_contradicts_only_by_more_than_it_is_itself_in_doubt() -> None:
    hands = HandClock(mono=1_000_000, wall=WALL + 68_000)
    clock = by_rtc(hands, "rtc")
    clock.hear(WALL, hands.mono - 19_000, hands.mono)
    assert clock.stamped().source == "rtc", "58.5 s and 9.5 s of doubt"


@pytest.mark.parametrize("source", ["gnss", "ntp"])
def test_a_centre_that_is_wrong_by_a_day_moves_no_disciplined_clock(source: str) -> None:
    hands = HandClock(mono=1_000_000, wall=WALL)
    clock = own(hands, source)
    clock.hear(WALL + DAY_MS, hands.mono, hands.mono)
    assert clock.stamp(hands.mono) == WALL
    assert clock.stamped() == (source, 0)


@pytest.mark.parametrize("step_ms", [3 * 3_600_000, -3 * 3_600_000])
def test_three_hours_either_way_hold_from_their_instant_on(step_ms: int) -> None:
    """A time zone put in by hand, and taken back: both steps are too large to walk."""
    hands = HandClock(mono=1_000_000, wall=WALL)
    clock = own(hands)
    clock.stamp(hands.mono)
    hands.pass_ms(10_000)
    hands.wall += step_ms
    assert clock.stamp(hands.mono) == WALL + 10_000 + step_ms
    assert clock.stamp(hands.mono - 1) == WALL + 9_999
    hands.pass_ms(10_000)
    hands.wall -= step_ms
    assert clock.stamp(hands.mono) == WALL + 20_000
    assert clock.stamp(hands.mono - 1) == WALL + 19_999 + step_ms
    assert clock.stamped() == ("ntp", 0)


def test_the_scaled_line_is_used_both_ways() -> None:
    scale = Timescale(60, WALL, WALL - 86_400_000)
    hands = HandClock(mono=1_000_000, wall=WALL + 1_000)
    clock = Clock("ntp", scale, hands.hands())
    assert clock.stamp(1_000_000) == WALL - 86_400_000 + 60_000
    heard = Clock("none", scale, hands.hands())
    heard.hear(WALL - 86_400_000 + 120_000, 1_000_000, 1_000_000)
    assert heard.real_ms(1_000_000) == WALL + 2_000
    assert heard.stamp(1_000_000) == WALL - 86_400_000 + 120_000


def test_the_machines_own_hands_move_forward_and_know_their_boot() -> None:
    hands = system_hands()
    assert hands.mono_ms() <= hands.mono_ms()
    assert hands.wall_ms() > module.FLOOR_MS
    assert hands.boot == system_hands().boot
