"""The outbox file: one row per batch, its payload a blob; opened, refused or called damaged.

WAL with synchronous=FULL: a commit that returned survives a power cut. Ids and seqs never come
back, so a position in the file and an identity on the wire mean one thing for ever. Flash wears by
the page: a commit changes two, the table's and the index's, and what can be read from the newest
rows is written nowhere else. A file of version 1 (a sequence and a second index, five pages more
a commit) keeps its layout and becomes one of version 2: its tables tell the layout, not its number.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = 0x45475242  # "EGRB": this file is ours
SCHEMA_VERSION = 2
_VERSIONS = (1, SCHEMA_VERSION)
BUSY_S = 10.0  # only our own reader shares the file; its reads end within milliseconds
WAL_MAX_B = 8 * 1024 * 1024  # what the write-ahead file is cut back to after a burst
WAL_PAGES = 128  # then it is written into the file: less than a full disk's reserve from 5 MB on
CACHE_KIB = 2048  # page cache of one connection: a gateway has 64 MB for everything
_CORRUPT = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
_FULL = 13  # SQLITE_FULL
_ERROR = 1  # SQLITE_ERROR: a statement that does not fit the layout
_PRIMARY = 0xFF  # extended result codes keep the primary one in their low byte

_SCHEMA = """
CREATE TABLE log (
  no INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,          -- 32 hex digits, random
  next_seq INTEGER NOT NULL,        -- at least: the newest row of the log knows better
  meta TEXT NOT NULL                -- version of the meta in force
);
CREATE TABLE batch (
  id INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  kind TEXT NOT NULL,
  state INTEGER NOT NULL,           -- 0 unsettled, 1 settled, 2 quarantined
  urgent INTEGER NOT NULL,
  kept INTEGER NOT NULL,            -- 1 while it is the current meta: never given up
  readings INTEGER NOT NULL,
  cut_mono INTEGER NOT NULL,        -- monotonic ms of `boot`
  boot TEXT NOT NULL,
  cut_real INTEGER NOT NULL,        -- ms since 1970, unscaled, 0 where unknown
  hash TEXT NOT NULL,               -- '' while a draft waits for its dates
  payload BLOB NOT NULL
);
-- With log and seq, so that it can still name what a damaged table has lost.
CREATE INDEX unsettled ON batch (id, log, seq) WHERE state = 0;
CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fact (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""
# What is asked of every file at its opening: a name bent by flash is found here, not at each start.
_LAYOUT = (
    "SELECT no, id, next_seq, meta FROM log LIMIT 0",
    "SELECT id, log, seq, kind, state, urgent, kept, readings FROM batch LIMIT 0",
    "SELECT cut_mono, boot, cut_real, hash, payload FROM batch LIMIT 0",
    "SELECT id FROM batch INDEXED BY unsettled WHERE state = 0 LIMIT 0",
    "SELECT key, value FROM memory LIMIT 0",
    "SELECT key, value FROM fact LIMIT 0",
)


class DamagedError(Exception):
    """The file is not, or no longer, a readable outbox; what can be read is salvaged."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing, laying out a new one.

    Raises:
        DamagedError: the file is there and is no outbox of ours.
        sqlite3.OperationalError: it cannot be opened or written.
    """
    try:
        connection = _plain(path)
    except UnicodeDecodeError as error:  # SQLite quotes the layout that it cannot read
        raise DamagedError(str(error)) from error
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_MAX_B}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            _lay_out(connection)
        _recognise(connection)
    except sqlite3.DatabaseError as error:
        connection.close()
        if is_damage(error):
            raise DamagedError(str(error)) from error
        raise
    except DamagedError:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a second connection that only reads."""
    connection = _plain(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def read_by_our_layout(connection: sqlite3.Connection) -> None:
    """Read a damaged file by our own layout where the one it tells no longer fits.

    Nothing is written for good: the connection, with `writable_schema` on, is closed without a
    commit. A file of version 1 has more tables and indexes than ours and stays as it is.
    """
    # Where even this does not help, what is read next meets the damage.
    with suppress(sqlite3.Error, UnicodeDecodeError):
        told = connection.execute("SELECT rowid FROM sqlite_schema ORDER BY rowid").fetchall()
        ours = _our_layout()
        if _misfit(connection) and len(told) == len(ours):
            connection.executemany(
                "UPDATE sqlite_schema SET type = ?, name = ?, tbl_name = ?, sql = ?"
                " WHERE rowid = ?",
                ours,
            )
            connection.execute("PRAGMA writable_schema = RESET")
            connection.execute("PRAGMA writable_schema = ON")


def is_damage(error: sqlite3.Error) -> bool:
    """Tell a damaged file from a full disk, a lock or a mistake of ours."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & _PRIMARY in _CORRUPT


def is_full(error: sqlite3.Error) -> bool:
    """Tell a disk without room from other refusals."""
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY == _FULL


def _plain(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    # A text that is none makes one row odd, and does not hide those behind it.
    connection.text_factory = lambda body: body.decode(errors="replace")
    try:
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    except BaseException:
        connection.close()
        raise
    return connection


def _recognise(connection: sqlite3.Connection) -> None:
    found = connection.execute("PRAGMA application_id").fetchone()[0]
    if found != APPLICATION_ID:
        raise DamagedError(f"application id {found}")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in _VERSIONS:
        raise DamagedError(f"schema version {version}")
    misfit = _misfit(connection)
    if misfit:
        raise DamagedError(misfit)
    if version != SCHEMA_VERSION:
        # An older build counts on facts that are no longer written: it must not go on with this.
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _misfit(connection: sqlite3.Connection) -> str:
    """Return what does not fit our statements in the layout that a file tells."""
    try:
        for query in _LAYOUT:
            connection.execute(query)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & _PRIMARY == _ERROR:
            return str(error)
        raise
    return ""


def _our_layout() -> list[tuple[object, ...]]:
    """Return type, name, table, text and row of each part of a new file's layout."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(_SCHEMA)
        return fresh.execute(
            "SELECT type, name, tbl_name, sql, rowid FROM sqlite_schema ORDER BY rowid"
        ).fetchall()


def _lay_out(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")
