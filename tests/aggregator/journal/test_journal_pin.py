"""While a backup holds the pin nothing is trimmed; no dead backup does, and no warning waits."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.batches import T0_MS, incoming

from egret_aggregator.errors import BackupError
from egret_aggregator.journal import Journal, copying, desk, pin
from egret_aggregator.journal.copying import JournalCopy
from egret_aggregator.journal.pin import Pin
from egret_core.partition import partition_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DAY_MS = 86_400_000
PART = partition_of(incoming(1).gateway)
HOLDER = """
import sys, time
from pathlib import Path
from egret_aggregator.journal.pin import Pin
with Pin(Path(sys.argv[1])).held():
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
async def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Journal]:
    monkeypatch.setattr(desk, "MEASURE_EVERY", 1)
    opened = Journal(tmp_path / "journal.db", keep_ms=DAY_MS, max_bytes=2**22)
    await opened.open()
    for seq in range(1, 11):
        await opened.append([incoming(seq)], T0_MS)
    for consumer in ("judge", "recorder"):
        await opened.save(consumer, {PART: opened.head}, {})
    yield opened
    await opened.close()


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def kept(journal: Journal, now_ms: int) -> int:
    """How many of the first ten entries are there after a commit at an instant, and a trim."""
    for at in range(2):  # the trim follows the commit; the next commit waits for it
        await journal.append([incoming(100 + now_ms % 89 + at)], now_ms + at)
    rows = await journal._read(lambda db: db.execute("SELECT count(*) FROM entry WHERE id <= 10"))  # type: ignore[arg-type]
    return int(rows.fetchone()[0])  # type: ignore[attr-defined]


async def test_nothing_goes_while_it_is_held_and_all_may_go_afterwards(
    tmp_path: Path, journal: Journal
) -> None:
    with Pin(tmp_path / "journal.db").held():
        assert await kept(journal, T0_MS + 2 * DAY_MS) == 10
    assert await kept(journal, T0_MS + 3 * DAY_MS) == 0
    assert "journal.pin" not in names(tmp_path)


async def test_a_backup_that_died_holds_nothing(tmp_path: Path, journal: Journal) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "journal.db")]
    child = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    assert child.stdout is not None
    async with asyncio.timeout(60):
        assert await child.stdout.readline() == b"held\n"
    assert await kept(journal, T0_MS + 2 * DAY_MS) == 10
    child.send_signal(signal.SIGKILL)
    await child.wait()
    assert "journal.pin" in names(tmp_path)
    assert await kept(journal, T0_MS + 3 * DAY_MS) == 0
    with Pin(tmp_path / "journal.db").held():  # what it left is in nobody's way
        assert Pin(tmp_path / "journal.db").holds()


async def test_of_two_backups_the_second_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pin, "TRIES", 2)
    first, second = Pin(tmp_path / "journal.db"), Pin(tmp_path / "journal.db")
    with first.held():
        with pytest.raises(BackupError, match="another backup of this centre runs"):
            second.held().__enter__()
        assert first.holds()
    assert not first.holds()


async def test_a_journal_without_room_trims_in_spite_of_it_and_the_backup_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "MEASURE_EVERY", 1)
    journal = Journal(tmp_path / "journal.db", keep_ms=DAY_MS, max_bytes=2**17)
    await journal.open()
    held = Pin(tmp_path / "journal.db").held()
    held.__enter__()
    seq = 0
    others = Pin(tmp_path / "journal.db")
    while others.holds():
        seq += 1
        assert seq < 10_000
        await journal.append([incoming(seq)], T0_MS)
        for consumer in ("judge", "recorder"):
            await journal.save(consumer, {PART: journal.head}, {})
    with pytest.raises(BackupError, match="ran out of room and was trimmed"):
        held.__exit__(None, None, None)
    await journal.close()


