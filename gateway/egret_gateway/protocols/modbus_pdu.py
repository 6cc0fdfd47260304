"""What Modbus says, on whatever it travels: requests, their exact replies, exceptions.

Wire table (MODBUS Application Protocol V1.1b3 6.1 to 6.6, 6.11, 6.12, 7; numbers big-endian):

| function | request | reply |
|---|---|---|
| 1, 2 read bits | fc, address, count 1-2000 | fc, bytes, bits from the lowest of each byte |
| 3, 4 read registers | fc, address, count 1-125 | fc, bytes = 2 x count, registers |
| 5 write a coil | fc, address, FF00 or 0000 | the request |
| 6 write a register | fc, address, value | the request |
| 15 write coils | fc, address, count 1-1968, bytes, bits | fc, address, count |
| 16 write registers | fc, address, count 1-123, bytes, registers | fc, address, count |
| exception | | fc + 0x80, code |

Addresses are 0-based. A read's reply does not carry its address; a write's tells all but 15's and
16's values.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_COILS = 1
READ_DISCRETE = 2
READ_HOLDING = 3
READ_INPUT = 4
WRITE_COIL = 5
WRITE_REGISTER = 6
WRITE_COILS = 15
WRITE_REGISTERS = 16
BIT_READS = (READ_COILS, READ_DISCRETE)
FUNCTION_CODES = (*BIT_READS, READ_HOLDING, READ_INPUT)
WRITES = (WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS)
COUNT_MAX = 125  # registers in one reply (6.3)
BITS_MAX = 2000  # bits in one reply (6.1)
WRITE_COUNT_MAX = 123  # registers in one request (6.12)
WRITE_BITS_MAX = 1968  # bits in one request (6.11)
UNIT_MAX = 255  # 248-255 are reserved, yet devices ship with 250
UNIT_USUAL_MAX = 247  # above it not every master and gateway passes a request on
EXCEPTION_BIT = 0x80
EXCEPTION_B = 2  # fc + 0x80, code
COIL_ON = 0xFF00
_ADDRESSES = 0x10000
_WORD_MAX = 0xFFFF
_LISTS = {WRITE_COILS: WRITE_BITS_MAX, WRITE_REGISTERS: WRITE_COUNT_MAX}
_TOLD_B = 5  # of a write's reply: fc, address, value or count


class Shape(NamedTuple):
    """All that a read's reply tells about its request; `words` counts registers, or bits."""

    unit: int
    fc: int
    words: int

    @property
    def data_bytes(self) -> int:
        """Bytes of data in its reply: shapes that differ in bits only may share them."""
        return data_bytes(self.fc, self.words)

    @property
    def reply_chars(self) -> int:
        """Length of the reply on a serial line, in characters: unit, fc, count, data, CRC."""
        return 5 + self.data_bytes


class Write(NamedTuple):
    """What to write.

    Attributes:
        unit, fc: whom, and how; address: 0-based.
        values: registers 0 to 65535, or coils 0 and 1; one of them for functions 5 and 6.
    """

    unit: int
    fc: int
    address: int
    values: tuple[int, ...]


class Reply(NamedTuple):
    """What a reply is worth.

    Attributes:
        values: registers or bits of a read; exception: the device's code, 0 for none.
        wrong: why it is no answer to the request, "" where it is one.
    """

    values: tuple[int, ...] = ()
    exception: int = 0
    wrong: str = ""


def data_bytes(fc: int, count: int) -> int:
    """Return how many bytes carry `count` bits (functions 1, 2, 15) or registers."""
    return (count + 7) // 8 if fc in (*BIT_READS, WRITE_COILS) else 2 * count


def read_pdu(fc: int, address: int, count: int) -> bytes:
    """Return the request for `count` registers or bits from `address`.

    Raises:
        ValueError: a function code, count or address that the wire cannot carry.
    """
    most = BITS_MAX if fc in BIT_READS else COUNT_MAX
    if fc not in FUNCTION_CODES or not 1 <= count <= most:
        raise ValueError(f"function {fc} for {count} cannot be asked")
    if not 0 <= address <= _ADDRESSES - count:
        raise ValueError(f"address {address} for {count} cannot be asked")
    return bytes((fc,)) + _words((address, count))


def write_pdu(write: Write) -> bytes:
    """Return the request that writes.

    Raises:
        ValueError: a function code, address, or values that the wire cannot carry.
    """
    fc, values = write.fc, write.values
    most = 1 if fc in (WRITE_COIL, WRITE_REGISTER) else _LISTS.get(fc, 0)
    value_max = 1 if fc in (WRITE_COIL, WRITE_COILS) else _WORD_MAX
    if not 1 <= len(values) <= most or not all(0 <= value <= value_max for value in values):
        raise ValueError(f"{write} cannot be written")
    if not 0 <= write.address <= _ADDRESSES - len(values):
        raise ValueError(f"address {write.address} cannot be written")
    head = bytes((fc,))
    if fc == WRITE_COIL:
        return head + _words((write.address, COIL_ON * values[0]))
    if fc == WRITE_REGISTER:
        return head + _words((write.address, values[0]))
    data = pack_bits(values) if fc == WRITE_COILS else _words(values)
    return head + _words((write.address, len(values))) + bytes((len(data),)) + data


def write_told(write: Write) -> bytes:
    """Return the one reply that says that `write` was done."""
    return write_pdu(write)[:_TOLD_B]


def read_reply(pdu: bytes, fc: int, count: int) -> Reply:
    """Return what a reply to a read is worth; every byte of it is checked."""
    refused = _exception(pdu, fc)
    if refused is not None:
        return refused
    size = data_bytes(fc, count)
    if pdu[1] != size or len(pdu) != 2 + size:
        return Reply(wrong=f"{pdu[1]} bytes told, {len(pdu) - 2} there, {size} asked for")
    return Reply(unpacked(pdu[2:], fc, count))


def write_reply(pdu: bytes, write: Write) -> Reply:
    """Return what a reply to a write is worth."""
    refused = _exception(pdu, write.fc)
    if refused is not None:
        return refused
    return Reply() if pdu == write_told(write) else Reply(wrong="another write is told as done")


def unpacked(data: bytes, fc: int, count: int) -> tuple[int, ...]:
    """Return the `count` bits or registers in a reply's data."""
    if fc in BIT_READS:
        return tuple(data[i // 8] >> i % 8 & 1 for i in range(count))
    return struct.unpack(f">{len(data) // 2}H", data)


def pack_bits(bits: Sequence[int]) -> bytes:
    """Return bits as the wire carries them, the rest of the last byte 0."""
    data = bytearray(data_bytes(READ_COILS, len(bits)))
    for i, bit in enumerate(bits):
        data[i // 8] |= bit << i % 8
    return bytes(data)


def _exception(pdu: bytes, fc: int) -> Reply | None:
    """Return the refusal, or why this answers nothing; None for a reply of the function asked."""
    if len(pdu) < EXCEPTION_B:
        return Reply(wrong=f"only {len(pdu)} bytes")
    if pdu[0] == fc | EXCEPTION_BIT:
        if len(pdu) == EXCEPTION_B and pdu[1]:
            return Reply(exception=pdu[1])
        return Reply(wrong="an exception without its one code")
    return None if pdu[0] == fc else Reply(wrong=f"function {pdu[0]}, asked was {fc}")


def _words(values: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(2, "big") for value in values)
