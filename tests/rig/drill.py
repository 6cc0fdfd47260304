"""A whole line under load, for drills: a foreign slave serves serials, each one once."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from rig.broker import BROKERS
from rig.catalogues import level_rule, rung
from rig.influxd import running_influxd
from rig.libmodbus import LibmodbusSlave
from rig.line import BAUD, Centre, Field, station_toml, until
from rig.paced import PacedLine
from rig.proxy import running_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rig.broker import Broker
    from rig.influxd import Influxd
    from rig.proxy import Proxy

SERIALS_MAX = 60_000  # each is one u16; more than the longest drill serves
PERIOD_S = 0.05
SETTLE_S = 120  # a resend after a lost ack takes 10 s and more
RULES = level_rule(rung("red", 50.0, 40.0), channel="st1/wl", datum="gauge") + "hold_s = 0\n"


class Box:
    """A gateway and what it has committed so far, by serial."""

    def __init__(self, field: Field) -> None:
        self.field = field
        self.seen: set[float] = set()
        self._looked = 0

    def look(self) -> None:
        """Add what the outbox holds by now."""
        found, self._looked = self.field.committed(self._looked)
        self.seen |= set(found)

    async def progress(self) -> None:
        """Wait until the outbox holds serials that were not there before."""
        self.look()
        before = len(self.seen)

        async def more() -> bool:
            self.look()
            return len(self.seen) > before

        await until(more, f"the gateway commits readings ({self.field.log})")


class Drill:
    """Broker, centre, a proxy in the uplink, one gateway on one line with one slave."""

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        proxy: Proxy,
        stack: AsyncExitStack,
        *,
        scale: int,
        rules: str,
        server: Influxd | None,
    ) -> None:
        self.folder = folder
        self.server = server
        self.broker = broker
        self.proxy = proxy
        self._stack = stack
        self._slaves: list[LibmodbusSlave] = []
        self.boxes: list[Box] = []
        stations = station_toml("st1", {"wl": "water_level"}, "gw1", "gauge")
        self.centre = Centre(
            folder / "centre", broker.port, embedded=False, stations=stations, rules=rules
        )
        now_ms = time.time_ns() // 1_000_000
        self._clock = f"[clock.scaled]\nscale = {scale}\nfrom_ms = {now_ms}\nto_ms = {now_ms}\n"
        self._clock = self._clock if scale > 1 else ""
        _append(self.centre.config, self._clock)
        if server is not None:
            self.centre.on_influx(server.url)

    def add_box(self, name: str, first: int) -> Box:
        """Add a gateway `gw1` with a line of its own, whose slave serves serials from `first`."""
        bus = self._stack.enter_context(PacedLine(self.folder / f"bus-{name}", 1, BAUD))
        serials = range(first, SERIALS_MAX)
        slave = LibmodbusSlave(self.folder / f"slave-{name}", bus.slave(1), 1, BAUD, serials)
        self._slaves.append(self._stack.enter_context(slave))
        field = Field(self.folder / name, "gw1", self.proxy.port, bus.master, period_s=PERIOD_S)
        _append(field.config, self._clock)
        box = Box(field)
        self.boxes.append(box)
        self._stack.push_async_callback(field.stop)
        return box

    def silence(self) -> None:
        """End the slaves: no further serial is served."""
        for slave in self._slaves:
            slave.stop()

    def served(self) -> set[int]:
        """Return the serials that left the slaves in a whole reply."""
        return {one.value for slave in self._slaves for one in slave.served()}

    def stored(self) -> list[float]:
        """Return the serials in the store, each as often as it is there."""
        if self.server is not None:
            return self.server.raws("st1", "wl")
        return [raw for _, _, raw in self.centre.rows("st1", "wl") if raw is not None]

    async def all_stored(self) -> bool:
        """Whether every committed serial is in the centre.

        Two clones may read in the same millisecond: the second value is then kept aside.
        """
        for box in self.boxes:
            box.look()
        stored = set(self.stored()) | self.centre.doubled()
        return all(box.seen <= stored for box in self.boxes)

    async def settle(self) -> None:
        """End the load, wait until all that was committed is stored, and check it once more."""
        self.silence()
        await until(self.all_stored, "all that was committed is stored", SETTLE_S)
        stored = self.stored()
        assert len(stored) == len(set(stored)), "a serial is stored twice"
        assert set(stored) <= self.served(), "a serial is stored that was never served"
        for box in self.boxes:
            held, _ = box.field.committed()
            assert max(held.values()) == 1, "an outbox holds a serial twice"


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@asynccontextmanager
async def running_drill(
    folder: Path,
    broker_kind: str = "nats",
    *,
    scale: int = 1,
    rules: str = RULES,
    store: str = "sqlite",
) -> AsyncIterator[Drill]:
    """A broker of a kind, a proxy and a centre that are up; boxes are added by the drill.

    With `store="influx"` there is an influxd too, `drill.server`.
    """
    broker = BROKERS[broker_kind](folder / "broker")
    await broker.start()
    async with AsyncExitStack() as stack:
        stack.callback(broker.stop)
        proxy = await stack.enter_async_context(running_proxy(broker.host, broker.port))
        server = None
        if store == "influx":
            server = await stack.enter_async_context(running_influxd(folder / "influxd"))
        drill = Drill(folder, broker, proxy, stack, scale=scale, rules=rules, server=server)
        stack.push_async_callback(drill.centre.stop)
        await drill.centre.up()
        yield drill
