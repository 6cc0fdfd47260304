"""One line that runs through many stories: a box on a gauge, a hand-made gateway, one centre.

The gauge serves serials, each once: what the box had committed must be stored, each serial once.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx2
from rig.broker import running_broker
from rig.catalogues import level_rule, rung
from rig.drill import PERIOD_S, SETTLE_S, Box
from rig.gatewaylike import GatewayLike
from rig.gauge import Gauge
from rig.line import Centre, Field, station_toml, until
from rig.seat import ms

from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HAND = "gw2"  # a gateway played by hand: it owns st2
RULES = level_rule(rung("red", 3.0, 2.8), channel="st2/wl", datum="gauge") + "hold_s = 0\n"


@dataclass
class Line:
    """What runs through this file."""

    folder: Path
    port: int
    centre: Centre
    gauge: Gauge
    box: Box
    seqs: int = 0

    @property
    def field(self) -> Field:
        return self.box.field

    def stored(self) -> list[float]:
        """Return the gauge's serials in the store, each as often as it is there."""
        return [raw for _, _, raw in self.centre.rows("st1", "wl") if raw is not None]

    async def nothing_lost(self) -> None:
        """Wait for new readings, and for all that was committed; each is stored once."""
        await self.box.progress()

        async def all_stored() -> bool:
            return self.box.seen <= set(self.stored())

        await until(all_stored, "all that the box committed is stored", SETTLE_S)
        stored = self.stored()
        assert len(stored) == len(set(stored)), "a serial is stored twice"

    async def nothing_waits(self) -> None:
        """Check that all that was ever committed is stored while the box stands still."""
        self.box.look()
        assert self.box.seen <= set(self.stored())

    async def why(self, gateway: str) -> list[str]:
        """Return why things of a gateway were set aside, the oldest first."""
        page = await self.centre.get("/asides", limit=1000)
        return [item["why"] for item in reversed(page["items"]) if item["gateway"] == gateway]

    async def status(self, gateway: str) -> dict[str, Any]:
        """Return what the API says of a gateway."""
        page = await self.centre.get("/gateways")
        (found,) = [item["status"] for item in page["items"] if item["id"] == gateway]
        return dict(found or {})

    async def figure(self, name: str) -> int:
        """Return one figure of /metrics."""
        async with httpx2.AsyncClient() as client:
            text = (await client.get(f"{self.centre.url}/metrics", timeout=20)).text
        (found,) = [row for row in text.splitlines() if row.startswith(f"{name} ")]
        return int(float(found.split()[1]))

    async def now_ms(self) -> int:
        """Return the centre's time."""
        return ms((await self.centre.get("/warnings"))["as_of"])

    @asynccontextmanager
    async def hand(self) -> AsyncIterator[Hand]:
        """Play a gateway; its good batches must all be stored in the end."""
        log = f"{self.seqs:032x}"
        self.seqs += 1
        async with GatewayLike(self.port, gateway=HAND, log=log) as like:
            played = Hand(self, like)
            yield played
            await like.until(lambda: like.settled >= played.good)
            await until(played.all_stored, "every good batch of the hand-made gateway is stored")


class Hand:
    """A gateway whose good batches carry one reading of st2/wl each, a second apart."""

    def __init__(self, line: Line, like: GatewayLike) -> None:
        self.line = line
        self.like = like
        self.good: set[int] = set()
        self.times: set[int] = set()
        self.next = 1

    async def send(self, value: float = 1.0) -> int:
        """Send a good batch, return the time of its reading."""
        seq, self.next = self.next, self.next + 1
        time_ms = await self.line.now_ms()
        while time_ms in self.times:
            time_ms += 1
        self.like.cut(seq, [Reading("st2", "wl", time_ms, value)])
        await self.like.send(seq)
        self.good.add(seq)
        self.times.add(time_ms)
        return time_ms

    async def all_stored(self) -> bool:
        return self.times <= {time_ms for time_ms, _, _ in self.line.centre.rows("st2", "wl")}


@asynccontextmanager
async def running_line(folder: Path) -> AsyncIterator[Line]:
    """A box and a centre that are up; the hand-made gateway joins when it is asked for."""
    stations = station_toml("st1", {"wl": "water_level"}, "gw1", "gauge")
    stations += station_toml("st2", {"wl": "water_level"}, HAND, "gauge")
    stations += station_toml("st3", {"wl": "water_level"}, "gw3", "gauge")
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running_broker(folder / "broker"))
        centre = Centre(folder / "c", broker.port, embedded=False, stations=stations, rules=RULES)
        stack.push_async_callback(centre.stop)
        await centre.up()
        gauge = stack.enter_context(Gauge())
        field = Field(folder / "f", "gw1", broker.port, gauge.path, period_s=PERIOD_S)
        stack.push_async_callback(field.stop)
        await field.start()
        yield Line(folder, broker.port, centre, gauge, Box(field))
