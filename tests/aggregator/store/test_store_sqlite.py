"""What only the SQLite store has: bounds, readers beside the writer, pages."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from egret_aggregator.store import SqliteStore, StoredReading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


T0 = 1_790_000_000_000


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path / "series.db")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def instant(time_ms: int, channels: int = 20) -> list[StoredReading]:
    return [
        StoredReading("st1", f"c{n:02d}", time_ms, n / 4, None, 1, 0, 0, 5) for n in range(channels)
    ]


async def test_readers_see_whole_writes_while_the_writer_writes(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        done = asyncio.Event()

        async def write() -> None:
            for at in range(60):
                await store.write(instant(T0 + at), positions={0: at + 1})
            done.set()

        async def look() -> int:
            looks = 0
            while not done.is_set() or not looks:
                rows = await store.latest()
                assert len({row.time_ms for row in rows}) <= 1
                assert len(rows) in (0, 20)
                looks += 1
            return looks

        _, *looks = await asyncio.gather(write(), look(), look())
        assert all(looks)
        page = await store.range("st1", "c07", T0, T0 + 60, 999)
        assert [row.value for row in page.rows] == [1.75] * 60


async def test_a_messages_readings_are_neighbours(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.write([*instant(T0 + 1), *instant(T0)])
        rows = store._db.execute("SELECT time, channel FROM reading").fetchall()
        assert rows == [(T0 + at, f"c{n:02d}") for at in range(2) for n in range(20)]


async def test_health_tells_the_engine_and_the_bytes(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        empty = await store.health()
        await store.write([row for at in range(100) for row in instant(T0 + at)])
        full = await store.health()
        assert full.engine.startswith("sqlite 3.")
        assert full.used_b > empty.used_b > 0
        assert full.last_error == ""
