"""`./dev bench ingest --store influx`: the store of InfluxDB beside what could be at best.

Chunk by chunk, in turn and against the same server: bodies made beforehand and posted as they are
(the bound), and `InfluxStore.write` with all that it does, its own transaction included. Then the
same rows through influxdb-client's batching interface, for its share of the processor.
The server is Debian's influxd 1.6.7 behind an alias process that writes as 1.8 does.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import _ingest_load as load
from influxdb_client import InfluxDBClient, Point
from rig.influxd import running_influxd

from egret_aggregator.store import StoredReading
from egret_aggregator.store.influx import InfluxStore, lanes, line
from egret_aggregator.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BATCHES_A_WRITE = 64  # as the recorder takes them: 12,800 rows
RAW, OURS, THEIRS = "raw", "ours", "theirs"


async def measure(folder: Path, count: int, start_ms: int) -> dict[str, Any]:
    """Return the figures of so many batches."""
    async with running_influxd(folder / "influxd", own_process=True) as server:
        for name in (RAW, OURS, THEIRS):
            await server.ask(f"CREATE DATABASE {name}")
        spent = await in_turn(folder, server.url, count, start_ms)
        theirs = await asyncio.to_thread(their_api, server.url, count, start_ms)
        counts = [await server.count(database=name) for name in (RAW, OURS, THEIRS)]
        server_cpu_s = server.cpu_s()
    readings = count * load.CHANNELS * load.INSTANTS
    assert counts == [readings] * 3, f"not all is there: {counts}"
    return {
        "readings": readings,
        "influx_readings_per_s": round(readings / spent["ours_s"]),
        "influx_raw_post_readings_per_s": round(readings / spent["raw_s"]),
        "influx_to_raw_post_ratio": round(spent["raw_s"] / spent["ours_s"], 3),
        "influx_client_cpu_us": round(spent["ours_cpu_s"] / readings * 1e6, 2),
        "batching_api_cpu_us": round(theirs["cpu_s"] / readings * 1e6, 2),
        "batching_api_readings_per_s": round(readings / theirs["took_s"]),
        "client_cpu_ratio": round(spent["ours_cpu_s"] / theirs["cpu_s"], 3),
        "influxd_cpu_us": round(server_cpu_s / readings / 3 * 1e6, 2),
    }


async def in_turn(folder: Path, url: str, count: int, start_ms: int) -> dict[str, float]:
    """Post and write chunk by chunk; return seconds and processor seconds of each way."""
    store = InfluxStore(StoreSettings("influx", url, OURS), folder / "influx.db")
    await store.open()
    post = RawPost(url)
    spent = dict.fromkeys(("raw_s", "ours_s", "ours_cpu_s"), 0.0)
    for rows in chunks(count, start_ms):
        bodies = prepared(rows)
        began = time.perf_counter()
        await asyncio.to_thread(post.all, bodies)
        spent["raw_s"] += time.perf_counter() - began
        began, cpu = time.perf_counter(), time.process_time()
        receipt = await store.write(rows)
        spent["ours_s"] += time.perf_counter() - began
        spent["ours_cpu_s"] += time.process_time() - cpu
        assert receipt.accepted == len(rows)
    post.close()
    await store.close()
    return spent


def chunks(count: int, start_ms: int) -> Iterator[list[StoredReading]]:
    """Yield rows of one write each."""
    batches = load.batches(count, start_ms)
    while some := list(islice(batches, BATCHES_A_WRITE)):
        yield [StoredReading(*reading, 0, 40) for _, _, readings in some for reading in readings]


def prepared(rows: Sequence[StoredReading]) -> list[bytes]:
    """Return bodies of the size and number that the store would post."""
    written: list[str] = []
    for row in rows:
        written += line.lines(line.head(row.station, row.channel, "water_level"), [row])
    size = -(-len(written) // min(lanes.LANES, 1 + len(written) // lanes.LANE_LEAST))
    return [line.body(written[at : at + size]) for at in range(0, len(written), size)]


class RawPost:
    """As many connections as the store has lanes, and nothing else."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._lines = [
            http.client.HTTPConnection(str(parts.hostname), parts.port) for _ in range(lanes.LANES)
        ]
        self._pool = ThreadPoolExecutor(lanes.LANES)

    def all(self, bodies: Sequence[bytes]) -> None:
        """Post bodies, each on a line of its own."""
        list(self._pool.map(self._one, self._lines, bodies))

    def close(self) -> None:
        self._pool.shutdown()
        for one in self._lines:
            one.close()

    def _one(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        path = f"/api/v2/write?bucket={RAW}&org=-&precision=ms"
        connection.request("POST", path, body, {"Content-Encoding": "gzip"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204, answer.status


def their_api(url: str, count: int, start_ms: int) -> dict[str, float]:
    """Write everything through influxdb-client's batching interface, as it comes."""
    began, cpu = time.perf_counter(), 0.0
    with (
        InfluxDBClient(url, token="-", org="-") as client,  # noqa: S106  (none is asked for)
        client.write_api() as api,
    ):
        for rows in chunks(count, start_ms):
            start_cpu = time.process_time()
            for row in rows:
                api.write(THEIRS, record=point(row))
            cpu += time.process_time() - start_cpu
        start_cpu = time.process_time()
        api.close()
        cpu += time.process_time() - start_cpu
    return {"took_s": time.perf_counter() - began, "cpu_s": cpu}


def point(row: StoredReading) -> Point:
    """Return the same point in the library's own form."""
    made = (
        Point(line.MEASUREMENT)
        .tag("station", row.station)
        .tag("channel", row.channel)
        .tag("quantity", "water_level")
        .field("q", row.flag)
        .field("f", row.reasons)
        .field("notes", row.notes)
        .field("lag", row.lag_ms)
        .time(row.time_ms, "ms")  # type: ignore[arg-type]
    )
    return made if row.value is None else made.field("value", row.value)
