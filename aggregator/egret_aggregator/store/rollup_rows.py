"""The tables of the rollup file, and one transaction in them; in its writer's thread.

| table | rows |
|---|---|
| series | a number for each (station, channel) |
| ten_min, hour | a bucket each; instants within it are ms after its start |
| mark | ten-minute buckets whose readings changed since they were rolled |
| rebuild | channels whose readings are rolled anew, from this instant on |
| position | the roller's position in the journal by partition, moved with its marks |
| tally | lasting counters, and the receipt time of the newest entry marked |

An hour is `sealed` once retention has removed readings of it: what comes late to it then changes
nothing any more and is counted, for nobody could tell it from a duplicate.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import sqlite
from egret_core.buckets import HOUR_MS, TEN_MIN_MS, Bucket, coarser, floor

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

VERSION = 1  # PRAGMA user_version of the file
APPLICATION = 0x45475255  # "EGRU": PRAGMA application_id
ROLLED_TO, ADOPTION = "rolled_to_ms", "adoption"
TABLE = {TEN_MIN_MS: "ten_min", HOUR_MS: "hour"}

_BUCKET = (
    "at INTEGER NOT NULL, seen INTEGER NOT NULL, n INTEGER NOT NULL, worst INTEGER NOT NULL,"
    " total REAL, low REAL, low_ms INTEGER, high REAL, high_ms INTEGER, first REAL,"
    " first_ms INTEGER, last REAL, last_ms INTEGER"
)
_KEY = "PRIMARY KEY(series, at)) WITHOUT ROWID"
_TABLES = (
    (
        "CREATE TABLE series(id INTEGER PRIMARY KEY, station TEXT NOT NULL, channel TEXT NOT NULL,"
        " UNIQUE(station, channel))"
    ),
    f"CREATE TABLE ten_min(series INTEGER NOT NULL, {_BUCKET}, {_KEY}",
    (
        f"CREATE TABLE hour(series INTEGER NOT NULL, {_BUCKET},"
        f" sealed INTEGER NOT NULL DEFAULT 0, {_KEY}"
    ),
    (
        "CREATE TABLE mark(station TEXT NOT NULL, channel TEXT NOT NULL, at INTEGER NOT NULL,"
        " PRIMARY KEY(station, channel, at)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE rebuild(station TEXT NOT NULL, channel TEXT NOT NULL,"
        " from_ms INTEGER NOT NULL, PRIMARY KEY(station, channel)) WITHOUT ROWID"
    ),
    "CREATE TABLE position(partition INTEGER PRIMARY KEY, position INTEGER NOT NULL)",
    "CREATE TABLE tally(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
)
_NAMES = (
    *("at", "seen", "n", "worst", "total", "low", "low_ms"),
    *("high", "high_ms", "first", "first_ms", "last", "last_ms"),
)
_COLUMNS = ", ".join(_NAMES)
# A count never falls: readings that retention took from the store are still in their bucket.
_UPSERT = (
    "ON CONFLICT(series, at) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _NAMES[1:])
    + " WHERE excluded.seen >= seen"
)


class Mark(NamedTuple):
    """A ten-minute bucket to be rolled; `at_ms` is its start."""

    station: str
    channel: str
    at_ms: int


class Rebuild(NamedTuple):
    """A channel that is rolled anew from an instant on."""

    station: str
    channel: str
    from_ms: int


def open_file(path: Path) -> sqlite3.Connection:
    """Open the file for writing, making its tables in a new one; sqlite3.Error, OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite.connect(path, writer=True)
    try:
        sqlite.prepare(db, _TABLES, version=VERSION, application=APPLICATION)
    except BaseException:
        db.close()
        raise
    return db


def mark(
    db: sqlite3.Connection, marks: Sequence[Mark], positions: Mapping[int, int], rolled_to_ms: int
) -> None:
    """Keep marks, and how far the journal is marked."""
    sqlite.insert(
        db, "INSERT INTO mark(station, channel, at)", list(marks), "ON CONFLICT DO NOTHING"
    )
    sqlite.insert(
        db, "INSERT OR REPLACE INTO position(partition, position)", list(positions.items())
    )
    sqlite.insert(db, "INSERT OR REPLACE INTO tally(name, value)", [(ROLLED_TO, rolled_to_ms)])


