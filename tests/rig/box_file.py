"""An outbox for the time of a block, an ear for its commits, and a look into its file."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from egret_gateway.outbox import Outbox, Parcel

WAIT_S = 30.0
# The layout of files that an older program left in the field.
VERSION_1 = """
CREATE TABLE log (no INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, next_seq INTEGER NOT NULL,
  meta TEXT NOT NULL);
CREATE TABLE batch (id INTEGER PRIMARY KEY AUTOINCREMENT, log INTEGER NOT NULL,
  seq INTEGER NOT NULL, kind TEXT NOT NULL, state INTEGER NOT NULL, urgent INTEGER NOT NULL,
  kept INTEGER NOT NULL, readings INTEGER NOT NULL, cut_mono INTEGER NOT NULL, boot TEXT NOT NULL,
  cut_real INTEGER NOT NULL, hash TEXT NOT NULL, payload BLOB NOT NULL, UNIQUE (log, seq));
CREATE INDEX unsettled ON batch (id) WHERE state = 0;
CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fact (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA application_id = 0x45475242;
PRAGMA user_version = 1;
"""


class Ear:
    """Collects what was committed, and wakes who waits for it."""

    def __init__(self, outbox: Outbox) -> None:
        self.parcels: list[Parcel] = []
        self.rewinds: list[int] = []
        self._news = threading.Condition()
        outbox.listen(self._committed, self._rewound)

    def _committed(self, parcels: Sequence[Parcel]) -> None:
        with self._news:
            self.parcels.extend(parcels)
            self._news.notify_all()

    def _rewound(self, first_id: int) -> None:
        with self._news:
            self.rewinds.append(first_id)
            self._news.notify_all()

    def until_parcels(self, count: int) -> list[Parcel]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.parcels) >= count, WAIT_S)
            return list(self.parcels)

    def until_rewound(self) -> None:
        with self._news:
            assert self._news.wait_for(lambda: bool(self.rewinds), WAIT_S)


@contextmanager
def opened(outbox: Outbox) -> Iterator[Ear]:
    outbox.open()
    try:
        yield Ear(outbox)
    finally:
        outbox.close()


def rows(folder: Path, columns: str = "log, seq, kind, state, payload") -> list[tuple[Any, ...]]:
    db = sqlite3.connect(folder / "outbox.db")
    try:
        return db.execute(f"SELECT {columns} FROM batch ORDER BY id").fetchall()  # noqa: S608
    finally:
        db.close()


def until(holds: Callable[[], bool]) -> None:
    """Wait until it holds; fails after a generous time."""
    end = time.monotonic() + WAIT_S
    never = threading.Event()
    while not holds():
        assert time.monotonic() < end
        never.wait(0.005)
