"""Whose batches these are: another gateway id, other channels, an older file put back, rot."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rig.box_file import Ear, opened, rows, until
from rig.field_box import GATEWAY, METAS, HandClock, make_outbox, sample, samples

from egret_core.codec import decode_batch, payload_hash
from egret_core.entries import read_losses, read_metas, read_readings
from egret_core.messages import INFLATED_MAX_B, PAYLOAD_MAX_B, ChannelMeta, Kind, Loss
from egret_core.quality import Reason
from egret_core.seqranges import union
from egret_gateway.clock import Clock
from egret_gateway.config import OutboxSettings
from egret_gateway.convert import COUNTERS, LOST
from egret_gateway.errors import OutboxError
from egret_gateway.outbox import Outbox, State
from egret_gateway.outbox.file import OutboxFile
from egret_gateway.outbox.scribe import Scribe
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path

    from egret_core.messages import Batch

RAIN = ChannelMeta("st1", "rain", "rain_total", "mm", period_s=60.0, formula="counter")


def batches(folder: Path) -> list[Batch]:
    return [decode_batch(row[4]) for row in rows(folder)]


def values(found: list[Batch]) -> list[float]:
    readings = [r for b in found if b.kind == Kind.READINGS for r in read_readings(b).dated]
    return sorted(r.value for r in readings if r.value is not None)


def edit(folder: Path, statement: str, *arguments: Any) -> None:
    with closing(sqlite3.connect(folder / "outbox.db")) as db:
        db.execute(statement, arguments)
        db.commit()


def commit(outbox: Outbox, ear: Ear, count: int, first: int = 0) -> None:
    """Commit so many batches of one reading, one after the other."""
    emit = outbox.emitter(0.0)
    before = len(ear.parcels)
    for number in range(count):
        emit(samples(1, first + number), {})
        ear.until_parcels(before + number + 1)


def named(folder: Path, gateway: str, clock: Clock | None = None) -> Outbox:
    return Outbox(folder, gateway, clock or Clock(), METAS, OutboxSettings())


async def test_under_another_gateway_id_what_was_never_sent_goes_as_the_new_one_s(
    tmp_path: Path,
) -> None:
    with opened(old := named(tmp_path, "old-name")) as ear:
        commit(old, ear, 600)
        first = old.current_log
        old.settle([parcel.id for parcel in ear.parcels[:10]])
    with opened(new := named(tmp_path, "new-name")) as ear:
        log = new.current_log
        assert log != first
        assert new.held().ranges == {log: ((1, 591),)}, "nothing of the old id is offered"
        assert await new.requeue(first, ((1, 20),)) == ((), ((1, 20),))
        commit(new, ear, 1, first=600)
        waiting = await new.reader.oldest(0)
        assert {decode_batch(parcel.payload).gateway for parcel in waiting} == {"new-name"}
    found = batches(tmp_path)
    mine = [batch for batch in found if batch.gateway == "new-name"]
    assert mine[0].kind == Kind.META
    assert mine[0].extra == {}, "another gateway's logs are none of ours"
    assert values(mine) == [float(n) for n in range(10, 601)]
    theirs = [row[3] for row, batch in zip(rows(tmp_path), found, strict=True) if batch not in mine]
    assert set(theirs) == {State.QUARANTINED}, "settled ones stay as evidence, and are not sent"
    assert [batch.kind for batch in mine if batch.kind == Kind.LOSS] == []


def test_moving_in_is_finished_by_the_next_start_where_a_power_cut_broke_it_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(old := named(tmp_path, "old-name")) as ear:
        commit(old, ear, 5)
    monkeypatch.setattr(Scribe, "recut_some", broken_off)
    with pytest.raises(OutboxError):
        named(tmp_path, "new-name").open()
    monkeypatch.undo()
    with opened(new := named(tmp_path, "new-name")):
        (held,) = new.held().ranges.values()
        assert held == ((1, 6),)
    mine = [batch for batch in batches(tmp_path) if batch.gateway == "new-name"]
    assert values(mine) == [0.0, 1.0, 2.0, 3.0, 4.0]


def broken_off(*_: object) -> int:
    raise sqlite3.OperationalError("the power is gone")


def test_drafts_of_another_gateway_id_are_dated_under_the_new_one(tmp_path: Path) -> None:
    hands = HandClock(wall=0)
    with opened(old := named(tmp_path, "old-name", Clock("none", hands=hands.hands()))):
        old.emitter(60.0)(samples(2, mono_ms=hands.mono), {})
    clock = Clock("none", hands=hands.hands())
    with opened(new := named(tmp_path, "new-name", clock)):
        clock.hear(1_795_340_000_000, hands.mono - 10, hands.mono)
        hands.pass_ms(2_000)
        new.wake()
        until(lambda: new.stats()["drafts"] == 0)
    last = batches(tmp_path)[-1]
    assert (last.gateway, last.kind, values([last])) == ("new-name", Kind.READINGS, [0.0, 1.0])


async def test_old_batches_keep_the_meta_they_were_cut_under(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)) as ear:
        commit(outbox, ear, 2)
        former = outbox._scribe.meta_version
    other = (ChannelMeta("st2", "wl", "water_level", "m", datum="Elsewhere", period_s=60.0),)
    with opened(outbox := make_outbox(tmp_path, metas=other)):
        metas = await outbox.reader.metas()
        assert [batch.kind for batch in map(decode, metas)] == [Kind.META] * 2
        channels = [read_metas(decode(meta)).channels for meta in metas]
        assert channels == [list(METAS), list(other)], "both are sent, the older one first"
        waiting = [decode(p) for p in await outbox.reader.oldest(0) if p.kind == Kind.READINGS]
        assert {batch.meta_version for batch in waiting} == {former}


def decode(parcel: Any) -> Batch:
    return decode_batch(parcel.payload)


def test_a_gateway_without_channels_says_nothing_and_starts(tmp_path: Path) -> None:
    with opened(make_outbox(tmp_path, metas=())):
        pass
    assert rows(tmp_path) == []


async def test_an_older_file_put_back_is_told_apart_by_its_hashes(tmp_path: Path) -> None:
    card, image = tmp_path / "card", tmp_path / "image"
    with opened(outbox := make_outbox(card)) as ear:
        commit(outbox, ear, 5)
        log = outbox.current_log
    shutil.copytree(card, image)
    with opened(outbox := make_outbox(card)) as ear:
        commit(outbox, ear, 5, first=100)
        centre = {row[1]: payload_hash(row[4]) for row in rows(card)}
    shutil.rmtree(card)
    shutil.copytree(image, card)
    with opened(outbox := make_outbox(card)) as ear:
        commit(outbox, ear, 5, first=200)
        assert outbox.current_log == log, "it cannot know yet: the centre's conflict tells"
        clash = [p for p in await outbox.reader.oldest(0) if centre.get(p.seq) != p.hash]
        assert [parcel.seq for parcel in clash] == [7, 8, 9, 10, 11]
        outbox.settle([p.id for p in await outbox.reader.oldest(0) if p not in clash])
        await outbox.divide(log)
        assert outbox.held().ranges[outbox.current_log] == ((1, 6),)
    assert values(batches(card)) == [0.0, 1.0, 2.0, 3.0, 4.0, *range(200, 205)]


def test_a_batch_of_exactly_two_hundred_is_one_batch(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)) as ear:
        emit = outbox.emitter(3600.0)
        emit(samples(199), {})
        assert ear.parcels == [], "199 wait for their cut"
        emit(samples(1, 199), {})
        (parcel,) = ear.until_parcels(1)
        assert len(decode(parcel).entries) == 200
        emit(samples(200, 200), {})
        assert [len(decode(p).entries) for p in ear.until_parcels(2)] == [200, 200]


def test_the_widest_readings_there_can_be_stay_below_the_payload_limit(tmp_path: Path) -> None:
    names = [f"{n:02d}" + "x" * 46 for n in range(60)]
    wide = [
        Sample(f"s{name[1:]}", f"c{name[1:]}", n * 977, -1.2345678901234567e-300 * (n + 1) ** 0.5,
               -9.876543210987654e300 / (n + 1) ** 0.5, 9, 2**20 - 1)
        for n, name in enumerate(names * 20)
    ]  # fmt: skip
    with opened(outbox := make_outbox(tmp_path)) as ear:
        outbox.emitter(0.0)(wide, {})
        until(lambda: sum(len(decode(p).entries) for p in ear.parcels) == len(wide))
    for parcel in ear.parcels:
        assert len(parcel.payload) <= PAYLOAD_MAX_B
        assert len(decode(parcel).entries) <= 200


def test_a_thousand_channels_travel_as_meta_in_pieces(tmp_path: Path) -> None:
    metas = [
        ChannelMeta("s" * 44 + f"{n:04d}", "c" * 44 + f"{n:04d}", "water_level", "m",
                    datum="D" * 48, profile="p" * 60, extra={"range": [n / 7, n * 13.77]})
        for n in range(1000)
    ]  # fmt: skip
    with opened(make_outbox(tmp_path, metas=metas)):
        pass
    found = batches(tmp_path)
    assert [len(batch.entries) for batch in found] == [100] * 10
    assert all(len(row[4]) <= PAYLOAD_MAX_B for row in rows(tmp_path))
    assert [meta for batch in found for meta in read_metas(batch).channels] == metas


def test_a_loss_of_very_many_ranges_travels_in_pieces_and_counts_once(tmp_path: Path) -> None:
    file = OutboxFile(tmp_path / "outbox.db", "boot-1")
    scribe = Scribe(GATEWAY, Clock(), METAS)
    scattered = tuple((n * 7, n * 7 + n % 5) for n in range(1, 30_001))
    loss = Loss("a" * 32, scattered, 1, 2, ("st1/wl",), 5_000, "space", ("0" * 16,))
    parcels = scribe.losses(file, [loss])
    file.close()
    pieces = [record for p in parcels for record in read_losses(decode(p)).records]
    assert all(len(p.payload) < 32 * 1024 < INFLATED_MAX_B for p in parcels)
    seqs: tuple[tuple[int, int], ...] = ()
    for piece in pieces:
        seqs = union(seqs, piece.seqs)
    assert seqs == scattered
    assert [piece.count for piece in pieces if piece.count] == [5_000]
    assert {(p.log, p.why, p.from_ms, p.to_ms) for p in pieces} == {("a" * 32, "space", 1, 2)}
    assert scribe.losses(file, []) == []


async def test_a_batch_whose_bytes_rotted_on_the_card_is_never_sent(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)) as ear:
        commit(outbox, ear, 4)
    # One digit of a value: still a perfect batch, and a wrong water level.
    payload = rows(tmp_path)[2][4]
    rotten = payload.replace(b'"v":1.0', b'"v":7.0')
    assert rotten != payload
    edit(tmp_path, "UPDATE batch SET payload = ? WHERE seq = 3", rotten)
    with opened(outbox := make_outbox(tmp_path)) as ear:
        sent = await outbox.reader.oldest(0)
        assert [parcel.seq for parcel in sent] == [1, 2, 4, 5]
        (parcel,) = ear.until_parcels(1)
        (loss,) = read_losses(decode(parcel)).records
        assert (loss.why, loss.seqs, loss.count) == ("damaged", ((3, 3),), 1)
        assert loss.hashes == (payload_hash(payload),)
        assert outbox.held().ranges == {outbox.current_log: ((1, 2), (4, 6))}
        assert await outbox.requeue(outbox.current_log, ((3, 3),)) == ((), ((3, 3),))


async def test_rot_under_a_settled_batch_shows_when_it_is_asked_for(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)) as ear:
        commit(outbox, ear, 3)
        outbox.settle([parcel.id for parcel in ear.parcels])
    edit(tmp_path, "UPDATE batch SET payload = x'7b7d' WHERE seq = 3")
    with opened(outbox := make_outbox(tmp_path)) as ear:
        assert [parcel.seq for parcel in await outbox.reader.oldest(0)] == [1]
        assert (await outbox.requeue(outbox.current_log, ((2, 4),))).queued == ((2, 4),)
        assert [parcel.seq for parcel in await outbox.reader.oldest(0)] == [1, 2, 4]
        (parcel,) = ear.until_parcels(1)
        assert [r.seqs for r in read_losses(decode(parcel)).records] == [((3, 3),)]


async def test_rot_is_not_carried_into_a_new_log(tmp_path: Path) -> None:
    with opened(outbox := make_outbox(tmp_path)) as ear:
        commit(outbox, ear, 4)
        former = outbox.current_log
    rotten = rows(tmp_path)[2][4].replace(b'"v":1.0', b'"v":1.9')
    edit(tmp_path, "UPDATE batch SET payload = ? WHERE seq = 3", rotten)
    with opened(outbox := make_outbox(tmp_path)):
        await outbox.divide(former)
        fresh = [batch for batch in batches(tmp_path) if batch.log == outbox.current_log]
    assert values(fresh) == [0.0, 2.0, 3.0]
    losses = [record for b in fresh if b.kind == Kind.LOSS for record in read_losses(b).records]
    assert [(loss.log, loss.seqs, loss.why) for loss in losses] == [(former, ((3, 3),), "damaged")]


def rained(folder: Path, counts: list[int]) -> None:
    """Commit totals of 0.2 mm a count, each with its memory, 100 mm ahead of the raw count."""
    with opened(outbox := make_outbox(folder, metas=(*METAS[:1], RAIN))) as ear:
        emit = outbox.emitter(0.0)
        for number, raw in enumerate(counts, 1):
            total = 100.0 + raw * 0.2
            now = Clock().mono_ms()
            memory = {"st1/rain": json.dumps([raw, total])}
            emit([Sample("st1", "rain", now, total, float(raw)), sample(1.0, now)], memory)
            ear.until_parcels(number)


def test_a_counter_s_memory_lost_by_damage_is_read_from_its_last_batch(tmp_path: Path) -> None:
    rained(tmp_path, [5, 10, 15])
    edit(tmp_path, "DELETE FROM memory")
    edit(tmp_path, "PRAGMA user_version = 99")  # for whatever reason: not to be read as ours
    with opened(outbox := make_outbox(tmp_path, metas=(*METAS[:1], RAIN))):
        assert outbox.memory() == {"st1/rain": json.dumps([15, 103.0])}


def test_a_memory_that_survived_the_damage_is_kept_as_it_was(tmp_path: Path) -> None:
    rained(tmp_path, [5, 10])
    edit(tmp_path, "UPDATE memory SET value = '[11, 102.2]'")
    edit(tmp_path, "PRAGMA user_version = 99")
    with opened(outbox := make_outbox(tmp_path, metas=(*METAS[:1], RAIN))):
        assert outbox.memory() == {"st1/rain": "[11, 102.2]"}


def test_a_counter_of_which_nothing_is_left_is_doubtful_at_its_next_total(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"\xa5" * 8192)
    with opened(outbox := make_outbox(tmp_path, metas=(*METAS[:1], RAIN))):
        assert outbox.memory() == {"st1/rain": LOST}


@pytest.mark.parametrize("formula", COUNTERS)
def test_a_counter_seen_only_in_an_undated_draft_is_found_there(
    tmp_path: Path, formula: str
) -> None:
    rain = replace(RAIN, formula=formula)
    clock = Clock("none", hands=HandClock(wall=0).hands())
    with opened(outbox := make_outbox(tmp_path, clock, metas=(rain,))):
        outbox.emitter(60.0)([Sample("st1", "rain", 1, 7.4, 37.0, 1, int(Reason.NONE))], {})
    edit(tmp_path, "PRAGMA user_version = 99")
    with opened(outbox := make_outbox(tmp_path, clock, metas=(rain,))):
        assert outbox.memory() == {"st1/rain": "[37, 7.4]"}
