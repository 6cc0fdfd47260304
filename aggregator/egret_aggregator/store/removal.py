"""What retention removes, in the writer's thread of each file: a station's day at a time.

A day of raw readings goes only when all of it has been received, and rolled, long enough ago; its
hours are sealed before. A day's buckets go only when none of them is still to be rolled. Nothing
else in the centre deletes from the series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.store.rollup_rows import TABLE
from egret_core.buckets import HOUR_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

REMOVE_ROWS = 20_000  # raw readings of one transaction: about 100 ms
_OLDEST = "SELECT min(time) FROM reading WHERE station = ? AND time >= ?"
_SERIES = "series IN (SELECT id FROM series WHERE station = ?)"


class Found(NamedTuple):
    """Rows of a span, and their first and last instants in ms, None where there are none."""

    rows: int
    first_ms: int | None
    last_ms: int | None


def raw_oldest(db: sqlite3.Connection, from_ms: int) -> Mapping[str, int]:
    """Return each station's oldest reading from an instant on."""
    stations = [row[0] for row in db.execute("SELECT DISTINCT station FROM last")]
    found = {name: db.execute(_OLDEST, (name, from_ms)).fetchone()[0] for name in stations}
    return {name: first for name, first in found.items() if first is not None}


def raw_found(db: sqlite3.Connection, station: str, before_ms: int) -> Found:
    """Return what a station has of raw readings before an instant."""
    row = db.execute(
        "SELECT count(*), min(time), max(time) FROM reading WHERE station = ? AND time < ?",
        (station, before_ms),
    ).fetchone()
    return Found(*row)


def raw_at_rest(
    db: sqlite3.Connection, station: str, span: tuple[int, int], received_before_ms: int
) -> bool:
    """Tell whether all of a span was received before an instant."""
    row = db.execute(
        "SELECT 1 FROM reading WHERE station = ? AND time >= ? AND time < ? AND time + lag >= ?"
        " LIMIT 1",
        (station, *span, received_before_ms),
    ).fetchone()
    return row is None


def raw_remove(db: sqlite3.Connection, station: str, from_ms: int, to_ms: int) -> int:
    """Remove a station's readings of a span, at most about `REMOVE_ROWS`; return how many."""
    row = db.execute(
        "SELECT time FROM reading WHERE station = ? AND time >= ? AND time < ? ORDER BY time"
        " LIMIT 1 OFFSET ?",
        (station, from_ms, to_ms, REMOVE_ROWS),
    ).fetchone()
    upto_ms = to_ms if row is None else row[0] + 1
    return db.execute(
        "DELETE FROM reading WHERE station = ? AND time >= ? AND time < ?",
        (station, from_ms, upto_ms),
    ).rowcount


def seal(db: sqlite3.Connection, station: str, from_ms: int, to_ms: int) -> bool:
    """Seal a station's hours of a span; False, and nothing done, where some are to be rolled."""
    if _waits(db, station, from_ms, to_ms):
        return False
    _seal(db, station, from_ms, to_ms)
    return True


def rolled_oldest(db: sqlite3.Connection, tier_ms: int, from_ms: int) -> Mapping[str, int]:
    """Return each station's oldest bucket of a tier from an instant on."""
    found: dict[str, int] = {}
    for station, series in db.execute("SELECT station, id FROM series").fetchall():
        first = db.execute(
            f"SELECT min(at) FROM {TABLE[tier_ms]} WHERE series = ? AND at >= ?",  # noqa: S608
            (series, from_ms),
        ).fetchone()[0]
        if first is not None:
            found[station] = min(first, found.get(station, first))
    return found


def rolled_found(db: sqlite3.Connection, tier_ms: int, station: str, before_ms: int) -> Found:
    """Return what a station has of a tier before an instant."""
    row = db.execute(
        f"SELECT count(*), min(at), max(at) FROM {TABLE[tier_ms]} WHERE {_SERIES} AND at < ?",  # noqa: S608
        (station, before_ms),
    ).fetchone()
    return Found(*row)


def rolled_remove(
    db: sqlite3.Connection, tier_ms: int, station: str, from_ms: int, to_ms: int
) -> int | None:
    """Remove a station's buckets of a span; how many, None where some are to be rolled."""
    if _waits(db, station, from_ms, to_ms):
        return None
    if tier_ms < HOUR_MS:
        _seal(db, station, from_ms, to_ms)
    return db.execute(
        f"DELETE FROM {TABLE[tier_ms]} WHERE {_SERIES} AND at >= ? AND at < ?",  # noqa: S608
        (station, from_ms, to_ms),
    ).rowcount


def _waits(db: sqlite3.Connection, station: str, from_ms: int, to_ms: int) -> bool:
    """Tell whether something of a station's span is to be rolled."""
    found = db.execute(
        "SELECT EXISTS(SELECT 1 FROM mark WHERE station = ? AND at >= ? AND at < ?)"
        " OR EXISTS(SELECT 1 FROM rebuild WHERE station = ? AND from_ms < ?)",
        (station, from_ms, to_ms, station, to_ms),
    ).fetchone()[0]
    return bool(found)


def _seal(db: sqlite3.Connection, station: str, from_ms: int, to_ms: int) -> None:
    db.execute(
        f"UPDATE hour SET sealed = 1 WHERE {_SERIES} AND at >= ? AND at < ?",  # noqa: S608
        (station, from_ms, to_ms),
    )
