"""The centre's first half, real: broker child, journal, intake, recorder and store."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rig.gatewaylike import GatewayLike

from egret_aggregator.clock import Clock
from egret_aggregator.config import BrokerSettings
from egret_aggregator.intake import BrokerChild, Intake
from egret_aggregator.journal import Journal
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import SqliteStore
from egret_core.timescale import REAL, Timescale

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PATIENCE_S = 30.0
MB = 1024 * 1024


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def broker(folder: Path, port: int | None = None) -> AsyncIterator[int]:
    port = port or free_port()
    child = BrokerChild(folder, "127.0.0.1", port)
    await child.start()
    try:
        yield port
    finally:
        await child.stop()


class CentreHalf:
    def __init__(self, data: Path, port: int, *, max_mb: int = 64, scale: Timescale = REAL) -> None:
        self.journal = Journal(data / "journal.db", keep_ms=86_400_000, max_bytes=max_mb * MB)
        self.store = SqliteStore(data / "series.db")
        self.recorder = Recorder(self.journal, self.store, owner=self.owner, known=(("st1", "wl"),))
        self.settings = BrokerSettings(host="127.0.0.1", port=port)
        self.clock = Clock(scale)

    def owner(self, station: str, channel: str) -> str | None:
        return "gw1" if (station, channel) == ("st1", "wl") else None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[CentreHalf]:
        await self.journal.open()
        await self.store.open()
        await self.recorder.open()
        self.intake = Intake(self.settings, self.journal, self.clock)
        tasks = [asyncio.create_task(self.intake.run()), asyncio.create_task(self.recorder.run())]
        try:
            await until(lambda: self.intake.health()["connected"])
            yield self
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await self.journal.close()
            await self.store.close()

    async def recorded(self) -> None:
        """Return when the recorder has everything the journal has now."""
        await until(lambda: self.recorder.position >= self.journal.head)


async def until(true: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    async with asyncio.timeout(patience_s):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def joined(folder: Path) -> AsyncIterator[tuple[CentreHalf, GatewayLike]]:
    """A centre's half and a gateway, joined by a broker."""
    async with (
        broker(folder / "broker") as port,
        CentreHalf(folder, port).running() as centre,
        GatewayLike(port) as gateway,
    ):
        yield centre, gateway
