from __future__ import annotations

from itertools import pairwise

import pytest
from rig.virtual_turns import run, schedule

from egret_gateway.bus.breaker import BACKOFF_MAX_S, WARNING_SHARE
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.load import STRIDE_MAX
from egret_gateway.bus.rank import Rank
from egret_gateway.bus.schedule import Schedule
from egret_gateway.bus.turns import Job, Next


def test_polls_stay_on_their_phase_grid() -> None:
    jobs = [Job(unit, 1.0) for unit in (1, 2, 3, 4)]
    good, polls, _ = run(schedule(*jobs), jobs, 20.0, lambda _unit, _now: (0.02, Fault.NONE))
    for index, job in enumerate(jobs):
        assert polls[job.unit] == 20
        phases = [at_s - 0.02 - n - index / 4 for n, at_s in enumerate(good[job.unit])]
        assert all(abs(phase) < 0.021 for phase in phases)


def test_one_dead_of_four_costs_its_neighbours_nothing() -> None:
    jobs = [Job(unit, 1.0) for unit in (1, 2, 3, 4)]

    def cost(unit: int, _now: float) -> tuple[float, Fault]:
        return (0.4, Fault.TIMEOUT) if unit == 3 else (0.02, Fault.NONE)

    good, polls, parked = run(schedule(*jobs), jobs, 600.0, cost)
    for unit in (1, 2, 4):
        assert len(good[unit]) >= 0.99 * 600
        steps = [b - a for a, b in zip(good[unit], good[unit][1:], strict=False)]
        assert max(steps) <= 1.5
    assert polls[3] < 20
    assert parked.count(3) > 500, "every period that is not asked is told"


def test_a_probe_that_is_longer_than_any_pause_begins_at_a_pause_s_beginning() -> None:
    jobs = [Job(unit, 1.0) for unit in (1, 2, 3, 4)]

    def cost(unit: int, _now: float) -> tuple[float, Fault]:
        return (0.55, Fault.TIMEOUT) if unit == 3 else (0.02, Fault.NONE)

    good, polls, _ = run(schedule(*jobs), jobs, 3600.0, cost)
    steps = [b - a for unit in (1, 2, 4) for a, b in pairwise(good[unit])]
    assert max(steps) < 1.4, "0.55 s less the pause of 0.23 s that it begins in"
    assert polls[3] > 10, "it is probed all the same"


def test_a_damaged_reply_is_asked_again_at_once_and_only_once() -> None:
    turns = schedule(Job(1, 10.0))
    assert turns.done(0, 0.1, Fault.CRC) is Next.NOW
    assert turns.done(0, 0.2, Fault.CRC) is Next.FAILED


def test_exceptions_park_only_a_device_that_is_failing() -> None:
    turns = schedule(Job(1, 10.0))
    for _ in range(5):
        assert turns.done(0, 0.1, Fault.EXCEPTION, exception=2) is Next.FAILED
    assert turns.breakers[1].fails == 0
    assert turns.done(0, 50.1, Fault.EXCEPTION, exception=6) is Next.LATER
    assert turns.pick(51.0).job is None
    assert turns.pick(51.1).job == 0
    assert turns.done(0, 51.2, Fault.EXCEPTION, exception=4) is Next.FAILED
    assert turns.breakers[1].fails == 1


def test_a_quarantined_poll_is_repeated_when_it_ends_within_the_period() -> None:
    turns = schedule(Job(1, 10.0))
    assert turns.done(0, 0.1, Fault.QUARANTINED, free_s=3.0) is Next.LATER
    assert turns.pick(2.9).job is None
    assert turns.pick(3.0).job == 0
    assert turns.done(0, 3.0, Fault.QUARANTINED, free_s=20.0) is Next.FAILED
    assert turns.breakers[1].fails == 0


def test_a_quarantine_after_a_repeat_gets_its_turn_when_it_ends() -> None:
    turns = schedule(Job(1, 10.0))
    assert turns.done(0, 0.1, Fault.CRC) is Next.NOW
    assert turns.done(0, 0.1, Fault.QUARANTINED, free_s=1.1) is Next.LATER
    assert turns.pick(1.0).job is None
    assert turns.pick(1.1).job == 0
    assert turns.done(0, 1.2, Fault.CRC) is Next.FAILED, "and no further one"
    turns = schedule(Job(1, 10.0))
    assert turns.done(0, 0.1, Fault.TIMEOUT) is Next.LATER
    assert turns.done(0, 2.6, Fault.QUARANTINED, free_s=3.0) is Next.LATER
    assert turns.done(0, 3.0, Fault.QUARANTINED, free_s=4.0) is Next.FAILED


def test_a_measurement_under_way_waits_while_others_take_their_turns() -> None:
    jobs = [Job("slow", 10.0), Job("quick", 1.0)]
    turns = schedule(*jobs)
    started: dict[str, float] = {}

    def cost(unit: str, now: float) -> tuple[float, Fault]:
        if unit == "slow" and now < started.setdefault(unit, now) + 6.0:
            return 0.02, Fault.PENDING
        return 0.02, Fault.NONE

    good, _, parked = run(turns, jobs, 7.0, cost, free_s=lambda _: started["slow"] + 6.0)
    assert good["slow"] == [pytest.approx(6.02, abs=0.05)]
    assert len(good["quick"]) == 7
    assert parked == []
    assert turns.breakers["slow"].fails == 0
    assert turns.overruns == 0


