"""The tables of the SQLite store, and its statements.

| table | rows |
|---|---|
| reading | the series; a message's readings are neighbours on one page |
| last | the latest reading of each channel, and the instant it speaks for |
| aside | what is kept beside the series, newest 100,000 |
| share | how many asides each gateway has, and the bytes of their bodies |
| meta | what gateways said of their channels, by version |
| position | the recorder's position by partition, in the same transaction as its rows |
| tally | counters that must survive a restart |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.database import sqlite

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

VERSION = 1  # PRAGMA user_version of the file
APPLICATION = 0x45475453  # "EGTS": PRAGMA application_id

_COLUMNS = (
    "value REAL, raw REAL, flag INTEGER NOT NULL, reasons INTEGER NOT NULL,"
    " notes INTEGER NOT NULL, lag INTEGER NOT NULL"
)
TABLES = (
    (
        "CREATE TABLE reading(station TEXT NOT NULL, channel TEXT NOT NULL, time INTEGER NOT NULL,"
        f" {_COLUMNS}, PRIMARY KEY(station, time, channel)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE last(station TEXT NOT NULL, channel TEXT NOT NULL, time INTEGER NOT NULL,"
        f" {_COLUMNS}, as_of INTEGER NOT NULL, PRIMARY KEY(station, channel)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE aside(id INTEGER PRIMARY KEY AUTOINCREMENT, gateway TEXT NOT NULL,"
        " log TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, why TEXT NOT NULL,"
        " received_ms INTEGER NOT NULL, body BLOB NOT NULL, digest BLOB NOT NULL UNIQUE)"
    ),
    "CREATE INDEX aside_gateway ON aside(gateway, id)",
    (
        "CREATE TABLE share(gateway TEXT PRIMARY KEY, rows INTEGER NOT NULL,"
        " bytes INTEGER NOT NULL) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE meta(station TEXT NOT NULL, channel TEXT NOT NULL, version TEXT NOT NULL,"
        " gateway TEXT NOT NULL, since_ms INTEGER NOT NULL, facts TEXT NOT NULL,"
        " PRIMARY KEY(station, channel, gateway, version)) WITHOUT ROWID"
    ),
    "CREATE TABLE position(partition INTEGER PRIMARY KEY, position INTEGER NOT NULL)",
    "CREATE TABLE tally(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)

INSERT = (
    "INSERT INTO reading(station, channel, time, value, raw, flag, reasons, notes, lag)",
    "ON CONFLICT DO NOTHING",
)
_LAST = "station, channel, time, value, raw, flag, reasons, notes, lag"
_NEWER = (
    "ON CONFLICT(station, channel) DO UPDATE SET time = excluded.time, value = excluded.value,"
    " raw = excluded.raw, flag = excluded.flag, reasons = excluded.reasons,"
    " notes = excluded.notes, lag = excluded.lag, as_of = excluded.as_of"
    " WHERE (excluded.as_of, excluded.time) > (last.as_of, last.time)"
)
INSERT_LAST = (f"INSERT INTO last({_LAST}, as_of)", _NEWER)


def open_file(path: Path) -> sqlite3.Connection:
    """Open the store for writing, making its tables in a new file; sqlite3.Error, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite.connect(path, writer=True)
    try:
        sqlite.prepare(db, TABLES, version=VERSION, application=APPLICATION)
    except BaseException:
        db.close()
        raise
    return db


def compare(count: int) -> str:
    """Return the statement that finds, among so many incoming rows, those that differ.

    It answers one row: a JSON list of the positions of rows whose stored content is another.
    """
    return (
        "WITH k(at, station, channel, time, value, raw, flag, reasons) AS"  # noqa: S608  (only ?)
        f" (VALUES {sqlite.values(8, count)})"
        " SELECT json_group_array(k.at) FROM k CROSS JOIN reading r"
        " ON r.station = k.station AND r.time = k.time AND r.channel = k.channel"
        " WHERE r.value IS NOT k.value OR r.raw IS NOT k.raw OR r.flag IS NOT k.flag"
        " OR r.reasons IS NOT k.reasons"
    )


def last_from_stored(count: int) -> str:
    """Return the statement that renews `last` from so many stored identities."""
    return (
        f"WITH k(station, channel, time) AS (VALUES {sqlite.values(3, count)})"  # noqa: S608
        f" INSERT INTO last({_LAST}, as_of) SELECT r.station, r.channel, r.time, r.value, r.raw,"
        " r.flag, r.reasons, r.notes, r.lag,"
        " CASE WHEN r.notes & 1 THEN r.time + r.lag ELSE r.time END"
        " FROM k CROSS JOIN reading r"
        " ON r.station = k.station AND r.time = k.time AND r.channel = k.channel"
        f" WHERE true {_NEWER}"
    )
