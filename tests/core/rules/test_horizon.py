"""How far back everything is in, by the centre's wall clock and its running time."""

from __future__ import annotations

import json
import random

from egret_core.rules.horizon import NO_TIME, STOPS_MAX, Horizon
from egret_core.rules.running import TICK_COUNTS_MS, Running

T = 1_700_000_000_000


def ticked(*seconds: float, longest_ms: int = 10**6) -> Horizon:
    running, horizon = Running(), Horizon()
    for second in seconds:
        now_ms = T + round(second * 1000)
        horizon.tick(now_ms, running.tick(now_ms, []), longest_ms)
    return horizon


def test_before_the_first_ticks_nothing_is_known() -> None:
    assert Horizon().before(0) == NO_TIME
    assert ticked(0, 10).before(20_000) == NO_TIME


def test_while_the_centre_runs_it_follows_the_wall_clock() -> None:
    horizon = ticked(*range(0, 101, 10))
    assert [horizon.before(wait) for wait in (0, 60_000, 100_000)] == [
        T + 100_000,
        T + 40_000,
        T,
    ]


def test_a_stop_of_the_centre_pauses_it() -> None:
    stop = (*range(0, 101, 10), *range(1000, 1061, 10))
    # After the stop 30 s count for it, and then 60 s more.
    assert ticked(*stop).before(60_000) == T + 1_000_000
    assert ticked(*stop[:-1]).before(60_000) < T + 130_000
    assert ticked(*stop).before(90_000) == T + 100_000


def test_it_never_says_more_than_the_wall_clock_did_then() -> None:
    dice = random.Random(3)
    for _ in range(200):
        seconds, now = [], 0.0
        for _ in range(40):
            now += dice.choice((10, 10, 10.003, 9.99, 600, 35))
            seconds.append(now)
        running, horizon, wall = Running(), Horizon(), {}
        for second in seconds:
            at_ms = T + round(second * 1000)
            count = running.tick(at_ms, [])
            wall[count] = at_ms
            horizon.tick(at_ms, count, 10**7)
            wait = dice.randrange(0, 200_000)
            known = [w for c, w in wall.items() if c <= count - wait + TICK_COUNTS_MS]
            found = horizon.before(wait)
            assert found == NO_TIME or found <= max(known)


def test_old_stops_are_forgotten_and_many_are_bounded() -> None:
    horizon = ticked(*range(0, 40_000, 400), longest_ms=10**9)
    assert len(horizon.dump()[1]) == STOPS_MAX
    horizon = ticked(0, 1000, 2000, *range(2010, 3000, 10), longest_ms=60_000)
    assert len(horizon.dump()[1]) == 1
    assert horizon.before(60_000) == T + 2_930_000


def test_a_clock_that_was_set_back_is_followed() -> None:
    horizon = ticked(*range(0, 101, 10), *range(50, 151, 10))
    assert horizon.before(0) == T + 150_000


def test_a_restart_keeps_it() -> None:
    one, other = ticked(0, 10, 500, 510), Horizon()
    other.restore(json.loads(json.dumps(one.dump())))
    assert [other.before(wait) for wait in (0, 20_000, 45_000, 10**6)] == [
        one.before(wait) for wait in (0, 20_000, 45_000, 10**6)
    ]