def test_a_measurement_is_waited_for_into_its_next_period_and_then_it_has_failed() -> None:
    turns = schedule(Job("a", 10.0))
    for at_s in (0.0, 9.0, 19.9):
        assert turns.done(0, at_s, Fault.PENDING, free_s=at_s + 9.0) is Next.WAITS
    assert turns.pick(19.95).job is None, "the wait ends with the second period"
    assert turns.pick(20.0).job == 0
    assert turns.done(0, 20.0, Fault.PENDING, free_s=29.0) is Next.FAILED
    assert turns.breakers["a"].fails == 0, "it answers: only it never is ready"
    assert turns.pick(29.9).job is None
    assert turns.pick(30.0).job == 0


def test_a_wait_takes_no_repeat_and_one_that_is_past_does_not_keep_the_bus() -> None:
    turns = schedule(Job("a", 10.0))
    assert turns.done(0, 0.1, Fault.PENDING, free_s=0.0) is Next.WAITS
    assert turns.pick(0.1).job is None
    assert turns.done(0, 0.2, Fault.TIMEOUT) is Next.LATER
    assert turns.breakers["a"].fails == 1


def test_what_a_parked_unit_has_begun_is_collected() -> None:
    turns = schedule(Job("a", 10.0))
    for at_s in (0.1, 2.6, 10.0):
        turns.done(0, at_s, Fault.TIMEOUT)
    assert turns.breakers["a"].open
    turns.half_open()
    assert turns.pick(20.0).job == 0
    assert turns.done(0, 20.0, Fault.PENDING, free_s=33.0) is Next.WAITS
    assert turns.pick(33.0) == (0, (), 33.0)
    assert turns.done(0, 33.1, Fault.NONE) is Next.DONE
    assert not turns.breakers["a"].open


def test_missed_releases_are_skipped_and_counted() -> None:
    turns = schedule(Job(1, 1.0))
    turns.done(0, 5.5, Fault.NONE)
    assert turns.overruns == 4
    assert turns.pick(5.6).job is None
    assert turns.pick(6.0).job == 0


def test_without_a_port_every_period_is_passed_over_once() -> None:
    turns = schedule(Job(1, 1.0), Job(2, 1.0))
    assert turns.skip(0.6) == (0, 1)
    assert turns.skip(0.7) == ()
    assert turns.skip(1.0) == (0,)


def test_an_unasked_answer_is_awaited_by_a_turn_under_way_and_of_a_parked_unit() -> None:
    schedule = Schedule([Job("a", 10.0), Job("b", 10.0)], 0.0, lambda: 0.5)
    assert not schedule.awaits(0)
    assert schedule.done(0, 0.0, Fault.PENDING, free_s=15.0) is Next.WAITS
    assert schedule.awaits(0)
    assert not schedule.awaits(1)
    assert schedule.done(0, 3.0, Fault.NONE) is Next.DONE
    assert not schedule.awaits(0)
    schedule.breakers["b"].open = True
    assert schedule.awaits(1)


def test_the_class_breaks_a_tie_and_decides_once_a_deadline_is_missed() -> None:
    jobs = [Job("a", 1.0, Rank.SERVICE), Job("b", 2.0, Rank.WARNING)]
    turns = schedule(*jobs)
    assert turns.pick(1.0).job == 0, "both in time: the earlier deadline"
    turns = schedule(*jobs)
    assert turns.pick(1.5).job == 1, "the first is late: the more urgent class"
    tie = schedule(Job("a", 1.0, Rank.SERVICE), Job("b", 0.5, Rank.WARNING))
    assert tie.pick(0.6).job == 1


def test_what_must_not_be_asked_twice_is_not_repeated() -> None:
    for fault in (Fault.TIMEOUT, Fault.CRC, Fault.BABBLE):
        turns = schedule(Job("a", 10.0, once=True))
        assert turns.done(0, 0.1, fault) is Next.FAILED
        assert turns.pick(9.9).job is None
    turns = schedule(Job("a", 10.0, once=True))
    assert turns.done(0, 0.1, Fault.QUARANTINED, free_s=1.0) is Next.LATER, "nothing was asked"


