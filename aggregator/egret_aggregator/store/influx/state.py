"""What is kept here while the rows are in InfluxDB: one SQLite file, one transaction a write.

Latest values, asides, facts and positions stand in the tables of the SQLite store, whose `reading`
stays empty; beside them:

| table | rows |
|---|---|
| channel | quantity that a channel's rows are tagged with for good, and where it may have rows |
| tally `adopted` | 1 where the bucket had rows that this file did not know, 0 where not |
| tally `adoption` | a number drawn whenever it had: what it had is rolled anew |
"""

from __future__ import annotations

import secrets
import sqlite3
from array import array
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import sqlite
from egret_aggregator.errors import StoreError
from egret_aggregator.store import writing
from egret_core.messages import TIME_MIN_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from egret_aggregator.store.influx.sift import Key
    from egret_aggregator.store.model import Aside, MetaFact, StoredReading

_ADOPTED, _ADOPTION = "adopted", "adoption"
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


def adoption(db: sqlite3.Connection) -> int:
    """Return the number of the newest adoption, 0 where the bucket has only what came by here."""
    row = db.execute("SELECT value FROM tally WHERE name = ?", (_ADOPTION,)).fetchone()
    return 0 if row is None else int(row[0])


def begin_empty(db: sqlite3.Connection) -> None:
    """Keep that the bucket had no rows before this file."""
    with writing.transaction(db):
        sqlite.insert(db, "INSERT INTO tally(name, value)", [(_ADOPTED, 0)])


def adopt(
    db: sqlite3.Connection,
    found: Mapping[Key, tuple[str, array[int]]],
    newest: Sequence[StoredReading],
    *,
    exact: bool,
) -> None:
    """Take up what the bucket has: quantity and spans by channel, and the newest rows.

    Args:
        db: the file.
        found: a known channel's quantity stays what it was.
        newest: one of each channel and quantity.
        exact: the server told all it has: what it did not name has no rows.
    """
    with writing.transaction(db):
        if exact:
            db.execute("UPDATE channel SET spans = ?", (b"",))
        sqlite.insert(
            db,
            "INSERT INTO channel(station, channel, quantity, spans)",
            [(*key, quantity, held.tobytes()) for key, (quantity, held) in found.items()],
            "ON CONFLICT(station, channel) DO UPDATE SET spans = excluded.spans",
        )
        writing.renew_last(db, newest)
        number = 1 + secrets.randbits(48)  # drawn, not counted: an older file must not repeat it
        sqlite.insert(
            db,
            "INSERT OR REPLACE INTO tally(name, value)",
            [(_ADOPTED, 1), (_ADOPTION, number)],
        )


def doubt(path: Path, until_ms: int) -> None:
    """Let an older file, put back, take up what the bucket has by now.

    Where the server refuses to say, every channel is asked for what it may have until then.

    Args:
        path: the file; nobody has it open.
        until_ms: no row in the bucket is later.

    Raises:
        StoreError: it cannot be written, or is none of ours; nothing is changed.
    """
    anywhere = array("q", (TIME_MIN_MS, until_ms)).tobytes()
    try:
        with closing(sqlite.connect(path, writer=True)) as db, writing.transaction(db):
            db.execute("UPDATE channel SET spans = ?", (anywhere,))
            db.execute("DELETE FROM tally WHERE name = ?", (_ADOPTED,))
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {error}") from error


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
