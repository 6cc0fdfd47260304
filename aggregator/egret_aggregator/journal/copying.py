"""A copy of the journal while it runs: first where its consumers are, last what followed.

`begin` copies positions and state, `follow` every entry since those positions and the books. What
is copied between the two (ledger, series) may be ahead of the positions and is never behind them,
so that the consumers of the copy come to the same end: what they do twice they do once.

The journal in use is only read, as of one commit: its writer never waits for the copy.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import sqlite
from egret_aggregator.errors import BackupError
from egret_aggregator.journal import schema
from egret_aggregator.journal.journal import CONSUMERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHUNK_IDS = 5000  # entries between two words of progress
_ENTRIES = (
    "INSERT INTO entry SELECT e.* FROM live.entry e WHERE e.id > ? AND e.id <= ?"
    " AND e.id > coalesce((SELECT upto FROM floor WHERE floor.partition = e.partition), 0)"
)


class Copied(NamedTuple):
    """What is in a finished copy: its entries, the newest id, and the positions it starts from."""

    entries: int
    head: int
    positions: dict[int, int]


class JournalCopy:
    """One journal being copied into a new file.

    Args:
        source: the file of a journal, which may be in use; target: a file that is not there.

    Raises:
        BackupError: the target cannot be made.
    """

    def __init__(self, source: Path, target: Path) -> None:
        self._source = source
        self._target = target
        with self._told():
            self._db = schema.open_file(target)
        self._floor: dict[int, int] = {}

    def begin(self) -> None:
        """Copy positions and state, as of one commit.

        Raises:
            BackupError: the journal is of another version, or cannot be copied.
        """
        with self._told():
            self._begin()

    def follow(self, said: Callable[[int, int], None]) -> Copied:
        """Copy the entries since the positions, and the books, as of one later commit.

        Args:
            said: told how many ids of how many are done.

        Raises:
            BackupError: they cannot be copied.
        """
        with self._told():
            return self._follow(said)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise BackupError(
                f"{self._target}: the journal is not copied: {error}",
                "make room there, and see that the journal can be read; then begin anew",
            ) from error

    def _begin(self) -> None:
        self._db.execute("ATTACH ? AS live", (str(self._source),))
        found = self._db.execute("PRAGMA live.user_version").fetchone()[0]
        if found != schema.VERSION:
            raise BackupError(
                f"{self._source}: journal of version {found}, not {schema.VERSION}",
                "back it up with the version that runs it",
            )
        self._as_of_now()
        for table in ("position", "state"):
            self._db.execute(f"INSERT INTO {table} SELECT * FROM live.{table}")  # noqa: S608
        sqlite.commit(self._db)
        kept = dict(self._db.execute("SELECT consumer, positions FROM position"))
        # Who has noted nothing yet has passed nothing; whom trimming does not wait for, no matter.
        moved = [
            {int(part): at for part, at in json.loads(kept.get(name, "{}")).items()}
            for name in CONSUMERS
        ]
        parts = {part for one in moved for part in one}
        self._floor = {part: min(one.get(part, 0) for one in moved) for part in parts}

    def _follow(self, said: Callable[[int, int], None]) -> Copied:
        self._db.execute("CREATE TEMP TABLE floor(partition INTEGER PRIMARY KEY, upto INTEGER)")
        sqlite.insert(self._db, "INSERT INTO floor(partition, upto)", list(self._floor.items()))
        self._as_of_now()
        head = self._db.execute("SELECT coalesce(max(id), 0) FROM live.entry").fetchone()[0]
        oldest = self._db.execute("SELECT coalesce(min(id), 1) FROM live.entry").fetchone()[0]
        first = max(oldest - 1, min(self._floor.values(), default=0))
        for start in range(first, head, CHUNK_IDS):
            self._db.execute(_ENTRIES, (start, min(start + CHUNK_IDS, head)))
            said(start - first, head - first)
        for table in ("log", "seen", "clash"):
            self._db.execute(f"INSERT INTO {table} SELECT * FROM live.{table}")  # noqa: S608
        sqlite.commit(self._db)
        count = self._db.execute("SELECT count(*) FROM main.entry").fetchone()[0]
        return Copied(count, head, self._floor)

    def _as_of_now(self) -> None:
        # Not IMMEDIATE: that would take the write lock of the attached journal too.
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Leave one whole file, with nothing beside it."""
        try:
            self._db.execute("DETACH live")
            self._db.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error:  # the copy was given up half way
            pass
        finally:
            self._db.close()
