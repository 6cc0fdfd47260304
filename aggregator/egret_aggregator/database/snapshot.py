"""A copy of a SQLite file in use, as of one commit; writers are not held up."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from egret_aggregator.database import sqlite
from egret_aggregator.errors import BackupError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGES = 4096  # 16 MB between two words of progress


def copy(source: Path, target: Path, said: Callable[[int, int], None]) -> None:
    """Copy a database page by page; what is committed meanwhile is not in it.

    Args:
        source: a SQLite file.
        target: a file that is not there.
        said: told how many pages of how many are done.

    Raises:
        BackupError: the source is none, or cannot be read.
    """

    def progress(_status: int, left: int, total: int) -> None:
        said(total - left, total)

    try:
        with closing(sqlite.connect(source, writer=False)) as live:
            # A transaction of our own: else each commit of the centre would start the copy anew.
            live.execute("BEGIN")
            live.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with closing(sqlite3.connect(target)) as copied:
                live.backup(copied, pages=PAGES, progress=progress)
                # One file, nothing beside it; whoever opens it next chooses its mode again.
                copied.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise BackupError(
            f"{source}: {error}", "see that it is a database of this centre"
        ) from error
