"""Programs that nobody here wrote, on one wire with ours."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from rig.libmodbus import LibmodbusSlave, why_missing
from rig.paced import PacedLine
from rig.pty import FarEnd, PtyPair, why_no_pair
from rig.sink import Sink
from rig.site import FOLDERS, QUICK, site, stage

from egret_core.quality import Reason
from egret_core.timescale import REAL
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.poll import Bus
from egret_gateway.bus.transaction import Ask, Transactions
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.config import BusSettings, load
from egret_gateway.ports.serial_port import open_serial
from egret_gateway.protocols.modbus_rtu_slave import find_request, reply

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 120.0
BAUD = 9600
FAST = 115200

pytestmark = [
    pytest.mark.system,
    pytest.mark.alone,
    pytest.mark.skipif(bool(why_missing()), reason=why_missing() or "complete"),
]


@pytest.mark.skipif(bool(why_no_pair()), reason=why_no_pair() or "complete")
async def test_late_replies_of_libmodbus_are_never_the_next_value(tmp_path: Path) -> None:
    with (
        PtyPair(tmp_path) as pair,
        LibmodbusSlave(tmp_path, pair.far, 7, FAST, late_every=3, late_ms=70) as slave,
    ):
        port = open_serial(BusSettings("bus0", str(pair.near), FAST))
        units: dict[int, Unit] = {}
        line = Transactions(port, units)
        accepted = asked = 0
        while asked % 10 or sum(row.late for row in slave.served()) < 30:
            address = 7 * asked % 150
            asked += 1
            ways = tuple(Span(address, words) for words in (2, 3, 4))
            outcome = await line.read(Ask(7, 3, ways, Patience(0.04, 0.04)))
            if outcome.fault is Fault.NONE:
                accepted += 1
                right = range(1000 + address, 1000 + address + len(outcome.registers))
                assert list(outcome.registers) == list(right)
            elif outcome.fault is Fault.QUARANTINED:
                await line.idle(outcome.free_s)
        port.close()
    assert units[7].counts.late_dropped >= 20
    assert accepted >= 20


async def test_a_dead_unit_makes_no_live_neighbour_deaf(tmp_path: Path) -> None:
    # libmodbus waits half a second for its dead neighbour's answer and eats what comes then.
    with (
        PacedLine(tmp_path / "bus", 2, BAUD) as line,
        LibmodbusSlave(tmp_path, line.slave(1), 1, BAUD),
        LibmodbusSlave(tmp_path, line.slave(2), 2, BAUD),
    ):
        devices = (
            stage(1, "one", 1.0, profile=QUICK)
            + stage(9, "dead", 1.0, profile=QUICK)
            + stage(2, "two", 1.0, profile=QUICK)
        )
        path = site(tmp_path, port=line.master, bus="post_timeout_quiet_ms = 500", devices=devices)
        sink = Sink()
        bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.values("two")) >= 8, LIMIT_S)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    live = [sample for sample in sink.samples if sample.channel != "dead"]
    assert all(sample.value is not None for sample in live)
    assert {s.reasons for s in sink.samples if s.channel == "dead"} <= {
        Reason.TIMEOUT, Reason.BACKED_OFF
    }  # fmt: skip
    times = [sample.mono_ms for sample in live if sample.channel == "two"]
    steps = [b - a for a, b in pairwise(times)]
    assert sum(steps) / len(steps) < 1500, "it keeps its period"


async def test_a_refusal_of_libmodbus_is_an_exception_2(tmp_path: Path) -> None:
    with (
        PacedLine(tmp_path / "bus", 1, BAUD) as line,
        LibmodbusSlave(tmp_path, line.slave(1), 7, BAUD),
    ):
        port = open_serial(BusSettings("bus0", str(line.master), BAUD))
        outcome = await Transactions(port, {}).read(Ask(7, 4, (Span(199, 2),)))
        port.close()
    assert (outcome.fault, outcome.exception) == (Fault.EXCEPTION, 2)


class Counted:
    """A port that counts how often it is asked for bytes."""

    def __init__(self, port: object) -> None:
        self._port = port
        self.takes = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._port, name)

    def take(self) -> bytes:
        self.takes += 1
        return self._port.take()  # type: ignore[attr-defined,no-any-return]


async def test_a_long_reply_at_9600_needs_few_wakeups(tmp_path: Path) -> None:
    with (
        PacedLine(tmp_path / "bus", 1, BAUD) as line,
        LibmodbusSlave(tmp_path, line.slave(1), 7, BAUD),
    ):
        port = open_serial(BusSettings("bus0", str(line.master), BAUD))
        counted = Counted(port)
        transactions = Transactions(counted, {})  # type: ignore[arg-type]
        for _ in range(5):
            began = time.monotonic()
            outcome = await transactions.read(Ask(7, 3, (Span(0, 100),)))
            assert outcome.registers == tuple(range(1000, 1100))
            assert outcome.at_s - began >= 205 * 10 / BAUD, "stamped at its last byte"
        port.close()
    # 205 characters a reply; two of the takes belong to the silence before the request.
    assert counted.takes / 5 <= 20


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed")
def test_mbpoll_reads_our_slave_s_half() -> None:
    pending = bytearray()

    def answer(data: bytes) -> bytes:
        pending.extend(data)
        request = find_request(bytes(pending), {5})
        if request is None:
            return b""
        pending.clear()
        return reply(request, [5000 + request.address + k for k in range(request.words)])

    with FarEnd(answer) as far:
        command = ["mbpoll", "-m", "rtu", "-a", "5", "-b", "9600", "-P", "none", "-t", "4"]
        command += ["-r", "11", "-c", "4", "-1", str(far.path)]
        out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout
    assert re.findall(r"^\[\d+\]:\s+(\d+)", out, re.MULTILINE) == ["5010", "5011", "5012", "5013"]
