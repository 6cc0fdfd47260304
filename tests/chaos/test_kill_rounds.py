"""Kill -9 every program in turn, and freeze the link, under load: nothing lost, nothing twice.

A foreign slave serves unique serials. Before each kill the outbox is read: what was committed
then must be in the store in the end, and no serial may be there twice.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING

import pytest
from rig.broker import Broker
from rig.libmodbus import LibmodbusSlave, why_missing
from rig.line import BAUD, Centre, Field, station_toml, until
from rig.paced import PacedLine
from rig.proxy import running_proxy

if TYPE_CHECKING:
    from pathlib import Path

    from rig.proxy import Proxy

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
]
ROUNDS = 20
ROUNDS_LONG = 200
SERIALS = range(1, 60_000)  # more than the longest run serves; each is one u16
TARGETS = ("gateway", "broker", "centre", "link")
RULES = """
[[rule]]
id = "river-level"
pack = "generic-level"
channels = ["st1/wl"]
[rule.parameters]
unit = "m"
datum = "gauge"
levels = [ { level = "red", raise = 50.0, clear = 40.0 } ]
"""


class Line:
    """Everything one drill needs, started in order."""

    def __init__(self, folder: Path, proxy: Proxy, broker: Broker, port: Path) -> None:
        stations = station_toml("st1", {"wl": "water_level"}, "gw1", "gauge")
        self.broker = broker
        self.proxy = proxy
        self.centre = Centre(
            folder / "centre", broker.port, embedded=False, stations=stations, rules=RULES
        )
        self.field = Field(folder / "field", "gw1", proxy.port, port, period_s=0.02)
        self.seen: dict[float, int] = {}
        self.looked = 0

    def look(self) -> None:
        """Add what the outbox holds by now."""
        found, self.looked = self.field.committed(self.looked)
        for serial, times in found.items():
            self.seen[serial] = self.seen.get(serial, 0) + times

    async def strike(self, target: str, dice: random.Random) -> None:
        """End one of them without warning, wait a little, and bring it back."""
        if target == "link":
            self.proxy.freeze()
            await asyncio.sleep(dice.uniform(0.2, 0.9))
            self.proxy.thaw()
        elif target == "gateway":
            await self.field.kill()
            self.look()
            await self.field.start()
        elif target == "broker":
            self.broker.kill()
            await self.broker.start()
        else:
            await self.centre.kill()
            await self.centre.up()

    async def progress(self) -> None:
        """Wait until the outbox holds serials that were not there before."""
        self.look()
        before = len(self.seen)

        async def more() -> bool:
            self.look()
            return len(self.seen) > before

        await until(more, f"the gateway commits readings ({self.field.log})")

    async def all_stored(self) -> bool:
        """Whether every committed serial is in the store."""
        self.look()
        stored = {raw for _, _, raw in self.centre.rows("st1", "wl")}
        return set(self.seen) <= stored


async def test_no_serial_is_lost_and_none_counted_twice(tmp_path: Path) -> None:
    long = bool(os.environ.get("EGRET_LONG"))
    rounds = ROUNDS_LONG if long else ROUNDS
    seed = int(os.environ.get("EGRET_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    dice = random.Random(seed)
    broker = Broker(tmp_path / "broker")
    await broker.start()
    try:
        with (
            PacedLine(tmp_path / "bus", 1, BAUD) as bus,
            LibmodbusSlave(tmp_path / "slave", bus.slave(1), 1, BAUD, SERIALS) as slave,
        ):
            async with running_proxy(broker.host, broker.port) as proxy:
                line = Line(tmp_path, proxy, broker, bus.master)
                await line.centre.up()
                await line.field.start()
                try:
                    await line.progress()
                    for number in range(rounds):
                        target = TARGETS[number % len(TARGETS)]
                        await asyncio.sleep(dice.uniform(0.05, 0.6))
                        line.look()
                        await line.strike(target, dice)
                        await line.progress()
                    slave.stop()
                    await until(line.all_stored, f"all committed is stored (seed {seed})", 120)
                finally:
                    await line.field.stop()
                    await line.centre.stop()
        line.look()
        stored = [raw for _, _, raw in line.centre.rows("st1", "wl") if raw is not None]
        served = {served.value for served in slave.served()}
    finally:
        broker.stop()
    print(f"rounds={rounds} seed={seed} committed={len(line.seen)} stored={len(stored)}")  # noqa: T201
    assert set(line.seen) - set(stored) == set(), f"lost (seed {seed})"
    assert len(stored) == len(set(stored)), f"counted twice (seed {seed})"
    assert set(stored) <= served
    assert max(line.seen.values()) == 1
    assert len(stored) > rounds
