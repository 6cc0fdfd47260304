"""The rows of the outbox: add, settle, requeue, quarantine, tell what is held.

Every writing method runs inside a transaction of its caller (`Outbox`); none commits by itself.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from egret_core import seqranges
from egret_core.codec import decode_batch, payload_hash
from egret_core.errors import WireError
from egret_core.messages import LOG_B
from egret_gateway.outbox.model import (
    HELD_LOGS_MAX,
    HELD_RANGES_MAX,
    Held,
    LogRow,
    Parcel,
    Requeued,
    State,
)
from egret_gateway.outbox.schema import DamagedError, connect
from egret_gateway.outbox.sound import flaw

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from egret_core.seqranges import Ranges
    from egret_gateway.outbox.model import NewRow

PAGES_MAX = 1_073_741_823  # SQLite's own bound
IDS_FROM = "ids_from"  # fact: no batch before it was made has this id or a higher one
LAST_REAL = "last_real_ms"  # fact: the latest unscaled time at which we committed until then
LOOK_ROWS_MAX = 1_000_000  # ids looked through for one order: beyond it the log is read once
_ISLANDS = """
SELECT log, min(seq), max(seq), min(id - seq), max(id - seq) FROM (
  SELECT id, log, seq, seq - row_number() OVER (PARTITION BY log ORDER BY seq) AS island
  FROM batch WHERE state != 2)
