"""Modbus TCP, both halves: what is said, in an envelope with a number.

Wire table (MODBUS Messaging on TCP/IP Implementation Guide V1.0b 3.1.3, numbers big-endian):

| bytes | content |
|---|---|
| 0-1 | transaction number: the reply bears its request's; 0 is never given, and never a match |
| 2-3 | protocol, 0 |
| 4-5 | bytes that follow: unit and PDU, 2 to 254 |
| 6 | unit: of a device behind a gateway; 0 or 255 is the device itself |
| 7- | what `modbus_pdu` says |

TCP loses and swaps nothing, so that an envelope that cannot be right means that the other side is
no Modbus TCP, or that we no longer know where one begins: the connection is of no more use.
"""

from __future__ import annotations

from typing import NamedTuple

HEADER_B = 7
PDU_MIN_B = 2  # an exception
PDU_MAX_B = 253
FRAME_MAX_B = HEADER_B + PDU_MAX_B
NUMBER_MAX = 0xFFFF
UNIT_MAX = 255


class Envelope(NamedTuple):
    """One whole frame: its number, whom it asks or who answers, and what is said."""

    number: int
    unit: int
    pdu: bytes


class Cut(NamedTuple):
    """The beginning of what came in.

    Attributes:
        envelope: the first whole one, None where none is whole yet; end: where it ends.
        broken: why this can never become one, "" where it can.
    """

    envelope: Envelope | None
    end: int
    broken: str


def frame(number: int, unit: int, pdu: bytes) -> bytes:
    """Return a frame.

    Raises:
        ValueError: a number, unit or PDU that the wire cannot carry.
    """
    if not 0 <= number <= NUMBER_MAX or not 0 <= unit <= UNIT_MAX:
        raise ValueError(f"number {number} unit {unit} cannot be sent")
    if not PDU_MIN_B <= len(pdu) <= PDU_MAX_B:
        raise ValueError(f"a PDU of {len(pdu)} bytes cannot be sent")
    head = number.to_bytes(2, "big") + bytes(2) + (1 + len(pdu)).to_bytes(2, "big")
    return head + bytes((unit,)) + pdu


def next_number(number: int) -> int:
    """Return the number after `number`; 0 is passed over."""
    return number % NUMBER_MAX + 1


def cut(buffer: bytes) -> Cut:
    """Return the first frame of a stream; its bytes before any of a next one."""
    if any(buffer[2:4]):
        return Cut(None, 0, f"protocol {buffer[2:4].hex()}")
    if len(buffer) < HEADER_B - 1:
        return Cut(None, 0, "")
    size = int.from_bytes(buffer[4:6], "big")
    if not 1 + PDU_MIN_B <= size <= 1 + PDU_MAX_B:
        return Cut(None, 0, f"{size} bytes announced")
    end = HEADER_B - 1 + size
    if len(buffer) < end:
        return Cut(None, 0, "")
    number = int.from_bytes(buffer[:2], "big")
    return Cut(Envelope(number, buffer[6], buffer[HEADER_B:end]), end, "")
