"""Telling rows apart, without a server: what MemoryStore would keep is fresh, and no other row."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.store import MemoryStore, StoredReading
from egret_aggregator.store.influx import line, sift

T0 = 1_790_000_000_000
END = line.TIME_MAX_MS


def row(time_ms: int, value: float | None = 1.0) -> StoredReading:
    return StoredReading("st1", "wl", time_ms, value, None, 1, 0, 0, 40)


ROWS = st.lists(
    st.builds(row, st.integers(T0, T0 + 9), st.sampled_from([None, 0.0, 1.0])), max_size=20
)


@given(ROWS, ROWS.filter(len))
async def test_it_says_what_a_store_in_memory_says(
    before: list[StoredReading], rows: list[StoredReading]
) -> None:
    store = MemoryStore()
    await store.write(before)
    stored = {one.time_ms: one for one in (await store.range("st1", "wl", 0, END, 99)).rows}
    receipt = await store.write(rows)
    fresh, known, conflicts, beyond = sift.sift(rows, stored)
    assert (len(fresh), len(conflicts), beyond) == (receipt.accepted, receipt.conflicts, [])
    after = (await store.range("st1", "wl", 0, END, 99)).rows
    assert sorted([*stored.values(), *fresh]) == sorted(after)
    assert fresh == sorted(fresh, key=lambda one: one.time_ms)
    assert known == [stored[at] for at in dict.fromkeys(r.time_ms for r in rows) if at in stored]


def test_only_what_may_exist_is_doubtful() -> None:
    spans = array("q", (T0, T0 + 10))
    assert sift.doubtful(spans, [row(T0 + 11), row(T0 + 12)]) == []
    assert sift.doubtful(spans, [row(T0 + 11), row(T0 + 5), row(T0), row(T0 + 5)]) == [T0, T0 + 5]
    assert sift.doubtful(array("q"), [row(T0)]) == []


def test_rows_that_no_such_store_can_date_are_told_apart() -> None:
    rows = [row(line.TIME_MIN_MS - 1), row(line.TIME_MIN_MS), row(END), row(END + 1)]
    fresh, _, _, beyond = sift.sift(rows, {})
    assert (fresh, beyond) == (rows[1:3], [rows[0], rows[3]])


def test_channels_keep_the_order_rows_came_in() -> None:
    groups: dict[sift.Key, list[StoredReading]] = {}
    other = row(T0)._replace(channel="rain")
    sift.by_channel([row(T0 + 1), other], groups)
    sift.by_channel([row(T0)], groups)
    assert groups == {("st1", "wl"): [row(T0 + 1), row(T0)], ("st1", "rain"): [other]}
