"""What becomes of a batch: new, duplicate, conflict, again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.batches import LOG, OTHER_LOG, T0_MS, incoming, series

from egret_aggregator.errors import JournalError
from egret_aggregator.journal import EntryKind, Journal, Verdict
from egret_aggregator.journal.books import HASH_KEPT_MS, HASH_TRIM_ROWS, RANGES_MAX
from egret_core.messages import Kind
from egret_core.partition import ALL, partition_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY_MS = 86_400_000


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Journal]:
    journal = Journal(path / "journal.db", keep_ms=7 * DAY_MS, max_bytes=64 * 2**20)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


async def test_a_new_batch_is_an_entry_of_its_gateways_partition(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        item = incoming(1)
        assert await journal.append([item], T0_MS) == [Verdict.NEW]
        (entry,) = await journal.read({}, 10)
        assert entry == (
            1,
            partition_of("gw1"),
            EntryKind.BATCH,
            "gw1",
            LOG,
            1,
            T0_MS,
            item.payload,
        )
        assert journal.decoded(entry) == item.batch
        assert [r.value for r in journal.readings(entry).dated] == [0.0, 0.125]


async def test_the_same_batch_again_is_a_duplicate_in_the_group_after_it_and_after_a_restart(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as journal:
        first = await journal.append([incoming(1), incoming(1)], T0_MS)
        assert first == [Verdict.NEW, Verdict.DUPLICATE]
        assert await journal.append([incoming(1)], T0_MS) == [Verdict.DUPLICATE]
    async with opened(tmp_path) as journal:
        assert await journal.append([incoming(1)], T0_MS) == [Verdict.DUPLICATE]
        assert len(await journal.read({}, 10)) == 1


async def test_another_content_under_a_known_identity_is_a_conflict_kept_once(
    tmp_path: Path,
) -> None:
    other = incoming(1, series(1, start_ms=T0_MS + 5))
    async with opened(tmp_path) as journal:
        group = await journal.append([incoming(1), other], T0_MS)
        assert group == [Verdict.NEW, Verdict.CONFLICT]
        assert await journal.append([other, incoming(1)], T0_MS) == [
            Verdict.CONFLICT,
            Verdict.DUPLICATE,
        ]
        entries = await journal.read({}, 10)
        assert [entry.kind for entry in entries] == [EntryKind.BATCH, EntryKind.CONFLICT]
        assert entries[1].payload == other.payload
        assert journal.known("gw1", LOG) == ((1, 1),)


async def test_logs_and_gateways_do_not_mix(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        items = [incoming(1), incoming(1, log=OTHER_LOG), incoming(1, gateway="gw2")]
        assert await journal.append(items, T0_MS) == [Verdict.NEW] * 3


async def test_a_seq_whose_hash_is_forgotten_is_journalled_again(tmp_path: Path) -> None:
    many = HASH_TRIM_ROWS + 100
    async with opened(tmp_path) as journal:
        await journal.append([incoming(seq) for seq in range(1, many + 1)], T0_MS)
        later = T0_MS + HASH_KEPT_MS + DAY_MS
        for seq in range(60):  # a look at what may go comes every so many commits
            await journal.append([incoming(many + 1 + seq)], later)
        known = journal.known("gw1", LOG)
        assert known == ((1, many + 60),)
        verdicts = await journal.append([incoming(1), incoming(many + 60)], later)
        assert verdicts == [Verdict.AGAIN, Verdict.DUPLICATE]
        assert await journal.append([incoming(1)], later) == [Verdict.DUPLICATE]


async def test_a_loss_is_known_with_the_commit_that_tells_it(tmp_path: Path) -> None:
    loss = {
        "log": OTHER_LOG,
        "seqs": [[3, 8]],
        "from_ms": None,
        "to_ms": None,
        "channels": [],
        "count": 6,
        "why": "space",
    }
    async with opened(tmp_path) as journal:
        item = incoming(1, kind=Kind.LOSS, entries=[loss])
        await journal.append([item], T0_MS)
        assert journal.known("gw1", OTHER_LOG) == ((3, 8),)
        await journal.lose("gw1", OTHER_LOG, ((1, 2),))
        # What was given up and comes after all is taken.
        assert await journal.append([incoming(4, log=OTHER_LOG)], T0_MS) == [Verdict.NEW]
    async with opened(tmp_path) as journal:
        assert journal.known("gw1", OTHER_LOG) == ((1, 8),)


async def test_seqs_without_end_and_full_of_gaps_are_held_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        gaps = [incoming(2 * n) for n in range(1, RANGES_MAX + 1)]
        assert set(await journal.append(gaps, T0_MS)) == {Verdict.NEW}
        far, near = incoming(2 * RANGES_MAX + 2), incoming(3)
        assert await journal.append([far, near], T0_MS) == [Verdict.HELD, Verdict.NEW]


async def test_ticks_and_changes_are_entries_for_all(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.tick(T0_MS)
        at = await journal.change(b'{"rules":1}', T0_MS + 1)
        entries = await journal.read({}, 10)
        assert [(entry.partition, entry.kind) for entry in entries] == [
            (ALL, EntryKind.TICK),
            (ALL, EntryKind.CHANGE),
        ]
        assert (at, entries[1].payload) == (2, b'{"rules":1}')


async def test_many_appends_share_few_commits(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        jobs = [journal.append([incoming(seq)], T0_MS) for seq in range(1, 401)]
        verdicts = await asyncio.gather(*jobs)
        assert verdicts == [[Verdict.NEW]] * 400
        assert journal._writer.commits < 100
        assert [entry.id for entry in await journal.read({}, 999)] == list(range(1, 401))


async def test_a_failed_commit_acknowledges_nobody_and_leaves_no_trace(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.append([incoming(1)], T0_MS)
        journal._db.execute("PRAGMA max_page_count=1")
        big = incoming(2, series(180))
        error = ""
        while not error:
            try:
                await journal.append([big], T0_MS)
            except JournalError as full:
                error = str(full)
            else:
                big = incoming(big.seq + 1, series(180))
        assert "full" in error
        held = big.seq
        assert journal.known("gw1", LOG) == ((1, held - 1),)
        journal._db.execute("PRAGMA max_page_count=1000000")
        assert await journal.append([big], T0_MS) == [Verdict.NEW]


async def test_a_closed_journal_and_a_foreign_file_say_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        pass
    with pytest.raises(JournalError, match="closed"):
        await journal.append([incoming(1)], T0_MS)
    (tmp_path / "journal.db").write_bytes(b"not a database, by far not" * 100)
    for extra in ("journal.db-wal", "journal.db-shm"):
        (tmp_path / extra).unlink(missing_ok=True)
    with pytest.raises(JournalError, match="not a database"):
        await Journal(tmp_path / "journal.db", keep_ms=1, max_bytes=1).open()