async def test_the_copy_starts_where_the_slowest_consumer_is(
    tmp_path: Path, journal: Journal
) -> None:
    await journal.save("judge", {PART: 4, -1: 2}, {"a": b"1"})
    copy = JournalCopy(tmp_path / "journal.db", tmp_path / "copy.db")
    copy.begin()
    await journal.save("judge", {PART: 9}, {"a": b"2"})
    await journal.append([incoming(11)], T0_MS)
    done = copy.follow(lambda _done, _total: None)
    copy.close()
    assert (done.entries, done.head, done.positions[PART]) == (7, 11, 4)
    assert not [name for name in names(tmp_path) if name.startswith("copy.db-")]
    again = Journal(tmp_path / "copy.db", keep_ms=DAY_MS, max_bytes=2**22)
    await again.open()
    positions, state = await again.load("judge")
    assert (positions[PART], state) == (4, {"a": b"1"})
    assert [entry.id for entry in await again.read(positions, 100)] == list(range(5, 12))
    assert again.known(incoming(1).gateway, incoming(1).log) == ((1, 11),)
    await again.close()


async def test_a_journal_of_another_version_is_not_copied(tmp_path: Path, journal: Journal) -> None:
    copy = JournalCopy(tmp_path / "journal.db", tmp_path / "copy.db")
    await journal._writer.submit(lambda desk: desk._db.execute("PRAGMA user_version=9"))
    with pytest.raises(BackupError, match="journal of version 9, not 1"):
        copy.begin()
    copy.close()


async def test_the_journal_commits_while_it_is_copied(
    tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup takes no lock of the journal: who waits for a commit does not wait for it."""
    monkeypatch.setattr(copying, "CHUNK_IDS", 2)
    await journal.restart("judge")
    loop = asyncio.get_running_loop()
    committed: list[int] = []

    def said(_done: int, _total: int) -> None:
        seq = 20 + len(committed)
        asked = asyncio.run_coroutine_threadsafe(journal.append([incoming(seq)], T0_MS), loop)
        asked.result(10)  # less than SQLite would wait for a lock
        committed.append(seq)

    copy = JournalCopy(tmp_path / "journal.db", tmp_path / "copy.db")
    copy.begin()
    done = await asyncio.to_thread(copy.follow, said)
    await asyncio.to_thread(copy.close)
    assert committed == [20, 21, 22, 23, 24]
    assert (done.entries, done.head) == (10, 10)  # as of one commit


@pytest.mark.parametrize("step", ["begin", "follow"])
async def test_the_copy_does_not_wait_for_the_journals_writer(
    tmp_path: Path, journal: Journal, step: str
) -> None:
    copy = JournalCopy(tmp_path / "journal.db", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as writer:
        steps = [copy.begin, lambda: copy.follow(lambda _done, _total: None)]
        if step == "follow":
            copy.begin()
            del steps[0]
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE position SET positions = '{}'")
        async with asyncio.timeout(10):
            await asyncio.to_thread(steps[0])
        writer.execute("ROLLBACK")
    copy.close()
    assert journal.failures == 0


@pytest.mark.parametrize("noted", [None, {}])
async def test_what_a_consumer_that_noted_nothing_has_before_it_is_copied(
    tmp_path: Path, noted: dict[int, int] | None
) -> None:
    """The recorder of a new centre notes where it is after thousands of entries only."""
    live = Journal(tmp_path / "journal.db", keep_ms=DAY_MS, max_bytes=2**22)
    await live.open()
    for seq in range(1, 6):
        await live.append([incoming(seq)], T0_MS)
    await live.save("judge", {PART: live.head}, {})
    await live.save("ledger", {}, {"head": b"1"})
    if noted is not None:
        await live.save("recorder", noted, {})
    copy = JournalCopy(tmp_path / "journal.db", tmp_path / "copy.db")
    copy.begin()
    done = copy.follow(lambda _done, _total: None)
    copy.close()
    await live.close()
    assert (done.entries, done.head) == (5, 5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root works for another user")
def test_a_pin_that_root_holds_is_one_to_the_centres_user() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.chown(folder, 65534, 65534)
        journal = folder / "journal.db"
        held = Pin(journal).held()
        held.__enter__()
        try:
            assert (folder / "journal.pin").stat().st_uid == 65534
            os.seteuid(65534)
            try:
                assert Pin(journal).holds()
            finally:
                os.seteuid(0)
            os.chown(folder / "journal.pin", 0, 0)  # as a version before this one made it
            os.seteuid(65534)
            try:
                assert Pin(journal).holds()
                Pin(journal).give_up()
                assert not Pin(journal).holds()
            finally:
                os.seteuid(0)
        finally:
            with pytest.raises(BackupError, match="was trimmed meanwhile"):
                held.__exit__(None, None, None)
