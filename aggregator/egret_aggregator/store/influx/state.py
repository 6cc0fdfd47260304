"""What is kept here while the rows are in InfluxDB: one SQLite file, one transaction a write.

Latest values, asides, facts and positions stand in the tables of the SQLite store, whose `reading`
stays empty; beside them:

| table | rows |
|---|---|
| channel | quantity that a channel's rows are tagged with for good, and where it may have rows |
| tally `adopted` | 1 where the bucket had rows before this file was made, 0 where not |
"""

from __future__ import annotations

from array import array
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import sqlite
from egret_aggregator.store import writing
from egret_core.messages import TIME_MIN_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from egret_aggregator.store.influx.sift import Key
    from egret_aggregator.store.model import Aside, MetaFact, StoredReading

_ADOPTED = "adopted"
_CHANNEL = (
    "CREATE TABLE IF NOT EXISTS channel(station TEXT NOT NULL, channel TEXT NOT NULL,"
    " quantity TEXT NOT NULL, spans BLOB NOT NULL, PRIMARY KEY(station, channel)) WITHOUT ROWID"
)


@dataclass(slots=True)
class Channel:
    """What is known of a channel's rows.

    Attributes:
        quantity: its tag, frozen before the first row.
        begin: what its lines begin with; spans: where it may have rows.
    """

    quantity: str
    begin: str
    spans: array[int]


class Change(NamedTuple):
    """What one transaction keeps.

    Attributes:
        spans: of channels that have new rows.
        fresh: rows now in InfluxDB, by channel in time order; known: rows there already.
        conflicts: second values; the rest is the recorder's.
    """

    spans: Mapping[Key, array[int]]
    fresh: Mapping[Key, Sequence[StoredReading]]
    known: Sequence[StoredReading]
    conflicts: Sequence[Aside]
    asides: Sequence[Aside]
    positions: Mapping[int, int]
    metas: Sequence[MetaFact]


def prepare(db: sqlite3.Connection) -> None:
    """Make what the SQLite store does not have."""
    with writing.transaction(db):
        db.execute(_CHANNEL)


def channels(db: sqlite3.Connection) -> dict[Key, tuple[str, array[int]]]:
    """Return quantity and spans of every channel ever written."""
    found = {}
    for station, channel, quantity, packed in db.execute("SELECT * FROM channel"):
        spans = array("q")
        spans.frombytes(packed)
        found[station, channel] = (quantity, spans)
    return found


def adopted(db: sqlite3.Connection) -> bool | None:
    """Tell whether the bucket had rows before this file; None while that is not known."""
    row = db.execute("SELECT value FROM tally WHERE name = ?", (_ADOPTED,)).fetchone()
    return None if row is None else bool(row[0])


def adopt(db: sqlite3.Connection, *, had_rows: bool) -> None:
    """Keep whether the bucket had rows before this file."""
    with writing.transaction(db):
        sqlite.insert(db, "INSERT INTO tally(name, value)", [(_ADOPTED, int(had_rows))])


def doubt(path: Path, until_ms: int) -> None:
    """Let every channel of an older file, put back, be asked for what it may have until then.

    Args:
        path: the file; nobody has it open.
        until_ms: no row in the bucket is later.

    Raises:
        sqlite3.Error: it cannot be written; nothing is changed.
    """
    with closing(sqlite.connect(path, writer=True)) as db, writing.transaction(db):
        db.execute("UPDATE channel SET spans = ?", (array("q", (TIME_MIN_MS, until_ms)).tobytes(),))
        db.execute("DELETE FROM tally WHERE name = ?", (_ADOPTED,))
        sqlite.insert(db, "INSERT INTO tally(name, value)", [(_ADOPTED, 1)])


def keep_channels(db: sqlite3.Connection, made: Mapping[Key, tuple[str, array[int]]]) -> None:
    """Keep new channels: quantity and spans of each."""
    rows = [(*key, quantity, held.tobytes()) for key, (quantity, held) in made.items()]
    with writing.transaction(db):
        sqlite.insert(db, "INSERT INTO channel(station, channel, quantity, spans)", rows)


def commit(db: sqlite3.Connection, change: Change) -> None:
    """Keep a change, or nothing of it and raise sqlite3.Error."""
    newest: dict[Key, StoredReading] = {}
    writing.newest(newest, change.known)
    for rows in change.fresh.values():
        writing.newest(newest, rows if any(row[7] for row in rows) else rows[-1:])
    with writing.transaction(db):
        # An upsert of known channels, for it is one statement; the quantity stays what it was.
        sqlite.insert(
            db,
            "INSERT INTO channel(station, channel, quantity, spans)",
            [(*key, "", held.tobytes()) for key, held in change.spans.items()],
            "ON CONFLICT(station, channel) DO UPDATE SET spans = excluded.spans",
        )
        writing.renew_last(db, newest.values())
        writing.beside(db, change.asides, change.positions, change.metas, change.conflicts)
