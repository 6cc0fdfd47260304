"""What can still be read of a damaged file goes into a new one.

Salvaged batches keep their bytes and their old log; a loss record `damaged` names the seqs of the
old log that could not be read (those already settled and aged out among them: the centre knows).
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from egret_core import seqranges
from egret_core.codec import decode_batch
from egret_core.entries import read_readings
from egret_core.messages import INTEGER_MAX, Kind, Loss
from egret_gateway.convert import memory_of
from egret_gateway.outbox import cutting
from egret_gateway.outbox.file import IDS_FROM, LAST_REAL, OutboxFile
from egret_gateway.outbox.model import IDS_MAX, LogRow
from egret_gateway.outbox.schema import is_full, read_by_our_layout
from egret_gateway.outbox.wreck import COLUMNS, Wreck

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from egret_core.reading import Reading, Undated
    from egret_gateway.sample import Sample

COUNTS_LOOK_ROWS = 1000  # newest batches that are searched for the last totals
ID_STEP_BITS = 32  # new ids begin at a multiple of this power, beyond all that were seen
_LEAP = 2**20  # steps at most by chance: some ids may have been seen by nobody
_INSERT = f"INSERT OR IGNORE INTO batch (id, {COLUMNS}) VALUES ({', '.join('?' * 13)})"  # noqa: S608
_log = logging.getLogger(__name__)


def salvage(damaged: Path, file: OutboxFile, ids_from: int = 1) -> list[Loss]:
    """Copy what can be read into the new file (in the caller's transaction); name the rest.

    Args:
        damaged: the file.
        file: the new one, empty.
        ids_from: no id below it may be given again: marks for such ones are still under way.

    Raises:
        sqlite3.OperationalError: the disk has no room for the new file.
    """
    file.db.execute("SAVEPOINT salvage")
    try:
        with closing(sqlite3.connect(damaged)) as old:
            # Lets SQLite read a file that ends before its header says (btree.c, lockBtree).
            old.execute("PRAGMA writable_schema = ON")
            read_by_our_layout(old)
            return _Salvage(Wreck(old), file).run(ids_from)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if isinstance(error, sqlite3.Error) and is_full(error):
            raise
        _log.error("outbox damaged file=%s unreadable error=%s", damaged, error)
    # What was lost has no name left; that something was lost is said under the new log.
    file.db.execute("ROLLBACK TO salvage")
    file.reload()
    file.number_from(_beyond(ids_from))
    return [_nameless(file)]


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


class _Salvage:
    """One way from a wreck into a new file."""

    def __init__(self, wreck: Wreck, file: OutboxFile) -> None:
        self._wreck = wreck
        self._file = file
        self._found: dict[str, set[int]] = {}
        self._numbers: dict[str, int] = {}
        self._newest = 0

    def run(self, ids_from: int) -> list[Loss]:
        """Bring over all that is whole; return what is missing."""
        self._bring_batches()
        highest, named = self._wreck.waiting()
        logs = self._logs(highest)
        self._bring_logs(logs)
        for key, value in self._wreck.pairs("memory"):
            if isinstance(value, str):
                self._file.remember({key: value})
        self._bring_marks(ids_from)
        self._file.reload()
        count = sum(map(len, self._found.values()))
        _log.error("outbox damaged salvaged=%d logs=%d", count, len(logs))
        missing = [_missing(log, self._found.get(log.id, ())) for log in logs if log.next_seq > 1]
        return missing if named and logs else [*missing, _nameless(self._file)]

    def _bring_batches(self) -> None:
        drafts = []
        for saved in self._wreck.batches():
            if saved.seq in self._found.get(saved.log, ()):
                continue
            number = self._number(saved.log, saved.number) if saved.log else 0
            row = (saved.id, number, *saved.columns)
            if self._file.db.execute(_INSERT, row).rowcount <= 0:
                continue
            self._newest = max(self._newest, saved.id)
            if saved.log:
                self._found.setdefault(saved.log, set()).add(saved.seq)
            else:
                drafts.append((saved.id, saved.number, saved.seq))
        # Only now is it known which log a draft's number means.
        for row_id, number, seq in drafts:
            self._bring_draft(row_id, self._wreck.name(number), number, seq)

    def _bring_draft(self, row_id: int, log: str, number: int, seq: int) -> None:
        seqs = self._found.setdefault(log, set()) if log else {seq}
        if seq in seqs:
            self._file.db.execute("DELETE FROM batch WHERE id = ?", (row_id,))
            return
        seqs.add(seq)
        place = self._number(log, number), row_id
        self._file.db.execute("UPDATE batch SET log = ? WHERE id = ?", place)

    def _number(self, log: str, beside: int) -> int:
        """Return a log's number in the new file: its own, else the one beside it where free."""
        if log not in self._numbers:
            reserved = self._wreck.numbers() | set(self._numbers.values())
            own = self._wreck.number(log) or (beside if beside not in reserved else 0)
            self._numbers[log] = own or max(reserved, default=0) + 1
        return self._numbers[log]

    def _logs(self, highest: Mapping[str, int]) -> list[LogRow]:
        """Return each log once, with what was not settled as the index knows it."""
        table = self._wreck.logs()
        out = []
        for log in dict.fromkeys((*table, *self._found)):
            row = table.get(log, LogRow(0, log, 1, ""))
            newest = max(highest.get(log, 0), *self._found.get(log, ()), 0)
            number = self._number(log, row.no)
            out.append(LogRow(number, log, max(row.next_seq, newest + 1), row.meta))
        return out

    def _bring_logs(self, logs: Sequence[LogRow]) -> None:
        fresh = self._file.current
        self._file.db.execute("DELETE FROM log")
        self._file.logs.clear()
        for log in logs:
            self._file.adopt_log(log)
        self._file.adopt_log(fresh._replace(no=max((log.no for log in logs), default=0) + 1))

    def _bring_marks(self, ids_from: int) -> None:
        """Give no id of the damaged file again, and let the clock not fall behind its mark."""
        facts = {
            key: value
            for key, value in self._wreck.pairs("fact")
            if isinstance(value, int) and 0 < value < IDS_MAX
        }
        marked = facts.get(IDS_FROM, 0)
        self._file.number_from(_beyond(max(ids_from, marked, self._wreck.newest + 1)))
        if marked > self._newest:  # else the newest batch tells it
            self._file.set_fact(LAST_REAL, min(facts.get(LAST_REAL, 0), INTEGER_MAX))


def _beyond(ids_from: int) -> int:
    """Return where ids go on, so that none seen or unseen comes back for another batch."""
    return ((ids_from >> ID_STEP_BITS) + 1 + secrets.randbelow(_LEAP)) << ID_STEP_BITS


def _missing(log: LogRow, found: Collection[int]) -> Loss:
    lost = seqranges.minus(((1, log.next_seq - 1),), seqranges.of_numbers(sorted(found)))
    return Loss(log.id, lost, None, None, (), 0, "damaged")


def _nameless(file: OutboxFile) -> Loss:
    return Loss(file.current.id, (), None, None, (), 0, "damaged")
