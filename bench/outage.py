"""InfluxDB stopped for minutes under load: nothing lost, warnings as fast as before.

A whole centre on influxd 1.6.7 (behind the alias process that writes as 1.8 does), a load process
at an even pace, and a probe that makes one warning after another and times it from its publishing
to the ledger. Prints one JSON object on its last line. `warning_latency_ratio` is the median while
the server is away against the median in calm; `drain_to_live_ratio` the rate at which the store
fills afterwards, the load going on, against the load's own.
"""

# ruff: noqa: E402  (the rigs are found first)
from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]

import ingest
from rig.centre_half import free_port, until
from rig.gatewaylike import GatewayLike
from rig.influxd import BUCKET, running_influxd, why_no_influxd

from egret_aggregator import catalogue
from egret_aggregator.config import ApiSettings, BrokerSettings, CentreConfig
from egret_aggregator.service import Centre
from egret_aggregator.store.settings import StoreSettings
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_aggregator.warnings.record import Record

PROBES_MAX = 2000  # channels that a warning can be made on, one each
PATIENCE_S = 1800.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=5000, help="readings a second")
    parser.add_argument("--calm", type=float, default=60.0, help="seconds before the outage")
    parser.add_argument("--outage", type=float, default=360.0, help="seconds without the server")
    parser.add_argument("--probes", type=int, default=200, help="warnings in each of both")
    asked = parser.parse_args()
    if why := why_no_influxd():
        print(json.dumps({"skipped": why}))
        return 0
    with tempfile.TemporaryDirectory(prefix="egret-bench-") as folder:
        figures = asyncio.run(measure(Path(folder), asked))
    print(json.dumps(figures))
    return 0 if figures["lost"] == figures["twice"] == 0 else 1


async def measure(folder: Path, asked: argparse.Namespace) -> dict[str, Any]:
    port = free_port()
    write_catalogue(folder / "catalogue")
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(
            running_influxd(folder / "influxd", own_process=True)
        )
        settings = CentreConfig(
            data=folder / "data",
            catalogue=folder / "catalogue",
            broker=BrokerSettings(port=port),
            store=StoreSettings("influx", server.url, BUCKET),
            api=ApiSettings(port=0),
        )
        centre = await Centre.opened(stack, settings, catalogue.load(settings.catalogue))
        running = asyncio.create_task(centre.run(lambda *_: None))
        line = centre._parts  # noqa: SLF001  (a bench looks inside)
        recorder, journal = line.recorder, line.journal
        await until(lambda: line.intake.health()["connected"])
        like = await stack.enter_async_context(GatewayLike(port, gateway="gwprobe"))
        probe = Probe(like)
        centre._context.ledger.listen(probe.seen)  # noqa: SLF001  (same)
        load = await started(port, asked.rate)
        calm = await probe.median(asked.probes, asked.calm)
        server.stop()
        away = await probe.median(asked.probes, asked.outage)
        await server.start()
        behind = recorder.recorded
        await until(lambda: recorder.recorded > behind, PATIENCE_S)
        began, before = time.perf_counter(), recorder.recorded
        await until(lambda: recorder.position >= journal.head - 64, PATIENCE_S)
        drained_per_s = (recorder.recorded - before) / (time.perf_counter() - began)
        sent = await stopped(load) + probe.sent
        await until(lambda: recorder.position >= journal.head, PATIENCE_S)
        stored, recorded = await server.count(), recorder.recorded
        centre.stop()
        await running
    return {
        "readings": sent,
        "lost": max(0, sent - stored),
        "twice": max(0, stored - sent, recorded - sent),
        "outage_s": asked.outage,
        "live_readings_per_s": asked.rate,
        "drained_readings_per_s": round(drained_per_s),
        "drain_to_live_ratio": round(drained_per_s / asked.rate, 2),
        "warnings_timed": asked.probes,
        "warning_calm_ms": round(calm * 1000, 1),
        "warning_outage_ms": round(away * 1000, 1),
        "warning_latency_ratio": round(away / calm, 3),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }


class Probe:
    """Makes warnings on channels of its own and times each until the ledger has it."""

    def __init__(self, like: GatewayLike) -> None:
        self._like = like
        self._open: dict[str, asyncio.Future[float]] = {}
        self.sent = 0

    def seen(self, records: Sequence[Record]) -> None:
        """Take what the ledger has just kept."""
        now = time.perf_counter()
        for record in records:
            waiting = self._open.pop(record.content.get("event", {}).get("subject", ""), None)
            if waiting is not None and not waiting.done():
                waiting.set_result(now)

    async def median(self, count: int, within_s: float) -> float:
        """Make so many warnings, evenly spread; return the median of their seconds."""
        times = []
        end = time.perf_counter() + within_s
        for left in range(count, 0, -1):
            times.append(await self._one())
            await asyncio.sleep(max(0.0, (end - time.perf_counter()) / left))
        return statistics.median(times)

    async def _one(self) -> float:
        name = f"p{self.sent:04d}"
        self.sent += 1
        self._like.cut(self.sent, [Reading("probe", name, int(time.time() * 1000), 5.0)])
        waiting = self._open[f"probe/{name}"] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        await self._like.send(self.sent)
        return await asyncio.wait_for(waiting, PATIENCE_S) - began


def write_catalogue(folder: Path) -> None:
    """Write the catalogue of `bench/ingest.py` and the probe's station."""
    ingest.write_catalogue(folder)
    names = [f"p{n:04d}" for n in range(PROBES_MAX)]
    with (folder / "stations.toml").open("a") as file:
        file.write('[[station]]\nid = "probe"\nname = "p"\nlatitude = 24.5\nlongitude = 118.1\n')
        for name in names:
            file.write(
                f'[[station.channel]]\nid = "{name}"\nquantity = "water_level"\n'
                f'datum = "{ingest.DATUM}"\ngateway = "gwprobe"\n'
            )
    with (folder / "rules.toml").open("a") as file:
        channels = [f"probe/{name}" for name in names]
        ladder = ingest.ladder("m", f'datum = "{ingest.DATUM}"\n')
        file.write(ingest.rule("probe", "generic-level", channels, ladder))


async def started(port: int, rate: int) -> asyncio.subprocess.Process:
    """Start the load."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "_outage_load.py"),
        str(port),
        str(rate),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    await child.stdout.readline()
    child.stdin.write(b"go\n")
    return child


async def stopped(child: asyncio.subprocess.Process) -> int:
    """Stop the load; return how many readings it sent, all acknowledged."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"stop\n")
    sent = int(await asyncio.wait_for(child.stdout.readline(), PATIENCE_S))
    await child.communicate()
    return sent


if __name__ == "__main__":
    sys.exit(main())
