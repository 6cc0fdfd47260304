"""The relational store in PostgreSQL: how it is reached, and who may write the next line.

Every writing transaction takes one advisory lock before it reads the chain's head, so that
however many processes write, one after another seals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from egret_aggregator.errors import DatabaseError, DatabaseUnavailableError

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from egret_aggregator.config import DatabaseSettings

CONNECT_S = 5.0  # a server that is there answers in milliseconds; an address that is not, never
STATEMENT_S = 20.0  # the longest of ours takes a second; a warning must not wait on a frozen one
CONNECTIONS = 5  # API and judge together; a server has 100 by default
SEALING = 0x45475254_00000001  # the advisory lock's number: "EGRT", 1
# A server that answers a commit before it is durable would lose lines that were promised.
_SEAL = text(
    "SELECT pg_advisory_xact_lock(:number), CASE current_setting('synchronous_commit')"
    " WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END"
)
# SQLSTATE classes of a server that cannot just now: connection, credentials, resources, operator,
# system; and codes: lock timeout, serialisation, deadlock, read-only after a failover.
_TEMPORARY = ("08", "28", "53", "57", "58", "55P03", "40001", "40P01", "25006")


def engine(settings: DatabaseSettings) -> AsyncEngine:
    """Return an engine; nothing is opened yet.

    Raises:
        DatabaseError: the driver is not installed.
    """
    try:
        import asyncpg  # noqa: PLC0415  (a centre on SQLite has no need of it)
    except ImportError as error:
        raise DatabaseError(
            f"{settings.url}: asyncpg is missing: install egret-ews[postgresql]"
        ) from error

    async def connected() -> Any:  # noqa: ANN401  (a driver's connection)
        try:
            return await asyncpg.connect(
                dsn=settings.url,
                password=_password(settings),
                timeout=CONNECT_S,
                command_timeout=STATEMENT_S,
                server_settings={"application_name": "egret-aggregator", "timezone": "UTC"},
            )
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            # A timeout says nothing by itself.
            why = str(error) or f"no answer within {CONNECT_S:g} s"
            raise DatabaseUnavailableError(f"{settings.url}: {why}") from error

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connected,
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=STATEMENT_S,
        pool_pre_ping=True,
        hide_parameters=True,  # an error shall not tell what was in a row
    )


async def seal(connection: AsyncConnection) -> None:
    """Wait for the right to write; it ends with the transaction."""
    await connection.execute(_SEAL, {"number": SEALING})


def is_unavailable(error: BaseException) -> bool:
    """Tell whether the same may succeed later: the server, not the statement, is to blame."""
    if isinstance(error, OSError | PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return error.connection_invalidated or not state or state.startswith(_TEMPORARY)


async def refuse_unfit(connection: AsyncConnection) -> None:
    """Refuse a database that cannot hold our words.

    Raises:
        DatabaseError: its encoding is not UTF-8.
    """
    encoding = await connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise DatabaseError(f"its encoding is {encoding}: make it with ENCODING 'UTF8'")


def _password(settings: DatabaseSettings) -> str | None:
    """Read the password's file anew; OSError where there is none."""
    if settings.password_file is None:
        return None
    return settings.password_file.read_text(encoding="utf-8").strip()
