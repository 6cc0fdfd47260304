"""What the uplink reads from the outbox, beside the writing thread and never in its way."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING

from egret_gateway.outbox.file import (
    META_FIRST,
    NEWEST_FIRST,
    OLDEST_FIRST,
    URGENT_FIRST,
    read_parcels,
)
from egret_gateway.outbox.schema import connect_reader

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egret_gateway.outbox.model import Parcel

LOOK_ROWS = 64  # batches read at once: 64 x 32 kB is the most they can weigh


class Reader:
    """A reading connection of its own, opened at each use's first need."""

    def __init__(self, path: Path, boot: str) -> None:
        self._path = path
        self._boot = boot
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    async def metas(self) -> list[Parcel]:
        """Return unsettled meta batches, oldest first."""
        return await self._read(META_FIRST, (LOOK_ROWS,))

    async def urgent(self, after_id: int) -> list[Parcel]:
        """Return unsettled urgent batches after a row, oldest first."""
        return await self._read(URGENT_FIRST, (after_id, LOOK_ROWS))

    async def oldest(self, after_id: int) -> list[Parcel]:
        """Return unsettled batches after a row, oldest first."""
        return await self._read(OLDEST_FIRST, (after_id, LOOK_ROWS))

    async def newest(self) -> list[Parcel]:
        """Return the newest unsettled batch, or nothing."""
        return await self._read(NEWEST_FIRST, (1,))

    async def question(self) -> list[Parcel]:
        """Return the current meta, settled or not: sent again only to hear the centre's time."""
        return await asyncio.to_thread(self._read_now, "b.kept = 1 ORDER BY b.id LIMIT ?", (1,), -1)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    async def _read(self, where: str, args: Sequence[object]) -> list[Parcel]:
        return await asyncio.to_thread(self._read_now, where, args, 0)

    def _read_now(self, where: str, args: Sequence[object], state: int) -> list[Parcel]:
        with self._lock:
            if self._db is None:
                self._db = connect_reader(self._path)
            try:
                return read_parcels(self._db, where, args, self._boot, state)
            except sqlite3.DatabaseError:
                # The file may have been replaced under us: the next read opens it anew.
                self._db.close()
                self._db = None
                return []
