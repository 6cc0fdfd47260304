"""The default store: one SQLite file, a writing thread and a pool of readers."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from egret_aggregator.database import sqlite
from egret_aggregator.errors import StoreError
from egret_aggregator.store import removal, schema, writing
from egret_aggregator.store.model import (
    Aside,
    KeptAside,
    MetaFact,
    Origin,
    Page,
    Receipt,
    StoredReading,
    StoreHealth,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

READERS = 2  # connections beside the writer's: charts wait for each other, not for the recorder
_NO_ROOM = f"the last {sqlite.RESERVE_B >> 20} MB of the disk are kept for warnings: make room"
_COLUMNS = "station, channel, time, value, raw, flag, reasons, notes, lag"
_T = TypeVar("_T")


class SqliteStore:
    """`TimeSeriesStore` in one file, keyed (station, time, channel).

    Args:
        path: its own file, apart from the journal's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._last_error = ""

    async def open(self) -> None:
        """Open the file, making it where there is none; StoreError where that fails."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-read")
        try:
            self._db = await asyncio.to_thread(schema.open_file, self._path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{self._path}: {error}") from error

    async def close(self) -> None:
        """Finish what runs and close the file."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        for db in self._opened:
            db.close()
        self._opened.clear()
        self._db.close()

    async def write(
        self,
        rows: Sequence[StoredReading],
        asides: Sequence[Aside] = (),
        positions: Mapping[int, int] | None = None,
        metas: Sequence[MetaFact] = (),
        origins: Sequence[Origin] = (),
    ) -> Receipt:
        """Write in one transaction; see `TimeSeriesStore.write`."""
        moved = dict(positions or {})
        return await self.commit(
            lambda db: writing.write(db, rows, asides, moved, metas, origins=origins)
        )

    async def commit(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run work that begins and commits, in the writing thread.

        Raises:
            StoreError: it failed, or the disk is full but for its reserve.
        """

        def run() -> _T:
            if sqlite.spare_bytes(self._path) <= 0:
                raise sqlite3.OperationalError(_NO_ROOM)
            return work(self._db)

        return await self._run(self._writer, run)

    @property
    def adoption(self) -> int:
        """Return 0: its file has what was written through it."""
        return 0

    async def position(self) -> dict[int, int]:
        """Return the recorder's positions."""
        rows = await self._ask("SELECT partition, position FROM position")
        return dict(rows)

    async def latest(self, keys: Sequence[tuple[str, str]] | None = None) -> list[StoredReading]:
        """Return the latest readings, by station and channel."""
        text = f"SELECT {_COLUMNS} FROM last"  # noqa: S608  (our own column names)
        if keys is None:
            rows = await self._ask(f"{text} ORDER BY station, channel")
            return [StoredReading._make(row) for row in rows]
        found: list[StoredReading] = []
        for part in sqlite.chunks(sorted(set(keys))):
            where = f"WHERE (station, channel) IN (VALUES {sqlite.values(2, len(part))})"
            rows = await self._ask(
                f"{text} {where} ORDER BY station, channel", *chain.from_iterable(part)
            )
            found.extend(StoredReading._make(row) for row in rows)
        return found

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return rows of one channel in [from, to)."""
        rows = await self._ask(
            f"SELECT {_COLUMNS} FROM reading WHERE station = ? AND time >= ? AND time < ?"  # noqa: S608
            " AND channel = ? ORDER BY time LIMIT ?",
            station,
            from_ms,
            to_ms,
            channel,
            limit + 1,
        )
        return Page([StoredReading._make(row) for row in rows[:limit]], len(rows) > limit)

    async def asides(self, limit: int, before_id: int | None = None) -> list[KeptAside]:
        """Return asides, newest first."""
        rows = await self._ask(
            "SELECT id, gateway, log, seq, at, why, received_ms, body FROM aside WHERE id < ?"
            " ORDER BY id DESC LIMIT ?",
            2**62 if before_id is None else before_id,
            limit,
        )
        return [KeptAside(row[0], Aside(*row[1:])) for row in rows]

    async def metas(self) -> list[MetaFact]:
        """Return the newest facts of each channel."""
        rows = await self._ask(
            "SELECT facts, gateway, version, since_ms FROM meta m WHERE NOT EXISTS"
            " (SELECT 1 FROM meta o WHERE o.station = m.station AND o.channel = m.channel"
            " AND (o.since_ms, o.version) > (m.since_ms, m.version)) ORDER BY station, channel"
        )
        return [writing.fact(row[:3], row[3]) for row in rows]

    async def oldest(self, from_ms: int) -> Mapping[str, int]:
        """Return each station's oldest reading from an instant on, in ms."""
        return await self._run(self._readers, lambda: removal.raw_oldest(self._reader(), from_ms))

    async def found(self, station: str, before_ms: int) -> removal.Found:
        """Return what a station has before an instant."""
        return await self._run(
            self._readers, lambda: removal.raw_found(self._reader(), station, before_ms)
        )

    async def at_rest(self, station: str, span: tuple[int, int], received_before_ms: int) -> bool:
        """Tell whether all of a span [from, to) was received before an instant."""
        return await self._run(
            self._readers,
            lambda: removal.raw_at_rest(self._reader(), station, span, received_before_ms),
        )

    async def remove(self, station: str, from_ms: int, to_ms: int) -> int:
        """Remove some of a station's readings of a span in one transaction; 0: none is left."""

        def remove() -> int:
            with sqlite.transaction(self._db):
                return removal.raw_remove(self._db, station, from_ms, to_ms)

        return await self._run(self._writer, remove)

    async def health(self) -> StoreHealth:
        """Return how the store is."""
        engine = f"sqlite {sqlite3.sqlite_version}"
        try:
            tally = dict(await self._ask("SELECT name, value FROM tally"))
            kept = (await self._ask("SELECT count(*) FROM aside"))[0][0]
            used_b = await self._run(self._readers, lambda: sqlite.used_bytes(self._reader()))
        except StoreError:
            return StoreHealth(engine, 0, 0, 0, 0, self._last_error)
        conflicts, dropped = tally.get("conflicts", 0), tally.get("asides_dropped", 0)
        return StoreHealth(engine, used_b, conflicts, kept, dropped, self._last_error)

    async def _ask(self, text: str, *args: object) -> list[Any]:
        return await self._run(self._readers, lambda: self._reader().execute(text, args).fetchall())

    def _reader(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = sqlite.connect(self._path, writer=False)
            self._opened.append(db)
        return db

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except (sqlite3.Error, OSError) as error:
            self._last_error = str(error)
            raise StoreError(f"{self._path}: {error}") from error
