"""Sums of days: exact against a plain reckoning, bounded however often it rains."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from rig.rulebook import HOUR_MS

from egret_core.rules.long_windows import LongWindows
from egret_core.rules.windows import Increment

DAY_MS = 24 * HOUR_MS
LENGTHS = (72 * HOUR_MS, 432 * HOUR_MS)
WAITS_S = st.sampled_from(
    [1, 60, 599, 3599, 3600, 3601, 7200, DAY_MS // 1000, 80 * 3600, 2_000_000]
)
STEPS = st.lists(st.tuples(WAITS_S, st.integers(0, 9)), max_size=60)


def groups(steps: list[Increment], join_ms: int) -> list[Increment]:
    """What is joined with what, in plain words: rain within `join_ms` of the first of its group."""
    out: list[list[Increment]] = []
    for step in steps:
        if not step.rain_nm:
            continue
        near = out and step.time_ms - out[-1][0].time_ms < join_ms
        if near and out[-1][0].gap_ms <= join_ms + join_ms // 20:
            out[-1].append(step)
        else:
            out.append([step])
    return [Increment(g[-1].time_ms, sum(s.rain_nm for s in g), g[0].gap_ms) for g in out]


def total(steps: list[Increment], length_ms: int, now_ms: int) -> int:
    """The sum of a window, from its definition."""
    inside = [s for s in steps if now_ms - length_ms < s.time_ms <= now_ms]
    return sum(s.rain_nm for s in inside if s.gap_ms <= length_ms + length_ms // 20)


def played(rows: list[tuple[int, int]]) -> list[Increment]:
    now_ms, out = 0, []
    for wait_s, rain in rows:
        now_ms += wait_s * 1000
        out.append(Increment(now_ms, rain, wait_s * 1000))
    return out


@given(STEPS, st.sampled_from([1, 600_000, HOUR_MS]))
def test_sums_are_those_of_their_groups(rows: list[tuple[int, int]], join_ms: int) -> None:
    windows, steps = LongWindows(LENGTHS, join_ms), played(rows)
    for n, step in enumerate(steps, 1):
        windows.take(step)
        joined = groups(steps[:n], join_ms)
        assert windows.sums_nm == [total(joined, length, step.time_ms) for length in LENGTHS]


@given(STEPS)
def test_joined_rain_counts_a_little_longer_and_never_shorter(rows: list[tuple[int, int]]) -> None:
    # The shorter window is the test: what a jump over a gap counts in is settled beforehand.
    windows, steps = LongWindows(LENGTHS, HOUR_MS), [s._replace(gap_ms=0) for s in played(rows)]
    for n, step in enumerate(steps, 1):
        windows.take(step)
        for length, found in zip(LENGTHS, windows.sums_nm, strict=True):
            least = total(steps[:n], length, step.time_ms)
            assert least <= found <= total(steps[:n], length + HOUR_MS, step.time_ms)


@given(STEPS)
def test_a_restart_at_every_step_gives_the_same_sums(rows: list[tuple[int, int]]) -> None:
    whole, parts = LongWindows(LENGTHS, HOUR_MS), LongWindows(LENGTHS, HOUR_MS)
    for step in played(rows):
        saved = json.loads(json.dumps(parts.dump()))
        parts = LongWindows(LENGTHS, HOUR_MS)
        parts.restore(saved)
        assert whole.sums_nm == parts.sums_nm
        whole.take(step)
        parts.take(step)
        assert whole.sums_nm == parts.sums_nm


def test_rain_at_every_minute_for_a_month_keeps_a_bounded_state() -> None:
    windows = LongWindows(LENGTHS, HOUR_MS)
    for n in range(30 * 24 * 60):
        windows.take(Increment(60_000 * n, 1, 60_000))
    steps, *_ = windows.dump()
    assert len(steps) <= 433
    assert windows.sums_nm[0] in range(72 * 60, 73 * 60 + 1)


def test_readings_no_closer_than_the_join_are_exact() -> None:
    windows = LongWindows(LENGTHS, HOUR_MS)
    for n in range(1, 1000):
        windows.take(Increment(HOUR_MS * n - 60_000, 1, HOUR_MS))
        assert windows.sums_nm == [min(n, 72), min(n, 432)]


def test_what_left_the_shorter_window_stays_out_of_it_after_a_restart() -> None:
    windows, again = LongWindows(LENGTHS, HOUR_MS), LongWindows(LENGTHS, HOUR_MS)
    windows.take(Increment(1000, 5, 1000))
    windows.take(Increment(80 * HOUR_MS, 0, HOUR_MS))
    again.restore(json.loads(json.dumps(windows.dump())))
    assert windows.sums_nm == again.sums_nm == [0, 5]
