"""What the uplink reads from the outbox, beside the writing thread and never in its way."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from egret_core.codec import payload_hash
from egret_gateway.outbox.file import (
    META_FIRST,
    NEWEST_FIRST,
    OLDEST_CUT,
    OLDEST_FIRST,
    URGENT_FIRST,
    parcel_of,
    parcels_query,
)
from egret_gateway.outbox.schema import connect_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from egret_gateway.outbox.model import Parcel

LOOK_ROWS = 64  # batches read at once: 64 x 32 kB is the most they can weigh


class Reader:
    """A reading connection of its own, opened at each use's first need."""

    def __init__(self, path: Path, boot: str, rotten: Callable[[Parcel], None]) -> None:
        """Store what is given; `rotten` hears of batches whose bytes the disk has changed."""
        self._path = path
        self._boot = boot
        self._rotten = rotten
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

    async def oldest_cut(self) -> tuple[int | None, int] | None:
        """Return when the oldest unsettled batch was cut: monotonic of this boot, and real ms."""
        return await asyncio.to_thread(self._oldest_cut)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    async def _read(self, where: str, args: Sequence[object]) -> list[Parcel]:
        return await asyncio.to_thread(self._read_now, where, args, 0)

    def _oldest_cut(self) -> tuple[int | None, int] | None:
        parcels = self._rows(OLDEST_CUT, ())
        return next(((m if b == self._boot else None, real) for m, b, real in parcels), None)

    def _read_now(self, where: str, args: Sequence[object], state: int) -> list[Parcel]:
        rows = self._rows(parcels_query(where, state), args)
        parcels = [parcel_of(row, self._boot) for row in rows]
        # SQLite checks no blob: a flipped digit would travel as a true reading.
        sound = [p for p in parcels if payload_hash(p.payload) == p.hash]
        for parcel in parcels if len(sound) < len(parcels) else ():
            if parcel not in sound:
                self._rotten(parcel)
        return sound

    def _rows(self, query: str, args: Sequence[object]) -> list[Any]:
        with self._lock:
            try:
                if self._db is None:
                    self._db = connect_reader(self._path)
                return self._db.execute(query, args).fetchall()
            except sqlite3.DatabaseError:
                # The file may have been replaced under us: the next read opens it anew.
                if self._db is not None:
                    self._db.close()
                self._db = None
                return []
