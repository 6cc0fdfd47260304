"""Files of every released schema, kept as text: today's program opens them and goes on.

A folder `vNNNN` holds one small centre as that release left it: `journal.sql`, `series.sql` and
`egret.sql` (SQLite's own dumps, with the file's version), `ledger.jsonl` (the export that a backup
holds) and `expected.json`. Before a release that changed a schema, add one and commit it:

    EGRET_NEW_SCHEMA=v0002 pytest tests/aggregator/schemas

A folder that was released is never written again.
"""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from rig import databases
from rig.small_centre import SmallCentre

from egret_aggregator.database import Database, portable
from egret_aggregator.database.tables import METADATA
from egret_aggregator.tokens import Role, Tokens
from egret_aggregator.warnings import audit
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.record import Kind
from egret_aggregator.warnings.state import to_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

FOLDER = Path(__file__).parent
RELEASED = sorted(path for path in FOLDER.glob("v[0-9]*") if path.is_dir())
FILES = ("journal", "series", "egret")


def quiet(*_: object) -> None:
    """Progress that nobody looks at."""


def dumped(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        marks = [
            f"PRAGMA {name}={db.execute(f'PRAGMA {name}').fetchone()[0]};"
            for name in ("user_version", "application_id")
        ]
        return "\n".join([*marks, *db.iterdump()]) + "\n"


def laid_out(version: Path, folder: Path) -> SmallCentre:
    """Make a centre whose files are those of a release."""
    centre = SmallCentre(folder)
    centre.data.mkdir()
    for name in FILES:
        with closing(sqlite3.connect(centre.data / f"{name}.db")) as db:
            db.executescript((version / f"{name}.sql").read_text(encoding="utf-8"))
    return centre


def expected(version: Path) -> dict[str, Any]:
    return dict(json.loads((version / "expected.json").read_text(encoding="utf-8")))


async def found(centre: SmallCentre) -> dict[str, Any]:
    """What must be the same, whatever the schema."""
    return {
        "warnings": [to_json(state) for state in await centre.standing()],
        "values": await centre.values(),
        "head": list(centre.ledger.head),
        "tokens": [row.name for row in await tokens(centre).everything()],
    }


def tokens(centre: SmallCentre) -> Tokens:
    return Tokens(centre.ledger._database, centre.ledger, lambda: centre.now_ms)


@pytest.mark.skipif("EGRET_NEW_SCHEMA" not in os.environ, reason="writes what is to be kept")
async def test_write_a_new_one(tmp_path: Path) -> None:
    version = FOLDER / os.environ["EGRET_NEW_SCHEMA"]
    version.mkdir()
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 2.0, 3.5, 4.5)
        (warning,) = await centre.standing()
        await centre.ledger.act(Act(Kind.ACKNOWLEDGED, warning.id, "officer:li", note="seen"))
        await centre.levels(4, 2.0)
        await tokens(centre).add("li", Role.OFFICER)
        told = json.dumps(await found(centre), indent=1, ensure_ascii=False)
        (version / "expected.json").write_text(told + "\n")
        await portable.export(centre.ledger._database, tmp_path / "ledger.gz", quiet)
    with gzip.open(tmp_path / "ledger.gz", "rt") as text:
        (version / "ledger.jsonl").write_text(text.read())
    for name in FILES:
        (version / f"{name}.sql").write_text(dumped(centre.data / f"{name}.db"))


def test_there_is_one_at_least() -> None:
    assert [path.name for path in RELEASED][:1] == ["v0001"]


@pytest.mark.parametrize("version", RELEASED, ids=lambda path: path.name)
async def test_a_release_is_opened_and_goes_on(tmp_path: Path, version: Path) -> None:
    centre = laid_out(version, tmp_path)
    async with centre.running():
        assert not centre.behind
        assert await found(centre) == expected(version)
        await centre.levels(5, 2.0, 4.7)
        assert len(await centre.values()) == len(expected(version)["values"]) + 2
        report = await audit.verify(centre.ledger._database)
        assert (report.findings, report.lines > expected(version)["head"][0]) == ([], True)


@pytest.mark.parametrize("version", RELEASED, ids=lambda path: path.name)
async def test_after_the_migrations_nothing_differs_from_the_tables(
    tmp_path: Path, version: Path
) -> None:
    database = Database(laid_out(version, tmp_path).place)
    await database.open()

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("version", RELEASED, ids=lambda path: path.name)
async def test_a_backup_of_a_release_is_taken(tmp_path: Path, version: Path) -> None:
    export = tmp_path / "ledger.jsonl.gz"
    with gzip.open(export, "wt") as out:
        out.write((version / "ledger.jsonl").read_text(encoding="utf-8"))
    assert list(portable.check(export).head) == expected(version)["head"]
    database = Database(databases.place(tmp_path / "egret.db"))
    await portable.load(database, export, quiet)
    report = await audit.verify(database)
    assert (list(report.head), report.findings) == (expected(version)["head"], [])
    await database.close()
