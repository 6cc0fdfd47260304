"""What dead units cost their neighbours: on libmodbus slaves, on a paced line, in virtual time."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from _bus_site import Heard, bus_of, polling
from _bus_slaves import Slaves
from rig.libmodbus import LibmodbusSlave
from rig.paced import PacedLine
from rig.virtual_bus import Field, jobs_of, ours

from egret_gateway.bus.rank import Rank
from egret_gateway.bus.unit import Patience

if TYPE_CHECKING:
    from pathlib import Path

BAUD = 9600
LEARN_S = 8.0  # every turnaround is known by then
WATCH_S = 25.0  # longer than the first backoffs
RUNS = 3
DEAD = (3, 11, 27)
UNITS = range(1, 33)
WARM_S = 20.0
CROWD_S = 40.0
HOUR_S = 3600.0


async def _one_dies(folder: Path, line: PacedLine, slave: LibmodbusSlave) -> tuple[float, float]:
    """Return (the least live unit's share of its samples, the longest gap) once unit 3 is dead."""
    settings = bus_of(
        folder, line.master, range(1, 5), registers=2, period_s=1.0, baud=BAUD, patience_ms=3000
    )
    heard = Heard()
    async with polling(settings, heard):
        await asyncio.sleep(LEARN_S)
        slave.stop()
        dead_s = time.monotonic()
        await asyncio.sleep(WATCH_S)
    shares, gaps = [], []
    for unit in (1, 2, 4):
        times = [at_s for at_s in heard.at_s[f"u{unit}"] if at_s >= dead_s - 1.0]
        shares.append((len(times) - 1) / WATCH_S)
        gaps += [b - a for a, b in pairwise(times)]
    assert heard.wrong == 0
    return min(shares), max(gaps)


def one_of_four(folder: Path) -> dict[str, float]:
    """Four libmodbus slaves at 9600, 1 s, 3 s of patience: one dies once its answers are known."""
    shares, gaps = [], []
    for run in range(RUNS):
        place = folder / f"four{run}"
        with PacedLine(place, 4, BAUD) as line, ExitStack() as stack:
            slaves = [
                stack.enter_context(LibmodbusSlave(place, line.slave(n), n, BAUD))
                for n in range(1, 5)
            ]
            share, gap = asyncio.run(_one_dies(place, line, slaves[2]))
        shares.append(min(share, 1.0))
        gaps.append(gap)
    return {
        "dead_unit_live_share": round(median(shares), 4),
        "dead_unit_max_gap_periods": round(median(gaps), 3),
        "dead_unit_max_gap_periods_worst_run": round(max(gaps), 3),
    }


async def _crowded(folder: Path, line: PacedLine) -> float:
    settings = bus_of(
        folder, line.master, UNITS, registers=10, period_s=2.0, baud=BAUD, patience_ms=300
    )
    heard = Heard()
    async with polling(settings, heard):
        await asyncio.sleep(WARM_S)
        since_s = time.monotonic()
        await asyncio.sleep(CROWD_S)
        until_s = time.monotonic()
    met = wanted = 0.0
    for unit in UNITS:
        if unit in DEAD:
            continue
        times = [at_s for at_s in heard.at_s[f"u{unit}"] if since_s - 2.0 <= at_s <= until_s]
        met += sum(b - a <= 1.1 * 2.0 for a, b in pairwise(times))
        wanted += CROWD_S / 2.0
    assert heard.wrong == 0
    return met / wanted


def crowded(folder: Path) -> dict[str, float]:
    """32 units at 75 % load, three of them dead: an hour in virtual time, and a minute on a pty."""
    figures: dict[str, float] = {}
    for name, rank in (("", Rank.MEASUREMENT), ("_warning_class", Rank.WARNING)):
        slaves = Field(lambda unit, _: int(unit) in DEAD)
        story, schedule = ours(slaves, jobs_of(32, 2.0, rank), HOUR_S, patience=Patience(0.05, 0.3))
        dead = {str(unit) for unit in DEAD}
        share = story.deadline_share(2.0, dead)
        figures[f"deadline_share_32u_3dead{name}"] = round(share, 4)
        figures[f"wasted_share_32u_3dead{name}"] = round(story.wasted_s / HOUR_S, 4)
        figures["load_32u_3dead"] = round(schedule.strides.load, 3)
    place = folder / "crowd"
    alive = [unit for unit in UNITS if unit not in DEAD]
    with PacedLine(place, 1, BAUD) as line, Slaves(line.slave(1), alive, turnaround_ms=10):
        figures["deadline_share_32u_3dead_pty"] = round(asyncio.run(_crowded(place, line)), 4)
    return figures
