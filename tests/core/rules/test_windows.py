from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from egret_core.rules import windows as module
from egret_core.rules.windows import STEPS_MAX, Increment, Windows

LENGTHS = (60_000, 180_000, 600_000)
STEPS = st.lists(
    st.tuples(st.integers(0, 200_000), st.integers(0, 10_000_000), st.integers(1, 700_000)),
    max_size=60,
)


def brute(steps: int, time_ms: int, length: int) -> int:
    return sum(
        s.rain_nm
        for s in steps
        if time_ms - length < s.time_ms <= time_ms and s.gap_ms <= length + length // 20
    )


@given(STEPS, st.integers(0, 60))
def test_sums_equal_a_brute_force_oracle_and_survive_a_restart(rows: Any, cut: int) -> None:
    windows, steps, now = Windows(LENGTHS), [], 0
    for index, (wait_ms, rain_nm, gap_ms) in enumerate(rows):
        now += wait_ms
        step = Increment(now, rain_nm, gap_ms)
        if rain_nm % 2:
            previews = [windows.preview(step, at) for at in range(len(LENGTHS))]
            windows.add(step)
            steps.append(step)
            assert previews == windows.sums_nm
        else:
            windows.advance(now)
        assert windows.sums_nm == [brute(steps, now, length) for length in LENGTHS]
        if index == cut:
            saved, windows = windows.dump(), Windows(LENGTHS)
            windows.restore(saved, now)
            assert windows.sums_nm == [brute(steps, now, length) for length in LENGTHS]


def test_nothing_leaves_before_next_ms() -> None:
    windows = Windows(LENGTHS)
    windows.add(Increment(1000, 7, 1))
    assert windows.next_ms == 61_000
    windows.advance(60_999)
    assert windows.sums_nm == [7, 7, 7]
    windows.advance(61_000)
    assert windows.sums_nm == [0, 7, 7]


def test_a_gap_counts_only_in_windows_at_least_as_long() -> None:
    windows = Windows(LENGTHS)
    windows.add(Increment(1000, 5, 180_000))
    assert windows.sums_nm == [0, 5, 5]


def test_the_list_is_bounded_and_a_full_one_counts_longer_but_never_shorter() -> None:
    windows = Windows((10**9,))
    for n in range(3 * STEPS_MAX):
        windows.add(Increment(n * 1000, 1, 1000))
    assert len(windows.dump()) <= STEPS_MAX
    assert windows.sums_nm == [3 * STEPS_MAX]
    windows.advance(10**9 + STEPS_MAX * 1000)
    assert windows.sums_nm[0] >= 2 * STEPS_MAX - 1


def test_what_is_spent_is_let_go() -> None:
    windows = Windows((1000,))
    for n in range(10 * module._TRIM_AT):
        windows.add(Increment(n * 1000, 1, 1000))
    assert len(windows._steps) <= module._TRIM_AT + 1
    assert windows.sums_nm == [1]


def test_a_full_list_lets_go_of_what_is_spent_before_it_joins_anything() -> None:
    windows, length = Windows((10_000,)), 10_000
    steps = [Increment(n, 1, 1) for n in range(STEPS_MAX)]
    for step in steps:
        windows.add(step)
    windows.advance(length + 300)  # the first 301 have left: too few to be cut at once
    assert len(windows._steps) == STEPS_MAX
    for n in range(200):
        steps.append(Increment(length + 300 + n, 1, 1))
        windows.add(steps[-1])
        assert windows.sums_nm == [brute(steps, steps[-1].time_ms, length)], "none was joined"
