"""Our own tables as a text that any database can take: gzip, one JSON array a line.

The first line is an object: `format`, `revision` (of the migrations) and `tables` with their
columns. Each further line is a row: the table's name, then its values. The export sees one state
of the database, and a row more or less makes it unreadable: the last line counts them.
"""

from __future__ import annotations

import gzip
import json
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from alembic.migration import MigrationContext
from sqlalchemy import column, func, insert, select, table

from egret_aggregator.database.tables import KEYS_MAX, LEDGER, METADATA
from egret_aggregator.errors import BackupError
from egret_aggregator.warnings.record import EMPTY, Head, Record, is_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from egret_aggregator.database.engine import Database

FORMAT = 1
LINE_MAX = 16 * 1024 * 1024  # characters; a ledger line has some thousand
SAY_EVERY = 1000  # rows between two words of progress
LEVEL = 1  # of compression: the disk, not the processor, shall be the limit


class Exported(NamedTuple):
    """What an export holds: the migrations' revision, rows by table, the ledger's head."""

    revision: str
    rows: dict[str, int]
    head: Head


async def export(database: Database, target: Path, said: Callable[[int, int], None]) -> Exported:
    """Write all tables of an open database into a new file."""
    async with database.reading() as connection:
        revision = await connection.run_sync(_revision)
        counts = {
            name: int(await connection.scalar(select(func.count()).select_from(kept)) or 0)
            for name, kept in METADATA.tables.items()
        }
        total, done = sum(counts.values()), 0
        with gzip.open(target, "wt", LEVEL, encoding="ascii", newline="\n") as out:
            columns = {name: list(kept.c.keys()) for name, kept in METADATA.tables.items()}
            out.write(_line({"format": FORMAT, "revision": revision, "tables": columns}))
            head = EMPTY
            for name, kept in METADATA.tables.items():
                rows = await connection.stream(select(kept).order_by(*kept.primary_key))
                async for row in rows:
                    out.write(_line([name, *row]))
                    done += 1
                    if name == LEDGER.name:
                        head = Head(row.seq, row.hash)
                    if done % SAY_EVERY == 0:
                        said(done, total)
            out.write(_line({"rows": counts}))
    return Exported(revision, counts, head)


def read(path: Path) -> tuple[Mapping[str, Any], Iterator[tuple[str, list[Any]]]]:
    """Return an export's first line, and its rows as (table, values).

    Raises:
        BackupError: it is no export of ours, or was cut short; the rows raise it too.
    """
    lines = _lines(path)
    first = next(lines, None)
    if not isinstance(first, dict) or first.get("format") != FORMAT:
        raise BackupError(f"{path}: no export of this version", "use the version that wrote it")
    return first, _rows(path, lines)


def check(path: Path) -> Exported:
    """Read an export to its end; the ledger's lines must be sealed and chained.

    Raises:
        BackupError: it is damaged; the line is named.
    """
    first, rows = read(path)
    counts = dict.fromkeys(first["tables"], 0)
    head = EMPTY
    for name, values in rows:
        counts[name] += 1
        if name == LEDGER.name:
            line = Record(
                *(dict(zip(first["tables"][name], values, strict=True))[f] for f in Record._fields)
            )
            if not is_sealed(line) or (line.seq, line.prev_hash) != (head.seq + 1, head.hash):
                raise BackupError(
                    f"{path}: ledger line {line.seq} does not follow the one before",
                    "the ledger was changed before it was copied: see `audit verify`",
                )
            head = Head(line.seq, line.hash)
    return Exported(str(first["revision"]), counts, head)


async def load(database: Database, path: Path, said: Callable[[int, int], None]) -> None:
    """Fill an empty database from an export, then bring it up to date.

    Args:
        database: closed; it is open afterwards.
        path: the export, already checked.
        said: told how many rows are done, of 0: unknown.

    Raises:
        BackupError: the database holds something already.
    """
    first, rows = read(path)
    await database.open(str(first["revision"]))
    tables = {name: table(name, *map(column, names)) for name, names in first["tables"].items()}
    async with database.writing() as connection:
        await _refuse_full(connection, database.name, tables)
        done = 0
        while part := list(islice(rows, KEYS_MAX)):
            for name in dict.fromkeys(name for name, _ in part):
                names = first["tables"][name]
                some = [dict(zip(names, v, strict=True)) for kept, v in part if kept == name]
                await connection.execute(insert(tables[name]), some)
            done += len(part)
            said(done, 0)
    await database.close()
    await database.open()


async def _refuse_full(connection: AsyncConnection, name: str, tables: Mapping[str, Any]) -> None:
    for kept in tables.values():
        if await connection.scalar(select(func.count()).select_from(kept)):
            raise BackupError(
                f"{name}: table {kept.name} is not empty", "restore into an empty database"
            )


def _revision(connection: Connection) -> str:
    return str(MigrationContext.configure(connection).get_current_revision())


def _line(body: object) -> str:
    return json.dumps(body, separators=(",", ":")) + "\n"


def _lines(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path, "rt", encoding="ascii", newline="\n") as source:
            while text := source.readline(LINE_MAX):
                yield json.loads(text)
    except (OSError, EOFError, ValueError) as error:
        raise BackupError(f"{path}: {error}", "take another backup: this one is damaged") from error


def _rows(path: Path, lines: Iterator[Any]) -> Iterator[tuple[str, list[Any]]]:
    counts: dict[str, int] = {}
    last: object = None
    for line in lines:
        if isinstance(line, dict):
            last = {name: number for name, number in line["rows"].items() if number}
            continue
        counts[line[0]] = counts.get(line[0], 0) + 1
        yield line[0], line[1:]
    if last != counts:
        raise BackupError(f"{path}: it ends too early", "take another backup: this one is damaged")
