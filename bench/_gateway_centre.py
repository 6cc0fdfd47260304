"""A real centre's first half over TLS: secured broker, intake, journal; in the bench's process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from _field import GATEWAY, until
from rig.secured import Secured, running_secured

from egret_aggregator.clock import Clock
from egret_aggregator.intake import Intake
from egret_aggregator.journal import Journal
from egret_aggregator.journal.entry import EntryKind
from egret_core.messages import Kind
from egret_core.seqranges import size

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MB = 1024 * 1024


class Centre:
    """What the bench may ask of it."""

    def __init__(self, broker: Secured, intake: Intake, journal: Journal) -> None:
        self.broker = broker
        self._intake = intake
        self._journal = journal

    def batches(self) -> int:
        """Return how many batches of the gateway are journalled."""
        view = self._intake.gateway(GATEWAY)
        if view is None or not view.current_log:
            return 0
        return size(self._journal.known(GATEWAY, view.current_log))

    async def readings(self) -> int:
        """Return how many readings of the gateway are journalled."""
        count, at = 0, dict[int, int]()
        while entries := await self._journal.read(at, 256):
            for entry in entries:
                at[entry.partition] = entry.id
                if entry.kind == EntryKind.BATCH:
                    batch = self._journal.decoded(entry)
                    count += len(batch.entries) if batch.kind == Kind.READINGS else 0
        return count


@asynccontextmanager
async def centre(folder: Path) -> AsyncIterator[Centre]:
    journal = Journal(folder / "journal.db", keep_ms=86_400_000, max_bytes=512 * MB)
    async with running_secured(folder) as broker:
        await journal.open()
        intake = Intake(broker.as_centre(), journal, Clock())
        task = asyncio.create_task(intake.run())
        try:
            await until(lambda: intake.health()["connected"])
            yield Centre(broker, intake, journal)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await journal.close()
