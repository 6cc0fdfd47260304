"""A store that is new or older than the journal thinks: outboxes fill it again, by themselves."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from rig import batches
from rig.centre_half import CentreHalf, broker, until
from rig.gatewaylike import GatewayLike

from egret_aggregator.journal import Journal, Verdict
from egret_aggregator.journal.receipt import Handed
from egret_core.partition import partition_of
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.journal.receipt import Incoming

HERE = partition_of("gw1")


def trim(data: Path, upto: int) -> None:
    """Do what a week does to the journal."""
    raw = sqlite3.connect(data / "journal.db")
    with raw:
        raw.execute("DELETE FROM entry WHERE id <= ?", (upto,))
    raw.close()


def drop_store(data: Path) -> None:
    for file in data.glob("series.db*"):
        file.unlink()


@pytest.mark.system
async def test_a_store_that_is_gone_is_filled_from_the_journal_and_the_outboxes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tmp_path / "data"
    async with broker(tmp_path / "broker") as port, GatewayLike(port) as gateway:
        seqs = range(1, 301)
        for seq in seqs:
            gateway.cut(seq)
        async with CentreHalf(data, port).running() as centre:
            await gateway.send(*seqs)
            await gateway.until(lambda: gateway.settled == set(seqs))
            await centre.recorded()
            await until(lambda: not centre.recorder._unsaved)
        trim(data, 250)
        drop_store(data)
        async with CentreHalf(data, port).running() as centre:
            assert "event=store_behind_journal asked_for_again=250" in caplog.text
            await gateway.status()
            await until(lambda: centre.journal.known("gw1", batches.LOG) == ((1, 300),))
            await centre.recorded()
            page = await centre.store.range("st1", "wl", 0, 2**50, 2000)
            assert len(page.rows) == 900
            # What the journal still had was not asked for.
            asked = [command.args["seqs"] for command in gateway.commands]
            assert max(pair[1] for pairs in asked for pair in pairs) == 250
        caplog.clear()
        async with CentreHalf(data, port).running() as centre:
            assert "store_behind" not in caplog.text
            assert centre.journal.known("gw1", batches.LOG) == ((1, 300),)


@pytest.mark.system
async def test_an_older_store_put_back_gets_what_was_trimmed_since(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with broker(tmp_path / "broker") as port, GatewayLike(port) as gateway:
        for seq in range(1, 61):
            gateway.cut(seq)
        for first, last in ((1, 20), (21, 60)):
            async with CentreHalf(data, port).running() as centre:
                await gateway.send(*range(first, last + 1))
                await gateway.until(lambda last=last: len(gateway.settled) == last)
                await centre.recorded()
                await until(lambda: not centre.recorder._unsaved)
            if first == 1:
                shutil.copytree(data, copy)
        trim(data, 40)
        drop_store(data)
        shutil.copy(copy / "series.db", data / "series.db")
        async with CentreHalf(data, port).running() as centre:
            await gateway.status()
            await until(lambda: centre.journal.known("gw1", batches.LOG) == ((1, 60),))
            await centre.recorded()
            rows = (await centre.store.range("st1", "wl", 0, 2**50, 999)).rows
            assert len(rows) == 180
            assert (await centre.store.health()).conflicts == 0


async def opened(path: Path) -> Journal:
    journal = Journal(path / "journal.db", keep_ms=10**9, max_bytes=2**26)
    await journal.open()
    return journal


async def test_a_rewind_forgets_what_is_trimmed_and_keeps_what_is_here(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    await journal.append([batches.incoming(seq) for seq in range(1, 11)], batches.T0_MS)
    await journal.append([batches.incoming(1, log=batches.OTHER_LOG)], batches.T0_MS)
    await journal.append([batches.incoming(1, gateway="gw2")], batches.T0_MS)
    await journal.lose("gw1", batches.LOG, ((40, 44),))
    await journal.save("recorder", {HERE: 11, partition_of("gw2"): 12}, {"x": b"1"})
    await journal.save("judge", {HERE: 11}, {})
    trim(tmp_path, 6)
    assert await journal.rewind("recorder", {HERE: 8}) == 8
    # Entries 7 and 8 are here and passed, 1 to 6 are trimmed: their rows may be anywhere.
    assert journal.known("gw1", batches.LOG) == ((9, 10), (40, 44))
    assert journal.known("gw1", batches.OTHER_LOG) == ((1, 1),)
    assert journal.known("gw2", batches.LOG) == ((1, 1),)
    assert await journal.load("recorder") == ({HERE: 8, partition_of("gw2"): 0}, {"x": b"1"})
    assert await journal.load("judge") == ({HERE: 11}, {})
    # What is sent again is taken again, though its hash is still known; another content too,
    # for nobody can say any more which of the two the store had.
    again = await journal.append(
        [batches.incoming(3), batches.incoming(9), batches.incoming(41)], batches.T0_MS
    )
    assert again == [Verdict.NEW, Verdict.DUPLICATE, Verdict.NEW]
    await journal.close()
    journal = await opened(tmp_path)
    assert journal.known("gw1", batches.LOG) == ((3, 3), (9, 10), (40, 44))
    assert (await journal.load("recorder"))[0][HERE] == 8
    await journal.close()


async def test_a_rewind_lets_systems_hand_in_again_what_is_gone(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    gone, here = "import:history", "feed:bureau"

    async def hand(source: str, word: str) -> Verdict:
        def made(seq: int) -> Incoming:
            item = batches.incoming(seq, gateway=source.partition(":")[0], log="f" * 32)
            return item._replace(gateway=source)

        handed = Handed(source, word, "f" * 32, "digest", b"{}")
        return (await journal.feed(handed, made, batches.T0_MS))[0]

    assert [await hand(gone, "a"), await hand(gone, "b"), await hand(here, "a")] == [
        Verdict.NEW
    ] * 3
    await journal.save("recorder", {partition_of(gone): 2, partition_of(here): 3}, {})
    trim(tmp_path, 2)
    assert await hand(gone, "a") is Verdict.DUPLICATE
    assert await journal.rewind("recorder", {}) == 2
    assert [await hand(gone, "a"), await hand(gone, "b")] == [Verdict.NEW] * 2
    assert await hand(here, "a") is Verdict.DUPLICATE, "it is here, and will be recorded"
    await journal.close()


async def test_a_rewind_to_where_everything_is_still_here_forgets_nothing(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    items = [batches.incoming(seq, lane=Leaf.BACKLOG) for seq in (5, 1, 3, 2, 4)]
    await journal.append(items, batches.T0_MS)
    await journal.save("recorder", {HERE: 5}, {})
    assert await journal.rewind("recorder", {}) == 0
    assert journal.known("gw1", batches.LOG) == ((1, 5),)
    assert await journal.load("recorder") == ({HERE: 0}, {})
    await journal.close()


async def test_trimming_waits_for_a_recorder_that_was_set_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", keep_ms=1000, max_bytes=2**26)
    await journal.open()
    await journal.append([batches.incoming(seq) for seq in range(1, 101)], batches.T0_MS)
    for consumer in ("judge", "recorder"):
        await journal.save(consumer, {HERE: 100}, {})
    await journal.rewind("recorder", {HERE: 30})
    for seq in range(101, 221):
        await journal.append([batches.incoming(seq)], batches.T0_MS + 50_000)
    first = journal._db.execute("SELECT min(id) FROM entry").fetchone()
    assert first == (31,)
    await journal.close()
