"""Files and stores that refuse: no mark is lost, and one that is refused keeps no other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from rig.rolling import KEYS, T0, Rolling, opened, reading, right, trimmed

from egret_aggregator.errors import StoreError
from egret_core.buckets import TEN_MIN_MS

if TYPE_CHECKING:
    from pathlib import Path


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


async def test_one_channel_that_the_store_refuses_keeps_no_other_from_being_rolled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(Rolling(tmp_path)) as rolling:
        for key in KEYS:
            await rolling.arrive([reading(7 * n, n, key) for n in range(20)])
        await rolling.record()
        await rolling.rollups.close()
        await trimmed(rolling)
        await rolling.open_rollups()
        real = rolling.store.range

        async def refuses(*args: Any) -> Any:
            if args[:2] == min(KEYS):
                raise StoreError("ask for a shorter span")
            return await real(*args)

        monkeypatch.setattr(rolling.store, "range", refuses)
        for _ in range(12):
            await rolling.roller.step()
            rolling.now_s += 20
        assert (await rolling.rollups.progress()).rebuilding == 1
        assert rolling.roller.failures > 1
        monkeypatch.setattr(rolling.store, "range", real)
        await rolling.settle()
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
