"""The embedded size under attack: the centre's own broker is killed, or dies with its centre.

A gauge serves serials, each once, twenty a second. Whatever is killed: what the gateway had
committed is in the store in the end, and no serial is there twice.
"""

from __future__ import annotations

import os
import signal
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from rig.broker import free_port
from rig.console import CENTRE, typed
from rig.drill import PERIOD_S, RULES, SETTLE_S, Box
from rig.gauge import Gauge
from rig.line import Centre, Field, station_toml, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.system
ROUNDS = 2


class Embedded:
    """One box and one centre with its own broker, which is all there is."""

    def __init__(self, folder: Path, gauge: Gauge) -> None:
        self.port = free_port()
        self.gauge = gauge
        stations = station_toml("st1", {"wl": "water_level"}, "gw1", "gauge")
        self.centre = Centre(folder / "c", self.port, embedded=True, stations=stations, rules=RULES)
        self.field = Field(folder / "f", "gw1", self.port, gauge.path, period_s=PERIOD_S)
        self.box = Box(self.field)

    def broker(self) -> int:
        """Return the process id of the centre's only child, 0 where it has none."""
        assert self.centre.process is not None
        pid = self.centre.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert len(children) <= 1
        return int(children[0]) if children else 0

    def answers(self) -> bool:
        """Whether anybody listens on the broker's port."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stored(self) -> list[float]:
        """Return the serials in the store, each as often as it is there."""
        return [raw for _, _, raw in self.centre.rows("st1", "wl") if raw is not None]

    async def go_on(self) -> None:
        """Wait until a serial is stored that was not served yet."""
        newest = len(self.gauge.served)

        async def stored() -> bool:
            return max(self.stored(), default=0) > newest

        await until(stored, f"new readings are stored ({self.centre.log})", SETTLE_S)

    async def settle(self) -> None:
        """Stop the box, and check that all it committed is stored, each serial once."""
        assert await self.field.stop() == 0
        held, _ = self.field.committed()
        self.box.look()

        async def all_stored() -> bool:
            return self.box.seen <= set(self.stored())

        await self.field.start()  # what was not acknowledged in time goes now
        await until(all_stored, "all that was committed is stored", SETTLE_S)
        stored = self.stored()
        assert max(held.values()) == 1
        assert len(stored) == len(set(stored)), "a serial is stored twice"
        assert set(stored) <= set(map(float, self.gauge.served))


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Embedded]:
    with Gauge() as gauge:
        line = Embedded(folder, gauge)
        try:
            await line.centre.up()
            await line.field.start()
            await line.go_on()
            yield line
        finally:
            await line.field.kill()
            await line.centre.kill()
            await until(lambda: gone(line), "nothing is left on the broker's port")


async def gone(line: Embedded) -> bool:
    return not line.answers()


def runs(pid: int) -> bool:
    """Whether a process is at work: one that ended may wait for its parent to notice."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def broker_restarts(line: Embedded) -> int:
    async with httpx2.AsyncClient() as client:
        text = (await client.get(f"{line.centre.url}/metrics", timeout=20)).text
    (found,) = [row for row in text.splitlines() if row.startswith("egret_broker_restarts_total ")]
    return int(float(found.split()[1]))


async def test_a_killed_broker_comes_back_and_no_reading_is_lost(tmp_path: Path) -> None:
    async with embedded(tmp_path) as line:
        seen = set()
        for _ in range(ROUNDS):
            line.box.look()
            seen.add(pid := line.broker())
            os.kill(pid, signal.SIGKILL)
            await line.go_on()
        assert line.broker() not in seen, "each time another process"
        assert await broker_restarts(line) == ROUNDS
        await line.settle()
        assert line.centre.running, "the centre itself went on all the time"


async def test_a_stopped_centre_leaves_no_process_and_takes_up_where_it_was(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as line:
        broker = line.broker()
        assert await line.centre.stop() == 0
        assert not runs(broker)
        assert not line.answers()
        await line.box.progress()  # the box goes on by itself
        await line.centre.up()
        await line.go_on()
        await line.settle()


async def test_a_killed_centre_takes_its_broker_along_and_starts_on_the_same_port(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as line:
        for _ in range(ROUNDS):
            line.box.look()
            broker = line.broker()
            await line.centre.kill()
            await until(lambda: gone(line), "the broker is gone too")
            assert not runs(broker)
            await line.box.progress()
            await line.centre.up()
            await line.go_on()
        await line.settle()


async def test_a_second_centre_on_the_same_data_is_refused_and_harms_nobody(
    tmp_path: Path,
) -> None:
    async with embedded(tmp_path) as line:
        broker = line.broker()
        # An API port of its own would not keep it from the first one's broker and journal.
        text = line.centre.config.read_text()
        second = line.centre.config.with_name("second.toml")
        second.write_text(text.replace(f"port = {line.centre.api_port}", "port = 0"))
        said = await typed(CENTRE, "run", second)
        assert (said.code, said.out) == (3, "")
        assert f"{line.centre.data}: another centre runs on this data: stop it" in said.err
        assert line.broker() == broker, "the first one's broker was left alone"
        assert await broker_restarts(line) == 0
        await line.go_on()
        await line.settle()
