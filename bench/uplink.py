"""How a gateway empties three days of backlog over a slow link while fresh readings come in.

Prints one JSON object on its last line. The outbox, uplink, broker, intake and journal are the
real ones; the link is a proxy that delays each direction by half the round trip. Its bars:
`gateway_rss_mb` <= 64, `fresh_p99_ms` (commit to journalled) <= 2000 and
`backlog_readings_per_s` >= 1000. `e2e_to_puback_only_ratio` compares the same backlog, without the
delay, with a publisher that believes PUBACK.
"""

# ruff: noqa: E402  (the rigs are found first)
from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import socket
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]

import aiomqtt
from rig.centre_half import free_port
from rig.proxy import running_proxy

from egret_aggregator.clock import Clock as CentreClock
from egret_aggregator.config import BrokerSettings as CentreBroker
from egret_aggregator.intake import BrokerChild, Intake
from egret_aggregator.journal import Journal
from egret_core.seqranges import contains, size
from egret_core.topics import Leaf, of
from egret_gateway.clock import Clock, Hands, system_hands
from egret_gateway.config import OutboxSettings
from egret_gateway.outbox import Outbox
from egret_gateway.outbox.second_copy import read
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GATEWAY = "bench-uplink"
CHANNELS = 20
PERIOD_MS = 60_000
HOURS = 72
ROUND_TRIP_S = 0.3
FRESH_BATCHES = 1000  # of one reading each: what a fast channel gives
FRESH_PERIOD_MS = 20
MB = 1024 * 1024
PATIENCE_S = 300.0
LOOK_S = 0.002
WINDOW = 256  # batches in flight of the publisher that believes PUBACK


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=int, default=HOURS)
    parser.add_argument("--fresh", type=int, default=FRESH_BATCHES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="egret-bench-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder), arguments.hours, arguments.fresh))))
    return 0


async def measure(folder: Path, hours: int, fresh: int) -> dict[str, Any]:
    backlog = await asyncio.to_thread(lay_backlog, folder / "backlog", hours)
    slow = await drain(folder, "slow", ROUND_TRIP_S, fresh)
    fast = await drain(folder, "fast", 0.0, 0)
    puback_s = await puback_only(folder)
    readings = hours * 3600_000 // PERIOD_MS * CHANNELS
    delays = sorted(slow["fresh_ms"])
    return {
        "gateway_rss_mb": round(slow["rss_mb"], 1),
        "fresh_p99_ms": round(delays[int(len(delays) * 0.99)], 1) if delays else None,
        "fresh_p50_ms": round(delays[len(delays) // 2], 1) if delays else None,
        "fresh_readings": len(delays),
        "backlog_readings_per_s": round(readings / slow["seconds"]),
        "e2e_to_puback_only_ratio": round(puback_s / fast["seconds"], 3),
        "e2e_readings_per_s": round(readings / fast["seconds"]),
        "puback_only_readings_per_s": round(readings / puback_s),
        "round_trip_ms": round(ROUND_TRIP_S * 1000),
        "backlog_readings": readings,
        "backlog_batches": backlog,
        "backlog_s": round(slow["seconds"], 1),
    }


def lay_backlog(folder: Path, hours: int) -> int:
    """Commit three days of minutes to an outbox, as if the link had been down; return batches."""
    own = system_hands()
    span = hours * 3600_000
    at = own.mono_ms() - span
    # Another boot cut it all, three days ago: nothing of it is fresh.
    hands = Hands(lambda: at, lambda: at + own.wall_ms() - own.mono_ms(), "bench-before")
    outbox = Outbox(folder, GATEWAY, Clock(hands=hands), (), OutboxSettings())
    outbox.open()
    try:
        file, scribe = outbox._keeper.file, outbox._scribe  # noqa: SLF001
        rounds = span // PERIOD_MS
        for first in range(0, rounds, 100):
            file.db.execute("BEGIN")
            for number in range(first, min(rounds, first + 100)):
                at = own.mono_ms() - span + number * PERIOD_MS
                scribe.readings(
                    file,
                    [
                        Sample("bench", f"c{i:02}", at + i, round((number * 37 + i) ** 0.5, 3))
                        for i in range(CHANNELS)
                    ],
                )
            file.db.execute("COMMIT")
        return rounds
    finally:
        outbox.close()


async def drain(folder: Path, name: str, round_trip_s: float, fresh: int) -> dict[str, Any]:
    """Let a gateway process empty the backlog into a real centre; time what arrives."""
    data = folder / name
    shutil.copytree(folder / "backlog", data / "box")
    last = read(data / "box" / "outbox.db")[-1].row
    async with (
        centre(data) as (port, journal),
        running_proxy("127.0.0.1", port, round_trip_s / 2) as link,
    ):
        arguments = [data / "box", link.port, fresh, FRESH_PERIOD_MS]
        box = await asyncio.create_subprocess_exec(
            *(sys.executable, Path(__file__).with_name("_uplink_box.py")),
            *(str(argument) for argument in arguments),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await watch(box, journal, last, fresh)
        finally:
            if box.returncode is None:
                box.send_signal(signal.SIGTERM)
                await box.wait()


@dataclass
class Told:
    """What the gateway process says of itself."""

    log: str = ""
    began: float = 0.0
    rss_mb: float = 0.0
    cut: dict[int, float] = field(default_factory=dict)

    async def listen(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            word, *rest = line.split()
            if word == b"log":
                self.log, self.began = rest[0].decode(), time.monotonic()
            elif word == b"cut":
                self.cut[int(rest[0])] = int(rest[1]) / 1e9
            elif word == b"rss":
                self.rss_mb = max(self.rss_mb, int(rest[0]) / 1024)


async def watch(
    box: asyncio.subprocess.Process, journal: Journal, last: int, fresh: int
) -> dict[str, Any]:
    """Hold what the box says it committed against what the journal knows."""
    assert box.stdout is not None
    done: float | None = None
    told = Told()
    delays: list[float] = []
    listening = asyncio.create_task(told.listen(box.stdout))
    try:
        while done is None or len(delays) < fresh:
            await asyncio.sleep(LOOK_S)
            if listening.done():
                raise RuntimeError(f"the gateway process has ended: {listening}")
            known = journal.known(GATEWAY, told.log) if told.log else ()
            now = time.monotonic()
            arrived = [seq for seq in told.cut if contains(known, seq)]
            delays.extend((now - told.cut.pop(seq)) * 1000 for seq in arrived)
            if done is None and size(upto(known, last)) == last:
                done = now - told.began
        return {"seconds": done, "fresh_ms": delays, "rss_mb": told.rss_mb}
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def upto(known: tuple[tuple[int, int], ...], last: int) -> tuple[tuple[int, int], ...]:
    return tuple((low, min(high, last)) for low, high in known if low <= last)


@asynccontextmanager
async def centre(data: Path) -> AsyncIterator[tuple[int, Journal]]:
    port = free_port()
    broker = BrokerChild(data / "nats", "127.0.0.1", port)
    journal = Journal(data / "journal.db", keep_ms=86_400_000, max_bytes=512 * MB)
    await broker.start()
    await journal.open()
    intake = Intake(CentreBroker(host="127.0.0.1", port=port), journal, CentreClock())
    task = asyncio.create_task(intake.run())
    try:
        while not intake.health()["connected"]:  # noqa: ASYNC110  (seen from outside)
            await asyncio.sleep(0.01)
        yield port, journal
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await journal.close()
        await broker.stop()


async def puback_only(folder: Path) -> float:
    """Send the same bodies to the same centre, believing PUBACK; return the seconds it takes."""
    bodies = [copy.payload for copy in read(folder / "backlog" / "outbox.db")]
    async with (
        centre(folder / "puback") as (port, _),
        aiomqtt.Client(
            "127.0.0.1",
            port,
            identifier="puback-only",
            max_inflight_messages=WINDOW,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        ) as client,
    ):
        client.pending_calls_threshold = 2 * WINDOW
        places = asyncio.Semaphore(WINDOW)

        async def send(body: bytes) -> None:
            async with places:
                await client.publish(of(GATEWAY, Leaf.BACKLOG), body, qos=1)

        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for body in bodies:
                group.create_task(send(body))
        return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
