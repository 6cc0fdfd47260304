"""What the journal knows of every gateway's logs: received and lost seqs, and recent hashes.

Lives in the writer's thread. Changes of a transaction are staged beside the truth and adopted
after its commit, so that a failed commit leaves no trace.
"""

from __future__ import annotations

import json
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import sqlite
from egret_core.seqranges import (
    EMPTY,
    Ranges,
    common,
    contains,
    normalised,
    of_numbers,
    size,
    union,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from egret_aggregator.journal.receipt import Incoming

HASH_KEPT_MS = 35 * 86_400_000  # an outbox keeps settled batches 30 days; five more for late ones
HASH_TRIM_ROWS = 2000  # forgotten at a time, so that no commit waits long
RANGES_MAX = 4096  # per log: an honest outbox leaves few gaps, and names what fills them

CLASHES_MAX = 16  # other contents kept of one identity; an honest box opens a new log at the first

Key = tuple[str, str]  # gateway, log


class Log(NamedTuple):
    """One log's id in the file, and its seqs."""

    id: int
    received: Ranges
    lost: Ranges


class _Staged:
    """What the running transaction adds to one log."""

    __slots__ = ("hashes", "lost", "received", "row")

    def __init__(self, row: int, received: Ranges) -> None:
        self.row = row
        self.received = received
        self.hashes: dict[int, str] = {}
        self.lost: Ranges = EMPTY


class Books:
    """Received and lost seqs of all logs.

    Args:
        db: the writer's connection.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._logs: dict[Key, Log] = {
            (gateway, log): Log(row, normalised(json.loads(got)), normalised(json.loads(lost)))
            for row, gateway, log, got, lost in db.execute(
                "SELECT id, gateway, log, received, lost FROM log"
            )
        }
        self._next_row = 1 + max((log.id for log in self._logs.values()), default=0)
        self._staged: dict[Key, _Staged] = {}
        self._seen: list[tuple[int, int, bytes, int]] = []

    def known(self, key: Key) -> Ranges:
        """Return the seqs received or known to be lost, as committed."""
        log = self._logs.get(key)
        return union(log.received, log.lost) if log else EMPTY

    def hashes(self, batches: Iterable[Incoming]) -> dict[tuple[Key, int], str]:
        """Return the remembered hashes of those batches whose seq is known."""
        wanted: dict[tuple[int, int], tuple[Key, int]] = {}
        found: dict[tuple[Key, int], str] = {}
        for item in batches:
            key = (item.gateway, item.log)
            log = self._logs.get(key)
            if log and contains(log.received, item.seq):
                wanted[log.id, item.seq] = (key, item.seq)
        for part in sqlite.chunks(list(wanted)):
            # One row holds them all: each further row would be a wait for the interpreter.
            text = self._db.execute(
                f"WITH k(l, s) AS (VALUES {sqlite.values(2, len(part))}) "  # noqa: S608  (only ?)
                "SELECT json_group_array(json_array(log, seq, lower(hex(hash)))) "
                "FROM k CROSS JOIN seen ON seen.log = k.l AND seen.seq = k.s",
                tuple(chain.from_iterable(part)),
            ).fetchone()[0]
            found.update({wanted[row, seq]: digest for row, seq, digest in json.loads(text)})
        return found

    def has(self, key: Key, seq: int) -> bool:
        """Tell whether a seq was received, in this transaction or before."""
        staged = self._staged.get(key)
        if staged and seq in staged.hashes:
            return True
        log = self._logs.get(key)
        return log is not None and contains(log.received, seq)

    def staged_hash(self, key: Key, seq: int) -> str | None:
        """Return the hash under which this transaction took a seq."""
        staged = self._staged.get(key)
        return staged.hashes.get(seq) if staged else None

    def fragmented(self, key: Key, seq: int) -> bool:
        """Tell whether taking a seq would open one gap too many."""
        log = self._logs.get(key)
        if log is None or len(log.received) < RANGES_MAX:
            return False
        return not (contains(log.received, seq - 1) or contains(log.received, seq + 1))

    def next_seq(self, key: Key) -> int:
        """Return a seq above every one of a log that was received, this transaction included."""
        staged, log = self._staged.get(key), self._logs.get(key)
        seqs: list[int] = list(staged.hashes) if staged else []
        if log and log.received:
            seqs.append(log.received[-1][1])
        return 1 + max(seqs, default=0)

    def take(self, key: Key, seq: int, digest: str, received_ms: int) -> None:
        """Stage a seq as received."""
        staged = self._stage(key)
        staged.hashes[seq] = digest
        self._seen.append((staged.row, seq, bytes.fromhex(digest), received_ms))

    def lose(self, key: Key, seqs: Ranges) -> None:
        """Stage seqs as lost."""
        staged = self._stage(key)
        staged.lost = union(staged.lost, seqs)

    def keep_only(self, kept: Mapping[Key, Ranges]) -> dict[Key, int]:
        """Stage that of every log no more was received than is kept.

        The hashes stay: only a seq that is known is compared with its hash.

        Returns:
            How many seqs were forgotten, of each log that any were forgotten of.
        """
        forgotten: dict[Key, int] = {}
        for key, log in self._logs.items():
            base = common(log.received, kept.get(key, EMPTY))
            if base != log.received:
                forgotten[key] = size(log.received) - size(base)
                self._stage(key).received = base
        return forgotten

    def clash(self, key: Key, seq: int, digest: str) -> bool:
        """Stage a refused hash; False where it was refused before, or too many others were."""
        row = (self._stage(key).row, seq, bytes.fromhex(digest))
        kept = self._db.execute(
            "SELECT count(*) FROM clash WHERE log = ? AND seq = ?", row[:2]
        ).fetchone()
        if kept[0] >= CLASHES_MAX:
            return False
        return sqlite.insert(self._db, "INSERT OR IGNORE INTO clash(log, seq, hash)", [row]) > 0

    def flush(self) -> dict[Key, Log]:
        """Write what is staged; return the logs to `adopt` after the commit."""
        if self._seen:
            sqlite.insert(
                self._db,
                "INSERT INTO seen(log, seq, hash, received_ms)",
                self._seen,
                "ON CONFLICT(log, seq) DO UPDATE SET hash = excluded.hash,"
                " received_ms = excluded.received_ms",
            )
        changed: dict[Key, Log] = {}
        for key, staged in self._staged.items():
            old = self._logs.get(key) or Log(staged.row, EMPTY, EMPTY)
            received = union(staged.received, of_numbers(staged.hashes))
            # Of losses without end the newest are known; an older one is asked for and told again.
            lost = union(old.lost, staged.lost)[-RANGES_MAX:]
            changed[key] = Log(old.id, received, lost)
        rows = [
            (log.id, *key, json.dumps(log.received), json.dumps(log.lost))
            for key, log in changed.items()
        ]
        sqlite.insert(
            self._db,
            "INSERT INTO log(id, gateway, log, received, lost)",
            rows,
            "ON CONFLICT(id) DO UPDATE SET received = excluded.received, lost = excluded.lost",
        )
        return changed

    def adopt(self, changed: Mapping[Key, Log]) -> None:
        """Make a committed transaction the truth."""
        self._logs.update(changed)
        self.forget()

    def forget(self) -> None:
        """Drop what is staged: the transaction is over, one way or the other."""
        self._staged.clear()
        self._seen.clear()

    def expire(self, now_ms: int) -> None:
        """Forget hashes older than 35 days, a few at a time."""
        last = self._db.execute(
            "SELECT id, received_ms FROM seen ORDER BY id LIMIT 1 OFFSET ?", (HASH_TRIM_ROWS - 1,)
        ).fetchone()
        if last and last[1] < now_ms - HASH_KEPT_MS:
            self._db.execute("DELETE FROM seen WHERE id <= ?", (last[0],))

    def _stage(self, key: Key) -> _Staged:
        staged = self._staged.get(key)
        if staged is None:
            log = self._logs.get(key)
            if log is None:
                # A number that is burned by a failed commit is missed by nobody.
                row, self._next_row = self._next_row, self._next_row + 1
            else:
                row = log.id
            staged = self._staged[key] = _Staged(row, log.received if log else EMPTY)
        return staged
