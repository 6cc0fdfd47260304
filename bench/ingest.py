"""How fast the whole chain takes readings: broker, intake, journal, recorder, store, judge, ledger.

The clock stops when the store has every reading and the judge has judged every one; a share of
the stations floods, so that rungs are reached and what follows is sealed in the ledger. Prints one
JSON object on its last line. `chain_to_raw_insert_ratio` compares it with the same rows inserted
into the same table and key by plain sqlite3, synchronous=FULL, 500 rows a transaction, in the same
run: before and after the chain, the mean counts. With `--store influx`: see `_ingest_influx.py`.
"""

# ruff: noqa: E402  (the rigs are found first)
from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]

import _ingest_load as load
from rig.centre_half import free_port, until
from rig.influxd import why_no_influxd

from egret_aggregator import catalogue, garbage
from egret_aggregator.clock import Clock
from egret_aggregator.config import BrokerSettings
from egret_aggregator.database import Database
from egret_aggregator.intake import BrokerChild, Intake
from egret_aggregator.journal import Journal
from egret_aggregator.judge import Judge
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import SqliteStore
from egret_aggregator.store.schema import TABLES
from egret_aggregator.warnings import Ledger
from egret_core.codec import decode_batch
from egret_core.entries import read_readings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MB = 1024 * 1024
RAW_ROWS = 500  # of one transaction
DATUM = "Bench"
WINDOWS_H = (1, 3, 6, 12, 24)
PER_BATCH = load.CHANNELS * load.INSTANTS
PATIENCE_S = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, default=0, help="3000, or 1000 with influx")
    parser.add_argument("--store", choices=("sqlite", "influx"), default="sqlite")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="egret-bench-") as folder:
        if asked.store == "influx":
            print(json.dumps(asyncio.run(measure_influx(Path(folder), asked.batches or 1000))))
        else:
            print(json.dumps(asyncio.run(measure(Path(folder), asked.batches or 3000))))
    return 0


async def measure_influx(folder: Path, count: int) -> dict[str, Any]:
    if why := why_no_influxd():
        return {"skipped": why}
    import _ingest_influx  # noqa: PLC0415  (needs the extra [influx])

    start_ms = int(time.time() * 1000) - count // load.STATIONS * load.INSTANTS * load.PERIOD_MS
    return await _ingest_influx.measure(folder, count, start_ms)


async def measure(folder: Path, count: int) -> dict[str, Any]:
    start_ms = int(time.time() * 1000) - count // load.STATIONS * load.INSTANTS * load.PERIOD_MS
    figures: dict[str, Any] = {
        "readings": count * PER_BATCH,
        "readings_per_batch": PER_BATCH,
        "channels": load.STATIONS * load.CHANNELS,
    }
    before = raw_insert(folder / "raw1.db", count, start_ms)
    figures.update(stages(count, start_ms))
    chain = await run_chain(folder, count, start_ms)
    after = raw_insert(folder / "raw2.db", count, start_ms)
    raw = (before + after) / 2
    figures.update(chain)
    figures["raw_insert_rows_per_s"] = round(raw)
    figures["chain_to_raw_insert_ratio"] = round(chain["chain_readings_per_s"] / raw, 3)
    figures["rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return figures


def raw_insert(path: Path, count: int, start_ms: int) -> float:
    """Return rows a second into the store's table, without Egret."""
    rows = [
        (*reading, 0, 0) for _, _, readings in load.batches(count, start_ms) for reading in readings
    ]
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute(TABLES[0])
    began = time.perf_counter()
    for at in range(0, len(rows), RAW_ROWS):
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO reading VALUES (?,?,?,?,?,?,?,?,?)", rows[at : at + RAW_ROWS])
        db.execute("COMMIT")
    took_s = time.perf_counter() - began
    db.close()
    path.unlink()
    return len(rows) / took_s


def stages(count: int, start_ms: int) -> dict[str, float]:
    """Return microseconds a reading of the pure stages, alone."""
    bodies = [load.payload(*item) for item in load.batches(min(count, 300), start_ms)]
    readings = len(bodies) * PER_BATCH
    began = time.perf_counter()
    batches = [decode_batch(body) for body in bodies]
    decoded = time.perf_counter()
    for batch in batches:
        read_readings(batch)
    ended = time.perf_counter()
    return {
        "payload_b_per_reading": round(sum(map(len, bodies)) / readings, 2),
        "decode_us": round((decoded - began) / readings * 1e6, 3),
        "read_us": round((ended - decoded) / readings * 1e6, 3),
    }


async def run_chain(folder: Path, count: int, start_ms: int) -> dict[str, Any]:
    port = free_port()
    broker = BrokerChild(folder / "broker", "127.0.0.1", port)
    await broker.start()
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "_ingest_load.py"),
        str(port),
        str(count),
        str(start_ms),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        async with centre(folder, port) as parts:
            await child.stdout.readline()
            cpu, began = time.process_time(), time.perf_counter()
            child.stdin.write(b"go\n")
            await child.stdin.drain()
            await asyncio.wait_for(child.wait(), PATIENCE_S)
            acked_s = time.perf_counter() - began
            recorder, judge = parts["recorder"], parts["judge"]
            recorded_s, judged_s = await asyncio.gather(
                lasting(began, lambda: recorder.recorded == count * PER_BATCH),
                lasting(began, lambda: judge.health()["readings"] == count * PER_BATCH),
            )
            took_s = max(recorded_s, judged_s)
            cpu_s = time.process_time() - cpu
    finally:
        if child.returncode is None:
            child.kill()
        await broker.stop()
    readings = count * PER_BATCH
    return {
        "judge_events": judge.health()["events"],
        "ledger_lines": parts["ledger"].head.seq,
        "chain_readings_per_s": round(readings / took_s),
        "acked_readings_per_s": round(readings / acked_s),
        "recorded_readings_per_s": round(readings / recorded_s),
        "judged_readings_per_s": round(readings / judged_s),
        "centre_cpu_us": round(cpu_s / readings * 1e6, 2),
        "journal_commits": parts["journal"].commits,
        "dropped": parts["intake"].health()["dropped"],
        "cores": os.cpu_count(),
    }


