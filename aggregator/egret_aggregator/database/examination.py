"""Whether a SQLite file is whole, found out within a time and without changing it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import sqlite

if TYPE_CHECKING:
    from pathlib import Path

STEPS = 10_000  # of SQLite's machine between two looks at the time: some milliseconds


class Examined(NamedTuple):
    """What was found.

    Attributes:
        fault: what is wrong, "" for nothing.
        whole: the whole file was read; False where the time did not suffice.
        used_b: bytes in use.
    """

    fault: str
    whole: bool
    used_b: int


def examine(path: Path, limit_s: float) -> Examined:
    """Read a file's pages and say whether they fit together; at most `limit_s` long."""
    end_s = time.monotonic() + limit_s
    try:
        with closing(sqlite.connect(path, writer=False)) as db:
            used_b = sqlite.used_bytes(db)
            db.set_progress_handler(lambda: time.monotonic() > end_s, STEPS)
            try:
                said = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
            except sqlite3.OperationalError:
                if time.monotonic() <= end_s:
                    raise
                return Examined("", whole=False, used_b=used_b)
            return Examined("" if said == "ok" else said, whole=True, used_b=used_b)
    except sqlite3.Error as error:
        return Examined(str(error), whole=True, used_b=0)
