"""Modbus RTU, the master's half: requests out, exact replies found in whatever came in.

Wire table (MODBUS over Serial Line V1.02 2.5.1; Application Protocol V1.1b3 6.3, 6.4, 7):

| frame | bytes |
|---|---|
| read request | unit, fc 3 or 4, address hi lo, count hi lo, CRC lo hi |
| reply | unit, fc, 2 x count, count x (hi lo), CRC lo hi |
| exception | unit, fc + 0x80, code, CRC lo hi |

CRC-16: start 0xFFFF, polynomial 0xA001 shifted right. An RTU reply carries neither address nor
transaction number: only its unit, function code and length tell which request it answers. Hence
`hunt`: a reply counts only where all of them and the CRC agree, at whatever offset it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_HOLDING = 3
READ_INPUT = 4
FUNCTION_CODES = (READ_HOLDING, READ_INPUT)
COUNT_MAX = 125  # registers in one reply (Application Protocol 6.3)
UNIT_MAX = 255  # 248-255 are reserved, yet devices ship with 250; 0 is broadcast, never answered
REQUEST_CHARS = 8
EXCEPTION_CHARS = 5
FRAME_MAX_B = 256  # the longest RTU frame
_OVERHEAD = 5  # unit, fc, byte count, CRC
_EXCEPTION_BIT = 0x80


def _crc_table() -> tuple[int, ...]:
    table = []
    for start in range(256):
        crc = start
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        table.append(crc)
    return tuple(table)


_CRC = _crc_table()


class Shape(NamedTuple):
    """All that a reply tells about the request it answers."""

    unit: int
    fc: int
    words: int

    @property
    def reply_chars(self) -> int:
        """Length of the reply in characters."""
        return _OVERHEAD + 2 * self.words


class Frame(NamedTuple):
    """An exact reply or exception found in a buffer.

    Attributes:
        shape: the shape it answers; start, end: where it lies.
        registers: the values, empty in an exception; exception: its code, 0 in a reply.
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
    """Return the request for `shape.words` registers from 0-based wire `address`.

    Raises:
        ValueError: a function code, count, unit or address that the wire cannot carry.
    """
    if shape.fc not in FUNCTION_CODES or not 1 <= shape.words <= COUNT_MAX:
        raise ValueError(f"{shape} cannot be asked")
    if not 1 <= shape.unit <= UNIT_MAX or not 0 <= address <= 0x10000 - shape.words:
        raise ValueError(f"unit {shape.unit} address {address} cannot be asked")
    head = bytes((shape.unit, shape.fc))
    return sealed(head + address.to_bytes(2, "big") + shape.words.to_bytes(2, "big"))


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
    if not head or head[0] == shape.fc | _EXCEPTION_BIT:
        return EXCEPTION_CHARS
    if head[0] != shape.fc or (len(head) > 1 and head[1] != 2 * shape.words):
        return 0
    return shape.reply_chars


def _frame(buffer: bytes, start: int, need: int, shape: Shape) -> Frame:
    end = start + need
    if buffer[start + 1] & _EXCEPTION_BIT:
        return Frame(shape, start, end, (), buffer[start + 2])
    data = buffer[start + 3 : end - 2]
    words = tuple(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    return Frame(shape, start, end, words, 0)