GROUP BY log, island
"""


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
        self.last_real = 0  # the latest unscaled time at which we committed, ms since 1970
        self._next_id = 1
        self._told_from = 0  # rows from this id on tell more than what was marked
        self._shifts: dict[int, tuple[int, int]] = {}  # least and most of id - seq, by log
        try:
            self.reload()
            found = flaw(self.logs, self.ranges, self._next_id)
        except (TypeError, ValueError) as error:
            found = str(error)
        if found:
            self.db.close()
            raise DamagedError(found)
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
        self._shifts = {}
        for log, low, high, *shifts in self.db.execute(_ISLANDS):
            pairs.setdefault(log, []).append((low, high))
            self._widen(log, *shifts)
        self.ranges = {log: seqranges.normalised(found) for log, found in pairs.items()}
        self._stand()
        row = self.db.execute(
            "SELECT count(*), coalesce(sum(hash = ''), 0) FROM batch WHERE state = 0"
        ).fetchone()
        self.unsettled, self.drafts = row

    @property
    def current(self) -> LogRow:
        """The log that takes new batches."""
        return self.logs[max(self.logs)]

    @property
    def next_id(self) -> int:
        """The id that the next batch gets."""
        return self._next_id

    def open_log(self) -> LogRow:
        """Start a new log with a random id; seqs begin at 1."""
        if self.logs:
            self.mark()
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
        row_id = self._next_id
        self.db.execute(
            "INSERT INTO batch (id, log, seq, kind, state, urgent, kept, readings, cut_mono, boot,"
            " cut_real, hash, payload) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                row_id,
                log.no,
                log.next_seq,
                *new[:1],
                *(int(x) for x in new[1:5]),
                *new[5:],
                digest,
                payload,
            ),
        )
        self._next_id += 1
        self._widen(log.no, row_id - log.next_seq, row_id - log.next_seq)
        if not draft and new.cut_real > 0:
            self.last_real, self._told_from = new.cut_real, row_id
        self.logs[log.no] = log._replace(next_seq=log.next_seq + 1)
        self._grow(log.no, log.next_seq)
        self.unsettled += 1
        self.drafts += draft
        return Parcel(
            id=row_id,
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
        if done.rowcount and cut_real > 0:
            self.last_real = cut_real

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
        self.unsettled += self._put_back(number or 0, queued)
        return Requeued(queued, seqranges.minus(wanted, queued))

    def _put_back(self, number: int, seqs: Ranges) -> int:
        least, most = self._shifts.get(number, (0, 0))
        if len(seqs) * (most - least) > LOOK_ROWS_MAX:
            # Rows far from their neighbours: one look at the log in place of one for each range.
            settled = self.db.execute(
                "SELECT id, seq FROM batch WHERE log = ? AND state = 1", (number,)
            ).fetchall()
            ids = [(row_id,) for row_id, seq in settled if seqranges.contains(seqs, seq)]
            self.db.executemany("UPDATE batch SET state = 0 WHERE id = ?", ids)
            return len(ids)
        # A log's rows lie in one row after another: its seqs need no index of their own.
        return sum(
            self.db.execute(
                "UPDATE batch SET state = 0 WHERE id BETWEEN ? AND ?"
                " AND log = ? AND seq BETWEEN ? AND ? AND state = 1",
                (low + least, high + most, number, low, high),
            ).rowcount
            for low, high in seqs
        )

    def remove(self, rows: Sequence[tuple[int, int, int, int, str]]) -> None:
        """Delete rows given as (id, log, seq, state, hash)."""
        for row_id, log, seq, state, digest in rows:
            self.db.execute("DELETE FROM batch WHERE id = ?", (row_id,))
            if state == State.UNSETTLED:
                self.unsettled -= 1
                self.drafts -= digest == ""
            if state != State.QUARANTINED:
                self._shrink(log, seq)
        if any(row[0] >= self._told_from for row in rows):
            self.mark()

    def mark(self) -> None:
        """Write down how far we are: the newest rows say it, but not when they are lost or go."""
        row = self.current
        self.db.execute("UPDATE log SET next_seq = ? WHERE no = ?", (row.next_seq, row.no))
        self.set_fact(IDS_FROM, self._next_id)
        self.set_fact(LAST_REAL, self.last_real)
        self._told_from = self._next_id

    def number_from(self, row_id: int) -> None:
        """Give no id below this one to a new batch."""
        self._next_id = max(self._next_id, row_id)
        self.set_fact(IDS_FROM, self._next_id)

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
            "INSERT INTO memory VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value"
            " WHERE value != excluded.value",
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

    def fold(self) -> None:
        """Bring everything into the file itself, so that it is whole without companions."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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
                "SELECT payload FROM batch WHERE id <= ? AND log = ? AND state != ? AND hash != ''"
                " ORDER BY id DESC LIMIT 1",
                (self.ranges[number][-1][1] + self._shifts[number][1], number, State.QUARANTINED),
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

    def _stand(self) -> None:
        """Find the next id and seq and the last time: of what was marked and the newest rows."""
        marked = self.fact(IDS_FROM)
        (newest,) = self.db.execute("SELECT coalesce(max(id), 0) FROM batch").fetchone()
        self._next_id = max(marked, newest + 1, self._sequence() + 1)
        row = self.db.execute(
            "SELECT id, cut_real FROM batch WHERE hash != '' AND cut_real > 0"
            " ORDER BY id DESC LIMIT 1"
        ).fetchone() or (0, 0)
        told = row[0] >= marked and row[1]
        self.last_real = row[1] if told else self.fact(LAST_REAL) or row[1]
        self._told_from = row[0] or newest
        if self.logs:
            log = self.current
            found = self.db.execute(
                "SELECT seq FROM batch WHERE log = ? ORDER BY id DESC LIMIT 1", (log.no,)
            ).fetchone() or (0,)
            self.logs[log.no] = log._replace(next_seq=max(log.next_seq, found[0] + 1))

    def _sequence(self) -> int:
        """Return the highest id of a file of version 1, where SQLite counted them."""
        known = self.db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'")
        if known.fetchone() is None:
            return 0
        row = self.db.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()
        return int(row[0] or 0)

    def _widen(self, log: int, least: int, most: int) -> None:
        known = self._shifts.get(log, (least, most))
        self._shifts[log] = min(known[0], least), max(known[1], most)

    def _grow(self, log: int, seq: int) -> None:
        ranges = self.ranges.get(log, ())
        if ranges and ranges[-1][1] == seq - 1:
            self.ranges[log] = (*ranges[:-1], (ranges[-1][0], seq))
        else:
            self.ranges[log] = seqranges.union(ranges, ((seq, seq),))

    def _shrink(self, log: int, seq: int) -> None:
        self.ranges[log] = seqranges.minus(self.ranges.get(log, ()), ((seq, seq),))
