"""Statements on the table `token`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import insert, select, update

from egret_aggregator.database.tables import TOKEN

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection


class TokenRow(NamedTuple):
    """One token: who bears it, until when; never the secret itself.

    Attributes:
        id: public part; name, role: of its bearer; hash: SHA-256 of the secret, hex.
        created_ms, expires_ms: the machine's time; revoked_ms: None while it is good.
    """

    id: str
    name: str
    role: str
    hash: str
    created_ms: int
    expires_ms: int
    revoked_ms: int | None


async def add(connection: AsyncConnection, row: TokenRow) -> None:
    """Write a new token."""
    await connection.execute(insert(TOKEN).values(**row._asdict()))


async def get(connection: AsyncConnection, token: str) -> TokenRow | None:
    """Return the token of a public id."""
    row = (await connection.execute(select(TOKEN).where(TOKEN.c.id == token))).first()
    return None if row is None else TokenRow(*row)


async def everything(connection: AsyncConnection) -> list[TokenRow]:
    """Return all tokens, the oldest first."""
    rows = await connection.execute(select(TOKEN).order_by(TOKEN.c.created_ms, TOKEN.c.id))
    return [TokenRow(*row) for row in rows]


async def revoke(connection: AsyncConnection, token: str, now_ms: int) -> bool:
    """End a token; False where there is none that is still good."""
    done = await connection.execute(
        update(TOKEN)
        .where(TOKEN.c.id == token, TOKEN.c.revoked_ms.is_(None))
        .values(revoked_ms=now_ms)
    )
    return done.rowcount == 1
