"""A whole centre on InfluxDB: readings in, the API out; the server away, killed, and back.

influxd 1.6.7 behind the alias that writes as 1.8 does; nats-server as the centre's child.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from rig.broker import free_port
from rig.gatewaylike import GatewayLike
from rig.influxd import running_influxd, why_no_influxd
from rig.line import Centre, station_toml, until
from rig.running_line import HAND, RULES
from rig.seat import Seat, ms

from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rig.influxd import Influxd

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_no_influxd()), reason=why_no_influxd() or "complete"),
]
PER_BATCH = 10
SPAN_S = 1800  # the story's readings lie this far back, a second apart


class Story:
    """A hand-made gateway that sends river levels to a centre whose store is InfluxDB."""

    def __init__(self, centre: Centre, server: Influxd, like: GatewayLike, start_ms: int) -> None:
        self.centre, self.server, self.like = centre, server, like
        self.start_ms = start_ms
        self.sent = 0
        self.seq = 0

    async def send(self, batches: int, value: float = 1.0) -> None:
        """Send new batches and wait until the centre has acknowledged them."""
        first = self.seq + 1
        for _ in range(batches):
            self.seq += 1
            times = [self.start_ms + 1000 * (self.sent + at) for at in range(PER_BATCH)]
            self.like.cut(self.seq, [Reading("st2", "wl", time_ms, value) for time_ms in times])
            self.sent += PER_BATCH
        seqs = range(first, self.seq + 1)
        for _ in range(10):
            # A gateway sends again what is not acknowledged, as after a restart of the centre.
            await self.like.send(*(seq for seq in seqs if seq not in self.like.settled))
            with contextlib.suppress(TimeoutError):
                await self.like.until(lambda: self.like.settled >= set(seqs))
            if self.like.settled >= set(seqs):
                return
        raise AssertionError("not acknowledged")

    async def all_stored(self) -> bool:
        """Tell whether InfluxDB has exactly what was sent."""
        return await self.server.count() == self.sent


@asynccontextmanager
async def story(folder: Path) -> AsyncIterator[Story]:
    port = free_port()
    async with running_influxd(folder / "influxd") as server:
        centre = Centre(
            folder / "centre",
            port,
            embedded=True,
            stations=station_toml("st2", {"wl": "water_level"}, HAND, "gauge"),
            rules=RULES,
        )
        centre.on_influx(server.url)
        try:
            await centre.up()
            now_ms = ms((await centre.get("/warnings"))["as_of"])
            async with GatewayLike(port, gateway=HAND) as like:
                yield Story(centre, server, like, now_ms - 1000 * SPAN_S)
        finally:
            await centre.kill()


async def test_readings_go_in_and_come_out_and_the_server_may_be_away(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        seat = Seat(told.centre)
        await told.send(10)
        await until(told.all_stored, "InfluxDB has every reading")
        assert await pages(told) == told.sent

        # The server stops: readings are acknowledged and judged all the same.
        told.server.stop()
        await told.send(10)
        await told.send(1, value=3.5)
        await seat.warning("river-level", state="open")
        assert (await seat.latest("st2", "wl"))["value"] == 1.0  # recorded so far, and it says so

        # So does a centre that is started while it is away.
        await told.centre.kill()
        await told.centre.up()
        await told.send(5, value=3.5)
        assert "event=store_write_failed" in told.centre.log.read_text()

        await told.server.start()
        await until(told.all_stored, "what waited in the journal is there, each once", 120)
        assert (await seat.latest("st2", "wl"))["value"] == 3.5
        assert await pages(told) == told.sent


async def test_a_server_killed_under_load_has_every_reading_once(tmp_path: Path) -> None:
    async with story(tmp_path) as told:
        for _ in range(3):
            sending = asyncio.create_task(told.send(25))
            while await told.server.count() < told.sent - 25 * PER_BATCH + 20:
                await asyncio.sleep(0.01)
            told.server.kill()
            await sending
            await told.server.start()
        await until(told.all_stored, "every reading is there once", 120)
        assert await pages(told) == told.sent
        told.centre.process.terminate()  # type: ignore[union-attr]
        assert await told.centre.process.wait() == 0  # type: ignore[union-attr]


async def pages(told: Story) -> int:
    """Return how many readings the API gives, page by page."""
    count = 0
    at = stamp(told.start_ms)
    end = stamp(told.start_ms + 1000 * SPAN_S)
    while at is not None:
        page = await told.centre.get(
            "/stations/st2/channels/wl/readings", **{"from": at, "to": end, "limit": 77}
        )
        count += len(page["items"])
        at = page["next_from"]
    return count


def stamp(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).isoformat()
