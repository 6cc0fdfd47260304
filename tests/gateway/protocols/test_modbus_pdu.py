"""What Modbus says: the standard's own examples, and every reply that is not the answer."""

from __future__ import annotations

import pytest

from egret_gateway.protocols.modbus_pdu import (
    BITS_MAX,
    COUNT_MAX,
    WRITE_BITS_MAX,
    WRITE_COUNT_MAX,
    Reply,
    Shape,
    Write,
    data_bytes,
    pack_bits,
    read_pdu,
    read_reply,
    unpacked,
    write_pdu,
    write_reply,
    write_told,
)
from egret_gateway.protocols.modbus_rtu_slave import request_of, why_refused

# MODBUS Application Protocol V1.1b3, the example of each function's clause.
READS = [
    (1, 0x13, 19, "01 00 13 00 13", "01 03 CD 6B 05", "1011001111010110101"),  # 6.1
    (2, 0xC4, 22, "02 00 C4 00 16", "02 03 AC DB 35", "0011010111011011101011"),  # 6.2
    (3, 0x6B, 3, "03 00 6B 00 03", "03 06 02 2B 00 00 00 64", (555, 0, 100)),  # 6.3
    (4, 0x08, 1, "04 00 08 00 01", "04 02 00 0A", (10,)),  # 6.4
]
WRITES = [
    (Write(1, 5, 0xAC, (1,)), "05 00 AC FF 00", "05 00 AC FF 00"),  # 6.5
    (Write(1, 6, 1, (3,)), "06 00 01 00 03", "06 00 01 00 03"),  # 6.6
    (
        Write(1, 15, 0x13, (1, 0, 1, 1, 0, 0, 1, 1, 1, 0)),
        "0F 00 13 00 0A 02 CD 01",
        "0F 00 13 00 0A",
    ),  # 6.11
    (Write(1, 16, 1, (10, 0x102)), "10 00 01 00 02 04 00 0A 01 02", "10 00 01 00 02"),  # 6.12
]


@pytest.mark.parametrize(("fc", "address", "count", "request_", "reply", "values"), READS)
def test_reads_of_the_standard(  # noqa: PLR0917  (a row of the table)
    fc: int, address: int, count: int, request_: str, reply: str, values: str | tuple[int, ...]
) -> None:
    assert read_pdu(fc, address, count) == bytes.fromhex(request_)
    expected = tuple(map(int, values)) if isinstance(values, str) else values
    assert read_reply(bytes.fromhex(reply), fc, count) == Reply(expected)


@pytest.mark.parametrize(("write", "request_", "reply"), WRITES)
def test_writes_of_the_standard(write: Write, request_: str, reply: str) -> None:
    assert write_pdu(write) == bytes.fromhex(request_)
    assert write_told(write) == bytes.fromhex(reply)
    assert write_reply(bytes.fromhex(reply), write) == Reply()
    request = request_of(1, bytes.fromhex(request_), 0)
    assert (request.fc, request.address) == (write.fc, write.address)
    assert why_refused(request) == 0


def test_a_coil_is_switched_off_by_zeroes() -> None:
    assert write_pdu(Write(1, 5, 0xAC, (0,))) == bytes.fromhex("05 00 AC 00 00")


@pytest.mark.parametrize(
    "pdu",
    [
        "",
        "03",
        "03 06 02 2B 00 00 00",  # short
        "03 06 02 2B 00 00 00 64 00",  # long
        "03 05 02 2B 00 00 00",  # odd
        "03 04 02 2B 00 00",  # fewer registers than asked for
        "03 08 02 2B 00 00 00 64 00 00",  # more
        "03 00",  # none
        "04 06 02 2B 00 00 00 64",  # of another function
        "84 02",
        "83",
        "83 00",  # no code
        "83 02 00",
        "90 02",
    ],
)
def test_what_is_not_exactly_the_answer_is_wrong_with_a_reason(pdu: str) -> None:
    reply = read_reply(bytes.fromhex(pdu), 3, 3)
    assert reply.wrong
    assert (reply.values, reply.exception) == ((), 0)


@pytest.mark.parametrize(
    ("pdu", "exception"), [("90 02", 2), ("10 00 01 00 03", 0), ("10 00 02 00 02", 0), ("10", 0)]
)
def test_another_write_is_not_ours(pdu: str, exception: int) -> None:
    reply = write_reply(bytes.fromhex(pdu), Write(1, 16, 1, (10, 0x102)))
    assert reply.exception == exception
    assert bool(reply.wrong) is not bool(exception)


def test_a_value_told_as_written_must_be_ours() -> None:
    assert write_reply(bytes.fromhex("06 00 01 00 04"), Write(1, 6, 1, (3,))).wrong


@pytest.mark.parametrize(
    ("fc", "address", "count"),
    [
        (0, 0, 1),
        (5, 0, 1),
        (3, 0, 0),
        (3, 0, COUNT_MAX + 1),
        (1, 0, BITS_MAX + 1),
        (3, 0xFFFF, 2),
        (4, -1, 1),
    ],
)
def test_reads_that_the_wire_cannot_carry(fc: int, address: int, count: int) -> None:
    with pytest.raises(ValueError, match="cannot be asked"):
        read_pdu(fc, address, count)


@pytest.mark.parametrize(
    "write",
    [
        Write(1, 3, 0, (1,)),
        Write(1, 5, 0, (2,)),
        Write(1, 5, 0, ()),
        Write(1, 6, 0, (1, 2)),
        Write(1, 6, 0, (0x10000,)),
        Write(1, 6, 0x10000, (1,)),
        Write(1, 15, 0, (0,) * (WRITE_BITS_MAX + 1)),
        Write(1, 16, 0, (0,) * (WRITE_COUNT_MAX + 1)),
        Write(1, 16, 0xFFFF, (1, 2)),
        Write(1, 16, 0, (-1,)),
    ],
)
def test_writes_that_the_wire_cannot_carry(write: Write) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        write_pdu(write)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, BITS_MAX])
def test_bits_survive_their_packing(count: int) -> None:
    bits = tuple(i * 7 % 3 % 2 for i in range(count))
    data = pack_bits(bits)
    assert len(data) == data_bytes(1, count) == Shape(1, 1, count).data_bytes
    assert unpacked(data, 1, count) == bits
