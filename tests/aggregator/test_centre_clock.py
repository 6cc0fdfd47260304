from __future__ import annotations

import time

from egret_aggregator.clock import Clock
from egret_core.timescale import Timescale


def test_the_clock_runs_on_the_scaled_line() -> None:
    real = time.time() * 1000
    clock = Clock(Timescale(60.0, int(real), 5_000_000))
    first = clock.now_ms()
    assert 5_000_000 <= first <= 5_000_000 + 60 * (time.time() * 1000 - real) + 60
    assert clock.in_ms(10.0) - first >= 600_000


async def test_it_sleeps_scaled_seconds() -> None:
    clock = Clock(Timescale(120.0, 0, 0))
    before = clock.now_ms()
    await clock.sleep(6.0)
    assert clock.now_ms() - before >= 5_900


def test_real_time_is_real() -> None:
    assert abs(Clock().now_ms() - time.time() * 1000) < 60_000
