"""Damage, conflicts and clones: a new log, nothing forgotten, everything named."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from rig.box_file import opened, rows
from rig.field_box import HandClock, make_outbox, samples

from egret_core.codec import decode_batch
from egret_core.entries import read_losses, read_readings
from egret_core.messages import Kind
from egret_gateway.clock import Clock

if TYPE_CHECKING:
    from pathlib import Path


def values(folder: Path) -> list[float]:
    return sorted(
        reading.value
        for row in rows(folder)
        if row[2] == Kind.READINGS
        for reading in read_readings(decode_batch(row[4])).dated
        if reading.value is not None
    )


def fill(folder: Path, count: int, first: int = 0, boot: str = "boot-1") -> str:
    """Commit `count` batches of one reading; return the log."""
    hands = HandClock(boot=boot)
    hands.pass_ms(first * 1000)  # a clock before the last commit would not be believed
    outbox = make_outbox(folder, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        for number in range(count):
            hands.pass_ms(1000)
            emit(samples(1, first + number, hands.mono), {})
            ear.until_parcels(number + 1)
        return outbox.current_log


async def test_a_conflict_cuts_everything_unsettled_anew_under_a_new_log(tmp_path: Path) -> None:
    first = fill(tmp_path, 600)
    outbox = make_outbox(tmp_path)
    with opened(outbox):
        settled = [parcel.id for parcel in await outbox.reader.oldest(0) if parcel.seq <= 11]
        outbox.settle(settled)
        await outbox.divide(first)
        second = outbox.current_log
        assert second != first
        assert outbox.held().ranges == {first: ((1, 11),), second: ((1, 591),)}
        assert outbox.stats()["unsettled"] == 591
        await outbox.divide(first)
        assert outbox.current_log == second
    assert values(tmp_path) == [float(i) for i in range(600)]
    anew = [decode_batch(row[4]) for row in rows(tmp_path) if row[0] == 2]
    assert [batch.seq for batch in anew] == list(range(1, 592))
    assert {batch.log for batch in anew} == {second}
    assert anew[0].kind == Kind.META
    assert anew[0].extra == {"older": [first]}
    assert {batch.meta_version for batch in anew} == {anew[0].meta_version}


async def test_a_conflict_on_an_older_log_opens_no_further_one(tmp_path: Path) -> None:
    first = fill(tmp_path, 3)
    outbox = make_outbox(tmp_path)
    with opened(outbox):
        outbox.settle([1, 2, 3, 4])
        await outbox.divide(first)
        second = outbox.current_log
        queued, gone = await outbox.requeue(first, ((2, 3),))
        assert (queued, gone) == (((2, 3),), ())
        await outbox.divide(first)
        assert outbox.current_log == second
        assert outbox.held().ranges == {first: ((1, 1), (4, 4)), second: ((1, 3),)}
    assert values(tmp_path) == [0.0, 1.0, 2.0]


async def test_undated_drafts_move_to_the_new_log_too(tmp_path: Path) -> None:
    hands = HandClock(wall=0)
    clock = Clock("none", hands=hands.hands())
    outbox = make_outbox(tmp_path, clock)
    with opened(outbox) as ear:
        outbox.emitter(0.0)(samples(2, mono_ms=hands.mono), {})
        await outbox.divide(outbox.current_log)
        assert outbox.stats()["drafts"] == 1
        clock.hear(1_795_340_000_000, hands.mono - 10, hands.mono)
        hands.pass_ms(2_000)
        outbox.wake()
        ear.until_rewound()
        log = outbox.current_log
    (batch,) = [decode_batch(r[4]) for r in rows(tmp_path) if r[2] == Kind.READINGS]
    assert (batch.log, batch.seq) == (log, 2)


async def test_clones_end_with_logs_of_their_own_and_lose_nothing(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    shared = fill(one, 5)
    shutil.copytree(one, two)
    fill(one, 5, first=100)
    fill(two, 5, first=200, boot="boot-2")
    outbox = make_outbox(two)
    with opened(outbox):
        await outbox.divide(shared)
        assert outbox.current_log != shared
    assert values(one) == [float(i) for i in (*range(5), *range(100, 105))]
    assert values(two) == [float(i) for i in (*range(5), *range(200, 205))]


@pytest.mark.parametrize("what", ["garbage", "empty", "truncated", "middle"])
def test_a_damaged_file_is_kept_aside_and_the_rest_goes_on(tmp_path: Path, what: str) -> None:
    first = fill(tmp_path, 300)
    file = tmp_path / "outbox.db"
    body = bytearray(file.read_bytes())
    if what == "garbage":
        body[:] = b"\xa5" * len(body)
    elif what == "empty":
        body[:] = b"not a database"
    elif what == "truncated":
        del body[len(body) // 2 :]
    else:
        middle = len(body) // 2 // 4096 * 4096
        body[middle : middle + 8192] = b"\xa5" * 8192
    file.write_bytes(body)
    second = fill(tmp_path, 3, first=1000)
    assert second != first
    assert (tmp_path / "outbox.db.damaged-1").exists()
    found = values(tmp_path)
    assert found[-3:] == [1000.0, 1001.0, 1002.0]
    batches = [decode_batch(row[4]) for row in rows(tmp_path)]
    losses = [loss for b in batches if b.kind == Kind.LOSS for loss in read_losses(b).records]
    salvaged = len(found) - 3
    if what in ("garbage", "empty"):
        assert salvaged == 0
        assert [(loss.log, loss.seqs, loss.why) for loss in losses] == [(second, (), "damaged")]
        return
    assert 0 < salvaged < 300 or what == "middle"
    (loss,) = losses
    assert (loss.log, loss.why) == (first, "damaged")
    new_meta = next(b for b in batches if b.kind == Kind.META and b.log == second)
    assert new_meta.extra == {"older": [first]}


def test_damage_met_at_work_is_healed_at_work(tmp_path: Path) -> None:
    fill(tmp_path, 300)
    outbox = make_outbox(tmp_path)
    with opened(outbox) as ear:
        outbox._keeper.file.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        file = tmp_path / "outbox.db"
        body = bytearray(file.read_bytes())
        body[4096:] = b"\xa5" * (len(body) - 4096)
        file.write_bytes(body)
        outbox._keeper.file.db.execute("PRAGMA shrink_memory")
        emit = outbox.emitter(0.0)
        emit(samples(1, 5000), {})
        ear.until_parcels(1)
    assert (tmp_path / "outbox.db.damaged-1").exists()
    assert 5000.0 in values(tmp_path)


def test_garbage_without_a_name_still_leaves_a_working_outbox(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"")
    (tmp_path / "outbox.db-wal").write_bytes(b"\xff" * 5000)
    fill(tmp_path, 2)
    assert values(tmp_path) == [0.0, 1.0]
