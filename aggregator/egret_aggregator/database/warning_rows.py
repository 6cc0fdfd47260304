"""Statements on the table `warning`: what the fold of the ledger says now."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select

from egret_aggregator.database.tables import KEYS_MAX, WARNING
from egret_aggregator.warnings.record import canonical
from egret_aggregator.warnings.state import State, WarningState, from_json, to_json

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from sqlalchemy import Column, ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

NUL = "\0"  # no text of ours has one, and PostgreSQL refuses to compare with it


@dataclass(frozen=True, slots=True)
class Query:
    """Which warnings are asked for; an empty tuple asks for all.

    Attributes:
        states, levels, hazards, stations: any of these.
        since_ms: changed at or after this record time, None for always.
        before_seq: opened before this line (keyset cursor), None for the newest.
        limit: rows at most.
    """

    states: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    since_ms: int | None = None
    before_seq: int | None = None
    limit: int = 100


async def find(connection: AsyncConnection, query: Query) -> list[WarningState]:
    """Return the warnings asked for, the newest opened first."""
    chosen = select(WARNING.c.body).order_by(WARNING.c.opened_seq.desc()).limit(query.limit)
    rows = await connection.execute(_narrowed(chosen, query))
    return [_state(row.body) for row in rows]


async def get(connection: AsyncConnection, warning: str) -> WarningState | None:
    """Return one warning."""
    if NUL in warning:
        return None
    body = await connection.scalar(select(WARNING.c.body).where(WARNING.c.id == warning))
    return None if body is None else _state(body)


async def several(connection: AsyncConnection, ids: Sequence[str]) -> list[WarningState]:
    """Return the warnings of these ids."""
    return await _by(connection, WARNING.c.id, ids)


async def standing(connection: AsyncConnection, subjects: Sequence[str]) -> list[WarningState]:
    """Return the warnings about these subjects that are not closed."""
    return await _by(connection, WARNING.c.subject, subjects, WARNING.c.state != str(State.CLOSED))


async def newest(
    connection: AsyncConnection, subjects: Sequence[str], limit: int
) -> list[WarningState]:
    """Return the newest warnings about each of these subjects, closed ones too."""
    found: list[WarningState] = []
    for subject in subjects:
        chosen = select(WARNING.c.body).where(WARNING.c.subject == subject)
        rows = await connection.execute(chosen.order_by(WARNING.c.opened_seq.desc()).limit(limit))
        found.extend(_state(row.body) for row in rows)
    return found


async def counts(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    """Return how many warnings that are not closed there are by (state, level)."""
    grouped = (
        select(WARNING.c.state, WARNING.c.level, func.count().label("n"))
        .where(WARNING.c.state != str(State.CLOSED))
        .group_by(WARNING.c.state, WARNING.c.level)
    )
    return {(row.state, row.level): row.n for row in await connection.execute(grouped)}


async def put(connection: AsyncConnection, states: Iterable[WarningState]) -> None:
    """Write what the fold says of these warnings."""
    rows = [row_of(state) for state in states]
    for start in range(0, len(rows), KEYS_MAX):
        part = rows[start : start + KEYS_MAX]
        ids = [row["id"] for row in part]
        # Deleting first serves every database alike, and the transaction hides it.
        await connection.execute(delete(WARNING).where(WARNING.c.id.in_(ids)))
        await connection.execute(insert(WARNING), part)


async def clear(connection: AsyncConnection) -> None:
    """Empty the table, before it is written anew from the ledger."""
    await connection.execute(delete(WARNING))


async def everything(connection: AsyncConnection) -> AsyncIterator[dict[str, Any]]:
    """Yield every row as it stands."""
    rows = await connection.stream(select(WARNING).order_by(WARNING.c.opened_seq))
    async for row in rows:
        yield dict(row._mapping)  # noqa: SLF001  (SQLAlchemy's public name for it)


def row_of(state: WarningState) -> dict[str, Any]:
    """Return the row of a state.

    One of a rule and subject stands at a time; one found in late readings stands beside it, and
    its row's rule bears the gap.
    """
    past = f"@{state.gap_from_ms}" if state.retrospective else ""
    return {
        "id": state.id,
        "opened_seq": state.opened_seq,
        "last_seq": state.last_seq,
        "changed_ms": state.changed_ms,
        "rule": f"{state.rule}{past}",
        "subject": state.subject,
        "station": state.station,
        "hazard": state.hazard,
        "state": str(state.state),
        "level": state.level,
        "rank": state.rank,
        "body": canonical(to_json(state)),
    }


def _narrowed(chosen: Select[tuple[str]], query: Query) -> Select[tuple[str]]:
    for column, wanted in (
        (WARNING.c.state, query.states),
        (WARNING.c.level, query.levels),
        (WARNING.c.hazard, query.hazards),
        (WARNING.c.station, query.stations),
    ):
        if wanted:
            chosen = chosen.where(column.in_([word for word in wanted if NUL not in word]))
    if query.since_ms is not None:
        chosen = chosen.where(WARNING.c.changed_ms >= query.since_ms)
    if query.before_seq is not None:
        chosen = chosen.where(WARNING.c.opened_seq < query.before_seq)
    return chosen


async def _by(
    connection: AsyncConnection,
    column: Column[Any],
    values: Sequence[str],
    *conditions: ColumnElement[bool],
) -> list[WarningState]:
    found: list[WarningState] = []
    for start in range(0, len(values), KEYS_MAX):
        part = values[start : start + KEYS_MAX]
        rows = select(WARNING.c.body).where(column.in_(part), *conditions)
        found.extend(_state(row.body) for row in await connection.execute(rows))
    return found


def _state(body: str) -> WarningState:
    return from_json(json.loads(body))
