"""A damaged file is kept aside; what can still be read of it goes into a new one.

Salvaged batches keep their bytes and their old log; a loss record `damaged` names the seqs of the
old log that could not be read (those already settled and aged out among them: the centre knows).
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from egret_core import seqranges
from egret_core.codec import decode_batch, is_log, payload_hash
from egret_core.entries import read_readings
from egret_core.errors import WireError
from egret_core.messages import Kind, Loss
from egret_gateway.convert import memory_of
from egret_gateway.outbox import cutting
from egret_gateway.outbox.file import LogRow, OutboxFile
from egret_gateway.outbox.schema import is_damage

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from egret_core.reading import Reading, Undated
    from egret_gateway.sample import Sample

COUNTS_LOOK_ROWS = 1000  # newest batches that are searched for the last totals
ASIDE_MAX = 3  # damaged files kept: evidence, on a card that is already failing
_COLUMNS = "log, seq, kind, state, urgent, kept, readings, cut_mono, boot, cut_real, hash, payload"
_log = logging.getLogger(__name__)


def set_aside(path: Path) -> Path:
    """Move a damaged file and its companions away; return its new place."""
    taken = [path.with_name(f"{path.name}.damaged-{n}") for n in range(1, ASIDE_MAX + 1)]
    place = next((p for p in taken if not p.exists()), taken[-1])
    for suffix in ("", "-wal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(place.with_name(place.name + suffix))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    return place


def salvage(aside: Path, file: OutboxFile) -> list[Loss]:
    """Copy what can be read into the new file (in the caller's transaction); name the rest."""
    try:
        with closing(sqlite3.connect(aside)) as old:
            # Lets SQLite read a file that ends before its header says (btree.c, lockBtree).
            old.execute("PRAGMA writable_schema = ON")
            return _salvage(old, file)
    except sqlite3.Error as error:
        _log.error("outbox damaged file=%s unreadable error=%s", aside, error)
        # What was lost has no name left; that something was lost is said under the new log.
        return [Loss(file.current.id, (), None, None, (), 0, "damaged")]


def _salvage(old: sqlite3.Connection, file: OutboxFile) -> list[Loss]:
    logs = {
        row[0]: LogRow(*row)
        for row in _readable(old, "SELECT no, id, next_seq, meta FROM log", "no")
        if is_log(row[1]) and isinstance(row[2], int) and isinstance(row[3], str)
    }
    found: dict[int, set[int]] = {}
    for row in _readable(old, f"SELECT id, {_COLUMNS} FROM batch", "id"):  # noqa: S608
        log = _log_of(row, logs)
        if log is None or row[2] in found.get(log.no, ()):
            continue
        logs[log.no] = log
        found.setdefault(log.no, set()).add(row[2])
        file.db.execute(
            f"INSERT OR IGNORE INTO batch (id, {_COLUMNS})"  # noqa: S608  (ours)
            " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            row,
        )
    logs = _with_waiting(old, logs)
    fresh = file.current
    file.db.execute("DELETE FROM log")
    file.logs.clear()
    for log in logs.values():
        file.adopt_log(log)
    file.adopt_log(fresh._replace(no=max(logs, default=0) + 1))
    for key, value in _readable(old, "SELECT key, value FROM memory", "key"):
        if isinstance(key, str) and isinstance(value, str):
            file.remember({key: value})
    file.db.execute("UPDATE batch SET kept = 0")
    # No id of the damaged file may come back for another batch: marks for it are still under way.
    file.number_from((1 + secrets.randbelow(2**20)) << 32)
    file.reload()
    _log.error("outbox damaged salvaged=%d logs=%d", sum(map(len, found.values())), len(logs))
    if not logs:
        return [Loss(file.current.id, (), None, None, (), 0, "damaged")]
    return [_missing(log, found.get(log.no, ())) for log in logs.values() if log.next_seq > 1]


def last_counts(file: OutboxFile, wanted: Collection[str]) -> dict[str, str]:
    """Return the memory of counters as the newest batches show it, by `station/channel`."""
    found: dict[str, str] = {}
    rows = file.db.execute(
        "SELECT hash, payload FROM batch WHERE kind = ? ORDER BY id DESC LIMIT ?",
        (Kind.READINGS, COUNTS_LOOK_ROWS),
    )
    for digest, body in rows:
        for reading in reversed(_counts_in(digest, body)):
            key = f"{reading.station}/{reading.channel}"
            if key in wanted and reading.value is not None and reading.raw is not None:
                found.setdefault(key, memory_of(reading.raw, reading.value))
        if len(found) == len(wanted):
            break
    return found


def _counts_in(digest: str, body: bytes) -> Sequence[Sample | Reading | Undated]:
    if digest == "":
        return cutting.read_draft(body).samples
    readings = read_readings(decode_batch(body))
    return [*readings.dated, *readings.undated]


def _log_of(row: tuple[Any, ...], logs: Mapping[int, LogRow]) -> LogRow | None:
    """Return the log of a row that is whole, None for one that is not: its hash vouches for it."""
    number, seq, digest, body = row[1], row[2], row[11], row[12]
    try:
        if digest == "":
            cutting.read_draft(body)
            return logs.get(number)  # a draft whose log is unknown has no identity left
        batch = decode_batch(body)
    except (WireError, ValueError, TypeError, KeyError, AttributeError):
        return None
    known = logs.get(number, LogRow(number, batch.log, 1, ""))
    if payload_hash(body) != digest or (batch.log, batch.seq) != (known.id, seq):
        return None
    return known._replace(next_seq=max(known.next_seq, seq + 1))


def _with_waiting(old: sqlite3.Connection, logs: Mapping[int, LogRow]) -> dict[int, LogRow]:
    """Return the logs with what was not settled, as the index knows it whatever the table says."""
    out = dict(logs)
    query = "SELECT id, log, seq FROM batch INDEXED BY unsettled WHERE state = 0"
    for _, number, seq in _readable(old, query, "id"):
        if number in out and isinstance(seq, int):
            out[number] = out[number]._replace(next_seq=max(out[number].next_seq, seq + 1))
    return out


def _missing(log: LogRow, found: Collection[int]) -> Loss:
    lost = seqranges.minus(((1, log.next_seq - 1),), seqranges.of_numbers(sorted(found)))
    return Loss(log.id, lost, None, None, (), 0, "damaged")


def _readable(old: sqlite3.Connection, query: str, key: str) -> Iterator[tuple[Any, ...]]:
    """Yield rows from the front until damage, then from the back until damage."""
    seen: set[Any] = set()
    for order in ("ASC", "DESC"):
        try:
            for row in old.execute(f"{query} ORDER BY {key} {order}"):
                if row[0] in seen:
                    return
                seen.add(row[0])
                yield row
        except sqlite3.DatabaseError as error:
            if not is_damage(error) and not isinstance(error, sqlite3.OperationalError):
                raise
        else:
            return
