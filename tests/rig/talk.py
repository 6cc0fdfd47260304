"""A bus of text in a test: its settings without a file, and the bus running on a far end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rig.sink import LIMIT_S, Sink, polling

from egret_core.timescale import REAL, Timescale
from egret_core.units import convert
from egret_gateway import profiles
from egret_gateway.bus.poll import Bus
from egret_gateway.bus_settings import BusSettings
from egret_gateway.profiles import ChannelSettings, DeviceSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from egret_gateway.protocols.geodesy import Position

FAST = 115200


def device(
    profile: str,
    *items: str,
    period_s: float = 0.1,
    address: str = "",
    base: Position | None = None,
    watch_at: Mapping[str, tuple[float, str]] | None = None,
) -> DeviceSettings:
    """Return a device of a shipped profile: its items, each a channel of the same name."""
    path = profiles.find(profile, (profiles.REPOSITORY,))
    assert path is not None
    family = profiles.load(path)
    known = {item.name: item for item in family.items}
    watches = watch_at or {}
    channels = tuple(
        ChannelSettings(
            "st0007",
            name,
            known[name],
            watch_at=convert(known[name].quantity, *watches[name]) if name in watches else None,
        )
        for name in items
    )
    return DeviceSettings(1, family, "st0007", period_s, channels, address, base)


def bus(port: Path, *devices: DeviceSettings) -> BusSettings:
    """Return the settings of a line with these devices."""
    return BusSettings("bus0", str(port), baud=FAST, devices=devices)


@asynccontextmanager
async def talking(
    settings: BusSettings,
    maintenance: Callable[[], bool] = lambda: False,
    timescale: Timescale = REAL,
) -> AsyncIterator[tuple[Bus, Sink]]:
    """Run the bus; yield it, its port open, and where its samples go."""
    sink = Sink()
    running = Bus(settings, timescale, sink.emit, {}, maintenance)
    async with polling(running):
        async with asyncio.timeout(LIMIT_S):
            while running.health()["fault"]:
                await asyncio.sleep(0.01)
        yield running, sink
