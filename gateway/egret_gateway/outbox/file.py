"""The rows of the outbox: add, settle, requeue, quarantine, tell what is held.

Every writing method runs inside a transaction of its caller (`Outbox`); none commits by itself.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core import seqranges
from egret_core.codec import decode_batch, payload_hash
from egret_core.errors import WireError
from egret_core.messages import LOG_B, Kind
from egret_gateway.outbox.model import (
    HELD_LOGS_MAX,
    HELD_RANGES_MAX,
    Held,
    Parcel,
    Requeued,
    State,
)
from egret_gateway.outbox.schema import connect

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from egret_core.seqranges import Ranges

PAGES_MAX = 1_073_741_823  # SQLite's own bound
_PARCEL = "b.id, l.id, b.seq, b.hash, b.kind, b.urgent, b.cut_mono, b.boot, b.payload"
_ISLANDS = """
SELECT log, min(seq), max(seq) FROM (
  SELECT log, seq, seq - row_number() OVER (PARTITION BY log ORDER BY seq) AS island
  FROM batch WHERE state != 2)
GROUP BY log, island
"""


class LogRow(NamedTuple):
    """One log of the file; the one with the highest number takes new batches."""

    no: int
    id: str
    next_seq: int
    meta: str


class NewRow(NamedTuple):
    """A batch about to be added under the next seq of the current log."""

    kind: str
    urgent: bool
    kept: bool
    readings: int
    cut_mono: int
    boot: str
    cut_real: int


class OutboxFile:
    """The file behind one connection; used by one thread at a time."""

    def __init__(self, path: Path, boot: str) -> None:
        self.path = path
        self.boot = boot
        self.db: sqlite3.Connection = connect(path)
        self.logs: dict[int, LogRow] = {}
        self.ranges: dict[int, Ranges] = {}
        self.unsettled = 0
        self.drafts = 0
        self.reload()
        if not self.logs:
            self.db.execute("BEGIN IMMEDIATE")
            self.open_log()
            self.db.execute("COMMIT")

    def close(self) -> None:
        """Close the connection."""
        self.db.close()

    def reload(self) -> None:
        """Read the summary of the file again: after opening, and after a rollback."""
        self.logs = {
            row[0]: LogRow(*row)
            for row in self.db.execute("SELECT no, id, next_seq, meta FROM log")
        }
        pairs: dict[int, list[tuple[int, int]]] = {}
        for log, low, high in self.db.execute(_ISLANDS):
            pairs.setdefault(log, []).append((low, high))
        self.ranges = {log: seqranges.normalised(found) for log, found in pairs.items()}
        row = self.db.execute(
            "SELECT count(*), coalesce(sum(hash = ''), 0) FROM batch WHERE state = 0"
        ).fetchone()
        self.unsettled, self.drafts = row

    @property
    def current(self) -> LogRow:
        """The log that takes new batches."""
        return self.logs[max(self.logs)]

    def open_log(self) -> LogRow:
        """Start a new log with a random id; seqs begin at 1."""
        number = max(self.logs, default=0) + 1
        row = LogRow(number, secrets.token_hex(LOG_B), 1, "")
        self.adopt_log(row)
        return row

    def adopt_log(self, row: LogRow) -> None:
        """Add a log as it is."""
        self.db.execute("INSERT INTO log VALUES (?, ?, ?, ?)", row)
        self.logs[row.no] = row

    def set_meta(self, version: str, real_ms: int) -> None:
        """Put a meta version in force; the former one ages from now on."""
        self.db.execute("UPDATE batch SET kept = 0, cut_real = ? WHERE kept = 1", (real_ms,))
        row = self.current._replace(meta=version)
        self.db.execute("UPDATE log SET meta = ? WHERE no = ?", (version, row.no))
        self.logs[row.no] = row

    def add(self, new: NewRow, payload: bytes, *, draft: bool) -> Parcel:
        """Add a batch whose bytes already carry the current log's next seq."""
        log = self.current
        digest = "" if draft else payload_hash(payload)
        at = self.db.execute(
            "INSERT INTO batch (log, seq, kind, state, urgent, kept, readings, cut_mono, boot,"
            " cut_real, hash, payload) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                log.no,
                log.next_seq,
                *new[:1],
                *(int(x) for x in new[1:5]),
                *new[5:],
                digest,
                payload,
            ),
        ).lastrowid
        self.db.execute("UPDATE log SET next_seq = next_seq + 1 WHERE no = ?", (log.no,))
        self.logs[log.no] = log._replace(next_seq=log.next_seq + 1)
        self._grow(log.no, log.next_seq)
        self.unsettled += 1
        self.drafts += draft
        return Parcel(
            id=at or 0,
            log=log.id,
            seq=log.next_seq,
            hash=digest,
            kind=new.kind,
            urgent=new.urgent,
            cut_mono_ms=new.cut_mono if new.boot == self.boot else None,
            payload=payload,
        )

    def seal(self, row_id: int, payload: bytes, cut_real: int) -> None:
        """Give a draft its bytes, once."""
        done = self.db.execute(
            "UPDATE batch SET payload = ?, hash = ?, cut_real = ? WHERE id = ? AND hash = ''",
            (payload, payload_hash(payload), cut_real, row_id),
        )
        self.drafts -= done.rowcount

    def settle(self, ids: Iterable[int]) -> None:
        """Mark batches as journalled by the centre; they stay as its second copy."""
        for row_id in ids:
            done = self.db.execute(
                "UPDATE batch SET state = 1 WHERE id = ? AND state = 0", (row_id,)
            )
            self.unsettled -= done.rowcount

    def quarantine(self, row_id: int) -> bool:
        """Set a batch aside that can never become valid; False where it no longer waits."""
        row = self.db.execute("SELECT log, seq FROM batch WHERE id = ? AND state = 0", (row_id,))
        found = row.fetchone()
        if found is None:
            return False
        self.db.execute("UPDATE batch SET state = ? WHERE id = ?", (State.QUARANTINED, row_id))
        self.unsettled -= 1
        self._shrink(found[0], found[1])
        return True

    def requeue(self, log: str, wanted: Ranges) -> Requeued:
        """Put settled batches back among those to send; tell which are no longer held."""
        number = next((row.no for row in self.logs.values() if row.id == log), None)
        held = self.ranges.get(number, ()) if number is not None else ()
        queued = seqranges.common(wanted, held)
        for low, high in queued:
            done = self.db.execute(
                "UPDATE batch SET state = 0 WHERE log = ? AND seq BETWEEN ? AND ? AND state = 1",
                (number, low, high),
            )
            self.unsettled += done.rowcount
        return Requeued(queued, seqranges.minus(wanted, queued))

    def remove(self, rows: Sequence[tuple[int, int, int, int, str]]) -> None:
        """Delete rows given as (id, log, seq, state, hash)."""
        for row_id, log, seq, state, digest in rows:
            self.db.execute("DELETE FROM batch WHERE id = ?", (row_id,))
            if state == State.UNSETTLED:
                self.unsettled -= 1
                self.drafts -= digest == ""
            if state != State.QUARANTINED:
                self._shrink(log, seq)

    def held(self) -> Held:
        """Return the seqs still in the file by log, newest first where not all can be told."""
        out: dict[str, Ranges] = {}
        room, omitted = HELD_RANGES_MAX, 0
        for number in sorted(self.ranges, reverse=True):
            ranges = self.ranges[number]
            if not ranges:
                continue
            told = ranges[-room:] if room > 0 and len(out) < HELD_LOGS_MAX else ()
            omitted += len(ranges) - len(told)
            room -= len(told)
            if told:
                out[self.logs[number].id] = told
        return Held(out, omitted)

    def older(self) -> list[str]:
        """Return the ids of former logs that still have batches here, newest first."""
        now = self.current.no
        numbers = sorted((n for n, r in self.ranges.items() if r and n != now), reverse=True)
        return [self.logs[n].id for n in numbers[:HELD_LOGS_MAX]]

    def remember(self, memory: Mapping[str, str]) -> None:
        """Keep conversion state, in the transaction of the samples it belongs to."""
        self.db.executemany(
            "INSERT INTO memory VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            memory.items(),
        )

    def memory(self) -> dict[str, str]:
        """Return the conversion state as of the last commit."""
        return dict(self.db.execute("SELECT key, value FROM memory"))

    def set_fact(self, key: str, value: int) -> None:
        """Keep a number of our own."""
        self.db.execute(
            "INSERT INTO fact VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (key, value),
        )

    def fact(self, key: str) -> int:
        """Return a number of our own, 0 before the first."""
        row = self.db.execute("SELECT value FROM fact WHERE key = ?", (key,)).fetchone()
        return row[0] if row else 0

    def used_bytes(self) -> int:
        """Return the bytes of pages in use; free pages are used again before the file grows."""
        pages = self.db.execute("PRAGMA page_count").fetchone()[0]
        free = self.db.execute("PRAGMA freelist_count").fetchone()[0]
        size = self.db.execute("PRAGMA page_size").fetchone()[0]
        return int((pages - free) * size)

    def free_share(self) -> float:
        """Return which share of the file's pages is free."""
        pages = self.db.execute("PRAGMA page_count").fetchone()[0]
        free = self.db.execute("PRAGMA freelist_count").fetchone()[0]
        return float(free) / max(1, int(pages))

    def tidy(self) -> None:
        """Empty the write-ahead file into the file itself: its room is then used again."""
        self.db.execute("PRAGMA wal_checkpoint(RESTART)")

    def cap(self) -> None:
        """Let the file grow no more: a commit fits the write-ahead file, and later no disk."""
        pages = self.db.execute("PRAGMA page_count").fetchone()[0]
        self.db.execute(f"PRAGMA max_page_count = {pages:d}")

    def uncap(self) -> None:
        """Let the file grow again."""
        self.db.execute(f"PRAGMA max_page_count = {PAGES_MAX}")

    def oldest_cut(self) -> int:
        """Return the date of the oldest batch that has one, ms since 1970; 0 where none has."""
        row = self.db.execute(
            "SELECT cut_real FROM batch WHERE cut_real > 0 ORDER BY id LIMIT 1"
        ).fetchone()
        return row[0] if row else 0

    def foreign_logs(self, gateway: str) -> list[str]:
        """Return the logs whose batches name another gateway, oldest first."""
        found = []
        for number in sorted(number for number, held in self.ranges.items() if held):
            row = self.db.execute(
                "SELECT payload FROM batch WHERE log = ? AND state != ? AND hash != ''"
                " ORDER BY seq DESC LIMIT 1",
                (number, State.QUARANTINED),
            ).fetchone()
            with suppress(WireError):
                if row is not None and decode_batch(row[0]).gateway != gateway:
                    found.append(self.logs[number].id)
        return found

    def set_log_aside(self, log: str) -> None:
        """Neither send nor hold the batches of a log any more; they age out."""
        number = next(row.no for row in self.logs.values() if row.id == log)
        self.db.execute(
            "UPDATE batch SET state = ?, kept = 0 WHERE log = ?", (State.QUARANTINED, number)
        )
        self.reload()

    def _grow(self, log: int, seq: int) -> None:
        ranges = self.ranges.get(log, ())
        if ranges and ranges[-1][1] == seq - 1:
            self.ranges[log] = (*ranges[:-1], (ranges[-1][0], seq))
        else:
            self.ranges[log] = seqranges.union(ranges, ((seq, seq),))

    def _shrink(self, log: int, seq: int) -> None:
        self.ranges[log] = seqranges.minus(self.ranges.get(log, ()), ((seq, seq),))


