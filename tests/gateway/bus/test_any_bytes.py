"""Whatever comes in, whole, byte by byte or with a tail: a named fault or an exact value."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from rig.virtual_line import VirtualLine, Words
from rig.virtual_peer import Said, VirtualPeer

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.tcp_transaction import TcpTransactions
from egret_gateway.bus.transaction import Ask, Outcome, Transactions
from egret_gateway.bus.unit import Patience, Span
from egret_gateway.errors import PortError
from egret_gateway.protocols.modbus_pdu import Write
from egret_gateway.protocols.modbus_rtu import sealed
from egret_gateway.protocols.modbus_rtu_slave import Request, find_request, request_of, why_refused
from egret_gateway.protocols.modbus_tcp import frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EXAMPLES = settings(max_examples=150, deadline=None, derandomize=True)
PATIENCE = Patience(least_s=0.05, most_s=0.1)
FIRST = 2  # the number of a connection's first request here

# Pure noise rarely looks like anything: bodies that begin like answers, sealed or in an envelope.
HEADS = st.sampled_from(
    (b"\x03", b"\x03\x04", b"\x83", b"\x06\x00\x01", b"\x10\x00\x01", b"\x01\x01")
)
BODIES = st.builds(lambda head, tail: head + tail, HEADS, st.binary(max_size=20))
RTU = st.one_of(st.binary(max_size=300), st.builds(lambda body: sealed(b"\x07" + body), BODIES))
TCP = st.one_of(
    st.binary(max_size=300),
    st.builds(
        lambda number, body: frame(number, 7, body + b"\x00"),
        st.sampled_from((0, FIRST - 1, FIRST, FIRST + 1)),
        BODIES,
    ),
)
READS = [Ask(7, fc, (Span(1, 2), Span(1, 9)), PATIENCE) for fc in (1, 2, 3, 4)]
WRITES = [
    Write(7, 5, 1, (1,)),
    Write(7, 6, 1, (9,)),
    Write(7, 15, 1, (1, 0)),
    Write(7, 16, 1, (9, 9)),
]
ACTS = st.sampled_from([*READS, *WRITES])


def pieces(data: bytes, size: int, tail: bytes) -> list[tuple[float, bytes]]:
    cut = [data[i : i + size] for i in range(0, len(data), size)]
    return [(0.001, piece) for piece in [*cut, tail] if piece]


async def act(master: Transactions | TcpTransactions, what: Ask | Write) -> Outcome:
    if isinstance(what, Ask):
        return await master.read(what)
    return await master.write(what, PATIENCE)


def ended(run: Callable[[], Awaitable[Outcome]]) -> Outcome | None:
    """Return the outcome, None for a port that was given up by name; nothing else may come."""

    async def whole() -> Outcome | None:
        try:
            return await run()
        except PortError:
            return None

    return asyncio.run(whole())


@EXAMPLES
@given(RTU, st.sampled_from((1, 3, 1000)), st.binary(max_size=9), ACTS)
def test_a_serial_line_may_say_anything(
    data: bytes, size: int, tail: bytes, what: Ask | Write
) -> None:
    line = VirtualLine(lambda *_: [Words(*piece) for piece in pieces(data, size, tail)])
    master = Transactions(line, {}, now=line.now)
    first = ended(lambda: act(master, what))
    assert first is not None
    assert first.fault in Fault
    again = ended(lambda: act(master, what))
    assert again is not None
    if first.fault is Fault.NONE and isinstance(what, Ask):
        assert len(first.registers) == what.ways[first.way].words
        assert bytes((7, what.fc)) in data + tail


@EXAMPLES
@given(TCP, st.sampled_from((1, 3, 1000)), st.binary(max_size=9), ACTS)
def test_a_connection_may_say_anything(
    data: bytes, size: int, tail: bytes, what: Ask | Write
) -> None:
    peer = VirtualPeer(lambda *_: [Said(*piece) for piece in pieces(data, size, tail)])
    master = TcpTransactions(peer, {}, number=FIRST - 1, now=peer.now)
    first = ended(lambda: act(master, what))
    assert first is not None
    assert first.fault in Fault
    ended(lambda: act(master, what))
    ended(lambda: master.idle(peer.clock_s + 1))  # type: ignore[arg-type,return-value]
    if first.fault is Fault.NONE and isinstance(what, Ask):
        assert len(first.registers) == what.ways[first.way].words
        assert FIRST.to_bytes(2, "big") + b"\x00\x00" in data


@EXAMPLES
@given(st.binary(max_size=300), st.sets(st.integers(0, 255), min_size=1, max_size=3))
def test_a_slave_may_hear_anything(data: bytes, units: set[int]) -> None:
    found = find_request(data, units)
    if found is not None:
        assert found.unit in units
        assert 0 <= why_refused(found) <= 3


@EXAMPLES
@given(st.binary(min_size=5, max_size=253))
def test_a_server_may_be_asked_anything(pdu: bytes) -> None:
    request = request_of(1, pdu, 0)
    assert isinstance(request, Request)
    assert 0 <= why_refused(request) <= 3
