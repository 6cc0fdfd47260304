"""Disks that are full, read-only or away: nothing committed is lost, nothing spins."""

from __future__ import annotations

import logging
import sqlite3
import stat
from typing import TYPE_CHECKING

import pytest
from rig.box_file import opened, rows, until
from rig.field_box import HandClock, make_outbox, sample, samples
from rig.small_disk import small_disk, why_no_disk

from egret_core.codec import decode_batch
from egret_core.entries import read_losses, read_readings
from egret_core.messages import Kind
from egret_gateway.clock import Clock
from egret_gateway.errors import OutboxError
from egret_gateway.outbox import ageing, reserve
from egret_gateway.outbox import outbox as module

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from egret_gateway.outbox import Outbox
    from egret_gateway.sample import Sample

needs_disk = pytest.mark.skipif(bool(why_no_disk()), reason=why_no_disk())


def noise(hands: HandClock, count: int = 50) -> list[Sample]:
    """Readings whose digits zlib cannot squeeze."""
    hands.pass_ms(1000)
    return [sample((hands.mono * 7919 + i) ** 0.5, hands.mono - i) for i in range(count)]


def told(folder: Path) -> tuple[int, int]:
    """Return how many readings the file holds, and how many its loss records name."""
    batches = [decode_batch(row[4]) for row in rows(folder)]
    held = sum(len(read_readings(b).dated) for b in batches if b.kind == Kind.READINGS)
    losses = [r for b in batches if b.kind == Kind.LOSS for r in read_losses(b).records]
    return held, sum(loss.count for loss in losses)


def refusals(caplog: pytest.LogCaptureFixture) -> int:
    return sum("refused" in record.message for record in caplog.records)


def waiting(outbox: Outbox) -> int:
    return outbox.stats()["buffered"]


def feed(outbox: Outbox, emit: Callable[..., None], hands: HandClock, rounds: int) -> int:
    """Emit so many batches of readings, each committed before the next; return how many."""
    for _ in range(rounds):
        emit(noise(hands, 200), {})
        until(lambda: waiting(outbox) == 0 or outbox._retry_ms > hands.mono)
        hands.pass_ms(module.RETRY_MS)
        outbox.wake()
        until(lambda: waiting(outbox) == 0)
    return 200 * rounds


@needs_disk
def test_a_disk_that_others_filled_costs_little_and_heals_when_they_leave(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(reserve, "RESERVE_B", 600_000)
    hands = HandClock()
    with small_disk(tmp_path / "disk", 6000) as disk:
        outbox = make_outbox(disk.path, Clock(hands=hands.hands()))
        with opened(outbox):
            emit = outbox.emitter(0.0)
            fed = feed(outbox, emit, hands, 50)
            disk.fill()
            fed += feed(outbox, emit, hands, 75)
            held, lost = told(disk.path)
            assert held + lost == fed
            assert 0 < lost < 1.25 * 75 * 200, "it gave way by what came, not by everything"
            assert refusals(caplog) < 60, "it asked now and then, and did not spin"
            disk.relieve()
            hands.pass_ms(ageing.LOOK_MS)
            fed += feed(outbox, emit, hands, 25)
        assert (disk.path / "outbox.reserve").stat().st_size == 600_000, "laid by again"
        assert told(disk.path) == (fed - lost, lost), "the file grows again and loses no more"


@needs_disk
def test_a_disk_so_full_that_nothing_can_be_written_is_asked_every_five_seconds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(reserve, "RESERVE_B", 0)
    hands = HandClock()
    with small_disk(tmp_path / "disk", 1000) as disk:
        outbox = make_outbox(disk.path, Clock(hands=hands.hands()))
        with opened(outbox):
            emit = outbox.emitter(0.0)
            disk.fill()
            for seconds in range(1, 5):
                emit(noise(hands, 200), {})
                until(lambda: refusals(caplog) == 1)
                until(lambda wanted=200 * seconds: waiting(outbox) == wanted)
            hands.pass_ms(module.RETRY_MS)
            outbox.wake()
            until(lambda: refusals(caplog) == 2)
            disk.relieve()
            hands.pass_ms(module.RETRY_MS)
            outbox.wake()
            until(lambda: waiting(outbox) == 0)
        assert told(disk.path) == (800, 0)


@needs_disk
def test_an_outbox_that_fills_its_own_disk_gives_way_and_accounts_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve, "RESERVE_B", 600_000)
    hands = HandClock()
    with small_disk(tmp_path / "disk", 6000) as disk:
        outbox = make_outbox(disk.path, Clock(hands=hands.hands()))
        fed = lost = 0
        with opened(outbox):
            emit = outbox.emitter(0.0)
            while not lost:
                fed += feed(outbox, emit, hands, 100)
                lost = told(disk.path)[1]
                assert fed < 1_000_000
            fed += feed(outbox, emit, hands, 50)
        held, lost = told(disk.path)
        assert held + lost == fed
        assert held > 0.3 * fed
        newest = decode_batch(rows(disk.path)[-1][4])
        assert read_readings(newest).dated[-1].time_ms > hands.wall - 10_000, "the newest is there"


