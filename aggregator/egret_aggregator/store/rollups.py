"""The rollups: one SQLite file beside every kind of store, a writing thread and readers.

It is made of what the store holds and is made anew where it is missing. Of days whose raw readings
retention has removed it is all there is.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from egret_aggregator.database import sqlite
from egret_aggregator.errors import StoreError
from egret_aggregator.store import removal, rollup_rows
from egret_aggregator.store.rollup_rows import Mark, Rebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from egret_core.buckets import Bucket

READERS = 2  # connections beside the writer's: charts do not wait for the roller
_T = TypeVar("_T")


class Progress(NamedTuple):
    """How far the rollups are.

    Attributes:
        positions: in the journal, by partition.
        rolled_to_ms: receipt time of the newest entry marked, 0 for none.
        marks: buckets to be rolled; rebuilding: channels rolled anew.
        too_late: buckets that something came to after retention had taken their readings.
        adoption: the store's, as of the newest rebuild.
    """

    positions: Mapping[int, int]
    rolled_to_ms: int
    marks: int
    rebuilding: int
    too_late: int
    adoption: int


class Rollups:
    """Ten-minute and hourly buckets of every channel.

    Args:
        path: its own file, apart from the store's.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []

    async def open(self) -> None:
        """Open the file, making it where there is none; StoreError where that fails."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="rollups-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="rollups-read")
        try:
            self._db = await asyncio.to_thread(rollup_rows.open_file, self._path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"{self._path}: {error}: put its backup back, or move it away: it is made anew"
                " from the raw readings that there still are"
            ) from error

    async def close(self) -> None:
        """Finish what runs and close the file."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        for db in self._opened:
            db.close()
        self._opened.clear()
        self._db.close()

    async def progress(self) -> Progress:
        """Return how far the rollups are; StoreError where the file does not answer."""
        return await self._read(_progress)

    async def marks(self) -> list[Mark]:
        """Return the buckets to be rolled."""
        return await self._read(
            lambda db: [Mark._make(row) for row in db.execute("SELECT * FROM mark")]
        )

    async def marked(self, key: tuple[str, str], from_ms: int, to_ms: int) -> list[int]:
        """Return the starts of a channel's buckets to be rolled, in time order."""
        text = (
            "SELECT at FROM mark WHERE station = ? AND channel = ? AND at >= ? AND at < ?"
            " ORDER BY at"
        )
        return await self._read(
            lambda db: [row[0] for row in db.execute(text, (*key, from_ms, to_ms))]
        )

    async def rebuild_from(self, key: tuple[str, str]) -> int | None:
        """Return from when on a channel is still rolled anew, None where it is not."""
        text = "SELECT from_ms FROM rebuild WHERE station = ? AND channel = ?"
        row = await self._read(lambda db: db.execute(text, key).fetchone())
        return None if row is None else int(row[0])

    async def next_rebuild(self, after: tuple[str, str] = ("", "")) -> Rebuild | None:
        """Return the next channel after one that is to be rolled anew, None where none is."""
        text = (
            "SELECT station, channel, from_ms FROM rebuild"
            " ORDER BY (station, channel) <= (?, ?), station, channel LIMIT 1"
        )
        row = await self._read(lambda db: db.execute(text, after).fetchone())
        return None if row is None else Rebuild._make(row)

    async def rows(
        self, key: tuple[str, str], tier_ms: int, from_ms: int, to_ms: int
    ) -> list[Bucket]:
        """Return a tier's buckets of a channel with from <= start < to, in time order."""
        return await self._read(lambda db: rollup_rows.rows(db, key, tier_ms, from_ms, to_ms))

    async def mark(
        self, marks: Sequence[Mark], positions: Mapping[int, int], rolled_to_ms: int
    ) -> None:
        """Keep marks and positions in one transaction; StoreError where nothing was kept."""
        await self._write(lambda db: rollup_rows.mark(db, marks, positions, rolled_to_ms))

    async def begin_rebuild(
        self,
        channels: Sequence[Rebuild],
        positions: Mapping[int, int],
        rolled_to_ms: int,
        adoption: int = 0,
    ) -> None:
        """Have channels rolled anew; what is entered after the positions is marked as usual."""
        await self._write(
            lambda db: rollup_rows.begin_rebuild(db, channels, positions, rolled_to_ms, adoption)
        )

    async def roll(
        self, rolled: Mapping[tuple[str, str], Sequence[Bucket]], done: Iterable[Mark]
    ) -> None:
        """Write ten-minute buckets and their hours, and forget their marks, in one transaction."""
        await self._write(lambda db: rollup_rows.roll(db, rolled, done))

    async def reroll(
        self, channel: Rebuild, buckets: Sequence[Bucket], next_ms: int | None
    ) -> None:
        """Write a piece of a rebuild; it goes on at `next_ms`, None at its end."""
        key = (channel.station, channel.channel)

        def write(db: sqlite3.Connection) -> None:
            further = [] if next_ms is None else [Rebuild(*key, next_ms)]
            rollup_rows.roll(db, {key: buckets}, (), further)
            if next_ms is None:
                rollup_rows.rebuilt(db, key)

        await self._write(write)

    async def oldest(self, tier_ms: int, from_ms: int) -> Mapping[str, int]:
        """Return each station's oldest bucket of a tier from an instant on, in ms."""
        return await self._read(lambda db: removal.rolled_oldest(db, tier_ms, from_ms))

    async def found(self, tier_ms: int, station: str, before_ms: int) -> removal.Found:
        """Return what a station has of a tier before an instant."""
        return await self._read(lambda db: removal.rolled_found(db, tier_ms, station, before_ms))

    async def seal(self, station: str, from_ms: int, to_ms: int) -> bool:
        """Seal a station's hours before their readings go; False where some must be rolled."""
        return await self._write(lambda db: removal.seal(db, station, from_ms, to_ms))

    async def remove(self, tier_ms: int, station: str, from_ms: int, to_ms: int) -> int | None:
        """Remove a station's buckets of a span; how many, None where some must be rolled."""
        return await self._write(
            lambda db: removal.rolled_remove(db, tier_ms, station, from_ms, to_ms)
        )

    async def _write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        def write() -> _T:
            if sqlite.spare_bytes(self._path) <= 0:
                raise sqlite3.OperationalError("the last of the disk is kept for warnings")
            with sqlite.transaction(self._db):
                return work(self._db)

        return await self._run(self._writer, write)

    async def _read(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return await self._run(self._readers, lambda: work(self._reader()))

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
            raise StoreError(f"{self._path}: {error}") from error


def _progress(db: sqlite3.Connection) -> Progress:
    def one(text: str) -> Any:  # noqa: ANN401  (a number)
        return db.execute(text).fetchone()[0]

    tally = dict(db.execute("SELECT name, value FROM tally"))
    return Progress(
        dict(db.execute("SELECT partition, position FROM position")),
        tally.get(rollup_rows.ROLLED_TO, 0),
        one("SELECT count(*) FROM mark"),
        one("SELECT count(*) FROM rebuild"),
        tally.get("too_late", 0),
        tally.get(rollup_rows.ADOPTION, 0),
    )
