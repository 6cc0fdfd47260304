"""Journal, recorder, judge, store and ledger on one data folder, opened as the service does."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rig import databases
from rig.api_centre import catalogue_folder
from rig.batches import T0_MS, incoming
from rig.centre_half import until

from egret_aggregator import config, data_lock
from egret_aggregator.catalogue import load
from egret_aggregator.database import Database
from egret_aggregator.database.warning_rows import Query
from egret_aggregator.journal import Journal
from egret_aggregator.judge import Judge
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import SqliteStore
from egret_aggregator.supervision import ended
from egret_aggregator.warnings import Ledger
from egret_aggregator.witness import Witness
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from egret_aggregator.config import CentreConfig, DatabaseSettings
    from egret_aggregator.warnings.state import WarningState

GATEWAY = "XM-TA-0042"
MINUTE_MS = 60_000


class SmallCentre:
    """A centre without broker and API; a test gives it levels of st0007/wl, a minute each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        catalogue_folder(folder / "catalogue")
        path = folder / "centre.toml"
        path.write_text('[centre]\ndata = "data"\ncatalogue = "catalogue"\n')
        self.settings: CentreConfig = config.load(path)
        self.data = folder / "data"
        self.place: Path | DatabaseSettings = databases.place(self.data / "egret.db")
        self.now_ms = T0_MS
        self.behind = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[SmallCentre]:
        """Open everything; when the block ends all of it is judged, recorded and closed."""
        with data_lock.held(self.data):
            self.journal = Journal(self.data / "journal.db", keep_ms=10**12, max_bytes=2**26)
            database = Database(self.place)
            await database.open()
            self.ledger = Ledger(database, lambda: self.now_ms)
            await self.ledger.open()
            await self.journal.open()
            self.witness = Witness(self.journal, self.ledger)
            self.behind = await self.witness.compare()
            catalogue = load(self.settings.catalogue)
            self.store = SqliteStore(self.data / "series.db")
            await self.store.open()
            self.recorder = Recorder(
                self.journal, self.store, owner=catalogue.owner, known={("st0007", "wl")}
            )
            await self.recorder.open()
            self.judge = Judge(self.journal, self.ledger.take, catalogue, lambda: self.now_ms)
            tasks = [
                asyncio.create_task(self.judge.run()),
                asyncio.create_task(self.recorder.run()),
            ]
            try:
                await until(lambda: self.judge.health()["catalogue"] == catalogue.version)
                yield self
                await self.quiet()
                await self.witness.note()
            finally:
                await ended(tasks)
                await self.judge.flush()
                await self.store.close()
                await self.journal.close()
                await database.close()

    async def levels(self, first_seq: int, *values: float) -> None:
        """Take a level a minute, each in a batch of its own."""
        for seq, value in enumerate(values, first_seq):
            self.now_ms = T0_MS + seq * MINUTE_MS
            reading = Reading("st0007", "wl", self.now_ms - 50, value)
            await self.journal.append([incoming(seq, [reading], gateway=GATEWAY)], self.now_ms)
            await self.journal.tick(self.now_ms)

    async def quiet(self) -> None:
        """Wait until all that came is judged and recorded."""
        await until(lambda: self.judge.health()["position"] >= self.journal.head)
        await until(lambda: self.recorder.position >= self.journal.head)

    async def standing(self) -> list[WarningState]:
        """Return the warnings once all is judged."""
        await self.quiet()
        return await self.ledger.find(Query(limit=100))

    async def values(self) -> list[float | None]:
        """Return the recorded values in time order, once all is recorded."""
        await self.quiet()
        page = await self.store.range("st0007", "wl", 0, 2**53, 10_000)
        return [row.value for row in page.rows]
