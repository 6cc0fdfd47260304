"""Damage of every part of the file: what is whole is saved, what is not has a name or is said."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from rig.box_file import VERSION_1, Ear, opened, rows
from rig.field_box import HandClock, make_outbox, sample

from egret_core.codec import decode_batch
from egret_core.entries import read_losses
from egret_core.messages import Kind, Loss
from egret_core.seqranges import contains
from egret_gateway.clock import Clock
from egret_gateway.outbox import Outbox, salvage

if TYPE_CHECKING:
    from pathlib import Path

PAGE_B = 4096
Identity = tuple[str, int]


class Field:
    """An outbox folder, and every batch that was ever committed to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "outbox.db"
        self.hands = HandClock()
        self.want: set[Identity] = set()
        self.ids: list[int] = []
        self.newest = b""

    def make(self) -> Outbox:
        return make_outbox(self.folder, Clock(hands=self.hands.hands()))

    def fill(self, outbox: Outbox, ear: Ear, count: int) -> None:
        """Commit batches of 20 readings with digits that zlib cannot squeeze."""
        emit = outbox.emitter(0.0)
        first = len(ear.parcels)
        for number in range(1, count + 1):
            self.hands.pass_ms(1000)
            emit(
                [sample((self.hands.mono * 7919 + i) ** 0.5, self.hands.mono) for i in range(20)],
                {},
            )
            ear.until_parcels(first + number)
        found = ear.parcels[first:]
        self.want |= {(parcel.log, parcel.seq) for parcel in found}
        self.ids += [parcel.id for parcel in found]
        self.newest = found[-1].payload

    def run(self, count: int = 60) -> None:
        with opened(outbox := self.make()) as ear:
            self.fill(outbox, ear, count)

    def start(self) -> None:
        with opened(self.make()):
            pass

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.file)) as db:
            for statement in statements:
                db.execute(statement)
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def overwrite(self, page: int) -> None:
        """Spoil a page, counted from 1."""
        body = bytearray(self.file.read_bytes())
        body[(page - 1) * PAGE_B : page * PAGE_B] = b"\x5a" * PAGE_B
        self.file.write_bytes(body)

    def spoil(self, payload: bytes) -> None:
        """Overwrite the page of the table that holds a payload."""
        self.overwrite(self.file.read_bytes().index(payload[:64]) // PAGE_B + 1)

    def spoil_root(self, table: str) -> None:
        with closing(sqlite3.connect(self.file)) as db:
            query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
            (page,) = db.execute(query, (table,)).fetchone()
        self.overwrite(page)

    def told(self) -> list[tuple[str, Loss]]:
        """Return each record of a loss, with the log that brings it."""
        batches = [decode_batch(row[4]) for row in rows(self.folder) if row[2] == Kind.LOSS]
        return [(batch.log, loss) for batch in batches for loss in read_losses(batch).records]

    def kept(self) -> set[Identity]:
        batches = [decode_batch(row[0]) for row in rows(self.folder, "payload")]
        return {(batch.log, batch.seq) for batch in batches} & self.want

    def silent(self) -> set[Identity]:
        """Return what is neither there nor named."""
        named = {
            (log, seq)
            for log, seq in self.want
            for _, loss in self.told()
            if loss.log == log and contains(loss.seqs, seq)
        }
        return self.want - self.kept() - named

    def says_nameless(self) -> bool:
        """Whether a record says that something is gone that no name is left of."""
        return any(loss.log == log and not loss.seqs for log, loss in self.told())


@pytest.fixture
def field(tmp_path: Path) -> Field:
    return Field(tmp_path)


@pytest.mark.parametrize("version", [1, 2])
def test_damage_of_the_newest_page_is_named_in_every_layout(field: Field, version: int) -> None:
    if version == 1:
        with closing(sqlite3.connect(field.file)) as db:
            db.executescript(VERSION_1)
    field.run()
    field.spoil(field.newest)
    field.start()
    assert len(field.kept()) < 60
    assert field.silent() == set()
    assert not field.says_nameless(), "the index names them all"


def test_a_file_that_this_build_has_used_is_not_taken_by_an_older_one(field: Field) -> None:
    with closing(sqlite3.connect(field.file)) as db:
        db.executescript(VERSION_1)
    field.run(3)
    with closing(sqlite3.connect(field.file)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
    field.run(3)
    assert field.kept() == field.want
    assert len(field.kept()) == 6, "its layout is told by its tables"


def test_a_hurt_index_beside_a_whole_table_loses_nothing(field: Field) -> None:
    field.run()
    field.spoil_root("unsettled")
    field.start()
    assert field.kept() == field.want
    assert not field.says_nameless()


def test_where_the_index_is_hurt_too_it_is_said_that_something_is_gone(field: Field) -> None:
    field.run()
    field.spoil_root("unsettled")
    field.spoil(field.newest)
    field.start()
    assert field.silent() != set()
    assert field.says_nameless()


BENT_LAYOUTS = {
    "a comma": (b"log INTEGER NOT NULL,\n  seq", b"log INTEGER NOT NULL-\n  seq"),
    "a column": (b"payload BLOB", b"paylobd BLOB"),
    "a column of another table": (b"no INTEGER PRIMARY", b"nk INTEGER PRIMARY"),
    "a byte that is no text": (b"CREATE TABLE fact", b"CRE\xc1TE TABLE fact"),
    "the name of a table": (b"tablebatchbatch", b"tablebbtchbatch"),
    "an index": (b"INDEX unsettled", b"INDEX unsettlee"),
}


@pytest.mark.parametrize("what", BENT_LAYOUTS)
def test_a_layout_that_cannot_be_read_any_more_costs_nothing(field: Field, what: str) -> None:
    field.run()
    body, (right, bent) = field.file.read_bytes(), BENT_LAYOUTS[what]
    assert body.count(right) == 1
    field.file.write_bytes(body.replace(right, bent))
    field.start()
    field.run(2)
    assert field.kept() == field.want
    assert not field.says_nameless()
    aside = field.folder / "outbox.db.damaged-1"
    assert bent in aside.read_bytes(), "the evidence stays as it was found"


def test_a_layout_of_which_no_row_is_left_is_no_silent_loss(field: Field) -> None:
    field.run()
    body = bytearray(field.file.read_bytes())
    body[100:PAGE_B] = bytes(PAGE_B - 100)
    field.file.write_bytes(body)
    field.start()
    assert field.kept() == set()
    assert field.says_nameless()


def test_a_second_log_of_which_only_the_index_knows_is_no_silent_loss(field: Field) -> None:
    with opened(outbox := field.make()) as ear:
        field.fill(outbox, ear, 60)
        outbox.settle(field.ids)
        asyncio.run(outbox.divide(outbox.current_log))
        ear.parcels.clear()
        field.fill(outbox, ear, 3)
    field.spoil_root("log")
    field.spoil(field.newest)
    field.start()
    assert field.silent() != set()
    assert field.says_nameless()


BENT = {
    "number": "UPDATE log SET no = 65",
    "id": "UPDATE log SET id = 'ffffffffffffffffffffffffffffffff'",
    "log of a row": "UPDATE batch SET log = 9 WHERE id = 20",
    "seq of a row": "UPDATE batch SET seq = 5000 WHERE id = 20",
    "seq that is none": "UPDATE batch SET seq = 'x' WHERE id = 20",
    "state of a row": "UPDATE batch SET state = 'x' WHERE id = 20",
    "kind of a row": "UPDATE batch SET kind = x'ff' WHERE id = 20",
    "boot of a row": "UPDATE batch SET boot = CAST(x'ff' AS TEXT) WHERE id = 20",
    "id of a row": "UPDATE batch SET id = 9223372036854775807 WHERE id = 20",
}


@pytest.mark.parametrize("what", BENT)
def test_a_bent_column_costs_at_most_its_row(field: Field, what: str) -> None:
    field.run()
    field.sql(BENT[what])
    field.spoil(field.newest)
    field.start()
    field.run(2)
    assert field.silent() == set()
    assert len(field.kept()) >= 45


@pytest.mark.parametrize("what", BENT)
def test_a_bent_column_alone_does_not_end_every_start(field: Field, what: str) -> None:
    field.run()
    field.sql(BENT[what])
    field.start()
    field.run(2)
    assert field.silent() == set()
    assert len(field.kept()) >= 60


def test_a_text_that_is_none_hides_no_rows_behind_it(field: Field) -> None:
    field.run(5)
    field.sql(BENT["boot of a row"].replace("20", "3"))
    with opened(outbox := field.make()):
        found = asyncio.run(outbox.reader.oldest(0))
    assert [row.id for row in found] == [1, 2, 3, 4, 5, 6]


def test_a_salvage_that_breaks_off_is_rolled_back_and_says_so(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    field.run()
    field.spoil(field.newest)

    def broken(*_: object) -> None:
        raise sqlite3.IntegrityError

    with monkeypatch.context() as patch:
        patch.setattr(salvage._Salvage, "_bring_marks", broken)
        field.start()
    assert field.says_nameless()
    field.run(3)
    assert len(field.kept()) == 3, "and the new file works at its next start"
    assert field.says_nameless()
    assert not (field.folder / "outbox.db.damaged-2").exists()


def test_no_id_comes_back_after_a_second_salvage(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaps = iter([900_000, 1000])
    monkeypatch.setattr(salvage.secrets, "randbelow", lambda _: next(leaps))
    for _ in range(2):
        field.run(40)
        field.spoil(field.newest)
    field.run(3)
    assert len(set(field.ids)) == len(field.ids)
    assert field.ids == sorted(field.ids), "ids grow with every commit"
