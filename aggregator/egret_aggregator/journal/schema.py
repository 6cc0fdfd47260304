"""The journal's own file: entries, what was received, positions and state of its consumers.

| table | rows |
|---|---|
| entry | what was committed, in order; trimmed behind the slowest consumer |
| log | per gateway and log: id, received and lost seq ranges; never trimmed |
| seen | hash per (log, seq); kept 35 days, so it outlives trimming |
| clash | hashes of refused batches of a known identity |
| position | per consumer: JSON {partition: last entry id} |
| state | per consumer and key: bytes |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.database import sqlite

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

VERSION = 1  # PRAGMA user_version of the file
APPLICATION = 0x45475254  # "EGRT": PRAGMA application_id

_TABLES = (
    (
        "CREATE TABLE entry(id INTEGER PRIMARY KEY, partition INTEGER NOT NULL, kind TEXT NOT NULL,"
        " gateway TEXT NOT NULL, log TEXT NOT NULL, seq INTEGER NOT NULL,"
        " received_ms INTEGER NOT NULL, payload BLOB NOT NULL)"
    ),
    "CREATE INDEX entry_partition ON entry(partition, id)",
    (
        "CREATE TABLE log(id INTEGER PRIMARY KEY, gateway TEXT NOT NULL, log TEXT NOT NULL,"
        " received TEXT NOT NULL, lost TEXT NOT NULL, UNIQUE(gateway, log))"
    ),
    (
        "CREATE TABLE seen(id INTEGER PRIMARY KEY, log INTEGER NOT NULL, seq INTEGER NOT NULL,"
        " hash BLOB NOT NULL, received_ms INTEGER NOT NULL)"
    ),
    "CREATE UNIQUE INDEX seen_seq ON seen(log, seq)",
    (
        "CREATE TABLE clash(log INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,"
        " PRIMARY KEY(log, seq, hash)) WITHOUT ROWID"
    ),
    "CREATE TABLE position(consumer TEXT PRIMARY KEY, positions TEXT NOT NULL) WITHOUT ROWID",
    (
        "CREATE TABLE state(consumer TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
        " PRIMARY KEY(consumer, key)) WITHOUT ROWID"
    ),
)


def open_file(path: Path) -> sqlite3.Connection:
    """Open the journal for writing, making its tables in a new file.

    Raises:
        sqlite3.Error: not a database, or a file of a later version (`sqlite3.DatabaseError`).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite.connect(path, writer=True)
    try:
        sqlite.prepare(db, _TABLES, version=VERSION, application=APPLICATION)
    except BaseException:
        db.close()
        raise
    return db
