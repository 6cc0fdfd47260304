"""The relational store in one SQLite file, through SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from egret_aggregator.database import sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

WRITES = "egret_writes"  # execution option of a transaction that writes
_BUSY_MS = 5_000  # a console command and the service share the file; each write is milliseconds


def engine(path: Path) -> AsyncEngine:
    """Return an engine on a file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = create_async_engine(f"sqlite+aiosqlite:///{path}", hide_parameters=True)
    event.listen(made.sync_engine, "connect", _on_connect)
    event.listen(made.sync_engine, "begin", _on_begin)
    return made


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the same may succeed later: locked, a full disk, an I/O error."""
    # Not a damaged file or a missing table: those stay as they are, however often one asks.
    return isinstance(error, OperationalError) and sqlite.is_disk_fault(error.orig or error)


def _on_connect(raw: Any, _record: object) -> None:  # noqa: ANN401  (a driver's connection)
    # The driver shall not begin transactions of its own: `_on_begin` says which kind.
    raw.isolation_level = None
    cursor = raw.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    cursor.close()


def _on_begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock before the chain's head is read, across processes.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
