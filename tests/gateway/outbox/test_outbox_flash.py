"""Flash wears by the page: few change with a commit, and an ack alone changes none for long."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from rig.box_file import VERSION_1, opened, rows, until
from rig.field_box import METAS, HandClock, make_outbox, sample, samples

from egret_core.codec import decode_batch
from egret_core.entries import read_losses
from egret_core.messages import Kind, Loss
from egret_gateway.clock import Clock
from egret_gateway.outbox import outbox as module
from egret_gateway.outbox.file import OutboxFile
from egret_gateway.outbox.scribe import Scribe

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FRAME_B = 4096 + 24  # a page and its head in the write-ahead file


class Bench:
    """A file and its scribe, and a clock by hand."""

    def __init__(self, folder: Path) -> None:
        self.hands = HandClock()
        self.path = folder / "outbox.db"
        self.clock = Clock(hands=self.hands.hands())
        self.scribe = Scribe("XM-TA-0042", self.clock, METAS)
        self.file = OutboxFile(self.path, "boot-1")

    def commit(self, count: int = 1) -> list[int]:
        """Commit one batch after another; return their ids."""
        ids = []
        for _ in range(count):
            self.hands.pass_ms(1000)
            self.file.db.execute("BEGIN IMMEDIATE")
            load = [sample((self.hands.mono * 7919 + i) ** 0.5, self.hands.mono) for i in range(20)]
            ids += [parcel.id for parcel in self.scribe.readings(self.file, load)]
            self.file.db.execute("COMMIT")
        return ids

    def remove(self, ids: list[int]) -> None:
        marks = ", ".join("?" * len(ids))
        found = self.file.db.execute(
            f"SELECT id, log, seq, state, hash FROM batch WHERE id IN ({marks})",  # noqa: S608
            ids,
        ).fetchall()
        self.file.remove(found)

    def reopen(self) -> None:
        self.file.close()
        self.file = OutboxFile(self.path, "boot-1")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    it = Bench(tmp_path)
    yield it
    it.file.close()


def wal_b(folder: Path) -> int:
    return (folder / "outbox.db-wal").stat().st_size


def test_a_commit_with_the_marks_of_the_one_before_changes_three_pages(tmp_path: Path) -> None:
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        before = 0
        for number in range(1, 14):
            hands.pass_ms(60_000 // 13)
            emit([sample((hands.mono * 7919 + i) ** 0.5, hands.mono) for i in range(20)], {})
            newest = ear.until_parcels(number)[-1]
            outbox.settle([newest.id])
            if number == 3:
                before = wal_b(tmp_path)
        frames = (wal_b(tmp_path) - before) / FRAME_B / 10
    assert 1 < frames <= 3.3, "table and index; now and then a new page and the file's first"


def test_an_ack_waits_for_the_next_commit_and_not_for_ever(tmp_path: Path) -> None:
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        emit(samples(1, 0, hands.mono), {})
        first = ear.until_parcels(1)[0]
        outbox.settle([first.id])
        assert outbox.stats()["unsettled"] == 1, "told as it is: only the meta waits"
        emit(samples(1, 1, hands.mono), {})
        second = ear.until_parcels(2)[1]
        assert [row[3] for row in rows(tmp_path)] == [0, 1, 0], "the mark came with that commit"
        outbox.settle([second.id])
        hands.pass_ms(module.SETTLE_WAIT_MS - 1)
        outbox.wake()
        assert [row[3] for row in rows(tmp_path)] == [0, 1, 0]
        hands.pass_ms(1)
        outbox.wake()
        until(lambda: [row[3] for row in rows(tmp_path)] == [0, 1, 1])


def test_many_marks_wait_for_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLED_MAX", 3)
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        for number in range(1, 4):
            emit(samples(1, number, hands.mono), {})
            ear.until_parcels(number)
        outbox.settle([parcel.id for parcel in ear.parcels])
        until(lambda: [row[3] for row in rows(tmp_path)] == [0, 1, 1, 1])


async def test_the_age_told_is_that_of_what_is_not_acknowledged(tmp_path: Path) -> None:
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        emit(samples(1, 0, hands.mono), {})
        ear.until_parcels(1)
        hands.pass_ms(5000)
        emit(samples(1, 1, hands.mono), {})
        oldest, newest = ear.until_parcels(2)
        meta = (await outbox.reader.metas())[0]
        outbox.settle([meta.id, oldest.id])
        assert await outbox.oldest_cut() == (newest.cut_mono_ms, hands.wall)
        outbox.settle([newest.id])
        assert await outbox.oldest_cut() is None
        assert rows(tmp_path)[0][3] == 0, "though the file does not know it yet"


def test_neither_id_nor_seq_comes_back_when_the_newest_rows_are_gone(bench: Bench) -> None:
    ids = bench.commit(5)
    last = bench.file.last_real
    bench.file.db.execute("BEGIN IMMEDIATE")
    bench.remove(ids[2:])
    bench.file.db.execute("COMMIT")
    bench.reopen()
    assert bench.file.last_real == last == bench.hands.wall, "nor does the clock fall behind"
    assert bench.file.current.next_seq == 6
    assert bench.commit() == [ids[-1] + 1]
    assert [row[0] for row in bench.file.db.execute("SELECT seq FROM batch")] == [1, 2, 6]


def test_what_the_newest_rows_tell_is_found_after_a_power_cut(bench: Bench) -> None:
    bench.file.db.execute("BEGIN IMMEDIATE")
    bench.file.mark()
    bench.file.db.execute("COMMIT")
    ids = bench.commit(5)
    stored = bench.file.db.execute("SELECT next_seq FROM log").fetchone()[0]
    assert stored == 1, "no page of its own for what the rows say"
    bench.reopen()
    assert (bench.file.current.next_seq, bench.file.last_real) == (6, bench.hands.wall)
    assert bench.commit() == [ids[-1] + 1]


def test_a_rollback_takes_back_ids_and_seqs(bench: Bench) -> None:
    ids = bench.commit(2)
    last = bench.file.last_real
    bench.file.db.execute("BEGIN IMMEDIATE")
    bench.hands.pass_ms(1000)
    bench.scribe.readings(bench.file, samples(1, 0, bench.hands.mono))
    bench.file.db.execute("ROLLBACK")
    bench.file.reload()
    assert (bench.file.current.next_seq, bench.file.last_real) == (3, last)
    assert bench.commit() == [ids[-1] + 1]


def test_a_conversion_state_that_is_the_same_is_not_written_again(bench: Bench) -> None:
    bench.file.remember({"st1/rain": "[1]"})
    before = bench.file.db.total_changes
    bench.file.remember({"st1/rain": "[1]"})
    assert bench.file.db.total_changes == before
    bench.file.remember({"st1/rain": "[2]"})
    assert bench.file.memory() == {"st1/rain": "[2]"}


def test_seqs_are_found_by_their_rows_in_every_log(bench: Bench) -> None:
    first = bench.file.current.id
    ids = bench.commit(4)
    bench.file.open_log()
    later = bench.commit(3)
    bench.file.settle([*ids, *later])
    assert bench.file.requeue(first, ((2, 3), (9, 9))).gone == ((9, 9),)
    second = bench.file.current.id
    assert bench.file.requeue(second, ((1, 1),)).queued == ((1, 1),)
    waiting = bench.file.db.execute("SELECT log, seq FROM batch WHERE state = 0 ORDER BY id")
    assert waiting.fetchall() == [(1, 2), (1, 3), (2, 1)]


def old_file(path: Path, sequence: int) -> None:
    """Lay out a file of version 1 with two batches, whose sequence is ahead of its rows."""
    row: tuple[Any, ...] = (1, 0, 0, 20, 1000, "boot-0", 1_795_339_000_000, "", b"{}")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(VERSION_1)
        db.execute("INSERT INTO log VALUES (1, ?, 8, '')", ("a" * 32,))
        for row_id, seq in ((4, 4), (5, 5)):
            db.execute(
                "INSERT INTO batch VALUES (?,1,?,'readings',?,?,?,?,?,?,?,?,?)",
                (row_id, seq, *row[:7], f"hash-{seq}", row[8]),
            )
        db.execute("UPDATE sqlite_sequence SET seq = ?", (sequence,))
        db.execute("INSERT INTO fact VALUES ('last_real_ms', 1795339000000)")
        db.commit()


def test_a_file_of_version_1_goes_on_as_it_is(tmp_path: Path) -> None:
    old_file(tmp_path / "outbox.db", sequence=7)
    bench = Bench(tmp_path)
    assert bench.file.current.next_seq == 8, "6 and 7 were sent and are gone"
    assert bench.file.last_real == 1_795_339_000_000
    assert bench.commit(2) == [8, 9]
    bench.file.settle([4, 8])
    bench.reopen()
    assert bench.file.requeue("a" * 32, ((4, 9),)).gone == ((6, 7),)
    assert bench.commit() == [10]
    assert bench.file.last_real == bench.hands.wall
    assert bench.file.held().ranges == {"a" * 32: ((4, 5), (8, 10))}
    bench.file.close()


def damaged_tail(path: Path, payload: bytes) -> None:
    """Overwrite the page of the table that holds a payload."""
    body = bytearray(path.read_bytes())
    at = body.index(payload[:64]) // 4096 * 4096
    body[at : at + 4096] = b"\x5a" * 4096
    path.write_bytes(body)


def test_damage_names_the_newest_batches_that_were_not_settled(tmp_path: Path) -> None:
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        for number in range(1, 41):
            hands.pass_ms(1000)
            emit([sample((hands.mono * 7919 + i) ** 0.5, hands.mono) for i in range(20)], {})
            ear.until_parcels(number)
        first, newest = outbox.current_log, ear.parcels[-1]
    damaged_tail(tmp_path / "outbox.db", newest.payload)
    with opened(make_outbox(tmp_path, Clock(hands=hands.hands()))):
        pass
    losses: list[Loss] = [
        loss
        for row in rows(tmp_path)
        if row[2] == Kind.LOSS
        for loss in read_losses(decode_batch(row[4])).records
    ]
    (loss,) = [loss for loss in losses if loss.log == first]
    assert loss.why == "damaged"
    assert loss.seqs[-1][1] == newest.seq, "the newest row is gone, and its number known"
    assert newest.id < min(row[0] for row in rows(tmp_path, "id, log") if row[1] > 1)
