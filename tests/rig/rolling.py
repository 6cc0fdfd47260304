"""A journal, a store and their rollups in one folder, moved on by hand: no clock, no tasks."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from rig.batches import incoming

from egret_aggregator.charts import Charts
from egret_aggregator.journal import Journal
from egret_aggregator.recorder import Recorder, Work
from egret_aggregator.roller import QUIET_S, Reached, Roller, point
from egret_aggregator.store import MemoryStore, SqliteStore, TimeSeriesStore
from egret_aggregator.store.rollups import Rollups
from egret_core.buckets import HOUR_MS, TEN_MIN_MS, Bucket, coarser, gather
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

MB = 2**20
T0 = 1_789_999_200_000  # an hour's start
FAR = 4_102_444_800_000
KEYS = (("st1", "wl"), ("st1", "rn"), ("st2", "wl"))


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


def reading(
    at_s: float, value: float | None = 1.0, key: tuple[str, str] = KEYS[0], **more: Any
) -> Reading:
    return Reading(*key, T0 + int(at_s * 1000), value, **more)


@asynccontextmanager
async def opened(rolling: Rolling) -> AsyncIterator[Rolling]:
    await rolling.open()
    try:
        yield rolling
    finally:
        await rolling.close()


async def oracle(rolling: Rolling, key: tuple[str, str]) -> dict[int, list[Bucket]]:
    """What both tiers are, by all that the store holds."""
    page = await rolling.store.range(*key, 0, FAR, 10**6)
    ten = gather(map(point, page.rows), TEN_MIN_MS)
    return {TEN_MIN_MS: ten, HOUR_MS: coarser(ten, HOUR_MS)}


async def tiers(rolling: Rolling, key: tuple[str, str]) -> dict[int, list[Bucket]]:
    return {tier: await rolling.rollups.rows(key, tier, 0, FAR) for tier in (TEN_MIN_MS, HOUR_MS)}


async def right(rolling: Rolling) -> None:
    for key in KEYS:
        assert await oracle(rolling, key) == await tiers(rolling, key)


async def trimmed(rolling: Rolling) -> None:
    """Have the journal forget all that its consumers have passed."""
    position = await rolling.store.position()
    for name in ("judge", "recorder"):
        await rolling.journal.save(name, {**position, -1: 10**6}, {})
    rolling.journal._desk._keep_ms = -(10**15)
    for n in range(120):
        await rolling.journal.tick(T0 + n)
    assert rolling.journal.trimmed > 1
