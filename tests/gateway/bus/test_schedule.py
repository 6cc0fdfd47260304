from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.schedule import BACKOFF_MAX_S, Job, Next, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def schedule(*jobs: Job, deaf: bool = False) -> Schedule:
    return Schedule(jobs, 0.0, lambda: 0.5, deaf_neighbours=deaf)


def run(
    turns: Schedule,
    jobs: Sequence[Job],
    until_s: float,
    cost: Callable[[Any, float], tuple[float, Fault]],
    free_s: Callable[[Any], float] = lambda _: 0.0,
) -> tuple[dict[Any, list[float]], dict[Any, int], list[Any]]:
    """Live in virtual time; return times of success and numbers of polls by unit, and parkings."""
    now = 0.0
    good: dict[Any, list[float]] = {job.unit: [] for job in jobs}
    polls = {job.unit: 0 for job in jobs}
    parked: list[Any] = []
    while now < until_s:
        pick = turns.pick(now)
        parked.extend(jobs[index].unit for index in pick.parked)
        if pick.job is None:
            now = max(pick.wake_s, now + 1e-6)
            continue
        unit = jobs[pick.job].unit
        polls[unit] += 1
        took_s, fault = cost(unit, now)
        now += took_s
        if turns.done(pick.job, now, fault, free_s=free_s(unit)) is Next.DONE:
            good[unit].append(now)
    return good, polls, parked


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


def test_three_failures_open_then_the_backoff_doubles_to_its_cap() -> None:
    jobs = [Job(9, 10.0)]
    turns = schedule(*jobs)
    times: list[float] = []

    def cost(_unit: int, now: float) -> tuple[float, Fault]:
        times.append(now)
        return 0.1, Fault.TIMEOUT

    run(turns, jobs, 4000.0, cost)
    assert times[:3] == [0.0, pytest.approx(2.6), 10.0], "one repeat, a quarter period later"
    steps = [round(b - a) for a, b in pairwise(times[2:])]
    assert steps[:4] == [30, 50, 90, 170]
    assert max(steps) <= BACKOFF_MAX_S + 10


def test_a_revived_unit_is_back_with_its_next_probe() -> None:
    jobs = [Job(9, 10.0), Job(1, 10.0)]
    good, _, _ = run(
        schedule(*jobs),
        jobs,
        400.0,
        lambda unit, now: (0.1, Fault.TIMEOUT) if unit == 9 and now < 100 else (0.02, Fault.NONE),
    )
    assert good[9][0] < 200
    steps = [b - a for a, b in zip(good[9], good[9][1:], strict=False)]
    assert max(steps) == pytest.approx(10.0, abs=0.1)


def test_a_probe_waits_until_nobody_else_is_due() -> None:
    jobs = [Job(9, 1.0), Job(1, 1.0)]
    turns = schedule(*jobs)
    for at_s in (0.0, 0.25, 1.0):
        assert turns.pick(at_s).job == 0
        turns.done(0, at_s, Fault.TIMEOUT)
        if at_s == 0.25:
            turns.done(1, 0.5, Fault.NONE)
    assert turns.breakers[9].open
    assert turns.pick(2.0) == (1, (0,), 2.0), "parked while the backoff lasts"
    for at_s in (2.0, 2.6):
        turns.done(1, at_s, Fault.NONE)
    assert turns.pick(3.4).job == 0, "nobody else is due"
    assert turns.pick(3.5).job == 1, (
        "both are due: the live one goes first, though its end is later"
    )


def test_a_failure_right_after_a_neighbour_s_timeout_does_not_count() -> None:
    jobs = [Job(9, 1.0), Job(1, 1.0)]
    turns = schedule(*jobs, deaf=True)
    turns.done(0, 0.1, Fault.TIMEOUT)
    turns.done(1, 0.2, Fault.TIMEOUT)
    assert (turns.breakers[9].fails, turns.breakers[1].fails) == (1, 0)
    turns.done(1, 0.6, Fault.TIMEOUT)
    assert turns.breakers[1].fails == 1, "its second one has no neighbour to blame"


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


def test_all_open_tells_of_a_dead_line() -> None:
    turns = schedule(Job(1, 1.0), Job(2, 1.0))
    for _ in range(3):
        turns.done(0, 0.1, Fault.TIMEOUT)
    assert not turns.all_open
    for _ in range(3):
        turns.done(1, 0.1, Fault.TIMEOUT)
    assert turns.all_open
    turns.half_open()
    assert turns.breakers[1].probe_s == 0.0


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
