"""Renewals over a real folder and a real ledger; clocks by hand."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

from egret_aggregator.database import Database
from egret_aggregator.enrolment.folder import BrokerFolder
from egret_aggregator.enrolment.office import Office
from egret_aggregator.enrolment.renewal import Renewals
from egret_aggregator.enrolment.settings import EnrolmentSettings
from egret_aggregator.warnings import Ledger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

DAY_MS = 86_400_000
NOW_MS = 1_795_340_000_000
DAYS = 90.0


class Bench:
    """Renewals over a real folder and a real ledger; clocks by hand."""

    def __init__(self, office: Office, folder: BrokerFolder, settings: EnrolmentSettings) -> None:
        self.office, self.folder = office, folder
        self.ms, self.s = NOW_MS, 0.0
        self.trusted = True
        self.renewals = Renewals(
            office, settings, "run", lambda: self.ms, lambda: self.s, trusted=lambda: self.trusted
        )

    def due(self) -> list[Any]:
        return list(self.renewals.due(lambda s: int(s * 1000), self.ms))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.01)

    def names(self) -> list[str]:
        return [one.name for one in self.folder.book().accounts]

    def opened(self) -> list[str]:
        """Whom the broker's own file lets in."""
        text = (self.folder.path / "mosquitto.passwd").read_text()
        return [line.partition(":")[0] for line in text.splitlines()[1:]]

    def lines(self, kind: str) -> list[Any]:
        """What the ledger says of a kind."""
        with closing(sqlite3.connect(self.folder.path.parent / "egret.db")) as db:
            rows = db.execute("SELECT body FROM ledger WHERE kind = ? ORDER BY seq", (kind,))
            return [json.loads(body) for (body,) in rows]


@asynccontextmanager
async def benched(tmp_path: Path) -> AsyncIterator[Bench]:
    settings = EnrolmentSettings(tmp_path / "broker", "localhost", days=DAYS)
    folder = BrokerFolder(settings, 8883, lambda: None)
    folder.found(NOW_MS)
    database = Database(tmp_path / "egret.db")
    await database.open()
    ledger = Ledger(database, lambda: NOW_MS)
    await ledger.open()
    bench: list[Bench] = []
    office = Office(settings, folder, ledger, lambda: bench[0].ms, 8883)
    bench.append(Bench(office, folder, settings))
    task = asyncio.create_task(bench[0].renewals.run())
    try:
        yield bench[0]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()
