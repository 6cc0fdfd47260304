"""A disk that fills up while acknowledgements wait for a commit: what the centre has is no loss."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from rig.box_file import opened, rows
from rig.field_box import HandClock, make_outbox, sample, samples

from egret_core.codec import decode_batch
from egret_core.entries import read_losses
from egret_core.messages import Kind, Loss
from egret_core.seqranges import contains
from egret_gateway.clock import Clock
from egret_gateway.config import OutboxSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pytest
    from rig.box_file import Ear

    from egret_gateway.outbox import Outbox, Parcel

BATCHES = 200
ACKED = 150


def full(*_: object) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


def fails_once(real: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a function that finds the disk full at its first call."""
    calls: list[object] = []

    def call(what: object) -> object:
        calls.append(what)
        if len(calls) == 1:
            raise full()
        return real(what)

    return call


def fill(outbox: Outbox, hands: HandClock, ear: Ear) -> list[Parcel]:
    emit = outbox.emitter(0.0)
    for number in range(1, BATCHES + 1):
        hands.pass_ms(50)
        emit([sample((hands.mono * 7919 + i) ** 0.5, hands.mono) for i in range(20)], {})
        ear.until_parcels(number)
    return list(ear.parcels)


def losses(folder: Path) -> list[Loss]:
    batches = [decode_batch(row[4]) for row in rows(folder) if row[2] == Kind.LOSS]
    return [loss for batch in batches for loss in read_losses(batch).records]


def test_what_is_acknowledged_and_not_marked_yet_goes_first_and_is_no_loss(tmp_path: Path) -> None:
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()), OutboxSettings(max_mb=2))
    with opened(outbox) as ear:
        parcels = fill(outbox, hands, ear)
        outbox.settle([parcel.id for parcel in parcels[:ACKED]])
        keeper = outbox._keeper
        keeper.transact = fails_once(keeper.transact)  # type: ignore[method-assign]
        hands.pass_ms(1000)
        outbox.emitter(0.0)(samples(1, 999, hands.mono), {})
        ear.until_parcels(BATCHES + 1)
        assert outbox.stats()["unsettled"] == BATCHES - ACKED + 2
    kept = {row[1] for row in rows(tmp_path)}
    assert not kept >= {parcel.seq for parcel in parcels}, "room was made"
    assert kept >= {parcel.seq for parcel in parcels[ACKED:]}
    assert losses(tmp_path) == []


def test_where_not_even_marks_can_be_written_room_is_made_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()), OutboxSettings(max_mb=2))
    with opened(outbox) as ear:
        parcels = fill(outbox, hands, ear)
        file = outbox._keeper.file
        real = file.settle

        def settle(ids: Iterable[int]) -> None:
            if list(ids):
                raise full()
            real(ids)

        monkeypatch.setattr(file, "settle", settle)
        assert outbox._keeper.free([parcel.id for parcel in parcels])
    (loss,) = losses(tmp_path)
    assert contains(loss.seqs, parcels[0].seq)
