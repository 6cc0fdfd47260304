"""What the wire gives: reads beside their one-gap limit, and blocks beside one read a register.

The limit of a read of N registers is (13 + 2N) characters and one gap, with the character time
that the paced fixture really kept.
"""

from __future__ import annotations

import asyncio
import logging
import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from pymodbus.client import AsyncModbusSerialClient
from rig.libmodbus import LibmodbusSlave
from rig.paced import PacedLine

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.transaction import Ask, Transactions
from egret_gateway.bus.unit import Patience, Span
from egret_gateway.config import BusSettings
from egret_gateway.ports.serial_port import line_times, open_serial

if TYPE_CHECKING:
    from pathlib import Path

UNIT = 7
RUNS = 5
TAGS = 20


class Wire(NamedTuple):
    """One run: the ratio to the limit, ms a read, and the fixture's character time, ms."""

    ratio: float
    read_ms: float
    char_ms: float


async def _reads(line: PacedLine, count: int, reads: int) -> float:
    """Return seconds per read."""
    port = open_serial(BusSettings("bench", str(line.master), line.baud))
    transactions = Transactions(port, {})
    ask = Ask(UNIT, 3, (Span(0, count),), Patience(1.0, 1.0))
    await transactions.read(ask)
    began = time.monotonic()
    for _ in range(reads):
        outcome = await transactions.read(ask)
        assert outcome.fault is Fault.NONE, outcome
    took_s = (time.monotonic() - began) / reads
    port.close()
    return took_s


def _wire(folder: Path, baud: int, count: int, reads: int) -> list[Wire]:
    """Return the runs, the least disturbed one first: by the fixture's own clock."""
    _, gap_s = line_times(baud, "N", 1)
    runs = []
    for run in range(RUNS):
        place = folder / f"wire{baud}-{count}-{run}"
        line = PacedLine(place, 1, baud)
        with line, LibmodbusSlave(place, line.slave(1), UNIT, baud):
            took_s = asyncio.run(_reads(line, count, reads))
        char_ms = float(line.report["char_ms"])
        limit_ms = (13 + 2 * count) * char_ms + gap_s * 1000
        runs.append(Wire(limit_ms / (took_s * 1000), took_s * 1000, char_ms))
    return sorted(runs, key=lambda run: abs(run.char_ms - 10_000 / baud))


def wire(folder: Path) -> dict[str, float]:
    """Return the ratios to the limit at both speeds: medians of the runs, and the calmest one's."""
    figures: dict[str, float] = {}
    for baud, count, reads in ((9600, 20, 40), (9600, 100, 15), (115_200, 100, 60)):
        runs = _wire(folder, baud, count, reads)
        name = f"{baud}_n{count}"
        figures[f"wire_ratio_{name}"] = round(median(run.ratio for run in runs), 4)
        figures[f"wire_ratio_{name}_calmest"] = round(runs[0].ratio, 4)
        if (baud, count) == (9600, 20):
            figures["wire_ratio_lowest_run"] = round(min(run.ratio for run in runs), 4)
            figures["wire_ms_per_read"] = round(runs[0].read_ms, 3)
            figures["wire_char_ms_measured"] = round(runs[0].char_ms, 4)
            figures["wire_char_ms_nominal"] = round(10_000 / baud, 4)
        else:
            figures[f"wire_char_ms_{name}_measured"] = round(runs[0].char_ms, 4)
    return figures


async def _one_by_one(line: PacedLine, rounds: int) -> tuple[float, float]:
    """Return seconds per reading of two loops that read register after register.

    The first keeps the standard's 3.5 characters before each request, as we do; pymodbus does not.
    """
    port = open_serial(BusSettings("bench", str(line.master), line.baud))
    transactions = Transactions(port, {})
    began = time.monotonic()
    for n in range(rounds * TAGS):
        ask = Ask(UNIT, 3, (Span(n % TAGS, 1),), Patience(1.0, 1.0))
        outcome = await transactions.read(ask)
        assert outcome.registers == (1000 + n % TAGS,)
    kept_s = (time.monotonic() - began) / (rounds * TAGS)
    port.close()
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    client = AsyncModbusSerialClient(str(line.master), baudrate=line.baud, timeout=1.0, retries=0)
    await client.connect()
    began = time.monotonic()
    for n in range(rounds * TAGS):
        reply = await client.read_holding_registers(n % TAGS, count=1, device_id=UNIT)
        assert reply.registers == [1000 + n % TAGS]
    gapless_s = (time.monotonic() - began) / (rounds * TAGS)
    client.close()
    return kept_s, gapless_s


def coalescing(folder: Path) -> dict[str, float]:
    """Return how many times faster 20 registers are read together than one after the other."""
    rounds = []
    for run in range(RUNS):
        place = folder / f"tags{run}"
        with PacedLine(place, 1, 9600) as line, LibmodbusSlave(place, line.slave(1), UNIT, 9600):
            together_s = asyncio.run(_reads(line, TAGS, 20)) / TAGS
            kept_s, gapless_s = asyncio.run(_one_by_one(line, 2))
        rounds.append((kept_s / together_s, gapless_s / together_s, together_s, kept_s))
    speedup, gapless, together_s, kept_s = sorted(rounds)[RUNS // 2]
    return {
        "coalescing_speedup_20tags": round(speedup, 2),
        "coalescing_speedup_20tags_gapless_pymodbus": round(gapless, 2),
        "readings_per_s_20tags": round(1 / together_s, 1),
        "readings_per_s_20tags_one_by_one": round(1 / kept_s, 1),
    }
