"""SQLite files of the centre: how they are opened, and how many rows go in by one step.

Python lets go of its interpreter lock at every SQLite step and may wait a switch interval (5 ms)
to get it back while the event loop is busy. `executemany` takes a step per row; `insert` binds
some hundred rows to one statement, so that a transaction takes a handful of steps.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

ROWS_MAX = 1024  # rows of one statement: 1024 x 10 values stay below SQLite's 32766
BUSY_S = 30.0  # waiting for a foreign lock, e.g. an operator's backup
CHECKPOINT_PAGES = 8000  # 32 MB of write-ahead log between checkpoints
CACHE_KB = 32 * 1024  # page cache of a writer
RESERVE_B = 64 * 1024 * 1024  # of the disk, for the ledger: warnings must always fit
_PRIMARY = 0xFF  # of an extended result code, sqlite.org/rescode.html
_DISK_FAULTS = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
    )
)


def connect(path: Path, *, writer: bool) -> sqlite3.Connection:
    """Open a file: WAL, synchronous=FULL; the caller begins and commits.

    Raises:
        sqlite3.Error: not a database, or no right to it.
    """
    db = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        if writer:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        else:
            db.execute("PRAGMA query_only=ON")
    except sqlite3.Error:
        db.close()
        raise
    return db


def begin(db: sqlite3.Connection) -> None:
    """Start a write transaction."""
    db.execute("BEGIN IMMEDIATE")


def commit(db: sqlite3.Connection) -> None:
    """End a transaction: durable when it returns."""
    db.execute("COMMIT")


def rollback(db: sqlite3.Connection) -> None:
    """Give up a transaction, if one is open."""
    if db.in_transaction:
        db.execute("ROLLBACK")


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Commit what the block did, or nothing of it where it raises."""
    begin(db)
    try:
        yield
        commit(db)
    except BaseException:
        rollback(db)
        raise


def is_disk_fault(error: BaseException) -> bool:
    """Tell whether an error is the file's or the disk's: no other statement would fare better."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY in _DISK_FAULTS


def used_bytes(db: sqlite3.Connection) -> int:
    """Return the bytes of pages in use; pages free for reuse do not count."""
    pages = int(db.execute("PRAGMA page_count").fetchone()[0])
    free = int(db.execute("PRAGMA freelist_count").fetchone()[0])
    size = int(db.execute("PRAGMA page_size").fetchone()[0])
    return (pages - free) * size


def file_bytes(db: sqlite3.Connection) -> int:
    """Return the bytes of the file, pages free for reuse included."""
    pages = int(db.execute("PRAGMA page_count").fetchone()[0])
    return pages * int(db.execute("PRAGMA page_size").fetchone()[0])


def spare_bytes(path: Path) -> int:
    """Return how far the disk of a file may still be filled; below 0 where the reserve is touched.

    Raises:
        OSError: the disk does not answer.
    """
    return shutil.disk_usage(path).free - RESERVE_B


def values(width: int, count: int) -> str:
    """Return the text `(?,..),(?,..)` of so many rows."""
    row = "(" + ",".join("?" * width) + ")"
    return ",".join([row] * count)


def chunks(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Split rows into powers of two, so that few statements serve every count."""
    at, left, size = 0, len(rows), ROWS_MAX
    while left:
        while size > left:
            size //= 2
        yield rows[at : at + size]
        at += size
        left -= size


def insert(
    db: sqlite3.Connection, head: str, rows: Sequence[tuple[Any, ...]], tail: str = ""
) -> int:
    """Run `head VALUES rows tail`, return how many rows it changed.

    `head` is ``INSERT INTO name(columns)``, `tail` an ON CONFLICT clause; rows are of equal width.
    """
    changed = 0
    for part in chunks(rows):
        text = f"{head} VALUES {values(len(part[0]), len(part))} {tail}"
        changed += db.execute(text, tuple(chain.from_iterable(part))).rowcount
    return changed


def prepare(
    db: sqlite3.Connection, tables: Sequence[str], *, version: int, application: int
) -> None:
    """Make the tables of a new file; refuse a file of another kind or a later version.

    Raises:
        sqlite3.DatabaseError: the file is not ours to write.
    """
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    mark = int(db.execute("PRAGMA application_id").fetchone()[0])
    if found == version and mark == application:
        return
    if found or mark:
        raise sqlite3.DatabaseError(f"file is version {found} of 0x{mark:08x}, not {version}")
    begin(db)
    for statement in tables:
        db.execute(statement)
    db.execute(f"PRAGMA user_version={version}")
    db.execute(f"PRAGMA application_id={application}")
    commit(db)
