"""A look at a journal from outside, while its centre runs or not."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.database import sqlite
from egret_aggregator.errors import JournalError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Inspection(NamedTuple):
    """What a journal says of itself.

    Attributes:
        head: newest entry's id, 0 for none; newest_ms: its receipt.
        positions: newest entry of each consumer; used_b: bytes in use.
    """

    head: int
    newest_ms: int
    positions: Mapping[str, int]
    used_b: int


def inspect(path: Path) -> Inspection:
    """Return what the journal says.

    Raises:
        JournalError: it cannot be read.
    """
    try:
        with closing(sqlite.connect(path, writer=False)) as db:
            newest = db.execute("SELECT id, received_ms FROM entry ORDER BY id DESC LIMIT 1")
            head, newest_ms = newest.fetchone() or (0, 0)
            positions = {
                name: max(json.loads(text).values(), default=0)
                for name, text in db.execute("SELECT consumer, positions FROM position")
            }
            return Inspection(head, newest_ms, positions, sqlite.used_bytes(db))
    except (sqlite3.Error, ValueError) as error:
        raise JournalError(f"{path}: {error}") from error
