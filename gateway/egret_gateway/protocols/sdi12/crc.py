"""The CRC of SDI-12: 16 bits as three printable characters (v1.4, 4.4.12).

Start 0, polynomial 0xA001 shifted right, over everything from the address to the last character
before the CRC. Six bits a character, high ones first, each with 0x40 set.
"""

from __future__ import annotations

CRC_CHARS = 3
_BITS = 0x3F
_PRINTABLE = 0x40


def crc16(data: bytes) -> int:
    """Return the CRC of `data` as a number."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


def sealed(body: bytes) -> bytes:
    """Return `body` and its three characters of CRC."""
    crc = crc16(body)
    return body + bytes(_PRINTABLE | (crc >> shift & _BITS) for shift in (12, 6, 0))
