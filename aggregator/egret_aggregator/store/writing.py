"""One transaction of the SQLite store, in its writer's thread."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import fields
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING

from egret_aggregator.database import sqlite
from egret_aggregator.store import asides as asides_
from egret_aggregator.store import schema
from egret_aggregator.store.model import Aside, MetaFact, Origin, Receipt, StoredReading, as_of_ms
from egret_aggregator.store.origins import CONFLICT, Origins
from egret_core.entries import meta_entry
from egret_core.messages import ChannelMeta

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence


def write(
    db: sqlite3.Connection,
    rows: Sequence[StoredReading],
    asides: Sequence[Aside],
    positions: Mapping[int, int],
    metas: Sequence[MetaFact],
    *,
    origins: Sequence[Origin] = (),
) -> Receipt:
    """Write everything, or nothing and raise sqlite3.Error."""
    with transaction(db):
        accepted, refused = _rows(db, rows)
        senders = Origins(rows, origins)
        conflicts = [senders.aside(row, CONFLICT) for row in refused]
        beside(db, asides, positions, metas, conflicts)
    return Receipt(accepted, len(rows) - accepted - len(refused), len(refused))


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Keep everything of a block, or nothing."""
    sqlite.begin(db)
    try:
        yield
        sqlite.commit(db)
    except BaseException:
        sqlite.rollback(db)
        raise


def beside(
    db: sqlite3.Connection,
    asides: Sequence[Aside],
    positions: Mapping[int, int],
    metas: Sequence[MetaFact],
    conflicts: Sequence[Aside],
) -> None:
    """Write what goes with rows, wherever those are: asides, facts, second values, positions."""
    count(db, "asides_dropped", asides_.keep(db, [*asides, *conflicts]))
    _metas(db, metas)
    sqlite.insert(
        db, "INSERT OR REPLACE INTO position(partition, position)", list(positions.items())
    )
    count(db, "conflicts", len(conflicts))


def renew_last(db: sqlite3.Connection, rows: Iterable[StoredReading]) -> None:
    """Let stored rows be the latest of their channels where they are newer."""
    sqlite.insert(
        db,
        schema.INSERT_LAST[0],
        [(*row, as_of_ms(row)) for row in rows],
        schema.INSERT_LAST[1],
    )


def count(db: sqlite3.Connection, name: str, more: int) -> None:
    """Add to a lasting counter."""
    if more:
        sqlite.insert(
            db,
            "INSERT INTO tally(name, value)",
            [(name, more)],
            "ON CONFLICT(name) DO UPDATE SET value = value + excluded.value",
        )


def fact(row: Sequence[str], since_ms: int) -> MetaFact:
    """Return a stored fact: row is (facts JSON, gateway, version)."""
    known = {field.name for field in fields(ChannelMeta)} - {"extra"}
    facts = json.loads(row[0])
    extra = {key: value for key, value in facts.items() if key not in known}
    meta = ChannelMeta(**{key: facts[key] for key in facts.keys() & known}, extra=extra)
    return MetaFact(meta, row[1], row[2], since_ms)


def _rows(db: sqlite3.Connection, rows: Sequence[StoredReading]) -> tuple[int, list[StoredReading]]:
    """Insert rows; return how many were new, and those that differ from what is stored."""
    accepted = 0
    refused: list[StoredReading] = []
    fresh: dict[tuple[str, str], StoredReading] = {}
    for part in sqlite.chunks(rows):
        new = sqlite.insert(db, schema.INSERT[0], part, schema.INSERT[1])
        accepted += new
        if new == len(part):
            newest(fresh, part)
        else:
            # Some were known: find out which differ, and renew `last` from what is stored.
            refused.extend(_different(db, part))
            keys = tuple(chain.from_iterable((r.station, r.channel, r.time_ms) for r in part))
            db.execute(schema.last_from_stored(len(part)), keys)
    renew_last(db, fresh.values())
    return accepted, refused


def newest(fresh: dict[tuple[str, str], StoredReading], rows: Sequence[StoredReading]) -> None:
    """Keep the latest of each channel; identities are unique, so there are no ties."""
    ordered = sorted(rows, key=_moment if any(row[7] for row in rows) else itemgetter(2))
    for key, row in {(row[0], row[1]): row for row in ordered}.items():
        old = fresh.get(key)
        if old is None or _moment(row) > _moment(old):
            fresh[key] = row


def _moment(row: StoredReading) -> tuple[int, int]:
    return as_of_ms(row), row.time_ms


def _different(db: sqlite3.Connection, part: Sequence[StoredReading]) -> list[StoredReading]:
    flat = tuple(chain.from_iterable((at, *row[:7]) for at, row in enumerate(part)))
    text = db.execute(schema.compare(len(part)), flat).fetchone()[0]
    return [part[at] for at in sorted(json.loads(text))]


def _metas(db: sqlite3.Connection, metas: Sequence[MetaFact]) -> None:
    sqlite.insert(
        db,
        "INSERT INTO meta(station, channel, version, gateway, since_ms, facts)",
        [
            (
                item.meta.station,
                item.meta.channel,
                item.version,
                item.gateway,
                item.since_ms,
                json.dumps(meta_entry(item.meta), separators=(",", ":")),
            )
            for item in metas
        ],
        "ON CONFLICT DO UPDATE SET since_ms = max(since_ms, excluded.since_ms)",
    )
