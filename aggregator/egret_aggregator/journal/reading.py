"""What consumers that lag behind read from the file, in the reader's thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from egret_aggregator.journal.entry import Entry, EntryKind

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

T = TypeVar("T")
_T_co = TypeVar("_T_co", covariant=True)


class Query(Protocol[_T_co]):
    """Something asked of the file."""

    def __call__(self, db: sqlite3.Connection, *args: Any) -> _T_co:  # noqa: ANN401
        """Return the answer; sqlite3.Error where there is none."""


def state(db: sqlite3.Connection, consumer: str) -> dict[str, bytes]:
    """Return a consumer's state."""
    return dict(db.execute("SELECT key, value FROM state WHERE consumer = ?", (consumer,)))


def after(
    db: sqlite3.Connection, heads: Mapping[int, int], positions: Mapping[int, int], limit: int
) -> list[Entry]:
    """Return at most `limit` entries after the positions, in id order."""
    pending = [p for p, head in list(heads.items()) if head > positions.get(p, 0)]
    firsts = [_first_after(db, p, positions.get(p, 0)) for p in pending]
    known = [first for first in firsts if first is not None]
    found: list[Entry] = []
    if not known:
        return found
    for row in db.execute(
        "SELECT id, partition, kind, gateway, log, seq, received_ms, payload FROM entry"
        " WHERE id >= ? ORDER BY id",
        (min(known),),
    ):
        if row[0] > positions.get(row[1], 0):
            found.append(Entry(row[0], row[1], EntryKind(row[2]), *row[3:]))
            if len(found) >= limit:
                break
    return found


def held(
    db: sqlite3.Connection, positions: Mapping[int, int]
) -> dict[tuple[str, str], tuple[tuple[int, int], ...]]:
    """Return, by gateway and log, the seqs of the batches here that lie after the positions."""
    out: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for gateway, log, seq, entry_id, partition in db.execute(
        "SELECT gateway, log, seq, id, partition FROM entry WHERE kind = ?"
        " ORDER BY gateway, log, seq",
        (EntryKind.BATCH,),
    ):
        if entry_id <= positions.get(partition, 0):
            continue
        ranges = out.setdefault((gateway, log), [])
        if ranges and seq <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return {key: tuple(ranges) for key, ranges in out.items()}


def next_after(db: sqlite3.Connection, entry: int) -> int | None:
    """Return the id of the first entry after one, None where it is the newest."""
    found = db.execute("SELECT min(id) FROM entry WHERE id > ?", (entry,)).fetchone()[0]
    return None if found is None else int(found)


def received_after(db: sqlite3.Connection, entry: int) -> int | None:
    """Return the receipt time, ms, of the first entry after one, None where it is the newest."""
    found = db.execute(
        "SELECT received_ms FROM entry WHERE id > ? ORDER BY id LIMIT 1", (entry,)
    ).fetchone()
    return None if found is None else int(found[0])


def _first_after(db: sqlite3.Connection, partition: int, position: int) -> int | None:
    row = db.execute(
        "SELECT min(id) FROM entry WHERE partition = ? AND id > ?", (partition, position)
    ).fetchone()
    return None if row[0] is None else int(row[0])
