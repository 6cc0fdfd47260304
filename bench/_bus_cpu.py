"""CPU of a reading: 20 devices of 20 registers, beside a plain loop that reads one at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from _bus_site import Heard, bus_of, polling
from _bus_slaves import Slaves
from pymodbus.client import AsyncModbusSerialClient
from rig.pty import PtyPair

if TYPE_CHECKING:
    from pathlib import Path

DEVICES = range(1, 21)
REGISTERS = 20
PERIOD_S = 1.0
RUN_S = 10.0
ROUNDS = 5
BAUD = 115_200


async def _ours(folder: Path, port: Path) -> float:
    settings = bus_of(folder, port, DEVICES, registers=REGISTERS, period_s=PERIOD_S, baud=BAUD)
    heard = Heard()
    async with polling(settings, heard):
        await asyncio.sleep(2 * PERIOD_S)
        values, began_s = heard.values, time.process_time()
        await asyncio.sleep(RUN_S)
        cpu_s, values = time.process_time() - began_s, heard.values - values
    assert heard.wrong == 0
    assert values >= 0.8 * len(DEVICES) * REGISTERS * RUN_S / PERIOD_S, values
    return cpu_s / values * 1e6


async def _plain(port: Path) -> tuple[float, int]:
    """Return microseconds a reading, and how many of them were not what had been asked for."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    client = AsyncModbusSerialClient(str(port), baudrate=BAUD, timeout=1.0, retries=0)
    await client.connect()
    values, wrong, began_s = 0, 0, time.process_time()
    for _ in range(ROUNDS):
        for unit in DEVICES:
            for n in range(REGISTERS):
                reply = await client.read_holding_registers(n, count=1, device_id=unit)
                wrong += reply.registers != [1000 + n]
                values += 1
    cpu_s = time.process_time() - began_s
    client.close()
    return cpu_s / values * 1e6, wrong


def cpu(folder: Path) -> dict[str, float]:
    """Return microseconds of CPU per reading, ours and the plain loop's, and their ratio."""
    place = folder / "cpu"
    with PtyPair(place) as pair, Slaves(pair.far, DEVICES):
        ours_us = asyncio.run(_ours(place, pair.near))
        plain_us, wrong = asyncio.run(_plain(pair.near))
    return {
        "cpu_us_per_reading": round(ours_us, 1),
        "cpu_us_per_reading_plain_pymodbus": round(plain_us, 1),
        "cpu_ratio_to_plain_pymodbus": round(ours_us / plain_us, 3),
        "cpu_plain_pymodbus_wrong_values": wrong,
    }
