"""Statements on the table `ledger`: append and read, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from egret_aggregator.database.tables import KEYS_MAX, LEDGER
from egret_aggregator.warnings.record import EMPTY, Head, Record

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection


async def head(connection: AsyncConnection) -> Head:
    """Return the newest line."""
    newest = select(LEDGER.c.seq, LEDGER.c.hash).order_by(LEDGER.c.seq.desc()).limit(1)
    row = (await connection.execute(newest)).first()
    return EMPTY if row is None else Head(row.seq, row.hash)


async def append(connection: AsyncConnection, records: Sequence[Record]) -> None:
    """Append sealed lines."""
    if records:
        await connection.execute(insert(LEDGER), [record._asdict() for record in records])


async def known(connection: AsyncConnection, keys: Sequence[str]) -> dict[str, str]:
    """Return which keys have a line, each with that line's warning."""
    found: dict[str, str] = {}
    for start in range(0, len(keys), KEYS_MAX):
        part = keys[start : start + KEYS_MAX]
        rows = select(LEDGER.c.key, LEDGER.c.warning).where(LEDGER.c.key.in_(part))
        found.update({row.key: row.warning for row in await connection.execute(rows)})
    return found


async def by_key(connection: AsyncConnection, key: str) -> Record | None:
    """Return the line of a key."""
    row = (await connection.execute(select(LEDGER).where(LEDGER.c.key == key))).first()
    return None if row is None else _record(row)


async def after(
    connection: AsyncConnection, seq: int, limit: int, kinds: Collection[str] = ()
) -> list[Record]:
    """Return lines after a seq, in order; of these kinds only, where any are named."""
    query = select(LEDGER).where(LEDGER.c.seq > seq).order_by(LEDGER.c.seq).limit(limit)
    if kinds:
        query = query.where(LEDGER.c.kind.in_(list(kinds)))
    return [_record(row) for row in await connection.execute(query)]


async def count_after(connection: AsyncConnection, seq: int, limit: int) -> int:
    """Return how many lines follow a seq, counting no further than `limit`."""
    some = select(LEDGER.c.seq).where(LEDGER.c.seq > seq).limit(limit).subquery()
    found = await connection.scalar(select(func.count()).select_from(some))
    return int(found or 0)


async def of_warning(
    connection: AsyncConnection, warning: str, limit: int, *, up_to: int | None = None
) -> list[Record]:
    """Return the newest lines of a warning in order, none later than `up_to`."""
    query = select(LEDGER).where(LEDGER.c.warning == warning)
    if up_to is not None:
        query = query.where(LEDGER.c.seq <= up_to)
    rows = await connection.execute(query.order_by(LEDGER.c.seq.desc()).limit(limit))
    return [_record(row) for row in rows][::-1]


def _record(row: Row[Any]) -> Record:
    return Record._make(row)
