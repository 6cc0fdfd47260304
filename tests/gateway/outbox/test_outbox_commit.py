"""Cuts, identities, dates and memory: what is true the moment a commit returns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from rig.box_file import opened, rows, until
from rig.field_box import METAS, HandClock, make_outbox, sample, samples

from egret_core.codec import decode_batch, payload_hash
from egret_core.entries import read_metas, read_readings
from egret_core.messages import Kind
from egret_core.quality import Flag, Reason
from egret_gateway.clock import Clock
from egret_gateway.errors import OutboxError
from egret_gateway.outbox.model import BATCH_READINGS_MAX
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from pathlib import Path


def test_body_and_seq_are_fixed_by_the_commit_and_the_meta_goes_ahead(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        emit(samples(3), {})
        (parcel,) = ear.until_parcels(1)
        batch = decode_batch(parcel.payload)
        assert (batch.log, batch.seq, batch.kind) == (outbox.current_log, 2, Kind.READINGS)
        assert parcel.hash == payload_hash(parcel.payload)
        assert [r.value for r in read_readings(batch).dated] == [0.0, 1.0, 2.0]
    stored = rows(tmp_path)
    assert [(row[1], row[2]) for row in stored] == [(1, "meta"), (2, "readings")]
    assert stored[1][4] == parcel.payload
    meta = decode_batch(stored[0][4])
    assert read_metas(meta).channels == list(METAS)
    assert batch.meta_version == meta.meta_version != ""


def test_seqs_go_on_over_a_restart_and_the_meta_is_not_repeated(tmp_path: Path) -> None:
    for _ in range(3):
        outbox = make_outbox(tmp_path)
        with opened(outbox):
            outbox.emitter(60.0)(samples(1), {})
    stored = rows(tmp_path)
    assert [row[1] for row in stored] == [1, 2, 3, 4]
    assert [row[2] for row in stored] == ["meta", "readings", "readings", "readings"]


def test_other_meta_is_sent_before_the_first_reading_that_names_it(tmp_path: Path) -> None:
    for metas in (METAS, METAS[:1], METAS[:1]):
        outbox = make_outbox(tmp_path, metas=metas)
        with opened(outbox):
            outbox.emitter(60.0)(samples(1), {})
    batches = [decode_batch(row[4]) for row in rows(tmp_path)]
    assert [b.kind for b in batches] == ["meta", "readings", "meta", "readings", "readings"]
    assert batches[1].meta_version == batches[0].meta_version
    assert batches[3].meta_version == batches[2].meta_version != batches[0].meta_version


def test_a_batch_holds_at_most_two_hundred_readings(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    with opened(outbox) as ear:
        outbox.emitter(0.0)(samples(450), {})
        parcels = ear.until_parcels(3)
    sizes = [len(decode_batch(parcel.payload).entries) for parcel in parcels]
    assert sizes == [BATCH_READINGS_MAX, BATCH_READINGS_MAX, 50]


def test_long_names_cut_a_batch_by_bytes(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    long = [Sample("s" * 48, "c" * 48, i, 1 / 3, 1 / 7, 3, 2**20) for i in range(1, 201)]
    with opened(outbox) as ear:
        outbox.emitter(0.0)(long, {})
        parcels = ear.until_parcels(2)
    assert sum(len(decode_batch(p.payload).entries) for p in parcels) == 200


def test_an_urgent_sample_cuts_at_once_whatever_the_bus_pays_for_data(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    with opened(outbox) as ear:
        emit = outbox.emitter(3600.0)
        emit([sample(1.0, 1)], {})
        emit([sample(2.0, 2, urgent=True)], {})
        (parcel,) = ear.until_parcels(1)
    assert parcel.urgent
    assert len(decode_batch(parcel.payload).entries) == 2


def test_memory_is_committed_with_its_samples(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        emit(samples(1), {"st1/rain": '{"total": 1.2}'})
        ear.until_parcels(1)
        other = outbox.emitter(3600.0)
        other(samples(1), {"st1/rain": '{"total": 1.4}'})
        assert outbox.memory() == {"st1/rain": '{"total": 1.2}'}
    with opened(again := make_outbox(tmp_path)):
        assert again.memory() == {"st1/rain": '{"total": 1.4}'}


def test_not_a_number_becomes_a_failed_reading_and_spoils_nothing(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    with opened(outbox) as ear:
        outbox.emitter(0.0)([sample(math.nan, 1), sample(math.inf, 2), sample(3.0, 3)], {})
        (parcel,) = ear.until_parcels(1)
    found = read_readings(decode_batch(parcel.payload))
    assert [r.value for r in found.dated] == [None, None, 3.0]
    assert [r.flag for r in found.dated] == [Flag.FAIL, Flag.FAIL, Flag.GOOD]
    assert found.dated[0].reasons & Reason.NOT_A_NUMBER


def test_undated_readings_wait_and_are_dated_once_when_the_time_is_known(tmp_path: Path) -> None:
    hands = HandClock(mono=50_000, wall=0)
    clock = Clock("none", hands=hands.hands())
    outbox = make_outbox(tmp_path, clock)
    with opened(outbox) as ear:
        outbox.emitter(0.0)([sample(1.0, 49_000), sample(2.0, 50_000)], {})
        until(lambda: outbox.stats()["drafts"] > 0)
        assert ear.parcels == []
        hands.pass_ms(10_000)
        clock.hear(1_795_340_010_000, 59_900, 60_000)
        outbox.wake()
        hands.pass_ms(2_000)
        outbox.wake()
        ear.until_rewound()
    (row,) = [row for row in rows(tmp_path) if row[2] == "readings"]
    found = read_readings(decode_batch(row[4]))
    assert found.undated == []
    assert [r.time_ms for r in found.dated] == [1_795_339_999_050, 1_795_340_000_050]
    assert all(r.reasons & Reason.CLOCK for r in found.dated)


def test_what_another_boot_left_undated_goes_undated_and_flagged(tmp_path: Path) -> None:
    first = Clock("none", hands=HandClock(boot="boot-1").hands())
    with opened(outbox := make_outbox(tmp_path, first)):
        outbox.emitter(60.0)(samples(2, mono_ms=900), {})
    second = Clock("none", hands=HandClock(boot="boot-2").hands())
    with opened(outbox := make_outbox(tmp_path, second)):
        until(lambda: outbox.stats()["drafts"] == 0)
    (row,) = [row for row in rows(tmp_path) if row[2] == "readings"]
    found = read_readings(decode_batch(row[4]))
    assert found.dated == []
    assert [(u.at, u.value) for u in found.undated] == [(0, 0.0), (1, 1.0)]
    assert all(u.reasons & Reason.UNDATED for u in found.undated)


async def test_a_settled_batch_can_be_asked_for_again_byte_for_byte(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    with opened(outbox) as ear:
        outbox.emitter(0.0)(samples(1), {})
        (parcel,) = ear.until_parcels(1)
        outbox.settle([parcel.id, parcel.id])
        log = outbox.current_log
        queued, gone = await outbox.requeue(log, ((2, 3),))
        assert (queued, gone) == (((2, 2),), ((3, 3),))
        again = [p for p in await outbox.reader.oldest(0) if p.seq == 2]
        assert again[0].payload == parcel.payload
        assert await outbox.requeue("f" * 32, ((1, 9),)) == ((), ((1, 9),))
    assert {row[3] for row in rows(tmp_path)} == {0}


async def test_held_tells_every_log_and_seq_that_is_still_there(tmp_path: Path) -> None:
    outbox = make_outbox(tmp_path)
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        for count in range(1, 4):
            emit(samples(1), {})
            ear.until_parcels(count)
        first = outbox.current_log
        assert outbox.held().ranges == {first: ((1, 4),)}
        outbox.settle([parcel.id for parcel in ear.parcels[:2]])
        await outbox.divide(first)
        second = outbox.current_log
        assert outbox.held().ranges == {first: ((2, 3),), second: ((1, 2),)}
        assert outbox.held().omitted == 0


def test_two_processes_cannot_share_one_outbox(tmp_path: Path) -> None:
    with (
        opened(make_outbox(tmp_path)),
        pytest.raises(OutboxError, match="another process has this outbox"),
    ):
        make_outbox(tmp_path).open()


def test_a_folder_that_cannot_be_made_is_refused_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxError, match="writable"):
        make_outbox(tmp_path / "file" / "data").open()


def test_samples_that_may_wait_less_take_along_what_waits(tmp_path: Path) -> None:
    """A bus with a long cut in an event: one buffer, one order, one memory."""
    outbox = make_outbox(tmp_path)
    wait_s = [math.inf]
    with opened(outbox) as ear:
        emit = outbox.emitter(600.0, lambda _: wait_s[0])
        emit(samples(1), {"st1/rain": "[1, 0.2]"})
        wait_s[0] = 0.0
        emit(samples(1, 1), {"st1/rain": "[2, 0.4]"})
        (parcel,) = ear.until_parcels(1)
        assert [r.value for r in read_readings(decode_batch(parcel.payload)).dated] == [0.0, 1.0]
        assert outbox.memory() == {"st1/rain": "[2, 0.4]"}
        wait_s[0] = math.inf
        emit(samples(1, 2), {})
        assert outbox.stats()["buffered"] == 1, "and then it waits again"
