"""Opening `egret.db`: durable SQLite through SQLAlchemy Core, brought up to date by Alembic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from egret_aggregator.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection

from contextlib import asynccontextmanager

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_MS = 5_000  # a console command and the service share the file; each write is milliseconds
_WRITES = "egret_writes"


class Database:
    """The relational store of one centre: ledger, warnings, tokens."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: AsyncEngine | None = None

    async def open(self) -> None:
        """Open the file, making it where there is none, and run the migrations it lacks.

        Raises:
            DatabaseError: it is no database of ours, or one of a later version.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        engine = create_async_engine(f"sqlite+aiosqlite:///{self._path}")
        event.listen(engine.sync_engine, "connect", _on_connect)
        event.listen(engine.sync_engine, "begin", _on_begin)
        self._engine = engine
        try:
            async with self.writing() as connection:
                await connection.run_sync(_upgrade)
        except DBAPIError as error:
            await self.close()
            raise DatabaseError(f"{self._path}: {error.orig}") from error
        except CommandError as error:
            await self.close()
            raise DatabaseError(
                f"{self._path}: {error}: was it written by a later version? run that one"
            ) from error

    async def close(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection whose reads see one state of the file."""
        async with self._opened().begin() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give the one writing connection; leaving commits durably, an exception rolls back."""
        engine = self._opened().execution_options(**{_WRITES: True})
        async with engine.begin() as connection:
            yield connection

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise RuntimeError("the database is not open")
        return self._engine


def migrations(connection: Connection) -> Config:
    """Return Alembic's settings for a connection of ours."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(migrations(connection), "head")


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
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
