"""`./dev bench ingest --store influx`: the store of InfluxDB beside what could be at best.

Chunk by chunk, in turn and against the same server: bodies made beforehand and posted as they are
(`influx_raw_post`: one after the other on one connection; `influx_raw_lanes`: on as many as the
store has lanes), and `InfluxStore.write` with all that it does, its own transaction included. Then
the same rows through influxdb-client's batching interface, for its share of the processor.
The server is Debian's influxd 1.6.7 behind an alias process that writes as 1.8 does.
"""

from __future__ import annotations

import asyncio
import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import _ingest_load as load
from influxdb_client import InfluxDBClient, Point
from rig.influxd import running_influxd

from egret_aggregator import garbage
from egret_aggregator.store import StoredReading
from egret_aggregator.store.influx import InfluxStore, lanes, line
from egret_aggregator.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BATCHES_A_WRITE = 64  # as the recorder takes them: 12,800 rows
RAW, LANES, OURS, THEIRS = "raw", "lanes", "ours", "theirs"
NOBODY = "-"  # the server asks for no token


async def measure(folder: Path, count: int, start_ms: int) -> dict[str, Any]:
    """Return the figures of so many batches."""
    async with running_influxd(folder / "influxd", own_process=True) as server:
        for name in (RAW, LANES, OURS, THEIRS):
            await server.ask(f"CREATE DATABASE {name}")
        spent = await in_turn(folder, server.url, count, start_ms)
        theirs = await asyncio.to_thread(their_api, server.url, count, start_ms)
        counts = [await server.count(database=name) for name in (RAW, LANES, OURS, THEIRS)]
        server_cpu_s = server.cpu_s()
    readings = count * load.CHANNELS * load.INSTANTS
    assert counts == [readings] * 4, f"not all is there: {counts}"
    return {
        "readings": readings,
        "influx_readings_per_s": round(readings / spent["ours_s"]),
        "influx_raw_post_readings_per_s": round(readings / spent["raw_s"]),
        "influx_raw_lanes_readings_per_s": round(readings / spent["lanes_s"]),
        "influx_to_raw_post_ratio": round(spent["raw_s"] / spent["ours_s"], 3),
        "influx_to_raw_lanes_ratio": round(spent["lanes_s"] / spent["ours_s"], 3),
        "influx_client_cpu_us": round(spent["ours_cpu_s"] / readings * 1e6, 2),
        "batching_api_cpu_us": round(theirs["cpu_s"] / readings * 1e6, 2),
        "batching_api_readings_per_s": round(readings / theirs["took_s"]),
        "client_cpu_ratio": round(spent["ours_cpu_s"] / theirs["cpu_s"], 3),
        "influxd_cpu_us": round(server_cpu_s / readings / 4 * 1e6, 2),
    }


async def in_turn(folder: Path, url: str, count: int, start_ms: int) -> dict[str, float]:
    """Post and write chunk by chunk; return seconds and processor seconds of each way."""
    store = InfluxStore(StoreSettings("influx", url, OURS), folder / "influx.db")
    await store.open()
    garbage.settle()  # as the centre does
    one, many = RawPost(url, RAW, 1), RawPost(url, LANES, lanes.LANES)
    spent = dict.fromkeys(("raw_s", "lanes_s", "ours_s", "ours_cpu_s"), 0.0)
    for rows in chunks(count, start_ms):
        for name, post, size in (
            ("raw_s", one, lanes.POINTS_MAX),
            ("lanes_s", many, -(-len(rows) // lanes.LANES)),
        ):
            bodies = prepared(rows, size)
            began = time.perf_counter()
            await asyncio.to_thread(post.all, bodies)
            spent[name] += time.perf_counter() - began
        began, cpu = time.perf_counter(), time.process_time()
        receipt = await store.write(rows)
        spent["ours_s"] += time.perf_counter() - began
        spent["ours_cpu_s"] += time.process_time() - cpu
        assert receipt.accepted == len(rows)
    one.close()
    many.close()
    await store.close()
    return spent


def chunks(count: int, start_ms: int) -> Iterator[list[StoredReading]]:
    """Yield rows of one write each."""
    batches = load.batches(count, start_ms)
    while some := list(islice(batches, BATCHES_A_WRITE)):
        yield [StoredReading(*reading, 0, 40) for _, _, readings in some for reading in readings]


def prepared(rows: Sequence[StoredReading], size: int) -> list[bytes]:
    """Return finished bodies of so many rows each."""
    written: list[str] = []
    for row in rows:
        written += line.lines(line.head(row.station, row.channel, "water_level"), [row])
    return [line.body(written[at : at + size]) for at in range(0, len(written), size)]


class RawPost:
    """Connections to one database, and nothing else.

    Args:
        url: of the server; database: where to; width: connections used at once.
    """

    def __init__(self, url: str, database: str, width: int) -> None:
        parts = urlsplit(url)
        self._path = f"/api/v2/write?bucket={database}&org=-&precision=ms"
        self._free: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()
        for _ in range(width):
            self._free.put(http.client.HTTPConnection(str(parts.hostname), parts.port))
        self._pool = ThreadPoolExecutor(width)

    def all(self, bodies: Sequence[bytes]) -> None:
        """Post bodies, as many at once as there are connections."""
        list(self._pool.map(self._one, bodies))

    def close(self) -> None:
        self._pool.shutdown()
        while not self._free.empty():
            self._free.get().close()

    def _one(self, body: bytes) -> None:
        connection = self._free.get()
        connection.request("POST", self._path, body, {"Content-Encoding": "gzip"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 204, answer.status
        self._free.put(connection)


def their_api(url: str, count: int, start_ms: int) -> dict[str, float]:
    """Write everything through influxdb-client's batching interface, as it comes."""
    began, cpu = time.perf_counter(), 0.0
    with InfluxDBClient(url, token=NOBODY, org="-") as client, client.write_api() as api:
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
