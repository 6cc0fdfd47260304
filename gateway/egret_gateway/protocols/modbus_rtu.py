"""Modbus RTU, the master's half: requests out, exact replies found in whatever came in.

Wire table (MODBUS over Serial Line V1.02 2.5.1):

| frame | bytes |
|---|---|
| any | unit, what `modbus_pdu` says, CRC lo hi |

CRC-16: start 0xFFFF, polynomial 0xA001 shifted right. An RTU reply carries neither address nor
transaction number: only its unit, function code and length tell which request it answers. Hence
`hunt`: a reply counts only where all of them and the CRC agree, at whatever offset it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.protocols.modbus_pdu import (
    EXCEPTION_BIT,
    UNIT_MAX,
    Shape,
    Write,
    read_pdu,
    unpacked,
    write_pdu,
    write_told,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

REQUEST_CHARS = 8
EXCEPTION_CHARS = 5
FRAME_MAX_B = 256  # the longest RTU frame


def _crc_table() -> tuple[int, ...]:
    table = []
    for start in range(256):
        crc = start
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


class Frame(NamedTuple):
    """An exact reply or exception found in a buffer.

    Attributes:
        shape: the shape it answers; start, end: where it lies.
        registers: the values (bits as 0 and 1), empty in an exception.
        exception: its code, 0 in a reply.
    """

    shape: Shape
    start: int
    end: int
    registers: tuple[int, ...]
    exception: int


class Hunt(NamedTuple):
    """What a buffer holds.

    Attributes:
        frame: the first exact frame, or None.
        missing: characters that must still come before the pending reply can be whole, at least 1.
        damaged: a whole candidate of the pending shape stands there with a wrong CRC.
    """

    frame: Frame | None
    missing: int
    damaged: bool


def crc16(data: bytes) -> int:
    """Return CRC-16/MODBUS of `data`; it travels low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC[(crc ^ byte) & 0xFF]
    return crc


def sealed(body: bytes) -> bytes:
    """Return a frame: `body` and its CRC."""
    return body + crc16(body).to_bytes(2, "little")


def read_request(shape: Shape, address: int) -> bytes:
    """Return the request for `shape.words` registers or bits from 0-based wire `address`.

    Raises:
        ValueError: a function code, count, unit or address that the wire cannot carry.
    """
    return _addressed(shape.unit, read_pdu(shape.fc, address, shape.words))


def write_request(write: Write) -> bytes:
    """Return the request that writes; ValueError for what the wire cannot carry."""
    return _addressed(write.unit, write_pdu(write))


def write_done(write: Write) -> bytes:
    """Return the one frame that says that `write` was done."""
    return _addressed(write.unit, write_told(write))


def _addressed(unit: int, pdu: bytes) -> bytes:
    if not 1 <= unit <= UNIT_MAX:  # 0 is broadcast, never answered
        raise ValueError(f"unit {unit} cannot be asked")
    return sealed(bytes((unit,)) + pdu)


def find_exception(buffer: bytes, unit: int, fc: int) -> tuple[int, int] | None:
    """Return (code, end) of the first exact refusal of function `fc` by `unit`."""
    start = -1
    while (start := buffer.find(bytes((unit, fc | EXCEPTION_BIT)), start + 1)) >= 0:
        end = start + EXCEPTION_CHARS
        if end <= len(buffer) and crc16(buffer[start:end]) == 0:
            return buffer[start + 2], end
    return None


def hunt(buffer: bytes, shapes: Sequence[Shape]) -> Hunt:
    """Find the first exact frame for any of `shapes`; `shapes[0]` is the pending one.

    Glitches, echoes, foreign and broken frames are passed over: every offset is tried.
    """
    pending = shapes[0]
    missing = pending.reply_chars
    damaged = False
    for start in range(len(buffer)):
        for shape in shapes:
            need = _need(buffer, start, shape)
            if need == 0:
                continue
            short = start + need - len(buffer)
            if short <= 0 and crc16(buffer[start : start + need]) == 0:
                return Hunt(_frame(buffer, start, need, shape), 1, False)
            if shape is pending:
                damaged = damaged or (short <= 0 and need > EXCEPTION_CHARS)
                missing = min(missing, short) if short > 0 else missing
    return Hunt(None, missing, damaged)


def _need(buffer: bytes, start: int, shape: Shape) -> int:
    """Return the length of the frame that may start here, 0 where none can."""
    if buffer[start] != shape.unit:
        return 0
    head = buffer[start + 1 : start + 3]
    if not head or head[0] == shape.fc | EXCEPTION_BIT:
        return EXCEPTION_CHARS
    if head[0] != shape.fc or (len(head) > 1 and head[1] != shape.data_bytes):
        return 0
    return shape.reply_chars


def _frame(buffer: bytes, start: int, need: int, shape: Shape) -> Frame:
    end = start + need
    if buffer[start + 1] & EXCEPTION_BIT:
        return Frame(shape, start, end, (), buffer[start + 2])
    return Frame(shape, start, end, unpacked(buffer[start + 3 : end - 2], shape.fc, shape.words), 0)
