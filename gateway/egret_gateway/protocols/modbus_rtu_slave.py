"""Modbus RTU, the slave's half: requests found in a byte stream, replies made for them.

The wire table is in `modbus_rtu`. A simulator stands on this; on a shared pair of wires a slave
hears its neighbours' replies too, so that requests are hunted for like replies are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.protocols.modbus_pdu import (
    BIT_READS,
    BITS_MAX,
    COUNT_MAX,
    EXCEPTION_BIT,
    FUNCTION_CODES,
    WRITE_BITS_MAX,
    WRITE_COIL,
    WRITE_COILS,
    WRITE_COUNT_MAX,
    WRITE_REGISTER,
    WRITE_REGISTERS,
    WRITES,
    Shape,
    data_bytes,
    pack_bits,
)
from egret_gateway.protocols.modbus_rtu import REQUEST_CHARS, crc16, sealed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
_LISTS = (WRITE_COILS, WRITE_REGISTERS)
_COUNT_MAX = {WRITE_COILS: WRITE_BITS_MAX, WRITE_REGISTERS: WRITE_COUNT_MAX}
_LIST_CHARS = 9  # unit, fc, address, count, bytes, CRC, beside the data


class Request(NamedTuple):
    """A request on the wire.

    Attributes:
        unit: whom it asks; fc: function code; address: 0-based; words: registers or bits asked for
            or written (in functions 5 and 6: the value).
        end: where in the buffer it ends; data: what functions 15 and 16 write.
    """

    unit: int
    fc: int
    address: int
    words: int
    end: int
    data: bytes = b""

    @property
    def shape(self) -> Shape:
        """The shape its reply has."""
        return Shape(self.unit, self.fc, self.words)


def find_request(buffer: bytes, units: Collection[int]) -> Request | None:
    """Return the first whole request to one of `units`, None where there is none yet."""
    for start in range(len(buffer) - REQUEST_CHARS + 1):
        if buffer[start] not in units:
            continue
        size = REQUEST_CHARS
        if buffer[start + 1] in _LISTS:
            size = _LIST_CHARS + buffer[start + 6]
        frame = buffer[start : start + size]
        if len(frame) == size and crc16(frame) == 0:
            return request_of(frame[0], frame[1:-2], start + size)
    return None


def request_of(unit: int, pdu: bytes, end: int) -> Request:
    """Return the request that a PDU of at least 5 bytes is."""
    address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
    return Request(unit, pdu[0], address, count, end, pdu[6:] if pdu[0] in _LISTS else b"")


def why_refused(request: Request) -> int:
    """Return the exception code a request earns by itself, 0 for one that can be served."""
    if request.fc not in (*FUNCTION_CODES, *WRITES):
        return ILLEGAL_FUNCTION
    if request.fc in (WRITE_COIL, WRITE_REGISTER):
        return 0
    if request.fc in _LISTS and data_bytes(request.fc, request.words) != len(request.data):
        return ILLEGAL_VALUE
    most = _COUNT_MAX.get(request.fc, BITS_MAX if request.fc in BIT_READS else COUNT_MAX)
    return 0 if 1 <= request.words <= most else ILLEGAL_VALUE


def reply(request: Request, registers: Sequence[int]) -> bytes:
    """Return the reply with `registers`, each 0 to 65535 (bits: 0 and 1)."""
    return sealed(bytes((request.unit,)) + reply_pdu(request, registers))


def reply_pdu(request: Request, registers: Sequence[int]) -> bytes:
    """Return the reply without address and CRC; what a write wrote needs no `registers`."""
    head = bytes((request.fc,))
    if request.fc in WRITES:
        return head + request.address.to_bytes(2, "big") + request.words.to_bytes(2, "big")
    if request.fc in BIT_READS:
        data = pack_bits(registers)
    else:
        data = b"".join(value.to_bytes(2, "big") for value in registers)
    return head + bytes((len(data),)) + data


def exception(request: Request, code: int) -> bytes:
    """Return the exception reply with `code`."""
    return sealed(bytes((request.unit, request.fc | EXCEPTION_BIT, code)))
