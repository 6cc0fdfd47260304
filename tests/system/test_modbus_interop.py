"""Our Modbus master with servers that nobody here wrote: RTU, TCP, and RTU through a bridge.

All serve unit 1: holding register i is 1000 + i, input register i 20000 + i; a bit is on where 3
divides its address.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from rig.broker import free_port
from rig.libmodbus import LibmodbusSlave, why_missing
from rig.modbus_peers import NPM, peer, why_no_peer
from rig.pty import Bridge, PtyPair, why_no_pair
from rig.tcp_device import Peer, modbus_tcp

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.tcp_transaction import TcpTransactions
from egret_gateway.bus.transaction import Ask, Outcome, Transactions
from egret_gateway.bus.unit import Patience, Span
from egret_gateway.bus_settings import BusSettings, Endpoint
from egret_gateway.errors import PortError
from egret_gateway.ports.serial_port import line_times, open_serial
from egret_gateway.ports.tcp_port import open_tcp
from egret_gateway.protocols.modbus_pdu import Write
from egret_gateway.protocols.modbus_rtu_slave import ILLEGAL_ADDRESS, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    Master = Transactions | TcpTransactions

BAUD = 115200
UNIT = 1
PATIENT = Patience(least_s=2.0, most_s=2.0)
LIMIT_S = 10.0

pytestmark = pytest.mark.system
NO_SLAVE = why_missing()
NO_PAIR = why_no_pair()

TCP = ("libmodbus", "pymodbus", "modbus-tk", "umodbus", *NPM)
RTU = ("libmodbus", "modbus-tk-rtu", "umodbus-rtu")
# jsmodbus answers a read beyond its registers with an empty reply: no refusal, and no value.
NO_REFUSAL = {"jsmodbus": Fault.MALFORMED}


def absent(name: str) -> str:
    return NO_SLAVE if name == "libmodbus" else why_no_peer(name)


def named(names: tuple[str, ...], *, pair: bool = False) -> list[object]:
    """Return the peers as parameters; those that are missing are skipped, each by its name."""
    return [
        pytest.param(
            name,
            marks=pytest.mark.skipif(
                bool(absent(name) or (pair and NO_PAIR)), reason=absent(name) or NO_PAIR
            ),
        )
        for name in names
    ]


@contextmanager
def serving(name: str, folder: Path, place: str | int) -> Iterator[None]:
    if name == "libmodbus":
        device = f"tcp:{place}" if isinstance(place, int) else place
        with LibmodbusSlave(folder, device, UNIT, BAUD):
            yield
    else:
        with peer(name, place):
            yield


@asynccontextmanager
async def over_tcp(name: str, folder: Path) -> AsyncIterator[Master]:
    number = free_port()
    with serving(name, folder, number), closing(await connected(number)) as port:
        yield TcpTransactions(port, {}, number=65_530, path=port.path)


@asynccontextmanager
async def over_tty(name: str, folder: Path) -> AsyncIterator[Master]:
    with ExitStack() as stack:
        pair = stack.enter_context(PtyPair(folder))
        stack.enter_context(serving(name, folder, str(pair.far)))
        port = open_serial(BusSettings("bus0", str(pair.near), BAUD))
        stack.callback(port.close)
        yield Transactions(port, {})


@asynccontextmanager
async def over_bridge(name: str, folder: Path) -> AsyncIterator[Master]:
    """RTU through a TCP bridge, as a serial server does it."""
    number = free_port()
    with ExitStack() as stack:
        pair = stack.enter_context(PtyPair(folder))
        stack.enter_context(serving(name, folder, str(pair.far)))
        stack.enter_context(Bridge(number, pair.near))
        port = stack.enter_context(closing(await connected(number, *line_times(BAUD, "N", 1))))
        yield Transactions(port, {})


async def connected(number: int, char_s: float = 0.0, gap_s: float = 0.0):  # noqa: ANN201  (a port)
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                return await open_tcp(Endpoint("127.0.0.1", number), char_s, gap_s)
            except PortError:  # a bridge listens a moment after it says so
                await asyncio.sleep(0.05)


async def read(master: Master, fc: int, address: int, count: int) -> Outcome:
    return await master.read(Ask(UNIT, fc, (Span(address, count),), PATIENT))


async def reads_are_right(master: Master) -> None:
    for fc, base in ((3, 1000), (4, 20000)):
        for address, count in ((10, 4), (0, 1), (75, 125)):
            outcome = await read(master, fc, address, count)
            assert outcome.fault is Fault.NONE, outcome
            assert list(outcome.registers) == [base + address + k for k in range(count)]
    for fc in (1, 2):
        for address, count in ((0, 1), (5, 17), (0, 64)):
            outcome = await read(master, fc, address, count)
            assert outcome.fault is Fault.NONE, outcome
            bits = [int((address + k) % 3 == 0) for k in range(count)]
            assert list(outcome.registers) == bits


async def writes_are_done(master: Master) -> None:
    for write, fc in (
        (Write(UNIT, 6, 20, (4711,)), 3),
        (Write(UNIT, 16, 30, (1, 2, 65535)), 3),
        (Write(UNIT, 5, 7, (1,)), 1),
        (Write(UNIT, 5, 9, (0,)), 1),
        (Write(UNIT, 15, 20, (1, 1, 0, 1, 0, 0, 0, 1, 1, 1)), 1),
    ):
        outcome = await master.write(write)
        assert outcome.fault is Fault.NONE, (write, outcome)
        back = await read(master, fc, write.address, len(write.values))
        assert back.registers == write.values


async def refusals_are_told(master: Master, name: str) -> None:
    outcome = await read(master, 3, 60_000, 2)
    expected = NO_REFUSAL.get(name, Fault.EXCEPTION)
    assert outcome.fault is expected, outcome
    assert outcome.exception == (2 if expected is Fault.EXCEPTION else 0)
    await reads_are_right(master)


@pytest.mark.parametrize("name", named(TCP))
async def test_modbus_tcp(tmp_path: Path, name: str) -> None:
    async with over_tcp(name, tmp_path) as master:
        await refusals_are_told(master, name)
        await writes_are_done(master)


@pytest.mark.parametrize("name", named(RTU, pair=True))
async def test_rtu_on_a_tty(tmp_path: Path, name: str) -> None:
    async with over_tty(name, tmp_path) as master:
        await refusals_are_told(master, name)
        await writes_are_done(master)


@pytest.mark.parametrize("name", named(RTU, pair=True))
async def test_rtu_through_a_bridge(tmp_path: Path, name: str) -> None:
    async with over_bridge(name, tmp_path) as master:
        await refusals_are_told(master, name)
        await writes_are_done(master)


@pytest.mark.alone
@pytest.mark.skipif(bool(NO_SLAVE), reason=NO_SLAVE or "complete")
async def test_late_replies_of_a_foreign_server_are_never_the_next_value(tmp_path: Path) -> None:
    number = free_port()
    with (
        LibmodbusSlave(tmp_path, f"tcp:{number}", UNIT, BAUD, late_every=3, late_ms=70) as slave,
        closing(await connected(number)) as port,
    ):
        master = TcpTransactions(port, {}, number=1)
        accepted = asked = 0
        while asked % 10 or sum(row.late for row in slave.served()) < 30:
            address = 7 * asked % 150
            asked += 1
            ways = tuple(Span(address, words) for words in (2, 3, 4))
            outcome = await master.read(Ask(UNIT, 3, ways, Patience(0.04, 0.04)))
            if outcome.fault is Fault.NONE:
                accepted += 1
                right = range(1000 + address, 1000 + address + len(outcome.registers))
                assert list(outcome.registers) == list(right)
            elif outcome.fault is Fault.QUARANTINED:
                await master.idle(outcome.free_s)
    assert accepted >= 20


@pytest.mark.skipif(shutil.which("mbpoll") is None, reason="mbpoll is not installed")
async def test_mbpoll_reads_our_server_s_half_over_tcp() -> None:
    def answer(request: Request) -> list[int] | int:
        if request.address >= 200:
            return ILLEGAL_ADDRESS
        return [5000 + request.address + k for k in range(request.words)]

    async def asked(peer_: Peer, first: int) -> tuple[int | None, str]:
        command = ["mbpoll", "-m", "tcp", "-p", str(peer_.endpoint.port), "-a", "5", "-t", "4"]
        command += ["-r", str(first), "-c", "4", "-1", "127.0.0.1"]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
        return process.returncode, out.decode()

    async with Peer(modbus_tcp(answer)) as server:
        code, out = await asked(server, 11)
        assert code == 0, out
        found = re.findall(r"^\[\d+\]:\s+(\d+)", out, re.MULTILINE)
        assert found == ["5010", "5011", "5012", "5013"]
        _, out = await asked(server, 301)
        assert "Illegal data address" in out
