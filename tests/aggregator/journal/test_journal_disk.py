"""A disk that fills is a journal that fills: it is said early, and warnings keep their room."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.batches import T0_MS, incoming, series

from egret_aggregator.database import sqlite
from egret_aggregator.journal import Journal, Level, Verdict, schema
from egret_aggregator.journal.desk import MEASURE_EVERY, Desk
from egret_core.messages import Taking
from egret_core.topics import Leaf

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

MB = 2**20


class Disk:
    """How much room the disk still has; a test fills it."""

    def __init__(self, spare_b: int) -> None:
        self.spare_b = spare_b

    def __call__(self) -> int:
        return self.spare_b


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = schema.open_file(tmp_path / "journal.db")
    yield opened
    opened.close()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Journal]:
    journal = Journal(path / "journal.db", keep_ms=10**9, max_bytes=64 * MB)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


@pytest.mark.parametrize(
    ("spare_b", "level"),
    [
        (10**12, Level.ROOM),
        (MB, Level.ROOM),
        (0, Level.FULL),
        (-MB, Level.FULL),
        (-(10**12), Level.FULL),
    ],
)
def test_the_level_follows_what_the_disk_has_left(
    db: sqlite3.Connection, spare_b: int, level: Level
) -> None:
    assert Desk(db, 1000, 64 * MB, (), Disk(spare_b)).fill.level is level


def test_the_setting_holds_where_the_disk_has_more(db: sqlite3.Connection) -> None:
    assert Desk(db, 1000, 64 * MB, (), Disk(10**12)).fill.max_b == 64 * MB
    assert Desk(db, 1000, 64 * MB, ()).fill.max_b == 64 * MB


def test_pages_that_are_free_for_reuse_are_room_too(db: sqlite3.Connection) -> None:
    desk = Desk(db, 1000, 64 * MB, (), Disk(0))
    db.execute("CREATE TABLE heap(a)")
    db.executemany("INSERT INTO heap VALUES (?)", [(b"x" * 100_000,) for _ in range(20)])
    assert desk.measured().level is Level.FULL
    db.execute("DELETE FROM heap")
    assert desk.measured().level is Level.ROOM
    assert desk.fill.max_b == sqlite.file_bytes(db) > 20 * 100_000


async def test_a_filling_disk_goes_through_the_same_steps_as_a_filling_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk(8 * MB)
    monkeypatch.setattr(sqlite, "spare_bytes", lambda _: disk())
    async with opened(tmp_path) as journal:
        seq = 0

        async def one(lane: Leaf = Leaf.DATA) -> Verdict:
            nonlocal seq
            seq += 1
            many = series(150, start_ms=T0_MS + 10**6 * seq)
            return (await journal.append([incoming(seq, many, lane=lane)], T0_MS))[0]

        async def look() -> None:
            for _ in range(MEASURE_EVERY + 1):
                await one()

        await look()
        assert journal.fill.level is Level.ROOM
        used_b = journal.fill.used_b
        disk.spare_b = used_b // 4
        await look()
        assert journal.fill.level in (Level.FILLING, Level.FRESH_ONLY)
        disk.spare_b = 0
        await one()
        await one()
        assert journal.fill.level is Level.FULL
        assert journal.fill.taking is Taking.NONE
        head = journal.head
        assert await one() is Verdict.HELD
        # The judge still sees what is fresh, and ticks go on.
        assert journal.head == head + 1
        await journal.tick(T0_MS)
        disk.spare_b = 10**12
        await journal.tick(T0_MS)
        await journal.tick(T0_MS)
        assert journal.fill.taking is Taking.ALL
        assert await one(Leaf.BACKLOG) is Verdict.NEW
    told = [r.getMessage().split()[1] for r in caplog.records if "journal_level" in r.getMessage()]
    assert told[-2:] == ["level=full", "level=room"]
    assert "room_mb=" in caplog.text


def test_the_reserve_is_taken_off_what_the_disk_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = sqlite.spare_bytes(tmp_path)
    monkeypatch.setattr(sqlite, "RESERVE_B", sqlite.RESERVE_B + 10**15)
    assert sqlite.spare_bytes(tmp_path) < 0
    assert plain + sqlite.RESERVE_B > 10**15
