"""A ledger in a file of its own, with a clock that a test turns."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rig import databases

from egret_aggregator.database import Database
from egret_aggregator.warnings import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

START_MS = 1_503_014_400_000


class Hands:
    """The hands of a clock: each look moves them a millisecond."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.at_ms = now_ms

    def now_ms(self) -> int:
        self.at_ms += 1
        return self.at_ms


@asynccontextmanager
async def opened(path: Path, hands: Hands | None = None) -> AsyncIterator[tuple[Ledger, Database]]:
    """Open the ledger in a file, or in the database that stands for it."""
    database = Database(databases.place(path))
    await database.open()
    try:
        ledger = Ledger(database, (hands or Hands()).now_ms)
        await ledger.open()
        yield ledger, database
    finally:
        await database.close()
