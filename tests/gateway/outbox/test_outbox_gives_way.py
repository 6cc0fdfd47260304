"""A full outbox: what goes first, what never goes, and that every loss is named."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from rig.box_file import opened, rows, until
from rig.field_box import METAS, HandClock, make_outbox, sample

from egret_core.codec import decode_batch
from egret_core.entries import read_losses, read_readings
from egret_core.messages import Kind, Loss
from egret_core.seqranges import of_numbers, size
from egret_gateway.clock import Clock
from egret_gateway.config import OutboxSettings
from egret_gateway.outbox import State, space
from egret_gateway.outbox import outbox as module
from egret_gateway.outbox.file import OutboxFile
from egret_gateway.outbox.scribe import Scribe

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

DAY_MS = 86_400_000


class Shelf:
    """A file and its scribe without the thread, so that a test decides every step."""

    def __init__(self, folder: Path) -> None:
        self.hands = HandClock()
        self.clock = Clock(hands=self.hands.hands())
        self.file = OutboxFile(folder / "outbox.db", "boot-1")
        self.scribe = Scribe("XM-TA-0042", self.clock, METAS)
        self.scribe.meta(self.file)

    def fill(self, count: int, *, urgent: bool = False) -> list[int]:
        """Add batches of 20 readings with digits that zlib cannot squeeze; return their ids."""
        ids = []
        for _ in range(count):
            self.hands.pass_ms(1000)
            start = self.hands.mono
            load = [sample((start * 7919 + i) ** 0.5, start - i, urgent=urgent) for i in range(20)]
            ids.extend(parcel.id for parcel in self.scribe.readings(self.file, load))
        return ids

    def ids(self, where: str = "1") -> set[int]:
        found = self.file.db.execute(f"SELECT id FROM batch WHERE {where}")  # noqa: S608
        return {row[0] for row in found}

    def limit_below(self, share: float) -> int:
        return int(self.file.used_bytes() * share)


def losses_in(found: list[tuple[Any, ...]]) -> list[Loss]:
    batches = [decode_batch(row[4]) for row in found if row[2] == Kind.LOSS]
    return [loss for batch in batches for loss in read_losses(batch).records]


def test_settled_batches_go_first_and_without_a_loss(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    old = shelf.fill(100)
    new = shelf.fill(100)
    shelf.file.settle(new)
    assert space.give_way(shelf.file, shelf.limit_below(0.8)) == []
    left = shelf.ids()
    assert set(old) <= left
    gone = set(new) - left
    assert gone == set(new[: len(gone)])
    assert 0 < len(gone) < 100
    shelf.file.close()


def test_then_old_mild_backlog_then_urgent_and_each_loss_is_named(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    urgent = shelf.fill(50, urgent=True)
    mild = shelf.fill(150)
    (loss,) = space.give_way(shelf.file, shelf.limit_below(0.7))
    left = shelf.ids()
    gone = [row for row in mild if row not in left]
    assert gone == mild[: len(gone)]
    assert set(urgent) <= left
    assert loss.why == "space"
    assert loss.log == shelf.file.current.id
    assert loss.seqs == of_numbers(range(52, 52 + len(gone)))
    assert loss.count == 20 * len(gone)
    assert loss.channels == ("st1/wl",)
    assert loss.from_ms is not None
    assert loss.to_ms is not None
    assert loss.to_ms - loss.from_ms == (len(gone) - 1) * 1000 + 19
    (last,) = space.give_way(shelf.file, 30_000)
    assert size(last.seqs) > 0
    assert shelf.ids("kind = 'meta' AND kept = 1") == {1}
    assert not shelf.ids("kind = 'readings' AND urgent = 0")
    shelf.file.close()


def test_the_current_meta_and_loss_records_outlive_all_readings(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.scribe.losses(shelf.file, [Loss("a" * 32, ((1, 2),), None, None, (), 2, "space")])
    shelf.fill(50)
    space.give_way(shelf.file, 1)
    left = shelf.file.db.execute("SELECT kind FROM batch ORDER BY id").fetchall()
    assert left == [("meta",), ("loss",)]
    shelf.file.close()


def test_what_is_lost_is_no_longer_held(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.fill(100)
    (loss,) = space.give_way(shelf.file, shelf.limit_below(0.6))
    (ranges,) = shelf.file.held().ranges.values()
    assert ranges == ((1, 1), (loss.seqs[0][1] + 1, 101))
    before = shelf.file.ranges, shelf.file.unsettled
    shelf.file.reload()
    assert (shelf.file.ranges, shelf.file.unsettled) == before
    shelf.file.close()


def test_settled_batches_age_out_and_unsettled_ones_do_not(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first = shelf.fill(3)
    shelf.file.settle(first[:2])
    shelf.hands.pass_ms(31 * DAY_MS)
    second = shelf.fill(2)
    shelf.file.settle(second)
    now = shelf.clock.real_ms(shelf.hands.mono)
    assert now is not None
    assert space.drop_aged(shelf.file, now - 30 * DAY_MS) == 2
    assert shelf.ids() == {1, first[2], *second}
    shelf.file.close()


def test_a_superseded_meta_ages_from_the_day_it_was_replaced(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.file.settle([1])
    shelf.hands.pass_ms(400 * DAY_MS)
    now = shelf.clock.real_ms(shelf.hands.mono)
    assert now is not None
    space.drop_aged(shelf.file, now - 30 * DAY_MS)
    assert shelf.ids() == {1}
    Scribe("XM-TA-0042", shelf.clock, METAS[:1]).meta(shelf.file)
    assert space.drop_aged(shelf.file, now - 30 * DAY_MS) == 0
    shelf.hands.pass_ms(31 * DAY_MS)
    assert space.drop_aged(shelf.file, now + DAY_MS) == 1
    assert shelf.ids() == {2}
    shelf.file.close()


def test_a_refused_batch_is_set_aside_and_named_with_its_hash(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    ids = shelf.fill(3)
    loss = space.quarantine(shelf.file, ids[1])
    assert loss is not None
    digest = shelf.file.db.execute("SELECT hash FROM batch WHERE id = ?", (ids[1],)).fetchone()[0]
    assert (loss.seqs, loss.why, loss.count, loss.hashes) == (
        ((3, 3),), "quarantined", 20, (digest,),
    )  # fmt: skip
    assert space.quarantine(shelf.file, ids[1]) is None
    assert shelf.file.held().ranges == {shelf.file.current.id: ((1, 2), (4, 4))}
    assert shelf.file.requeue(shelf.file.current.id, ((3, 3),)).gone == ((3, 3),)
    assert shelf.ids(f"state = {State.QUARANTINED:d}") == {ids[1]}
    shelf.file.close()


def test_a_refused_loss_record_makes_no_further_one(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    (parcel,) = shelf.scribe.losses(
        shelf.file, [Loss("a" * 32, ((1, 2),), None, None, (), 2, "space")]
    )
    assert space.quarantine(shelf.file, parcel.id) is None
    assert shelf.ids(f"state = {State.QUARANTINED:d}") == {parcel.id}
    shelf.file.close()


def test_the_running_outbox_stays_below_its_limit_and_accounts_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MB", 200_000)  # one "megabyte" is enough for a test
    hands = HandClock()
    settings = OutboxSettings(max_mb=1)
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()), settings)
    fed = 0
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        for round_ in range(150):
            hands.pass_ms(1000)
            load = [sample((hands.mono * 7919 + i) ** 0.5, hands.mono - i) for i in range(100)]
            emit(load, {})
            fed += 100
            until(lambda count=round_: sum(p.kind == "readings" for p in ear.parcels) > count)
            assert outbox.stats()["bytes"] <= 200_000 + 20_000
    found = rows(tmp_path)
    kept = sum(
        len(read_readings(decode_batch(row[4])).dated) for row in found if row[2] == "readings"
    )
    lost = losses_in(found)
    assert lost
    assert kept + sum(loss.count for loss in lost) == fed


def test_a_full_disk_gives_way_instead_of_losing_what_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_MS", 20)
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        db = outbox._keeper.file.db
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0] + 40}")
        emit = outbox.emitter(0.0)
        count = 0
        while not any(parcel.kind == Kind.LOSS for parcel in ear.parcels) and count < 300:
            hands.pass_ms(1000)
            count += 1
            emit([sample((hands.mono * 7919 + i) ** 0.5, hands.mono - i) for i in range(50)], {})
            until(lambda wanted=count: sum(p.readings for p in _of(tmp_path)) >= wanted * 50)
    found = rows(tmp_path)
    kept = sum(
        len(read_readings(decode_batch(row[4])).dated) for row in found if row[2] == "readings"
    )
    assert kept + sum(loss.count for loss in losses_in(found)) == count * 50


class _Row:
    def __init__(self, readings: int) -> None:
        self.readings = readings


def _of(folder: Path) -> list[_Row]:
    """Rows with their readings, lost ones counted by their records."""
    try:
        found = rows(folder)
    except sqlite3.OperationalError:
        return []
    kept = [_Row(len(decode_batch(row[4]).entries)) for row in found if row[2] == "readings"]
    return [*kept, *(_Row(loss.count) for loss in losses_in(found))]
