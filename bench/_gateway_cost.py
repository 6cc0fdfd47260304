"""What a gateway takes of its box: memory, start, and bytes on its flash."""

from __future__ import annotations

import asyncio
import signal
import statistics
import time
from typing import TYPE_CHECKING, NamedTuple

from _field import Bus, Pace, as_box, running, spread, until, write_config
from _field_line import FieldLine
from _gateway_centre import centre
from _process import cpu_of, proc, written, written_in_all

if TYPE_CHECKING:
    from pathlib import Path

UNITS, CHANNELS = 32, 200
PERIOD_S = 10.0
MEMORY_SCALE = 20.0  # a third of an hour in a minute
STARTS = 5
DEVICES, TAGS = 4, 5  # 20 channels a minute
MINUTE_S = 60.0
DISK_SCALE = 24.0  # a minute is 2.5 s: acks are still marked in commits of their own
MB = 1024.0  # KiB
START_S = 30.0


class Written(NamedTuple):
    """Bytes that reached the disk, and the readings they were for."""

    bytes: int
    readings: int


async def memory(folder: Path, seconds: float, units: int = UNITS) -> dict[str, float]:
    """Return what the process holds with 32 units and 200 channels at 10 s, settled by a centre."""
    with FieldLine() as line:
        async with centre(folder) as there:
            bus = Bus(line.port, spread(units, units * CHANNELS // UNITS))
            pace = Pace(PERIOD_S, 1.0, MEMORY_SCALE)
            config = write_config(folder, (bus,), pace, as_box(there.broker))
            with running(config) as box:
                await until(lambda: there.batches() > 1, START_S)
                await asyncio.sleep(seconds)
                status = proc(box.pid, "status")
                readings = await there.readings()
    return {
        "rss_mb": round(int(status["VmHWM"].split()[0]) / MB, 1),
        "rss_now_mb": round(int(status["VmRSS"].split()[0]) / MB, 1),
        "rss_units": units,
        "rss_readings": readings,
    }


async def starts(folder: Path, units: int = UNITS, times: int = STARTS) -> dict[str, float]:
    """Return seconds from the start of the process to the first byte on the line."""
    took: list[float] = []
    cpu: list[float] = []
    async with centre(folder) as there:
        broker = as_box(there.broker)
        for number in range(times + 1):  # the first one warms the file cache
            with FieldLine() as line:
                bus = Bus(line.port, spread(units, units * CHANNELS // UNITS))
                place = folder / f"start{number}"
                config = write_config(place, (bus,), Pace(PERIOD_S, 1.0), broker)
                began = time.monotonic()
                with running(config) as box:
                    await until(lambda line=line: line.first_s, START_S)  # type: ignore[misc]
                    cpu.append(cpu_of(box.pid))
                took.append(line.first_s - began)
    return {
        "start_s": round(statistics.median(took[1:]), 3),
        "start_highest_s": round(max(took[1:]), 3),
        "start_cpu_s": round(statistics.median(cpu[1:]), 3),
    }


async def disk(folder: Path, seconds: float, cut_s: float) -> Written:
    """Return bytes that reached the disk for a reading, 20 channels a minute, the close too."""
    with FieldLine() as line:
        async with centre(folder) as there:
            devices = spread(DEVICES, DEVICES * TAGS)
            pace = Pace(MINUTE_S, cut_s, DISK_SCALE)
            config = write_config(folder, (Bus(line.port, devices),), pace, as_box(there.broker))
            with running(config) as box:
                await until(lambda: there.batches() > 1, START_S + cut_s / DISK_SCALE)
                before, first = written(box), await there.readings()
                await asyncio.sleep(seconds)
                box.send_signal(signal.SIGTERM)  # what the last checkpoint writes counts too
                after = await asyncio.to_thread(written_in_all, box)
            readings = await there.readings() - first
    return Written(after - before, readings)