def begin_rebuild(
    db: sqlite3.Connection,
    channels: Sequence[Rebuild],
    positions: Mapping[int, int],
    rolled_to_ms: int,
    adoption: int = 0,
) -> None:
    """Have channels rolled anew, from the journal's position on as usual."""
    sqlite.insert(db, "INSERT OR REPLACE INTO rebuild(station, channel, from_ms)", list(channels))
    mark(db, (), positions, rolled_to_ms)
    sqlite.insert(db, "INSERT OR REPLACE INTO tally(name, value)", [(ADOPTION, adoption)])


def roll(
    db: sqlite3.Connection,
    rolled: Mapping[tuple[str, str], Sequence[Bucket]],
    done: Iterable[Mark],
    further: Sequence[Rebuild] = (),
) -> None:
    """Write ten-minute buckets, made of all that the store has of each, and their hours.

    The marks in `done` are forgotten; the rebuilds in `further` go on from there.
    """
    for key, buckets in rolled.items():
        if buckets:
            _channel(db, _series(db, *key), buckets)
    for part in sqlite.chunks(list(done)):
        db.execute(
            "DELETE FROM mark WHERE (station, channel, at) IN"  # noqa: S608  (only ?)
            f" (VALUES {sqlite.values(3, len(part))})",
            tuple(chain.from_iterable(part)),
        )
    sqlite.insert(db, "INSERT OR REPLACE INTO rebuild(station, channel, from_ms)", list(further))


def rebuilt(db: sqlite3.Connection, key: tuple[str, str]) -> None:
    """End a channel's rebuild."""
    db.execute("DELETE FROM rebuild WHERE station = ? AND channel = ?", key)


def rows(
    db: sqlite3.Connection, key: tuple[str, str], tier_ms: int, from_ms: int, to_ms: int
) -> list[Bucket]:
    """Return a tier's buckets of a channel with from <= start < to, in time order."""
    found = db.execute(
        f"SELECT {_COLUMNS} FROM {TABLE[tier_ms]} WHERE series ="  # noqa: S608  (our own names)
        " (SELECT id FROM series WHERE station = ? AND channel = ?)"
        " AND at >= ? AND at < ? ORDER BY at",
        (*key, from_ms, to_ms),
    )
    return [Bucket._make(row) for row in found]


def count(db: sqlite3.Connection, name: str, more: int) -> None:
    """Add to a lasting counter."""
    if more:
        sqlite.insert(
            db,
            "INSERT INTO tally(name, value)",
            [(name, more)],
            "ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
        )


def _series(db: sqlite3.Connection, station: str, channel: str) -> int:
    row = db.execute(
        "SELECT id FROM series WHERE station = ? AND channel = ?", (station, channel)
    ).fetchone()
    if row is None:
        db.execute("INSERT INTO series(station, channel) VALUES (?, ?)", (station, channel))
        return _series(db, station, channel)
    return int(row[0])


def _channel(db: sqlite3.Connection, series: int, buckets: Sequence[Bucket]) -> None:
    """Write one channel's buckets, but for those in sealed hours."""
    hours = sorted({floor(bucket.at_ms, HOUR_MS) for bucket in buckets})
    sealed = _sealed(db, series, hours)
    late = [bucket for bucket in buckets if floor(bucket.at_ms, HOUR_MS) in sealed]
    count(db, "too_late", len(late))
    open_ = [bucket for bucket in buckets if floor(bucket.at_ms, HOUR_MS) not in sealed]
    _upsert(db, "ten_min", series, open_)
    wider: list[Bucket] = []
    for at in hours:
        if at not in sealed:
            found = db.execute(
                f"SELECT {_COLUMNS} FROM ten_min WHERE series = ? AND at >= ? AND at < ?"  # noqa: S608
                " ORDER BY at",
                (series, at, at + HOUR_MS),
            )
            wider += coarser(map(Bucket._make, found), HOUR_MS)
    _upsert(db, "hour", series, wider)


def _sealed(db: sqlite3.Connection, series: int, hours: Sequence[int]) -> set[int]:
    if not hours:
        return set()
    found = db.execute(
        "SELECT at FROM hour WHERE series = ? AND at >= ? AND at <= ? AND sealed",
        (series, hours[0], hours[-1]),
    )
    return {row[0] for row in found}


def _upsert(db: sqlite3.Connection, table: str, series: int, buckets: Sequence[Bucket]) -> None:
    sqlite.insert(
        db,
        f"INSERT INTO {table}(series, {_COLUMNS})",
        [(series, *bucket) for bucket in buckets],
        _UPSERT,
    )
