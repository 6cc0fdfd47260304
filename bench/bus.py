"""The bus under late replies, faults, dead units and a slow wire; beside pymodbus in the same run.

Late replies: libmodbus slaves on unpaced ptys at 115200; every third reply is written 70 ms late,
the time-out is 40 ms, 2 registers from address 7i mod 150. Glitches: 1 to 3 random bytes before
each reply. The other parts explain themselves in `_bus_*.py`. Names run parts alone:
`./dev bench bus wire dead`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from _bus_cpu import cpu
from _bus_dead import crowded, one_of_four
from _bus_faults import injected
from _bus_replug import figures as replug
from _bus_tcp import figures as tcp
from _bus_wire import coalescing, wire
from pymodbus.client import AsyncModbusSerialClient
from pymodbus.exceptions import ModbusException
from rig.libmodbus import LibmodbusSlave, why_missing
from rig.pty import FarEnd, PtyPair, why_no_pair

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.transaction import Ask, Transactions
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.config import BusSettings
from egret_gateway.ports.serial_port import open_serial
from egret_gateway.protocols import modbus_rtu_slave

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Part = Callable[[Path], Mapping[str, float]]

UNIT = 7
FAST = 115_200
LATE_EVERY = 3
LATE_MS = 70
TIMEOUT_S = 0.04
LATE_WANTED = 1000
LINES = 4  # late replies are waited for: four lines wait together
PEER_READS = 300
GLITCHES = 1000


def address_of(i: int) -> int:
    return 7 * i % 150


def is_right(registers: list[int], address: int) -> bool:
    return registers == [1000 + address + k for k in range(len(registers))]


async def ours_late(pair: PtyPair, slave: LibmodbusSlave, wanted: int) -> tuple[int, int, int]:
    """Return (accepted, wrong, late dropped) once `wanted` replies were late."""
    port = open_serial(BusSettings("bench", str(pair.near), FAST))
    units: dict[int, Unit] = {}
    line = Transactions(port, units)
    accepted = wrong = i = 0
    while i % 50 or sum(row.late for row in slave.served()) < wanted:
        address = address_of(i)
        ways = tuple(Span(address, words) for words in (2, 3, 4))
        outcome = await line.read(Ask(UNIT, 3, ways, Patience(TIMEOUT_S, TIMEOUT_S)))
        if outcome.fault is Fault.NONE:
            accepted += 1
            wrong += not is_right(list(outcome.registers), address)
        i += 1
    port.close()
    return accepted, wrong, units[UNIT].counts.late_dropped


async def peer_late(pair: PtyPair) -> tuple[int, int]:
    """Return (accepted, wrong) of pymodbus over the same line."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    client = AsyncModbusSerialClient(
        str(pair.near), baudrate=FAST, timeout=TIMEOUT_S, retries=0, reconnect_delay=0.1
    )
    await client.connect()
    accepted = wrong = 0
    for i in range(PEER_READS):
        address = address_of(i)
        try:
            reply = await client.read_holding_registers(address, count=2, device_id=UNIT)
        except ModbusException:
            continue
        if not reply.isError():
            accepted += 1
            wrong += not is_right(reply.registers, address)
    client.close()
    return accepted, wrong


async def late(folder: Path) -> dict[str, float]:
    async def one(number: int) -> tuple[int, int, int, int, int]:
        place = folder / f"line{number}"
        with (
            PtyPair(place) as pair,
            LibmodbusSlave(
                place, pair.far, UNIT, FAST, late_every=LATE_EVERY, late_ms=LATE_MS
            ) as slave,
        ):
            accepted, wrong, dropped = await ours_late(pair, slave, -(-LATE_WANTED // LINES))
            rows = slave.served(accepted + dropped)
        lates = sum(row.late for row in rows)
        return accepted, wrong, dropped, lates, len(rows) - lates

    lines = await asyncio.gather(*(one(number) for number in range(LINES)))
    accepted, wrong, dropped, lates, on_time = (sum(column) for column in zip(*lines, strict=True))
    place = folder / "peer"
    with (
        PtyPair(place) as pair,
        LibmodbusSlave(place, pair.far, UNIT, FAST, late_every=LATE_EVERY, late_ms=LATE_MS),
    ):
        peer_accepted, peer_wrong = await peer_late(pair)
    return {
        "late_replies": lates,
        "late_reply_wrong_values": wrong,
        "late_dropped": dropped,
        "on_time_replies": on_time,
        "on_time_accepted_share": round(accepted / on_time, 4),
        "pymodbus_late_reads": PEER_READS,
        "pymodbus_accepted": peer_accepted,
        "pymodbus_late_reply_wrong_values": peer_wrong,
    }


async def glitch() -> dict[str, float]:
    dice = random.Random(1)  # noqa: S311  (a repeatable draw)
    pending = bytearray()

    def answer(data: bytes) -> bytes:
        pending.extend(data)
        request = modbus_rtu_slave.find_request(bytes(pending), (UNIT,))
        if request is None:
            return b""
        del pending[: request.end]
        registers = [1000 + request.address + k for k in range(request.words)]
        return dice.randbytes(dice.randint(1, 3)) + modbus_rtu_slave.reply(request, registers)

    recovered = wrong = 0
    with FarEnd(answer) as far:
        port = open_serial(BusSettings("bench", str(far.path), FAST))
        line = Transactions(port, {})
        for i in range(GLITCHES):
            address = address_of(i)
            ways = tuple(Span(address, words) for words in (4, 5, 6))
            outcome = await line.read(Ask(UNIT, 3, ways, Patience(0.05, 0.2)))
            recovered += outcome.fault is Fault.NONE
            wrong += not is_right(list(outcome.registers), address)
        port.close()
    return {
        "glitches": GLITCHES,
        "glitch_recovered_share": round(recovered / GLITCHES, 4),
        "glitch_wrong_values": wrong,
    }


PARTS: dict[str, Part] = {
    "wire": wire,
    "coalescing": coalescing,
    "glitch": lambda _: asyncio.run(glitch()),
    "late": lambda folder: asyncio.run(late(folder)),
    "faults": lambda _: injected(),
    "dead": one_of_four,
    "crowded": crowded,
    "cpu": cpu,
    "replug": replug,
    "tcp": lambda _: tcp(),
}


def main(argv: Sequence[str]) -> int:
    missing = why_missing() or why_no_pair()
    if missing:
        print(f"bench bus: {missing}", file=sys.stderr)
        return 3
    if not set(argv) <= set(PARTS):
        print(f"bench bus: the parts are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="egret-bench-") as text:
        for name in argv or PARTS:
            print(f"bench bus: {name}", file=sys.stderr)
            figures |= PARTS[name](Path(text))
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