def test_an_overloaded_line_thins_out_the_lowest_class_and_never_rain_and_level() -> None:
    ranks = [Rank.WARNING] * 4 + [Rank.MEASUREMENT] * 4 + [Rank.SERVICE] * 4
    jobs = [Job(str(n), 1.0, rank) for n, rank in enumerate(ranks)]
    turns = schedule(*jobs)
    good, _, _ = run(turns, jobs, 600.0, lambda *_: (0.1, Fault.NONE))  # 120 %
    settled = {unit: [at_s for at_s in times if at_s > 60] for unit, times in good.items()}
    for unit in ("0", "1", "2", "3"):
        gaps = [b - a for a, b in pairwise(settled[unit])]
        assert max(gaps) <= 1.5
        assert len(settled[unit]) >= 0.98 * 540
    for unit in ("4", "5", "6", "7"):
        assert len(settled[unit]) >= 0.95 * 540, "nor the middle one, as long as it need not be"
    for unit in ("8", "9", "10", "11"):
        assert 0.15 * 540 <= len(settled[unit]) <= 0.5 * 540
    assert turns.strides.of[Rank.SERVICE] >= 2
    assert turns.strides.of[Rank.MEASUREMENT] == turns.strides.of[Rank.WARNING] == 1
    assert turns.strides.load == pytest.approx(1.2, abs=0.05)


def test_new_jobs_take_the_places_in_time_of_the_old_ones() -> None:
    turns = schedule(Job("a", 10.0), Job("b", 10.0))
    turns.done(0, 0.1, Fault.NONE)
    turns.relay([Job("a", 10.0), Job("a", 10.0), Job("b", 10.0)], [0, 0, 1])
    assert turns.pick(4.9).job is None
    assert turns.pick(5.0).job == 2
    turns.done(2, 5.1, Fault.NONE)
    assert turns.pick(10.0).job == 0
    turns.done(0, 10.1, Fault.NONE)
    assert turns.pick(10.2).job == 1


def test_what_is_split_within_its_turn_is_due_at_once() -> None:
    turns = schedule(Job("a", 10.0))
    assert turns.pick(0.0).job == 0
    turns.relay([Job("a", 10.0), Job("a", 10.0)], [0, 0])
    assert turns.pick(0.1).job == 0
    turns.done(0, 0.2, Fault.NONE)
    assert turns.pick(0.2).job == 1
    turns.done(1, 0.3, Fault.NONE)
    assert turns.pick(0.4) == (None, (), 10.0)


def test_the_pause_is_the_time_until_somebody_else_is_due() -> None:
    turns = schedule(Job("a", 10.0), Job("b", 10.0))
    assert turns.slack_s(0.0) == 0.0
    turns.done(0, 0.1, Fault.NONE)
    assert turns.slack_s(1.0) == 4.0


def test_what_comes_unasked_costs_the_line_nothing() -> None:
    turns = schedule(Job("a", 10.0, Rank.SERVICE), Job("b", 10.0, Rank.SERVICE))
    for period in range(30):
        now = 10.0 * period
        for index in (0, 1):
            assert turns.pick(now + 5.0 * index).job == index
            assert (
                turns.done(index, now + 5.0 * index, Fault.PENDING, free_s=now + 15) is Next.WAITS
            )
        assert turns.pick(now + 6.0).job is None
        for index in (0, 1):  # a talker speaks nine seconds into its period
            turns.done(index, now + 9.5, Fault.NONE)
    assert turns.strides.load < 0.01


def test_a_bus_all_of_whose_units_are_parked_and_late_goes_on() -> None:
    turns = schedule(Job("a", 1.0), Job("b", 1.0))
    for breaker in turns.breakers.values():
        breaker.back_off(0.0, 60.0, 60.0, 0.5)
    pick = turns.pick(5.3)
    assert (pick.job, pick.parked) == (None, (0, 1)), "each is told, and none is due any more"
    assert pick.wake_s == 5.5
    assert turns.pick(5.4) == (None, (), 5.5)


def test_after_the_line_was_away_a_parked_unit_is_probed_at_once() -> None:
    turns = schedule(Job("a", 600.0))
    turns.breakers["a"].back_off(0.0, 6000.0, 6000.0, 0.5)
    turns.half_open()
    assert turns.pick(1500.0) == (0, (0,), 1500.0), "two periods are over, the third has begun"


def test_on_a_line_that_rain_and_level_fill_everybody_has_a_turn_now_and_then() -> None:
    ranks = [Rank.WARNING] * 8 + [Rank.MEASUREMENT, Rank.SERVICE]
    jobs = [Job(str(n), 1.0, rank) for n, rank in enumerate(ranks)]
    good, _, _ = run(schedule(*jobs), jobs, 600.0, lambda *_: (0.3, Fault.NONE))
    for unit in "89":
        gaps = [b - a for a, b in pairwise([0.0, *good[unit]])]
        assert max(gaps) <= 2 * STRIDE_MAX, "no class is left without a sample"
    for unit in "01234567":
        assert len(good[unit]) >= 0.9 * 600 / 2.4, "and it costs rain and level next to nothing"


def test_on_a_line_that_is_full_a_parked_unit_is_probed_all_the_same() -> None:
    jobs = [Job(str(n), 1.0, Rank.WARNING) for n in range(9)]

    def cost(unit: str, now: float) -> tuple[float, Fault]:
        return 0.3, Fault.TIMEOUT if unit == "4" and now < 60 else Fault.NONE

    good, _, _ = run(schedule(*jobs), jobs, 600.0, cost)
    assert good["4"], "it is back"
    assert good["4"][0] <= 60 + 1.2 * BACKOFF_MAX_S * WARNING_SHARE + 2 * STRIDE_MAX
