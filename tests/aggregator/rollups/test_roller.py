"""Rollups are what the store says: after late readings, duplicates, kills and lost files."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig.rolling import Rolling, in_memory

from egret_aggregator.errors import StoreError
from egret_aggregator.roller import Roller, point
from egret_core.buckets import HOUR_MS, TEN_MIN_MS, Bucket, coarser, gather
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

T0 = 1_789_999_200_000  # an hour's start
FAR = 4_102_444_800_000
KEYS = (("st1", "wl"), ("st1", "rn"), ("st2", "wl"))


def reading(
    at_s: float, value: float | None = 1.0, key: tuple[str, str] = KEYS[0], **more: Any
) -> Reading:
    return Reading(*key, T0 + int(at_s * 1000), value, **more)


@asynccontextmanager
async def opened(rolling: Rolling) -> AsyncIterator[Rolling]:
    await rolling.open()
    try:
        yield rolling
    finally:
        await rolling.close()


@pytest.fixture(params=["sqlite", "memory"])
def rolling(request: pytest.FixtureRequest, tmp_path: Path) -> Rolling:
    return Rolling(tmp_path) if request.param == "sqlite" else in_memory(tmp_path)


async def oracle(rolling: Rolling, key: tuple[str, str]) -> dict[int, list[Bucket]]:
    """What both tiers are, by all that the store holds."""
    page = await rolling.store.range(*key, 0, FAR, 10**6)
    ten = gather(map(point, page.rows), TEN_MIN_MS)
    return {TEN_MIN_MS: ten, HOUR_MS: coarser(ten, HOUR_MS)}


async def tiers(rolling: Rolling, key: tuple[str, str]) -> dict[int, list[Bucket]]:
    return {tier: await rolling.rollups.rows(key, tier, 0, FAR) for tier in (TEN_MIN_MS, HOUR_MS)}


async def right(rolling: Rolling) -> None:
    for key in KEYS:
        assert await oracle(rolling, key) == await tiers(rolling, key)


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


async def trimmed(rolling: Rolling) -> None:
    """Have the journal forget all that its consumers have passed."""
    position = await rolling.store.position()
    for name in ("judge", "recorder"):
        await rolling.journal.save(name, {**position, -1: 10**6}, {})
    rolling.journal._desk._keep_ms = -(10**15)
    for n in range(120):
        await rolling.journal.tick(T0 + n)
    assert rolling.journal.trimmed > 1


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


class Torn:
    """A rollup file whose writes fail while `broken`."""

    def __init__(self, rolling: Rolling) -> None:
        self._write = rolling.rollups._write
        self.broken = True
        rolling.rollups._write = self.write  # type: ignore[method-assign]

    async def write(self, work: Any) -> None:
        if self.broken:
            raise StoreError("no room")
        await self._write(work)


async def test_a_file_that_cannot_be_written_loses_no_mark(tmp_path: Path) -> None:
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(1), reading(700)])
        await rolling.record()
        torn = Torn(rolling)
        with pytest.raises(StoreError):
            await rolling.settle()
        torn.broken = False
        await rolling.roller.step()
        torn.broken = True
        rolling.now_s += 3600
        assert not await rolling.roller.step()
        assert rolling.roller.failures == 1
        torn.broken = False
        rolling.now_s += 3600
        await rolling.settle()
        await right(rolling)


async def test_a_rebuild_that_could_not_be_begun_is_begun_again(tmp_path: Path) -> None:
    """The journal was trimmed past a roller that runs: what is between is in the store only."""
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(1)])
        await rolling.record()
        await rolling.settle()
        await rolling.arrive([reading(700), reading(1300)])
        await rolling.record()
        await trimmed(rolling)
        await rolling.arrive([reading(1900)])
        await rolling.record()
        torn = Torn(rolling)
        for _ in range(3):
            with pytest.raises(StoreError):
                await rolling.roller.step()
        torn.broken = False
        await rolling.settle()
        await right(rolling)


async def test_a_store_that_refuses_to_be_read_does_not_hold_up_the_marking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(Rolling(tmp_path)) as rolling:

        async def refuses(*_: object) -> None:
            raise StoreError("the span is too long for this server")

        with monkeypatch.context() as patch:
            patch.setattr(rolling.store, "range", refuses)
            for n in range(5):
                await rolling.arrive([reading(700 * n)])
                await rolling.record()
                rolling.now_s += 61
                await rolling.roller.step()
            progress = await rolling.rollups.progress()
            assert max(progress.positions.values()) == rolling.entry
            assert rolling.roller.failures > 0
        rolling.now_s += 61
        await rolling.settle()
        await right(rolling)


async def test_run_goes_on_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egret_aggregator.roller.RETRY_S", 0.01)
    monkeypatch.setattr("egret_aggregator.roller.LOOK_S", 0.01)
    monkeypatch.setattr("egret_aggregator.roller.QUIET_S", -1.0)
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(1)])
        await rolling.record()
        torn = Torn(rolling)
        task = asyncio.create_task(rolling.roller.run())
        async with asyncio.timeout(30):
            while not rolling.roller.failures:
                await asyncio.sleep(0.01)
            torn.broken = False
            while not rolling.roller.rolled:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await right(rolling)


async def test_one_mark_that_the_store_refuses_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(600 * n) for n in range(10)])
        await rolling.arrive([reading(600 * n, 2.0, KEYS[2]) for n in range(10)])
        await rolling.record()
        await rolling.roller.step()
        real = rolling.store.range

        async def refuses(*args: Any) -> Any:
            if args[:2] == KEYS[0] and args[2] <= T0 + 4 * TEN_MIN_MS < args[3]:
                raise StoreError("overflowed duration")
            return await real(*args)

        monkeypatch.setattr(rolling.store, "range", refuses)
        rolling.now_s += 3600
        await rolling.roller.step()
        assert rolling.roller.failures == 1
        assert rolling.roller.marks == (await rolling.rollups.progress()).marks == 1
        await rolling.arrive([reading(6600), reading(6000)])
        await rolling.record()
        await rolling.roller.step()
        rolling.now_s += 100
        await rolling.roller.step()
        assert rolling.roller.marks == 1
        monkeypatch.setattr(rolling.store, "range", real)
        await rolling.settle()
        await right(rolling)


async def test_a_store_that_is_away_is_not_asked_for_every_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(Rolling(tmp_path)) as rolling:
        await rolling.arrive([reading(600 * n) for n in range(100)])
        await rolling.record()
        await rolling.roller.step()
        asked = 0

        async def away(*_: object) -> None:
            nonlocal asked
            asked += 1
            raise StoreError("no answer")

        with monkeypatch.context() as patch:
            patch.setattr(rolling.store, "range", away)
            rolling.now_s += 3600
            for _ in range(5):
                await rolling.roller.step()
        assert asked == 4  # at once, then three alone; then it rests
        assert rolling.roller.marks == 100
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
