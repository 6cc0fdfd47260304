"""Modbus RTU, the slave's half: requests found in a byte stream, replies made for them.

The wire table is in `modbus_rtu`. A simulator stands on this; on a shared pair of wires a slave
hears its neighbours' replies too, so that requests are hunted for like replies are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.protocols.modbus_rtu import COUNT_MAX, REQUEST_CHARS, Shape, crc16, sealed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
_EXCEPTION_BIT = 0x80
_READS = (3, 4)


class Request(NamedTuple):
    """A request on the wire.

    Attributes:
        unit: whom it asks; fc: function code; address: 0-based; words: registers asked for.
        end: where in the buffer it ends.
    """

    unit: int
    fc: int
    address: int
    words: int
    end: int

    @property
    def shape(self) -> Shape:
        """The shape its reply has."""
        return Shape(self.unit, self.fc, self.words)


def find_request(buffer: bytes, units: Collection[int]) -> Request | None:
    """Return the first whole request to one of `units`, None where there is none yet."""
    for start in range(len(buffer) - REQUEST_CHARS + 1):
        frame = buffer[start : start + REQUEST_CHARS]
        if frame[0] in units and crc16(frame) == 0:
            address = int.from_bytes(frame[2:4], "big")
            count = int.from_bytes(frame[4:6], "big")
            return Request(frame[0], frame[1], address, count, start + REQUEST_CHARS)
    return None


def why_refused(request: Request) -> int:
    """Return the exception code a request earns by itself, 0 for a readable one."""
    if request.fc not in _READS:
        return ILLEGAL_FUNCTION
    return 0 if 1 <= request.words <= COUNT_MAX else ILLEGAL_VALUE


def reply(request: Request, registers: Sequence[int]) -> bytes:
    """Return the reply with `registers`, each 0 to 65535."""
    data = b"".join(value.to_bytes(2, "big") for value in registers)
    return sealed(bytes((request.unit, request.fc, len(data))) + data)


def exception(request: Request, code: int) -> bytes:
    """Return the exception reply with `code`."""
    return sealed(bytes((request.unit, request.fc | _EXCEPTION_BIT, code)))
