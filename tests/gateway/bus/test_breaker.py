"""What a unit that fails costs: it is parked, probed, and excused only so often."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from rig.virtual_turns import run, schedule

from egret_gateway.bus.breaker import (
    BACKOFF_MAX_S,
    BURN_DEBT_S,
    BURN_MAX_S,
    BURN_SHARE,
    BURN_START_S,
    WARNING_SHARE,
    Breaker,
    Bucket,
)
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.rank import Rank
from egret_gateway.bus.turns import Job, Next

if TYPE_CHECKING:
    from egret_gateway.bus.schedule import Schedule


def timed_out(turns: Schedule, index: int, at_s: float, took_s: float) -> Next:
    """Let a job that begins at `at_s` fail after `took_s`."""
    turns.pick(at_s)
    return turns.done(index, at_s + took_s, Fault.TIMEOUT)


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


def test_after_a_silence_that_was_kept_nobody_is_excused() -> None:
    turns = schedule(Job(9, 1.0), Job(1, 1.0), deaf=True)
    turns.done(0, 0.1, Fault.TIMEOUT, free_s=0.6)
    turns.done(1, 0.7, Fault.TIMEOUT, free_s=1.2)
    assert (turns.breakers[9].fails, turns.breakers[1].fails) == (1, 1)


def test_a_line_on_which_everybody_fails_excuses_nobody_for_ever() -> None:
    jobs = [Job(str(n), 1.0) for n in range(4)]
    turns = schedule(*jobs, deaf=True)
    run(turns, jobs, 30.0, lambda *_: (0.05, Fault.TIMEOUT))
    assert turns.all_open


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


def test_rain_and_level_are_probed_within_a_minute() -> None:
    jobs = [Job(9, 10.0, Rank.WARNING)]
    turns = schedule(*jobs)
    times: list[float] = []

    def cost(_unit: int, now: float) -> tuple[float, Fault]:
        times.append(now)
        return 0.1, Fault.TIMEOUT

    run(turns, jobs, 4000.0, cost)
    steps = [b - a for a, b in pairwise(times[3:])]
    assert max(steps) <= WARNING_SHARE * BACKOFF_MAX_S + 10


def test_a_probe_takes_a_pause_that_is_long_enough_and_waits_only_half_a_period_for_one() -> None:
    jobs = [Job("dead", 10.0), Job("live", 1.0)]
    turns = schedule(*jobs)
    for at_s in (0.0, 10.0, 20.0):
        timed_out(turns, 0, at_s, 0.6)
        while turns.pick(at_s + 0.7).job == 1:
            turns.done(1, at_s + 0.7, Fault.NONE)
    assert turns.breakers["dead"].open
    turns.half_open()
    turns._bucket.level_s = 2.0
    while (pick := turns.pick(30.95)).job == 1:
        turns.done(1, 30.95, Fault.NONE)
    # The live one is due at half past: 0.55 s are too few for 0.6 s.
    assert pick.job is None
    assert pick.wake_s == 31.5
    turns.done(1, 31.51, Fault.NONE)
    assert turns.pick(31.52).job == 0, "now there are 0.98 s"


def test_a_line_without_long_pauses_probes_all_the_same() -> None:
    jobs = [Job("dead", 10.0), Job("live", 0.5)]
    times: list[float] = []

    def cost(unit: str, now: float) -> tuple[float, Fault]:
        if unit == "dead":
            times.append(now)
        return (0.6, Fault.TIMEOUT) if unit == "dead" else (0.02, Fault.NONE)

    good, _, _ = run(schedule(*jobs), jobs, 3000.0, cost)
    assert 8 <= len(times) <= 25
    assert len(good["live"]) >= 0.99 * 6000


def test_failures_burn_a_twentieth_of_the_line_at_most() -> None:
    jobs = [Job(str(n), 1.0) for n in range(12)]
    burnt = 0.0

    def cost(unit: str, _now: float) -> tuple[float, Fault]:
        nonlocal burnt
        if int(unit) < 4:
            burnt += 0.5
            return 0.5, Fault.TIMEOUT
        return 0.02, Fault.NONE

    run(schedule(*jobs), jobs, 1000.0, cost)
    assert burnt <= 0.05 * 1000 + 10, "beside what it takes to find out"


def test_a_line_that_has_failed_enough_repeats_nothing() -> None:
    turns = schedule(Job("a", 100.0), Job("b", 100.0))
    assert timed_out(turns, 0, 0.0, 0.5) is Next.LATER
    assert timed_out(turns, 1, 50.0, 3.0) is Next.FAILED
    turns = schedule(Job("a", 100.0), Job("b", 100.0))
    assert timed_out(turns, 1, 50.0, 0.9) is Next.LATER, "two seconds were saved up"


def test_a_repeat_that_would_keep_a_quick_neighbour_waiting_is_left_out() -> None:
    assert timed_out(schedule(Job("a", 10.0), Job("b", 5.0)), 0, 0.0, 0.45) is Next.LATER
    assert timed_out(schedule(Job("a", 10.0), Job("b", 4.0)), 0, 0.0, 0.45) is Next.FAILED
    alone = schedule(Job("a", 1.0), Job("a", 1.0))
    assert timed_out(alone, 0, 0.0, 0.2) is Next.LATER, "it has no neighbour"
    turns = schedule(Job("a", 10.0), Job("b", 10.0))
    assert turns.pick(0.0).job == 0
    silent = turns.done(0, 0.1, Fault.TIMEOUT, free_s=1.2)
    assert silent is Next.FAILED, "the silence after it counts too"


def test_when_one_unit_of_a_dead_line_answers_all_the_others_are_probed() -> None:
    jobs = [Job(str(n), 10.0) for n in range(8)]

    def cost(_unit: str, now: float) -> tuple[float, Fault]:
        return (0.3, Fault.TIMEOUT) if now < 900 else (0.02, Fault.NONE)

    good, _, _ = run(schedule(*jobs), jobs, 1300.0, cost)
    firsts = sorted(times[0] for times in good.values())
    assert firsts[-1] - firsts[0] <= 10.1


def test_a_unit_heard_out_of_its_turn_is_no_longer_parked() -> None:
    turns = schedule(Job("a", 10.0), Job("b", 10.0))
    for at_s in (0.0, 2.6, 10.1):
        timed_out(turns, 0, at_s, 0.1)
    assert turns.breakers["a"].open
    turns.heard("a")
    assert not turns.breakers["a"].open
    assert turns.breakers["a"].fails == 0


@pytest.mark.parametrize("code", [1, 2, 3, 5, 6])
def test_a_parked_unit_that_refuses_is_alive(code: int) -> None:
    turns = schedule(Job("a", 10.0), Job("a", 10.0), Job("b", 10.0))
    for breaker in turns.breakers.values():
        breaker.back_off(0.0, 60.0, 60.0, 0.5)
    turns.half_open()
    assert turns.pick(20.0).job == 1
    turns.done(1, 20.1, Fault.EXCEPTION, exception=code)
    assert not turns.breakers["a"].open
    assert turns.breakers["b"].probe_s == 0.0, "the line is back: everybody may be"
    assert turns.pick(20.2).job == 0, "its other read takes its own turn"


def test_a_device_that_is_failing_stays_parked() -> None:
    turns = schedule(Job("a", 10.0))
    turns.breakers["a"].back_off(0.0, 60.0, 60.0, 0.5)
    turns.half_open()
    assert turns.pick(20.0).job == 0
    turns.done(0, 20.1, Fault.EXCEPTION, exception=11)
    assert turns.breakers["a"].open


def test_a_read_that_is_passed_over_leaves_the_probe_to_another_one_of_its_unit() -> None:
    turns = schedule(Job("a", 10.0), Job("a", 10.0))
    turns.breakers["a"].back_off(0.0, 60.0, 60.0, 0.5)
    turns.half_open()
    assert turns.pick(26.0).job == 0
    turns.leave_out(0, 26.0)
    assert turns.pick(26.0).job == 1


def test_a_bucket_fills_to_its_brim_and_empties_into_bounded_debt() -> None:
    bucket = Bucket(0.0)
    assert bucket.has(BURN_START_S, 0.0)
    assert not bucket.has(BURN_START_S + 0.1, 0.0)
    assert bucket.has(BURN_MAX_S, 1000.0)
    assert bucket.has(60.0, 1000.0), "a full one risks any failure"
    bucket.spend(60.0, 1000.0)
    assert bucket.level_s == -BURN_DEBT_S
    ready_s = bucket.ready_s(1.0, 1000.0)
    assert ready_s == pytest.approx(1000.0 + (BURN_DEBT_S + 1.0) / BURN_SHARE)
    assert not bucket.has(1.0, ready_s - 1)
    assert bucket.has(1.0, ready_s)


def test_a_time_named_by_a_bucket_is_never_put_off_by_rounding() -> None:
    bucket, now = Bucket(0.0), 0.0
    for _ in range(1000):
        bucket.spend(0.3, now)
        now = bucket.ready_s(0.3, now)
        assert bucket.has(0.3, now)
        assert bucket.ready_s(0.3, now) == now


def test_backing_off_begins_with_the_first_wait_and_doubles_to_the_most() -> None:
    breaker = Breaker()
    waits = []
    for _ in range(6):
        breaker.back_off(100.0, 20.0, 150.0, 0.5)
        waits.append(breaker.probe_s - 100.0)
    assert waits == pytest.approx([20, 40, 80, 150, 150, 150])
    breaker.close()
    assert (breaker.open, breaker.fails, breaker.excused) == (False, 0, 0)
    breaker.back_off(0.0, 20.0, 150.0, 0.0)
    assert breaker.probe_s == pytest.approx(16.0), "jitter: a fifth less ..."
    breaker.back_off(0.0, 20.0, 150.0, 1.0)
    assert breaker.probe_s == pytest.approx(48.0), "... to a fifth more"
