"""Spans hold every time ever given to them, stay few, and keep the widest gaps open."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.store.influx.spans import NEAR_MS, SPANS_MAX, continued, grown, holds, overlap

HOUR = 3_600_000
EMPTY = array("q")


def spans(*edges: int) -> array[int]:
    return array("q", edges)


def test_a_channel_that_speaks_every_second_has_one_span() -> None:
    held = EMPTY
    for start in range(0, 100_000, 10_000):
        held = grown(held, range(start, start + 10_000, 1000))
    assert held == spans(0, 99_000)
    assert not overlap(held, 99_001, 10**9)


def test_an_outage_stays_open_so_that_its_backlog_needs_no_question() -> None:
    held = grown(grown(EMPTY, [0, 1000]), [6 * HOUR])
    assert held == spans(0, 1000, 6 * HOUR, 6 * HOUR)
    assert not overlap(held, 1001, 6 * HOUR - 1)
    held = grown(held, range(2000, 6 * HOUR, 1000))  # the backlog closes it
    assert held == spans(0, 6 * HOUR)


def test_backlog_and_live_in_one_write_are_two_spans() -> None:
    assert grown(spans(0, 9), [HOUR, HOUR + 1, 9 * HOUR]) == spans(
        0, 9, HOUR, HOUR + 1, 9 * HOUR, 9 * HOUR
    )


def test_the_nearest_are_merged_when_there_are_too_many() -> None:
    held = EMPTY
    starts = [HOUR * n * n for n in range(1, SPANS_MAX + 3)]  # ever wider gaps
    for start in starts:
        held = grown(held, [start])
    assert len(held) == 2 * SPANS_MAX
    assert held[:2] == spans(starts[0], starts[2])  # the two narrowest gaps are gone
    assert held[2:4] == spans(starts[3], starts[3])


def test_edges_belong_to_a_span() -> None:
    held = spans(10, 20, 10**6, 10**6)
    tried = (9, 10, 15, 20, 21, 10**6 - 1, 10**6, 10**6 + 1)
    assert [time for time in tried if holds(held, time)] == [10, 15, 20, 10**6]
    assert overlap(held, 0, 10)
    assert overlap(held, 20, 30)
    assert overlap(held, 0, 10**9)
    assert not overlap(held, 21, 10**6 - 1)
    assert not overlap(EMPTY, 0, 10**9)


def test_going_on_is_the_short_way_to_the_same_spans() -> None:
    held = spans(0, 9, 10**9, 10**9 + 5)
    first, last = 10**9 + 1000, 10**9 + 9000
    assert continued(held, first, last) == grown(held, [first, last])
    assert continued(EMPTY, first, last) is None
    assert continued(held, 10, 20) is None
    assert continued(held, first, first + NEAR_MS) is None


TIMES = st.lists(st.integers(-(10**10), 10**10), min_size=1, max_size=30).map(sorted)


@given(st.lists(TIMES, min_size=1, max_size=12))
def test_nothing_written_is_ever_forgotten(writes: list[list[int]]) -> None:
    held = EMPTY
    written: set[int] = set()
    for times in writes:
        held = grown(held, times)
        written.update(times)
        assert list(held) == sorted(held)
        assert len(held) % 2 == 0
        assert len(held) <= 2 * SPANS_MAX
        assert all(holds(held, time) for time in written)
        assert (held[0], held[-1]) == (min(written), max(written))
        gaps = [held[at + 1] - held[at] for at in range(1, len(held) - 1, 2)]
        assert all(gap > NEAR_MS for gap in gaps)
