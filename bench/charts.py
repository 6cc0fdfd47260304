"""How fast a year of one channel is charted: by rollups against the raw scan of the same store.

525,600 readings, one a minute, are stored and rolled; then the year is asked for in at most 1,000
buckets. `year_chart_speedup` is the quickest raw scan (the store's own SQL, grouping in the
database) over the chart as the API gives it, medians of the same run; `year_chart_raw_ms` is the
same chart made of raw readings through the store's interface. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import math
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_aggregator.charts import Charts
from egret_aggregator.roller import point, readings
from egret_aggregator.store import SqliteStore, StoredReading
from egret_aggregator.store.rollup_rows import Rebuild
from egret_aggregator.store.rollups import Rollups
from egret_core.buckets import TEN_MIN_MS, Bucket, coarser, gather

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

MINUTES = 525_600
START_MS = 1_767_225_600_000  # 2026-01-01
END_MS = START_MS + MINUTES * 60_000
WIDTH_MS = 9 * 3_600_000  # the narrowest multiple of an hour that gives at most 1,000 buckets
KEY = ("st0001", "wl")
PEAK, DIP = 300_000, 400_000  # minutes at which the year has its extremes
PAGE = 4096
RUNS = 7
RAW_SQL = (
    "SELECT time / ?1, count(*), min(value), max(value), sum(value) FROM reading"
    " WHERE station = ?2 AND time >= ?3 AND time < ?4 AND channel = ?5 GROUP BY 1"
)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="egret-bench-") as folder:
        print(json.dumps(asyncio.run(measure(Path(folder)))))
    return 0


async def measure(folder: Path) -> dict[str, Any]:
    store, rollups = SqliteStore(folder / "series.db"), Rollups(folder / "rollups.db")
    await store.open()
    await rollups.open()
    try:
        for start in range(0, MINUTES, PAGE):
            await store.write([row(n) for n in range(start, min(start + PAGE, MINUTES))])
        began = time.perf_counter()
        await roll(store, rollups)
        rolled_s = time.perf_counter() - began
        return {**await compare(folder, store, rollups), "roll_year_s": round(rolled_s, 3)}
    finally:
        await rollups.close()
        await store.close()


def row(minute: int) -> StoredReading:
    value = 50 + round(5 * math.sin(minute / 7000) + math.sin(minute / 11), 3)
    value = {PEAK: 90.0, DIP: 10.0}.get(minute, value)
    return StoredReading(*KEY, START_MS + minute * 60_000, value, None, 1, 0, 0, 40)


async def roll(store: SqliteStore, rollups: Rollups) -> None:
    from_ms = START_MS
    while from_ms < END_MS:
        to_ms = from_ms + 400 * TEN_MIN_MS
        rows = [one async for one in readings(store, KEY, from_ms, to_ms)]
        await rollups.reroll(Rebuild(*KEY, from_ms), gather(map(point, rows), TEN_MIN_MS), to_ms)
        from_ms = to_ms
    await rollups.reroll(Rebuild(*KEY, from_ms), [], None)


async def compare(folder: Path, store: SqliteStore, rollups: Rollups) -> dict[str, Any]:
    charts = Charts(store, rollups)
    db = sqlite3.connect(folder / "series.db")

    async def by_rollups() -> list[Bucket]:
        return (await charts.buckets(KEY, START_MS, END_MS, WIDTH_MS, 1000)).buckets

    async def by_ten_minutes() -> list[Bucket]:
        return (await charts.buckets(KEY, START_MS, END_MS, 53 * TEN_MIN_MS, 1000)).buckets

    async def by_raw() -> list[Bucket]:
        rows = [point(one) async for one in readings(store, KEY, START_MS, END_MS)]
        return coarser(gather(rows, TEN_MIN_MS), WIDTH_MS)

    async def by_sql() -> list[Any]:
        question = (WIDTH_MS, KEY[0], START_MS, END_MS, KEY[1])
        return db.execute(RAW_SQL, question).fetchall()

    chart_ms, chart = await timed(by_rollups)
    ten_ms, _ = await timed(by_ten_minutes)
    raw_ms, raw = await timed(by_raw)
    sql_ms, sql = await timed(by_sql)
    db.close()
    assert [bucket._replace(total=0) for bucket in chart] == [b._replace(total=0) for b in raw]
    assert [(b.n, b.low, b.high) for b in chart] == [(one[1], one[2], one[3]) for one in sql]
    assert (max(b.high or 0 for b in chart), min(b.low or 99 for b in chart)) == (90.0, 10.0)
    return {
        "readings": MINUTES,
        "buckets": len(chart),
        "year_chart_ms": round(chart_ms, 2),
        "year_chart_ten_min_ms": round(ten_ms, 2),
        "year_chart_raw_ms": round(raw_ms, 1),
        "year_chart_sql_ms": round(sql_ms, 1),
        "year_chart_speedup": round(min(raw_ms, sql_ms) / chart_ms, 1),
    }


async def timed(work: Callable[[], Awaitable[list[Any]]]) -> tuple[float, list[Any]]:
    """Return the median of a few runs in ms, and the answer."""
    took: list[float] = []
    answer: list[Any] = []
    for _ in range(RUNS):
        began = time.perf_counter()
        answer = await work()
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took), answer


if __name__ == "__main__":
    sys.exit(main())
