"""A gateway without buses: a real outbox and a real uplink, fed by hand; clocks by hand."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egret_core.messages import ChannelMeta
from egret_gateway.clock import Clock, Hands
from egret_gateway.config import BrokerSettings, OutboxSettings
from egret_gateway.health import Health
from egret_gateway.outbox import Outbox
from egret_gateway.sample import Sample
from egret_gateway.uplink import Uplink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

GATEWAY = "XM-TA-0042"
METAS = (
    ChannelMeta("st1", "wl", "water_level", "m", datum="Luoling", period_s=60.0),
    ChannelMeta("st1", "rain", "rain_total", "mm", period_s=60.0),
)


@dataclass
class HandClock:
    """Clocks a test turns by hand; they stand still by themselves."""

    mono: int = 1_000_000
    wall: int = 1_795_340_000_000
    boot: str = "boot-1"

    def hands(self) -> Hands:
        return Hands(lambda: self.mono, lambda: self.wall, self.boot)

    def pass_ms(self, span: int) -> None:
        self.mono += span
        self.wall += span


def sample(value: float, mono_ms: int, *, channel: str = "wl", urgent: bool = False) -> Sample:
    return Sample("st1", channel, mono_ms, value, urgent=urgent)


def samples(count: int, first: int = 0, mono_ms: int | None = None) -> list[Sample]:
    """Values first, first+1, ... each a millisecond after the other, up to now."""
    now = time.monotonic_ns() // 1_000_000 if mono_ms is None else mono_ms
    return [sample(float(first + i), now - count + 1 + i) for i in range(count)]


def make_outbox(
    folder: Path,
    clock: Clock | None = None,
    settings: OutboxSettings | None = None,
    metas: Sequence[ChannelMeta] = METAS,
) -> Outbox:
    return Outbox(folder, GATEWAY, clock or Clock(), metas, settings or OutboxSettings())


@dataclass
class Box:
    """The box and the handle to feed it."""

    outbox: Outbox
    uplink: Uplink
    clock: Clock
    emit: Callable[..., None]
    fed: int = 0
    urgent: bool = False
    buses: dict[str, dict[str, str]] = field(default_factory=dict)

    def feed(self, count: int, *, urgent: bool = False) -> None:
        """Emit values that were never emitted before: fed, fed + 1, ..."""
        found = samples(count, self.fed, self.clock.mono_ms())
        self.fed += count
        self.emit([item._replace(urgent=urgent) for item in found], {})

    async def settled(self, limit_s: float = 60.0) -> None:
        """Wait until the file says that nothing waits any more."""

        async def look() -> None:
            while self.outbox.stats()["unsettled"] or self.outbox.stats()["buffered"]:
                await asyncio.sleep(0.05)

        await asyncio.wait_for(look(), limit_s)


@asynccontextmanager
async def running_box(
    folder: Path,
    host: str,
    port: int,
    *,
    clock: Clock | None = None,
    cut_s: float = 0.02,
    status_s: float = 600.0,
    settings: OutboxSettings | None = None,
    broker: BrokerSettings | None = None,
) -> AsyncIterator[Box]:
    clock = clock or Clock()
    outbox = make_outbox(folder, clock, settings)
    outbox.open()
    buses: dict[str, dict[str, str]] = {}
    health = Health(GATEWAY, outbox, clock, lambda: buses, lambda: False)
    broker = broker or BrokerSettings(host, port)
    uplink = Uplink(GATEWAY, broker, outbox, clock, health, status_s=status_s)
    task = asyncio.create_task(uplink.run())
    try:
        yield Box(outbox, uplink, clock, outbox.emitter(cut_s), buses=buses)
    finally:
        died = task.done()
        task.cancel()
        (end,) = await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(outbox.close)
        if died and isinstance(end, BaseException):
            raise end
