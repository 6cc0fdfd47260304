"""Positions, state, reading near and far from the head, trimming, filling."""

from __future__ import annotations

import asyncio
import random
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rig.batches import T0_MS, incoming, series

from egret_aggregator.journal import Journal, Level, Verdict
from egret_aggregator.journal import tail as tail_module
from egret_aggregator.journal.receipt import Handed
from egret_core.messages import Taking
from egret_core.partition import ALL, partition_of
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import pytest

    from egret_aggregator.journal import Entry
    from egret_aggregator.journal.receipt import Incoming

MB = 2**20


@asynccontextmanager
async def opened(
    path: Path, *, max_bytes: int = 64 * MB, keep_ms: int = 10**9
) -> AsyncIterator[Journal]:
    journal = Journal(path / "journal.db", keep_ms=keep_ms, max_bytes=max_bytes)
    await journal.open()
    try:
        yield journal
    finally:
        await journal.close()


async def follow(journal: Journal, positions: dict[int, int], limit: int) -> list[Entry]:
    got: list[Entry] = []
    while entries := await journal.read(positions, limit):
        got += entries
        positions |= {entry.partition: entry.id for entry in entries}
    return got


async def test_positions_and_state_are_saved_together_and_survive(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        assert await journal.load("judge") == ({}, {})
        await journal.save("judge", {3: 7, ALL: 9}, {"a": b"1", "b": b"2"})
        await journal.save("judge", {4: 8}, {"a": None, "c": b"3"})
        await journal.save("recorder", {3: 1}, {})
    async with opened(tmp_path) as journal:
        positions, state = await journal.load("judge")
        assert positions == {3: 7, ALL: 9, 4: 8}
        assert state == {"b": b"2", "c": b"3"}


async def test_ids_are_never_reused_below_a_saved_position(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.save("judge", {0: 41}, {})
    async with opened(tmp_path) as journal:
        await journal.tick(T0_MS)
        assert journal.head == 42
        await journal.leap(99)
        await journal.leap(7)
        await journal.tick(T0_MS)
        assert journal.head == 100


async def test_every_entry_is_read_once_from_memory_and_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(7)
    gateways = [f"gw{n}" for n in range(20)]
    async with opened(tmp_path) as journal:
        for seq in range(1, 151):
            await journal.append([incoming(seq, gateway=chance.choice(gateways))], T0_MS)
            if seq % 10 == 0:
                await journal.tick(T0_MS)
        from_memory = await follow(journal, {}, 7)
    assert [entry.id for entry in from_memory] == list(range(1, 166))
    async with opened(tmp_path) as journal:
        assert await follow(journal, {}, 7) == from_memory
        # Half in memory, half not, and a consumer of uneven positions.
        monkeypatch.setattr(tail_module, "TAIL_MAX_B", 20_000)
        for seq in range(151, 301):
            await journal.append([incoming(seq, gateway=chance.choice(gateways))], T0_MS)
        everything = await follow(journal, {}, 50)
        assert [entry.id for entry in everything] == list(range(1, 316))
        uneven = {partition_of(name): chance.randrange(316) for name in gateways}
        expected = [entry for entry in everything if entry.id > uneven.get(entry.partition, 0)]
        assert await follow(journal, dict(uneven), 11) == expected


async def test_wait_returns_with_the_next_commit_and_not_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal:
        await journal.tick(T0_MS)
        await journal.wait(0)
        waiting = asyncio.create_task(journal.wait(1))
        await journal.save("judge", {ALL: 1}, {})
        assert not waiting.done()
        await journal.tick(T0_MS)
        await asyncio.wait_for(waiting, 30)


async def test_trimming_waits_for_the_slowest_consumer_and_forgets_no_seq(tmp_path: Path) -> None:
    async with opened(tmp_path, keep_ms=1000) as journal:
        await journal.append([incoming(seq) for seq in range(1, 101)], T0_MS)
        here = partition_of("gw1")
        await journal.save("judge", {here: 90, ALL: 10**6}, {})
        late = T0_MS + 5000
        for seq in range(101, 161):
            await journal.append([incoming(seq)], late)
        assert len(await follow(journal, {}, 999)) == 160
        await journal.save("recorder", {here: 60, ALL: 10**6}, {})
        for seq in range(161, 221):
            await journal.append([incoming(seq)], late)
        kept = journal._db.execute("SELECT min(id), count(*) FROM entry").fetchone()
        assert kept == (61, 160)
        assert journal.known("gw1", incoming(1).log) == ((1, 220),)
        assert await journal.append([incoming(1)], late) == [Verdict.DUPLICATE]


async def test_how_long_the_oldest_entry_waits_is_known_of_those_on_disk_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "TAIL_MAX_B", 2000)
    async with opened(tmp_path) as journal:
        for number in range(1, 41):
            await journal.append([incoming(number)], T0_MS + number)
        assert journal._tail.evicted > 5, "some are on disk only"
        assert [await journal.waiting_ms(at) for at in (0, 5, 39, 40)] == [
            T0_MS + 1,
            T0_MS + 6,
            T0_MS + 40,
            None,
        ]
    async with opened(tmp_path) as journal:  # nothing is in memory after a start
        assert await journal.waiting_ms(5) == T0_MS + 6
        monkeypatch.setattr("egret_aggregator.journal.journal.WAITING_S", 0.1)
        frozen = threading.Event()
        reader = journal._reader.submit(frozen.wait, 30)
        assert await journal.waiting_ms(5) is None, "a file that does not answer holds nobody"
        frozen.set()
        assert reader.result()


async def test_a_full_journal_shows_the_judge_every_batch_that_a_system_hands_in(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, max_bytes=1) as journal:

        async def hand(word: str, digest: str = "d") -> Verdict:
            handed = Handed("feed:bureau", word, "f" * 32, digest, b"{}")

            def made(seq: int) -> Incoming:
                # The time of the cut is in it: no two attempts are alike.
                made = incoming(seq, series(next(cuts)), gateway="feed", log="f" * 32)
                return made._replace(gateway="feed:bureau")

            return (await journal.feed(handed, made, T0_MS))[0]

        cuts = iter(range(1, 10))
        for word in ("one", "two", "one", "two", "three"):
            assert await hand(word) is Verdict.HELD
        assert await hand("three", "another content") is Verdict.HELD
        assert len(await follow(journal, {}, 99)) == 4, "each once, whatever seq it would have"


async def test_a_filling_journal_keeps_room_for_fresh_batches_and_shows_them_when_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path, max_bytes=MB) as journal:
        seq, levels = 0, []
        while journal.fill.level is not Level.FRESH_ONLY:
            many = series(150, start_ms=T0_MS + 10**6 * seq)
            item = incoming(seq + 1, many, lane=Leaf.BACKLOG)
            if await journal.append([item], T0_MS) == [Verdict.NEW]:
                seq += 1
            levels.append(journal.fill.level)
        assert sorted(set(levels)) == [Level.FILLING, Level.FRESH_ONLY, Level.ROOM]
        assert journal.fill.taking is Taking.FRESH
        old, fresh = incoming(seq + 1, lane=Leaf.BACKLOG), incoming(seq + 1, lane=Leaf.DATA)
        assert await journal.append([old], T0_MS) == [Verdict.HELD]
        assert await journal.append([fresh], T0_MS) == [Verdict.NEW]
        seq += 1
        while journal.fill.level is not Level.FULL:
            item = incoming(seq + 1, series(150), lane=Leaf.DATA)
            if await journal.append([item], T0_MS) == [Verdict.NEW]:
                seq += 1
        assert journal.fill.taking is Taking.NONE
        head = journal.head
        shown, hidden = incoming(9001), incoming(9002, lane=Leaf.BACKLOG)
        assert await journal.append([shown, hidden], T0_MS) == [Verdict.HELD] * 2
        assert await journal.append([shown], T0_MS) == [Verdict.HELD]
        # What is known already may still be acknowledged: its ack was lost.
        assert await journal.append([fresh], T0_MS) == [Verdict.DUPLICATE]
        seen = [entry for entry in await follow(journal, {}, 99) if entry.id > head]
        assert [(entry.seq, entry.payload) for entry in seen] == [(9001, shown.payload)]
        assert journal.known("gw1", shown.log) == ((1, seq),)
        await journal.tick(T0_MS)
        # The consumers catch up; room comes back, and the shown batch is taken like any other.
        everywhere = {partition_of("gw1"): head, ALL: 10**6}
        await journal.save("judge", everywhere, {})
        await journal.save("recorder", everywhere, {})
        while journal.fill.level is Level.FULL:
            await journal.tick(T0_MS)
        assert await journal.append([shown], T0_MS) == [Verdict.NEW]
    assert [record.getMessage().split()[1] for record in caplog.records][:3] == [
        "level=filling",
        "level=fresh_only",
        "level=full",
    ]
