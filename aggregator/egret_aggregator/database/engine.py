"""Opening the relational store: a SQLite file or PostgreSQL, brought up to date by Alembic."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from egret_aggregator.database import lite, postgresql
from egret_aggregator.errors import DatabaseError, DatabaseUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from egret_aggregator.config import DatabaseSettings

    Place: TypeAlias = Path | DatabaseSettings

HEAD = "head"  # Alembic's word for the newest revision
_MIGRATIONS = Path(__file__).parent / "migrations"
_READS = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_log = logging.getLogger(__name__)


class Database:
    """The relational store of one centre: ledger, warnings, tokens.

    Args:
        place: a SQLite file, or the settings of a PostgreSQL database.
    """

    def __init__(self, place: Place) -> None:
        self._file = place if isinstance(place, Path) else None
        self._settings = None if isinstance(place, Path) else place
        self._engine: AsyncEngine | None = None
        self._fault = ""

    @property
    def name(self) -> str:
        """Where it is, as an operator knows it; no secret."""
        return str(self._file) if self._settings is None else self._settings.url

    @property
    def fault(self) -> str:
        """Why the last attempt failed, "" where it did not: the store cannot be reached now."""
        return self._fault

    async def open(self, revision: str = HEAD) -> None:
        """Open the store, making it where there is none, and run the migrations it lacks.

        Args:
            revision: as far as the migrations go.

        Raises:
            DatabaseUnavailableError: it does not answer.
            DatabaseError: it is none of ours, or of a later version.
        """
        if self._settings is None:
            self._engine = lite.engine(Path(self.name))
        else:
            self._engine = postgresql.engine(self._settings)
        try:
            async with self.writing() as connection:
                if self._settings is not None:
                    await postgresql.refuse_unfit(connection)
                await connection.run_sync(_upgrade, revision)
        except DatabaseError:
            await self.close()
            raise
        except DBAPIError as error:
            await self.close()
            raise DatabaseError(f"{self.name}: {error.orig}") from error
        except CommandError as error:
            await self.close()
            raise DatabaseError(
                f"{self.name}: {error}: was it written by a later version? run that one"
            ) from error

    async def close(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection whose reads see one state of the store.

        Raises:
            DatabaseUnavailableError: it does not answer now; the same may succeed later.
        """
        options = {} if self._settings is None else _READS
        async with self._watched(), self._opened().connect() as connection:
            await connection.execution_options(**options)
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Give the one writing connection; leaving commits durably, an exception rolls back.

        Raises:
            DatabaseUnavailableError: it does not answer now. Whether a commit under way became
                durable is not known: what is written must bear being written again.
        """
        engine = self._opened().execution_options(**{lite.WRITES: True})
        async with self._watched(), engine.begin() as connection:
            if self._settings is not None:
                await postgresql.seal(connection)
            yield connection

    def _opened(self) -> AsyncEngine:
        if self._engine is None:
            raise RuntimeError("the database is not open")
        return self._engine

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Tell a store that cannot be reached from a statement that is wrong."""
        try:
            yield
        except DatabaseUnavailableError as error:
            self._failed(str(error))
            raise
        except Exception as error:
            temporary = lite if self._settings is None else postgresql
            if not temporary.is_unavailable(error):
                raise
            why = str(error.orig if isinstance(error, DBAPIError) else error)
            self._failed(f"{self.name}: {why or 'no answer in time'}")
            raise DatabaseUnavailableError(self._fault) from error
        if self._fault:
            self._fault = ""
            _log.warning("event=database_back place=%s", self.name)

    def _failed(self, why: str) -> None:
        if not self._fault:  # once, not at every attempt
            _log.error("event=database_unavailable why=%r", why)
        self._fault = why


def migrations(connection: Connection) -> Config:
    """Return Alembic's settings for a connection of ours."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, revision: str) -> None:
    command.upgrade(migrations(connection), revision)