@needs_disk
def test_a_card_gone_read_only_keeps_the_readings_until_it_takes_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    hands = HandClock()
    with small_disk(tmp_path / "disk", 8000) as disk:
        outbox = make_outbox(disk.path, Clock(hands=hands.hands()))
        with opened(outbox) as ear:
            emit = outbox.emitter(0.0)
            emit(noise(hands), {})
            ear.until_parcels(1)
            # An open writer forbids a remount: the kernel does it to a failing card all the same.
            outbox._keeper.file.db.execute("PRAGMA query_only = ON")
            emit(noise(hands), {})
            until(lambda: refusals(caplog) == 1)
            hands.pass_ms(module.RETRY_MS)
            outbox._keeper.file.db.execute("PRAGMA query_only = OFF")
            outbox.wake()
            ear.until_parcels(2)
        assert told(disk.path) == (100, 0)


@needs_disk
def test_a_read_only_disk_at_the_start_is_told_with_its_remedy(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2000) as disk:
        with opened(make_outbox(disk.path)):
            pass
        disk.freeze()
        with pytest.raises(OutboxError, match="make the data folder writable"):
            make_outbox(disk.path).open()
        disk.thaw()
        with opened(make_outbox(disk.path)):
            pass


@needs_disk
def test_a_full_disk_at_the_start_is_told_and_holds_no_lock(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 1000) as disk:
        disk.fill()
        with pytest.raises(OutboxError, match=r"see that the disk|writable"):
            make_outbox(disk.path / "new").open()
        disk.relieve()
        with opened(make_outbox(disk.path / "new")):
            pass


def test_a_stop_while_the_disk_refuses_ends_and_says_what_was_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    outbox = make_outbox(tmp_path)
    with opened(outbox):
        outbox._keeper.file.db.execute("PRAGMA query_only = ON")
        outbox.emitter(60.0)(samples(3), {})
    assert refusals(caplog) == 1
    assert told(tmp_path) == (0, 0)


async def test_an_order_refused_by_the_disk_is_carried_out_when_it_heals(tmp_path: Path) -> None:
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        emit([sample(1.0, hands.mono)], {})
        (parcel,) = ear.until_parcels(1)
        db = outbox._keeper.file.db
        db.execute("PRAGMA query_only = ON")
        outbox.settle([parcel.id])
        hands.pass_ms(module.SETTLE_WAIT_MS)
        outbox.wake()
        until(lambda: outbox._retry_ms > 0)
        db.execute("PRAGMA query_only = OFF")
        hands.pass_ms(module.RETRY_MS)
        outbox.wake()
        until(lambda: outbox.stats()["unsettled"] == 1)
    assert [row[3] for row in rows(tmp_path)] == [0, 1]


def test_more_than_the_buffer_holds_drops_the_oldest_and_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUFFER_SAMPLES_MAX", 1000)
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox):
        db = outbox._keeper.file.db
        db.execute("PRAGMA query_only = ON")
        emit = outbox.emitter(0.0)
        for first in range(0, 1500, 100):
            emit(samples(100, first, hands.mono), {})
            if first == 0:
                until(lambda: outbox._retry_ms > 0)
        db.execute("PRAGMA query_only = OFF")
        hands.pass_ms(module.RETRY_MS)
        outbox.wake()
        until(lambda: waiting(outbox) == 0)
    held, lost = told(tmp_path)
    assert held + lost == 1500
    assert 400 <= lost <= 500
    (loss,) = [
        record
        for row in rows(tmp_path)
        if row[2] == Kind.LOSS
        for record in read_losses(decode_batch(row[4])).records
    ]
    assert (loss.why, loss.seqs) == ("space", ()), "they never had a seq"


def test_the_lock_falls_with_its_process_and_names_the_remedy(tmp_path: Path) -> None:
    with opened(make_outbox(tmp_path)), pytest.raises(OutboxError) as caught:
        make_outbox(tmp_path).open()
    assert "data folder of its own" in caught.value.remedy
    with opened(make_outbox(tmp_path)):
        pass


def test_the_outbox_is_not_readable_for_everybody(tmp_path: Path) -> None:
    with opened(make_outbox(tmp_path)):
        mode = stat.S_IMODE((tmp_path / "outbox.lock").stat().st_mode)
    assert not mode & stat.S_IWOTH


def test_another_program_s_database_is_kept_aside_not_written_into(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "outbox.db")
    db.execute("CREATE TABLE holiday (photo BLOB)")
    db.execute("INSERT INTO holiday VALUES (x'ff')")
    db.commit()
    db.close()
    with opened(outbox := make_outbox(tmp_path)) as ear:
        outbox.emitter(0.0)(samples(1), {})
        ear.until_parcels(1)
    kept = sqlite3.connect(tmp_path / "outbox.db.damaged-1")
    assert kept.execute("SELECT count(*) FROM holiday").fetchone() == (1,)
    kept.close()


def test_an_outbox_of_a_later_version_is_kept_aside_not_misread(tmp_path: Path) -> None:
    with opened(make_outbox(tmp_path)):
        pass
    db = sqlite3.connect(tmp_path / "outbox.db")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with opened(make_outbox(tmp_path)):
        pass
    kept = sqlite3.connect(tmp_path / "outbox.db.damaged-1")
    assert kept.execute("PRAGMA user_version").fetchone() == (99,)
    kept.close()
    found = [decode_batch(row[4]) for row in rows(tmp_path)]
    assert {batch.kind for batch in found} == {Kind.META, Kind.LOSS}, "salvaged and told"


def test_at_most_three_damaged_files_are_kept(tmp_path: Path) -> None:
    for _ in range(5):
        (tmp_path / "outbox.db").write_bytes(b"not a database at all")
        with opened(make_outbox(tmp_path)):
            pass
    kept = sorted(path.name for path in tmp_path.glob("outbox.db.damaged-?"))
    assert kept == [f"outbox.db.damaged-{number}" for number in (1, 2, 3)]
