"""Making room: the oldest entries go once every consumer has passed them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.database import sqlite
from egret_aggregator.journal.fill import TRIM_TO

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from egret_aggregator.journal.fill import Fill

TRIM_ROWS = 2000  # removed at a time, so that no commit waits long


def oldest_to_go(db: sqlite3.Connection, fill: Fill, before_ms: int) -> int:
    """Return the greatest id that age or want of room lets go of; 0 for none."""
    first, last = db.execute("SELECT min(id), max(id) FROM entry").fetchone()
    if first is None:
        return 0
    by_room = 0
    if fill.share > TRIM_TO:
        # Entries are much of a size, so a share of the bytes is a share of the ids.
        by_room = first + int((last - first) * (1 - TRIM_TO / fill.share))
    return max(by_room, _older(db, first, last, before_ms))


def remove(db: sqlite3.Connection, safe: Mapping[int, int]) -> None:
    """Remove at most `TRIM_ROWS` entries up to the safe id of each partition."""
    rows = [(partition, upto) for partition, upto in safe.items() if upto > 0]
    if not rows:
        return
    flat = [number for row in rows for number in row]
    db.execute(
        f"WITH safe(p, upto) AS (VALUES {sqlite.values(2, len(rows))}) "  # noqa: S608  (only ?)
        "DELETE FROM entry WHERE id IN (SELECT entry.id FROM safe CROSS JOIN entry"
        " ON entry.partition = safe.p AND entry.id <= safe.upto LIMIT ?)",
        [*flat, TRIM_ROWS],
    )


def _older(db: sqlite3.Connection, first: int, last: int, before_ms: int) -> int:
    """Return the last id received before an instant, by halving: ids grow with time."""
    low, high = first - 1, last
    while low < high:
        middle = (low + high + 1) // 2
        row = db.execute(
            "SELECT id, received_ms FROM entry WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
        ).fetchone()
        if row is not None and row[1] < before_ms:
            low = max(middle, int(row[0]))
        else:
            high = middle - 1
    return low if low >= first else 0