@asynccontextmanager
async def centre(folder: Path, port: int) -> AsyncIterator[dict[str, Any]]:
    journal = Journal(folder / "journal.db", keep_ms=86_400_000, max_bytes=4096 * MB)
    store = SqliteStore(folder / "series.db")
    known = {
        (load.station(s), load.channel(c)[0])
        for s in range(load.STATIONS)
        for c in range(load.CHANNELS)
    }
    recorder = Recorder(
        journal,
        store,
        owner=lambda station, _: "gw" + station[2:] if station.startswith("st") else None,
        known=known,
    )
    clock = Clock()
    async with AsyncExitStack() as stack:
        await journal.open()
        stack.push_async_callback(journal.close)
        await store.open()
        stack.push_async_callback(store.close)
        await recorder.open()
        intake = Intake(BrokerSettings(host="127.0.0.1", port=port), journal, clock)
        parts: dict[str, Any] = {"journal": journal, "recorder": recorder, "intake": intake}
        database = Database(folder / "egret.db")
        stack.push_async_callback(database.close)
        await database.open()
        ledger = parts["ledger"] = Ledger(database, clock.now_ms)
        await ledger.open()
        judge = parts["judge"] = judge_of(folder, journal, ledger, clock)
        tasks = [asyncio.create_task(part.run()) for part in (recorder, intake, judge)]
        await until(lambda: intake.health()["connected"])
        garbage.settle()
        yield parts
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def lasting(began: float, true: Callable[[], object]) -> float:
    """Return the seconds from a beginning until something is true."""
    await until(true, PATIENCE_S)
    return time.perf_counter() - began


def judge_of(folder: Path, journal: Journal, ledger: Ledger, clock: Clock) -> Judge:
    """Return a judge with a ladder and absence on every channel, rain windows on a tenth."""
    write_catalogue(folder / "catalogue")
    return Judge(
        journal,
        ledger.take,
        catalogue.load(folder / "catalogue"),
        clock.now_ms,
        decoded=journal.decoded,
        readings=journal.readings,
    )


def write_catalogue(folder: Path) -> None:
    folder.mkdir()
    stations, levels, rain = [], [], []
    for number in range(load.STATIONS):
        name = load.station(number)
        stations.append(
            f'[[station]]\nid = "{name}"\nname = "{name}"\nlatitude = 24.5\nlongitude = 118.1\n'
        )
        for at in range(load.CHANNELS):
            ident, quantity = load.channel(at)
            datum = f'datum = "{DATUM}"\n' if quantity == "water_level" else ""
            stations.append(
                f'[[station.channel]]\nid = "{ident}"\nquantity = "{quantity}"\n{datum}'
                f'gateway = "{load.gateway(number)}"\n'
            )
            (rain if quantity == "rain_total" else levels).append(f"{name}/{ident}")
    windows = ", ".join(
        f'{{ level = "w{hours}", window_h = {hours}, sum = {100 * hours} }}' for hours in WINDOWS_H
    )
    (folder / "stations.toml").write_text("".join(stations))
    (folder / "rules.toml").write_text(
        rule("ladder", "generic-level", levels, ladder("m", f'datum = "{DATUM}"\n'))
        + rule("rain-ladder", "generic-level", rain, ladder("mm", "", 10_000))
        + rule("absence", "absence", [*levels, *rain], "limit_s = 3600\n")
        + rule("rain", "generic-rain", rain, f"levels = [{windows}]\n")
    )


def ladder(unit: str, datum: str, first: int = 3) -> str:
    rungs = ", ".join(
        f'{{ level = "{name}", raise = {first + at}.0, clear = {first + at - 0.2} }}'
        for at, name in enumerate(("blue", "yellow", "orange", "red"))
    )
    return f'unit = "{unit}"\n{datum}levels = [{rungs}]\nhold_s = 0\n'


def rule(ident: str, pack: str, channels: list[str], parameters: str) -> str:
    return (
        f'[[rule]]\nid = "{ident}"\npack = "{pack}"\nchannels = {json.dumps(channels)}\n'
        f"[rule.parameters]\n{parameters}"
    )


if __name__ == "__main__":
    sys.exit(main())
