"""Replies of SDI-12 sensors, taken whole or refused by name; the table is in the package.

Every function takes one line without its CR LF, and raises `ReplyError` for one that is not
exactly the reply asked for.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from egret_gateway.errors import ReplyError, ReplyFault
from egret_gateway.protocols.sdi12.command import ADDRESSES, Kind
from egret_gateway.protocols.sdi12.crc import CRC_CHARS, sealed

CHARS_MAX = {  # of values in one reply (v1.4, 4.4.8)
    Kind.MEASURE: 35,
    Kind.VERIFY: 35,
    Kind.CONCURRENT: 75,
    Kind.CONTINUOUS: 75,
}
DIGITS_MAX = 7  # of one value, same clause
_COUNT_DIGITS = {Kind.MEASURE: 1, Kind.VERIFY: 1, Kind.CONCURRENT: 2}
_VALUE = re.compile(rb"[+-](?:\d+\.?\d*|\.\d+)")
_VALUES = re.compile(rb"(?:[+-](?:\d+\.?\d*|\.\d+))*")
_IDENTITY = re.compile(rb"(\d\d)(.{8})(.{6})(.{3})(.{0,13})")
_DESCRIPTION = re.compile(rb",([^;]+);")
_FIRST, _LAST = 0x20, 0x7E  # printable; a CRC may hold 0x7F too


class Identity(NamedTuple):
    """Who a sensor says it is, without the blanks at the ends.

    Attributes:
        version: of SDI-12, e.g. ``1.4``; maker, model, firmware; more: often a serial number.
    """

    version: str
    maker: str
    model: str
    firmware: str
    more: str


class Promise(NamedTuple):
    """What a sensor says of a measurement: seconds until it is ready at the latest, how many."""

    ready_s: int
    values: int


def acknowledged(line: bytes, address: str) -> None:
    """Take `a`: an acknowledgement or a service request."""
    if _body(line, address):
        raise ReplyError(ReplyFault.FORM, line)


def queried(line: bytes) -> str:
    """Return the address that answered `?!`."""
    text = line.decode("latin-1")
    if len(text) != 1 or text not in ADDRESSES:
        raise ReplyError(ReplyFault.FORM, line)
    return text


def identity(line: bytes, address: str) -> Identity:
    """Return who it is."""
    found = _IDENTITY.fullmatch(_body(line, address))
    if not found:
        raise ReplyError(ReplyFault.FORM, line)
    version, *words = (part.decode() for part in found.groups())
    maker, model, firmware, more = (word.strip() for word in words)
    return Identity(f"{version[0]}.{version[1]}", maker, model, firmware, more)


def promise(line: bytes, address: str, kind: Kind) -> Promise:
    """Return when how many values are ready, of a measurement of a kind other than R."""
    body = _body(line, address)
    if len(body) != CRC_CHARS + _COUNT_DIGITS[kind] or not body.isdigit():
        raise ReplyError(ReplyFault.FORM, line)
    return Promise(int(body[:3]), int(body[3:]))


def values(line: bytes, address: str, kind: Kind, *, crc: bool) -> tuple[float, ...]:
    """Return the values of a reply to D or R; none where the sensor has none.

    Args:
        line: without CR LF.
        address: who was asked.
        kind: of the measurement.
        crc: whether it was asked for with CRC.
    """
    body = _sealed_body(line, address, crc=crc)
    if len(body) > CHARS_MAX[kind]:
        raise ReplyError(ReplyFault.LENGTH, line)
    if not _VALUES.fullmatch(body):
        raise ReplyError(ReplyFault.FORM, line)
    found = _VALUE.findall(body)
    if any(sum(char in b"0123456789" for char in word) > DIGITS_MAX for word in found):
        raise ReplyError(ReplyFault.LENGTH, line)
    return tuple(float(word) for word in found)


def description(line: bytes, address: str, *, crc: bool) -> tuple[str, ...]:
    """Return what is said of a value: first its code, second its unit, more as a maker likes.

    Args:
        line: without CR LF.
        address: who was asked.
        crc: whether it was asked for with CRC.
    """
    body = _sealed_body(line, address, crc=crc)
    found = _DESCRIPTION.fullmatch(body)
    if not found:
        raise ReplyError(ReplyFault.FORM, line)
    return tuple(word.strip() for word in found[1].decode().split(","))


def _sealed_body(line: bytes, address: str, *, crc: bool) -> bytes:
    """Return what follows the address, proven by its CRC where it was asked for with one."""
    bare = line[:-CRC_CHARS] if crc else line
    body = _body(bare, address, line)
    if crc and sealed(bare) != line:
        raise ReplyError(ReplyFault.CRC, line)
    return body


def _body(bare: bytes, address: str, line: bytes = b"") -> bytes:
    """Return what follows the address; `line` is the whole of what is `bare` of its CRC."""
    if any(not _FIRST <= char <= _LAST for char in bare):
        raise ReplyError(ReplyFault.FORM, line or bare)
    if bare[:1] != address.encode():
        raise ReplyError(ReplyFault.ADDRESS, line or bare)
    return bare[1:]