def parcels_query(where: str, state: int) -> str:
    """Return the query for sealed batches in a state (-1: any); `where` is a clause below."""
    # A literal state, so that SQLite may use the partial index of unsettled rows.
    which = "" if state < 0 else f"b.state = {state:d} AND "
    return (
        f"SELECT {_PARCEL} FROM batch b JOIN log l ON l.no = b.log"  # noqa: S608  (ours)
        f" WHERE {which}b.hash != '' AND {where}"
    )


def parcel_of(row: tuple[Any, ...], boot: str) -> Parcel:
    """Return a row of `parcels_query` as a parcel."""
    return Parcel(
        id=row[0],
        log=row[1],
        seq=row[2],
        hash=row[3],
        kind=row[4],
        urgent=bool(row[5]),
        cut_mono_ms=row[6] if row[7] == boot else None,
        payload=row[8],
    )


META_FIRST = f"b.kind = '{Kind.META}' ORDER BY b.id LIMIT ?"
URGENT_FIRST = "b.urgent = 1 AND b.id > ? ORDER BY b.id LIMIT ?"
OLDEST_FIRST = "b.id > ? ORDER BY b.id LIMIT ?"
NEWEST_FIRST = "b.id > 0 ORDER BY b.id DESC LIMIT ?"
OLDEST_CUT = "SELECT cut_mono, boot, cut_real FROM batch WHERE state = 0 ORDER BY id LIMIT 1"
