"""Rollups are what the store says: after late readings, duplicates, kills and lost files."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig.rolling import (
    FAR,
    KEYS,
    T0,
    Rolling,
    in_memory,
    opened,
    oracle,
    reading,
    right,
    tiers,
    trimmed,
)

from egret_core.buckets import HOUR_MS, TEN_MIN_MS, coarser

if TYPE_CHECKING:
    from egret_aggregator.roller import Roller


@pytest.fixture(params=["sqlite", "memory"])
def rolling(request: pytest.FixtureRequest, tmp_path: Path) -> Rolling:
    return Rolling(tmp_path) if request.param == "sqlite" else in_memory(tmp_path)


async def charted(rolling: Rolling) -> None:
    """What a chart shows is the same, rolled or not."""
    for key in KEYS:
        wanted = await oracle(rolling, key)
        for width_ms, tier in (
            (TEN_MIN_MS, TEN_MIN_MS),
            (HOUR_MS, HOUR_MS),
            (3 * HOUR_MS, HOUR_MS),
        ):
            page = await rolling.charts.buckets(key, T0 - HOUR_MS, T0 + 90 * HOUR_MS, width_ms, 999)
            assert coarser(wanted[tier], width_ms) == page.buckets
            assert page.pending == 0


async def test_a_chart_waits_until_what_is_recorded_is_marked(
    rolling: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.roller.LOOK_S", 3600.0)
    async with opened(rolling):
        rolled = asyncio.create_task(rolling.roller.run())
        await asyncio.sleep(0.05)  # it has looked, and found nothing
        await rolling.arrive([reading(60 * n) for n in range(30)])
        await rolling.record()
        assert await rolling.roller.follow(30.0) == 0
        await charted(rolling)
        rolled.cancel()
        await asyncio.gather(rolled, return_exceptions=True)
        # With nobody there to mark it says so, and does not keep the caller.
        for _ in range(2):
            await rolling.arrive([reading(3600)])
        await rolling.record()
        assert await rolling.roller.follow(0.01) == 2


async def test_a_late_reading_changes_one_row_of_each_tier_and_a_duplicate_none(
    rolling: Rolling,
) -> None:
    async with opened(rolling):
        await rolling.arrive([reading(60 * n, n / 4) for n in range(300)])
        await rolling.record()
        await rolling.settle()
        before = await tiers(rolling, KEYS[0])
        await right(rolling)
        await rolling.arrive([reading(60 * 120 + 7, 99.0), reading(60 * 120, 30.0)])
        await rolling.record()
        await rolling.settle()
        after = await tiers(rolling, KEYS[0])
        for tier, per_hour in ((TEN_MIN_MS, 6), (HOUR_MS, 1)):
            changed = [n for n, row in enumerate(before[tier]) if row != after[tier][n]]
            assert changed == [2 * per_hour]
        # The same again, and another value of a known identity: nothing changes.
        await rolling.arrive([reading(60 * 120 + 7, 99.0), reading(60 * 121, -5.0)])
        await rolling.record()
        await rolling.settle()
        assert await tiers(rolling, KEYS[0]) == after


async def test_a_bucket_that_readings_still_come_to_is_not_rolled(tmp_path: Path) -> None:
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(1)])
        await rolling.record()
        await rolling.roller.step()
        assert (await rolling.rollups.progress()).marks == 1
        assert await rolling.rollups.rows(KEYS[0], TEN_MIN_MS, 0, FAR) == []
        await charted(rolling)
        rolling.now_s += 3600
        await rolling.roller.step()
        assert rolling.roller.marks == (await rolling.rollups.progress()).marks == 0
        await right(rolling)


async def test_what_is_not_recorded_yet_is_not_rolled(tmp_path: Path) -> None:
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(1)])
        await rolling.settle()
        assert (await rolling.rollups.progress()).positions == {}
        await rolling.record()
        await rolling.settle()
        await right(rolling)


async def test_a_lost_file_is_made_anew_from_the_store(
    rolling: Rolling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.roller.PAGE_ROWS", 256)
    async with opened(rolling):
        await rolling.arrive([reading(7 * n, n) for n in range(2000)])
        await rolling.arrive([reading(7 * n, n, KEYS[2]) for n in range(3)])
        await rolling.record()
        await rolling.rollups.close()
        await trimmed(rolling)
        await rolling.open_rollups()
        await rolling.roller.step()
        behind = await rolling.charts.buckets(KEYS[0], T0, T0 + 4 * HOUR_MS, HOUR_MS, 999)
        assert behind.pending > 0
        await rolling.settle()
        assert (await rolling.rollups.progress()).rebuilding == 0
        await right(rolling)
        await charted(rolling)


async def test_a_journal_put_back_without_what_its_consumers_had_passed_is_noticed(
    tmp_path: Path,
) -> None:
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(1)])
        await rolling.record()
        await rolling.settle()
        for n in range(1, 4):
            await rolling.arrive([reading(700 * n)])
        await rolling.record()
        await rolling.rollups.close()
        # A backup has the entries after its consumers' positions only, whatever was trimmed.
        gone = await rolling.journal._writer.submit(
            lambda desk: desk._db.execute("DELETE FROM entry WHERE id IN (2, 3)").rowcount
        )
        assert (gone, rolling.journal.trimmed) == (2, 0)
        # Not from its memory: a process that was started anew has none.
        rolling.journal._tail.__init__(rolling.journal._desk.heads)  # type: ignore[misc]
        await rolling.open_rollups()
        await rolling.settle()
        await right(rolling)


async def test_the_journal_remembers_how_far_it_was_trimmed(tmp_path: Path) -> None:
    async with opened(Rolling(tmp_path)) as rolling:
        assert rolling.journal.trimmed == 0
        await trimmed(rolling)
        reached = rolling.journal.trimmed
    async with opened(Rolling(tmp_path)) as again:
        assert again.journal.trimmed == reached


async def test_a_full_ten_minutes_is_one_bucket_however_many_pages_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.roller.PAGE_ROWS", 16)
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(n, n) for n in range(900)])
        await rolling.record()
        await rolling.rollups.close()
        await trimmed(rolling)
        await rolling.open_rollups()
        await rolling.settle()
        await right(rolling)


async def test_more_marks_than_memory_has_room_for_are_rolled_before_more_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.roller.MARKS_MAX", 4)
    monkeypatch.setattr("egret_aggregator.roller.ENTRIES_MAX", 1)
    async with opened(Rolling(tmp_path)) as rolling:
        for n in range(20):
            await rolling.arrive([reading(600 * (2 * n + k), n) for k in range(2)])
        await rolling.record()
        most = 0
        while await rolling.roller.step():  # no time passes: nothing is at rest
            most = max(most, rolling.roller.marks)
        assert most <= 5
        await charted(rolling)
        await rolling.settle()
        await right(rolling)


OPS = st.one_of(
    st.tuples(
        st.just("arrive"),
        st.lists(
            st.builds(
                lambda key, slot, value, flag: reading(slot * 97, value, key, flag=flag),
                st.sampled_from(KEYS),
                st.integers(0, 120),  # few instants: duplicates and second values are many
                st.none() | st.integers(-8, 8).map(float),
                st.sampled_from([1, 2, 3, 4, 9]),
            ),
            min_size=1,
            max_size=30,
        ),
    ),
    st.tuples(st.sampled_from(["record", "step", "wait", "kill", "lose", "keep", "put_back"])),
)


async def play(folder: Path, ops: list[tuple[Any, ...]]) -> None:
    async with opened(Rolling(folder)) as rolling:
        for op in ops:
            await one(rolling, op)
        await rolling.record()
        await rolling.roller.step()
        while (await rolling.rollups.progress()).rebuilding:
            await rolling.roller.step()
        await charted(rolling)  # with marks that are not at rest
        await rolling.settle()
        await right(rolling)
        await charted(rolling)


async def one(rolling: Rolling, op: tuple[Any, ...]) -> None:
    path, copy = rolling.folder / "rollups.db", rolling.folder / "copy"
    if op[0] == "arrive":
        await rolling.arrive(op[1])
    elif op[0] == "record":
        await rolling.record()
    elif op[0] == "wait":
        rolling.now_s += 100
    elif op[0] == "step":
        await rolling.roller.step()
    else:
        # A process that dies leaves what it committed and nothing else.
        await rolling.rollups.close()
        if op[0] == "keep":
            shutil.copy(path, copy)
        elif op[0] == "lose" or (op[0] == "put_back" and copy.exists()):
            path.unlink()
            if op[0] == "put_back":
                shutil.copy(copy, path)
        await rolling.open_rollups()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(OPS, max_size=14))
def test_whatever_happens_the_rollups_are_what_the_store_says(ops: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), ops))


def test_a_roller_says_how_far_it_is(tmp_path: Path) -> None:
    async def story() -> Roller:
        async with opened(Rolling(tmp_path)) as rolling:
            await rolling.arrive([reading(5)])
            await rolling.record()
            await rolling.roller.step()
            return rolling.roller

    assert asyncio.run(story()).rolled_to_ms == T0 + 5100
