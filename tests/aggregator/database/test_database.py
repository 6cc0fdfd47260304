"""`egret.db`: made by migrations that say what the tables say, durable as promised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from rig.databases import place
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from egret_aggregator.database import Database
from egret_aggregator.database.tables import METADATA, TOKEN, WARNING

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

ROW = {"id": "a", "name": "n", "role": "viewer", "hash": "h", "created_ms": 1, "expires_ms": 2}


async def test_migrations_and_tables_say_the_same(tmp_path: Path, engine: str) -> None:
    database = Database(place(tmp_path / "new" / "egret.db"))
    await database.open()

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, METADATA))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_opening_again_keeps_what_is_there(tmp_path: Path, engine: str) -> None:
    path = place(tmp_path / "egret.db")
    for _ in range(2):
        database = Database(path)
        await database.open()
        async with database.writing() as connection:
            found = list(await connection.execute(select(TOKEN.c.id)))
            if not found:
                await connection.execute(insert(TOKEN).values(ROW))
        await database.close()
    assert [row.id for row in found] == ["a"]


async def test_commits_are_durable(tmp_path: Path) -> None:
    database = Database(tmp_path / "egret.db")
    await database.open()
    async with database.writing() as connection:
        for pragma, wanted in (("journal_mode", "wal"), ("synchronous", 2), ("busy_timeout", 5000)):
            assert await connection.exec_driver_sql(f"PRAGMA {pragma}") is not None
            value = (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar()
            assert value == wanted, pragma
    await database.close()


async def half_way(database: Database) -> None:
    async with database.writing() as connection:
        await connection.execute(insert(TOKEN).values(ROW))
        raise RuntimeError("half way")


async def put(database: Database, row: dict[str, object]) -> None:
    async with database.writing() as connection:
        await connection.execute(insert(WARNING).values(row))


async def test_an_exception_rolls_back(tmp_path: Path, engine: str) -> None:
    database = Database(place(tmp_path / "egret.db"))
    await database.open()
    with pytest.raises(RuntimeError, match="half way"):
        await half_way(database)
    async with database.reading() as connection:
        assert list(await connection.execute(select(TOKEN))) == []
    await database.close()


async def test_two_open_warnings_of_one_rule_and_subject_cannot_be(
    tmp_path: Path, engine: str
) -> None:
    row = {
        "id": "a",
        "opened_seq": 1,
        "last_seq": 1,
        "changed_ms": 1,
        "rule": "r",
        "subject": "s/c",
        "station": "s",
        "hazard": "level",
        "state": "open",
        "level": "red",
        "rank": 4,
        "body": "{}",
    }
    database = Database(place(tmp_path / "egret.db"))
    await database.open()
    await put(database, row)
    await put(database, {**row, "id": "b", "opened_seq": 2, "state": "closed"})
    with pytest.raises(IntegrityError):
        await put(database, {**row, "id": "c", "opened_seq": 3, "state": "acknowledged"})
    await database.close()


async def test_a_closed_database_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "egret.db")
    with pytest.raises(RuntimeError, match="not open"):
        async with database.reading():
            pass
    await database.close()
