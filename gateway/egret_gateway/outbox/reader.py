"""What the uplink reads from the outbox, beside the writing thread and never in its way."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from egret_core.codec import payload_hash
from egret_core.messages import Kind
from egret_gateway.outbox.model import Parcel
from egret_gateway.outbox.schema import connect_reader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

LOOK_ROWS = 64  # batches read at once: 64 x 32 kB is the most they can weigh
_PARCEL = "b.id, l.id, b.seq, b.hash, b.kind, b.urgent, b.cut_mono, b.boot, b.payload"
_META_FIRST = f"b.kind = '{Kind.META}' ORDER BY b.id LIMIT ?"
_URGENT_FIRST = "b.urgent = 1 AND b.id > ? ORDER BY b.id LIMIT ?"
_OLDEST_FIRST = "b.id > ? ORDER BY b.id LIMIT ?"
_NEWEST_FIRST = "b.id > 0 ORDER BY b.id DESC LIMIT ?"
_OLDEST_CUT = "SELECT id, cut_mono, boot, cut_real FROM batch WHERE state = 0 ORDER BY id LIMIT ?"


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
        return await self._read(_META_FIRST, (LOOK_ROWS,))

    async def urgent(self, after_id: int) -> list[Parcel]:
        """Return unsettled urgent batches after a row, oldest first."""
        return await self._read(_URGENT_FIRST, (after_id, LOOK_ROWS))

    async def oldest(self, after_id: int) -> list[Parcel]:
        """Return unsettled batches after a row, oldest first."""
        return await self._read(_OLDEST_FIRST, (after_id, LOOK_ROWS))

    async def newest(self) -> list[Parcel]:
        """Return the newest unsettled batch, or nothing."""
        return await self._read(_NEWEST_FIRST, (1,))

    async def question(self) -> list[Parcel]:
        """Return the current meta, settled or not: sent again only to hear the centre's time."""
        return await asyncio.to_thread(self._read_now, "b.kept = 1 ORDER BY b.id LIMIT ?", (1,), -1)

    async def oldest_cut(self, but: Collection[int] = ()) -> tuple[int | None, int] | None:
        """Return when the oldest unsettled batch was cut: monotonic of this boot, and real ms.

        Args:
            but: rows that are settled and not marked so yet.
        """
        return await asyncio.to_thread(self._oldest_cut, but)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    async def _read(self, where: str, args: Sequence[object]) -> list[Parcel]:
        return await asyncio.to_thread(self._read_now, where, args, 0)

    def _oldest_cut(self, but: Collection[int]) -> tuple[int | None, int] | None:
        for row_id, mono, boot, real in self._rows(_OLDEST_CUT, (len(but) + 1,)):
            if row_id not in but:
                return (mono if boot == self._boot else None, real)
        return None

    def _read_now(self, where: str, args: Sequence[object], state: int) -> list[Parcel]:
        rows = self._rows(_parcels_query(where, state), args)
        parcels = [_parcel_of(row, self._boot) for row in rows]
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


def _parcels_query(where: str, state: int) -> str:
    """Return the query for sealed batches in a state (-1: any); `where` is a clause above."""
    # A literal state, so that SQLite may use the partial index of unsettled rows.
    which = "" if state < 0 else f"b.state = {state:d} AND "
    return (
        f"SELECT {_PARCEL} FROM batch b JOIN log l ON l.no = b.log"  # noqa: S608  (ours)
        f" WHERE {which}b.hash != '' AND {where}"
    )


def _parcel_of(row: tuple[Any, ...], boot: str) -> Parcel:
    """Return a row of `_parcels_query` as a parcel."""
    return Parcel(
        id=row[0],
        log=row[1],
        seq=row[2],
        hash=row[3],
        kind=row[4],
        urgent=bool(row[5]),
        cut_mono_ms=row[6] if row[7] == boot else None,
        payload=row[8],
    )
