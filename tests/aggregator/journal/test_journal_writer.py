"""One job that cannot be written costs its neighbours nothing; a disk that cannot, all alike."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rig.batches import LOG, T0_MS, incoming, series

from egret_aggregator.database import sqlite
from egret_aggregator.errors import JournalError
from egret_aggregator.journal import Journal, Verdict
from egret_core.partition import ALL, partition_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HERE = partition_of("gw1")
BAD_STATE: Any = {"key": object()}  # what no column takes


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Journal]:
    journal = Journal(path / "journal.db", keep_ms=10**9, max_bytes=2**26)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


async def test_a_state_that_cannot_be_written_is_refused_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as journal:
        jobs = [
            journal.append([incoming(1)], T0_MS),
            journal.save("judge", {HERE: 1}, BAD_STATE),
            journal.append([incoming(2), incoming(1)], T0_MS),
            journal.tick(T0_MS),
            journal.save("recorder", {HERE: 2}, {"ok": b"1"}),
        ]
        first, spoilt, second, tick, saved = await asyncio.gather(*jobs, return_exceptions=True)
        assert (first, second) == ([Verdict.NEW], [Verdict.NEW, Verdict.DUPLICATE])
        assert (tick, saved) == (None, None)
        assert isinstance(spoilt, JournalError)
        assert [record.getMessage().split()[:2] for record in caplog.records] == [
            ["event=journal_commit_failed", "jobs=1"]
        ]
        assert await journal.load("recorder") == ({HERE: 2}, {"ok": b"1"})
        assert await journal.load("judge") == ({}, {})
    async with opened(tmp_path) as journal:
        assert [entry.seq for entry in await journal.read({}, 9)] == [1, 2, 0]
        assert await journal.append([incoming(2)], T0_MS) == [Verdict.DUPLICATE]


async def test_a_spoilt_state_that_comes_again_and_again_stops_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        for seq in range(1, 31):
            spoilt, taken = await asyncio.gather(
                journal.save("judge", {}, BAD_STATE),
                journal.append([incoming(seq)], T0_MS),
                return_exceptions=True,
            )
            assert isinstance(spoilt, JournalError)
            assert taken == [Verdict.NEW]
        assert journal.known("gw1", LOG) == ((1, 30),)
        assert journal.head == max(entry.id for entry in await journal.read({}, 99))


async def test_a_full_disk_refuses_a_group_as_one_without_trying_each(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as journal:
        await journal.append([incoming(1)], T0_MS)
        journal._db.execute("PRAGMA max_page_count=1")
        big = [incoming(seq, series(200, start_ms=T0_MS * seq)) for seq in range(2, 80)]
        jobs = [journal.append(big, T0_MS), *(journal.append([item], T0_MS) for item in big)]
        # All wait while a first job is at work, so that they share a commit.
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert all(isinstance(result, JournalError) for result in results)
        assert journal._writer.failures <= 3
        assert "full" in caplog.text
        journal._db.execute("PRAGMA max_page_count=1000000")
        assert await journal.append(big, T0_MS) == [Verdict.NEW] * 78


async def test_a_failed_group_leaves_no_trace_for_the_one_after_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:

        def half(desk: Any) -> None:
            desk.append([incoming(7)], T0_MS)
            desk.save("recorder", {HERE: 99}, {"x": b"1"})
            raise ValueError("after half its work")

        with pytest.raises(JournalError, match="after half its work"):
            await journal._writer.submit(half)
        assert journal.known("gw1", LOG) == ()
        assert await journal.load("recorder") == ({}, {})
        assert await journal.append([incoming(7)], T0_MS) == [Verdict.NEW]


async def test_a_writer_that_dies_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as journal:

        def broken(_: object) -> None:
            raise RuntimeError("a fault of ours after the commit")

        monkeypatch.setattr(journal._desk, "adopt", broken)
        jobs = [journal.append([incoming(seq)], T0_MS) for seq in range(1, 9)]
        async with asyncio.timeout(30):
            results = await asyncio.gather(*jobs, return_exceptions=True)
        assert all(isinstance(result, JournalError) for result in results)
        with pytest.raises(JournalError):
            await journal.tick(T0_MS)
        assert "event=journal_writer_died" in caplog.text


async def test_a_consumer_whose_waiter_went_away_harms_no_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        waiting = asyncio.create_task(journal.wait(0))
        saving = asyncio.create_task(journal.save("judge", {ALL: 0}, {}))
        await asyncio.sleep(0)
        waiting.cancel()
        saving.cancel()
        await asyncio.gather(waiting, saving, return_exceptions=True)
        await journal.tick(T0_MS)
        assert journal.head == 1
        assert journal._waiting == []


@pytest.mark.parametrize(
    ("statement", "disk"),
    [
        ("SELECT * FROM nowhere", False),
        ("INSERT INTO one VALUES (1)", False),
        ("INSERT INTO one VALUES (randomblob(1000000))", True),
    ],
)
def test_a_fault_of_the_disk_is_told_from_one_of_the_statement(
    tmp_path: Path, statement: str, *, disk: bool
) -> None:
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    try:
        db.execute("CREATE TABLE one(a UNIQUE)")
        db.execute("INSERT INTO one VALUES (1)")
        db.execute("PRAGMA max_page_count=5")
        with pytest.raises(sqlite3.Error) as caught:
            db.execute(statement)
        assert sqlite.is_disk_fault(caught.value) is disk
    finally:
        db.close()
    assert not sqlite.is_disk_fault(ValueError("none of SQLite's"))


def test_a_file_that_is_read_only_or_no_database_is_a_fault_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "no.db").write_bytes(b"not a database, by far not" * 100)
    for name, statement in (("no.db", "SELECT 1 FROM x"), ("new.db", "CREATE TABLE x(a)")):
        db = sqlite3.connect(tmp_path / name, isolation_level=None)
        try:
            if name == "new.db":
                db.execute("PRAGMA query_only=ON")
            with pytest.raises(sqlite3.Error) as caught:
                db.execute(statement)
            assert sqlite.is_disk_fault(caught.value)
        finally:
            db.close()
