"""The same tests on a SQLite file and on PostgreSQL: a path stands for a database of either."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from rig.postgresql import Cluster, why_missing

from egret_aggregator.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egret_aggregator.config import DatabaseSettings

BOTH = (
    "sqlite",
    pytest.param(
        "postgresql",
        marks=[
            pytest.mark.system,
            pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
        ],
    ),
)
_TRIGGERS = {
    True: ("DROP TRIGGER ledger_append_only ON ledger",),
    False: ("DROP TRIGGER ledger_no_UPDATE", "DROP TRIGGER ledger_no_DELETE"),
}


FRESH = "fresh"  # a database with our tables, copied for each test: quicker than migrations


class _Served:
    """The cluster in use, and which database stands for which path."""

    cluster: Cluster | None = None
    known: dict[str, DatabaseSettings] = {}  # noqa: RUF012  (one per test run)


def use(kind: str, cluster: Cluster | None) -> Iterator[str]:
    """Have paths stand for this kind of database until the generator ends."""
    _Served.cluster = cluster
    if cluster is not None and FRESH not in _Served.known:
        _Served.known[FRESH] = cluster.create(FRESH)
        asyncio.run(_migrate(_Served.known[FRESH]))
    yield kind
    _Served.cluster = None


async def _migrate(settings: DatabaseSettings) -> None:
    database = Database(settings)
    await database.open()
    await database.close()


def place(path: Path) -> Path | DatabaseSettings:
    """Return what to open for a path: the file itself, or a database of its own."""
    if _Served.cluster is None:
        return path
    name = "t" + hashlib.sha256(str(path).encode()).hexdigest()[:20]
    if name not in _Served.known:
        _Served.known[name] = _Served.cluster.create(name, f"TEMPLATE {FRESH}")
    return _Served.known[name]


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Return what a query answers, asked behind the program's back."""
    where = place(path)
    if _Served.cluster is None or where is path:
        with closing(sqlite3.connect(path)) as db:
            return db.execute(statement).fetchall()
    name = where.url.rpartition("/")[2]  # type: ignore[union-attr]
    wrapped = f"SELECT row_to_json(q) FROM ({statement}) q"  # noqa: S608
    told = _Served.cluster.sql(wrapped, name)
    return [tuple(json.loads(line).values()) for line in told.splitlines()]


def change(path: Path, *statements: str) -> None:
    """Change a database behind the program's back."""
    where = place(path)
    if _Served.cluster is None or where is path:
        with closing(sqlite3.connect(path)) as db, db:
            for statement in statements:
                db.execute(statement)
        return
    name = where.url.rpartition("/")[2]  # type: ignore[union-attr]
    _Served.cluster.sql("; ".join(statements), name)


def tamper(path: Path, *statements: str) -> None:
    """Change a database as somebody would who may do all: the guards fall first."""
    change(path, *_TRIGGERS[_Served.cluster is not None], *statements)
