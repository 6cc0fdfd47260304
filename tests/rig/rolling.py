"""A journal, a store and their rollups in one folder, moved on by hand: no clock, no tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.batches import incoming

from egret_aggregator.charts import Charts
from egret_aggregator.journal import Journal
from egret_aggregator.recorder import Recorder, Work
from egret_aggregator.roller import QUIET_S, Reached, Roller
from egret_aggregator.store import MemoryStore, SqliteStore, TimeSeriesStore
from egret_aggregator.store.rollups import Rollups

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egret_core.reading import Reading

MB = 2**20


class Rolling:
    """The centre's second half without its tasks."""

    def __init__(self, folder: Path, store: TimeSeriesStore | None = None) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.db", keep_ms=10**12, max_bytes=64 * MB)
        self.store: TimeSeriesStore = store or SqliteStore(folder / "series.db")
        self.now_s = 0.0
        self._seq = 0

    async def open(self) -> None:
        await self.journal.open()
        await self.store.open()
        self.recorder = Recorder(self.journal, self.store, owner=lambda _s, _c: None, known=())
        await self.recorder.open()
        self.entry, self.received_ms = max((await self.store.position()).values(), default=0), 0
        await self.open_rollups()
        await self.roller.step()

    async def open_rollups(self) -> None:
        self.rollups = Rollups(self.folder / "rollups.db")
        await self.rollups.open()
        self.roller = Roller(
            self.journal,
            self.store,
            self.rollups,
            lambda: Reached(self.entry, self.received_ms),
            lambda: self.now_s,
        )
        self.charts = Charts(self.store, self.rollups)

    async def close(self) -> None:
        await self.rollups.close()
        await self.store.close()
        await self.journal.close()

    async def arrive(
        self, readings: Sequence[Reading], *, gateway: str = "gw1", received_ms: int = 0
    ) -> None:
        """Commit a batch to the journal."""
        self._seq += 1
        seq = self.journal.head * 1000 + self._seq
        await self.journal.append(
            [incoming(seq, readings, gateway=gateway)], received_ms or readings[-1].time_ms + 100
        )

    async def record(self) -> None:
        """Do what the recorder does, to the end of the journal."""
        while entries := await self.journal.read(await self.store.position(), 64):
            work = Work([], [], [], [])
            self.recorder.add(entries, work)
            moved = {entry.partition: entry.id for entry in entries}
            await self.store.write(work.rows, work.asides, moved, work.metas, work.origins)
            self.entry, self.received_ms = entries[-1].id, entries[-1].received_ms

    async def settle(self) -> None:
        """Roll until nothing is left to do."""
        await self.roller.step()
        self.now_s += QUIET_S + 1
        while await self.roller.step():
            self.now_s += QUIET_S + 1


def in_memory(folder: Path) -> Rolling:
    """One whose store is no SQLite file: rollups are beside every store."""
    return Rolling(folder, MemoryStore())
