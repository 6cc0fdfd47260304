"""A power cut at any step of replacing a damaged file: what can be saved is saved all the same."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rig.box_file import opened, rows
from rig.field_box import HandClock, make_outbox, sample, samples

from egret_core.codec import decode_batch
from egret_core.entries import read_losses
from egret_core.messages import Kind
from egret_gateway.clock import Clock
from egret_gateway.outbox import exchange

if TYPE_CHECKING:
    from pathlib import Path

BATCHES = 60
DIES = 9
# Opens the outbox and ends like a power cut at the n-th call of one of the functions below.
CUT = """
import os, pathlib, sqlite3, sys
from rig.field_box import HandClock, make_outbox
from egret_gateway.clock import Clock
from egret_gateway.outbox import exchange, keeper, salvage
folder, where, number = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
owner = {"replace": pathlib.Path, "_missing": salvage, "_make_durable": exchange,
         "exchange": exchange}[where]
real, calls = getattr(owner, where), []
def dying(*given):
    calls.append(1)
    if len(calls) == number:
        os._exit(9)
    return real(*given)
setattr(owner, where, dying)
later = HandClock(mono=9_000_000, wall=1_795_349_000_000)
make_outbox(folder, Clock(hands=later.hands())).open()
os._exit(0)
"""
STEPS = {
    "while the new file is written": ("_missing", 1),
    "when it is whole": ("exchange", 1),
    "before the damaged one is set aside": ("replace", 1),
    "before its write-ahead file follows, or the new one comes": ("replace", 2),
    "when all is renamed": ("_make_durable", 1),
}


def damaged(folder: Path, hands: HandClock) -> str:
    """Lay out a file of which one page is spoilt; return its log."""
    outbox = make_outbox(folder, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        emit = outbox.emitter(0.0)
        for number in range(1, BATCHES + 1):
            hands.pass_ms(1000)
            emit([sample((hands.mono * 7919 + i) ** 0.5, hands.mono) for i in range(20)], {})
            ear.until_parcels(number)
        payload = ear.parcels[BATCHES // 2].payload
        log = outbox.current_log
    file = folder / "outbox.db"
    body = bytearray(file.read_bytes())
    at = body.index(payload[:64]) // 4096 * 4096
    body[at : at + 4096] = b"\x5a" * 4096
    file.write_bytes(body)
    return log


def cut(folder: Path, where: str, number: int) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CUT, str(folder), where, str(number)],
        env={"PYTHONPATH": os.pathsep.join(("tests", *sys.path))},
        check=False,
        capture_output=True,
    )
    return done.returncode


def check(folder: Path, log: str) -> None:
    """Every batch of the log is there or named, once the next start is over."""
    later = HandClock(mono=9_100_000, wall=1_795_349_100_000)
    with opened(make_outbox(folder, Clock(hands=later.hands()))):
        pass
    batches = [decode_batch(row[4]) for row in rows(folder)]
    kept = {batch.seq for batch in batches if batch.log == log}
    losses = [r for b in batches if b.kind == Kind.LOSS for r in read_losses(b).records]
    named = {
        seq for loss in losses if loss.log == log for a, z in loss.seqs for seq in range(a, z + 1)
    }
    assert kept | named == set(range(1, BATCHES + 2))
    assert len(kept) > BATCHES / 2
    assert not list(folder.glob("*.new*"))
    assert (folder / "outbox.db.damaged-1").exists()


@pytest.mark.system
@pytest.mark.parametrize("step", STEPS)
def test_a_power_cut_while_a_file_is_replaced_loses_nothing_more(tmp_path: Path, step: str) -> None:
    log = damaged(tmp_path, HandClock())
    assert cut(tmp_path, *STEPS[step]) == DIES
    check(tmp_path, log)


def test_a_new_file_meets_no_companion_of_the_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    exchange.fresh_place(path).write_bytes(b"whole")
    for companion in ("-wal", "-shm"):
        (tmp_path / f"outbox.db{companion}").write_bytes(b"of the damaged one")
    exchange.finish(path)
    assert [(part.name, part.read_bytes()) for part in tmp_path.iterdir()] == [
        ("outbox.db", b"whole")
    ]


def test_a_new_file_that_was_not_whole_takes_no_room_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"damaged")
    fresh = exchange.fresh_place(path)
    for companion in ("", "-wal", "-shm"):
        fresh.with_name(fresh.name + companion).write_bytes(b"half")
    exchange.finish(path)
    assert [part.name for part in tmp_path.iterdir()] == ["outbox.db"]


def test_what_is_left_of_an_older_evidence_is_not_mixed_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    for number in (1, 2, 3):
        (tmp_path / f"outbox.db.damaged-{number}").write_bytes(b"old")
        (tmp_path / f"outbox.db.damaged-{number}-wal").write_bytes(b"old")
    path.write_bytes(b"damaged")
    exchange.fresh_place(path).write_bytes(b"whole")
    exchange.exchange(path)
    assert path.read_bytes() == b"whole"
    assert (tmp_path / "outbox.db.damaged-3").read_bytes() == b"damaged"
    assert not (tmp_path / "outbox.db.damaged-3-wal").exists()
    assert (tmp_path / "outbox.db.damaged-2").read_bytes() == b"old"


async def test_after_damage_at_work_readers_see_the_new_file(tmp_path: Path) -> None:
    hands = HandClock()
    outbox = make_outbox(tmp_path, Clock(hands=hands.hands()))
    with opened(outbox) as ear:
        before = {row.id for row in await outbox.reader.oldest(0)}
        keeper, real = outbox._keeper, outbox._keeper._once
        raised = iter([True])

        def damaged_once(do):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            if next(raised, False):
                error = sqlite3.DatabaseError("malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            return real(do)

        keeper._once = damaged_once  # type: ignore[method-assign]
        outbox.emitter(0.0)(samples(1, 7, hands.mono), {})
        (parcel,) = ear.until_parcels(1)
        found = {row.id for row in await outbox.reader.oldest(0)}
        assert parcel.id in found
        assert parcel.id > max(before)
