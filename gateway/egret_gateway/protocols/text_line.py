"""Lines of text out of a stream of bytes: found again after any damage, never glued; pure.

A line is what stands between `prefix` (where there is one) and `terminator`. It counts only if
its beginning was heard: after a terminator or behind a prefix, with no pause inside. What cannot
become a line any more is named and dropped.

| checksum | over | written as |
|---|---|---|
| `none` | | |
| `nmea` | what stands behind the prefix, exclusive or | `*` and two hex digits at the end; NMEA 0183 5.3 |
| `sum8` | the same, sum modulo 256 | two hex digits at the end |
| `crc16-modbus` | the same, CRC of MODBUS over Serial Line 2.5.1.2 | four hex digits at the end |
| `bcc` | the same and the terminator, exclusive or | one byte behind the terminator |
"""  # noqa: E501  (a table row cannot be broken)

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import xor
from string import hexdigits
from typing import NamedTuple

from egret_gateway.protocols.modbus_rtu import crc16

LINE_MAX_B = 1024  # NMEA 0183 allows 82; a logger's row of 100 values has 900
CONTENT_MAX_B = LINE_MAX_B - 16  # room for prefix, terminator and checksum
NONE, NMEA, SUM8, CRC16, BCC = CHECKSUMS = ("none", "nmea", "sum8", "crc16-modbus", "bcc")
_DIGITS = {SUM8: 2, CRC16: 4}
_ENDS = b"\r\n"
_PLAIN = frozenset(
    (0x09, *range(0x20, 0x7F), *range(0xA0, 0x100))
)  # with degree signs and the like


class Flaw(StrEnum):
    """What became of a line; the names are shown to people."""

    NONE = "ok"
    LONG = "too long"
    HALF = "cut short"
    HEADLESS = "beginning not heard"
    DAMAGED = "checksum"
    BINARY = "not text"
    FOREIGN = "another line"


@dataclass(frozen=True, slots=True)
class Framing:
    """How a family writes a line.

    Attributes:
        prefix, terminator: bytes; where the terminator is of CR and LF alone, both are cut off.
        checksum: one of `CHECKSUMS`; pause_s: bytes of one line come closer together than this.
    """

    prefix: bytes = b""
    terminator: bytes = b"\n"
    checksum: str = NONE
    pause_s: float = 0.5


class Heard(NamedTuple):
    """One line, or what could have been one.

    Attributes:
        flaw: NONE for a whole line; text: what it says, without its checksum.
        raw: its bytes, for people; at_s: when its last byte arrived, seconds as given.
    """

    flaw: Flaw
    text: str
    raw: bytes
    at_s: float


class Lines:
    """Takes bytes as they come; returns the lines that end in them."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._tail_b = int(framing.checksum == BCC)
        self._buffer = bytearray()
        self._begun = bool(framing.prefix)  # a prefix tells where a line begins; else an end does
        self._last_s = 0.0

    def forget(self) -> None:
        """Drop what has come so far; the rest of a line that has begun is none either."""
        self._begun = not self._buffer or bool(self._framing.prefix)
        self._buffer.clear()

    def feed(self, data: bytes, at_s: float) -> list[Heard]:
        """Take bytes that arrived at `at_s`, seconds of any monotonic clock."""
        found: list[Heard] = []
        if self._buffer and at_s - self._last_s > self._framing.pause_s:
            found.append(self._dropped(Flaw.HALF, self._last_s))
        self._last_s = at_s
        self._buffer += data
        while (end := self._end()) > 0:
            raw = bytes(self._buffer[:end])
            del self._buffer[:end]
            heard = self._line(raw, at_s)
            self._begun = True
            if heard is not None:
                found.append(heard)
        if len(self._buffer) > LINE_MAX_B:
            if self._framing.prefix:  # a line may have begun behind the noise
                del self._buffer[: max(0, self._buffer.rfind(self._framing.prefix))]
            if len(self._buffer) > LINE_MAX_B:
                found.append(self._dropped(Flaw.LONG, at_s))
        return found

    def _dropped(self, flaw: Flaw, at_s: float) -> Heard:
        raw = bytes(self._buffer[:LINE_MAX_B])
        self._buffer.clear()
        self._begun = bool(self._framing.prefix)
        return Heard(flaw, "", raw, at_s)

    def _end(self) -> int:
        """Return where the first line ends, 0 for not yet."""
        at = self._buffer.find(self._framing.terminator)
        end = at + len(self._framing.terminator) + self._tail_b
        return end if at >= 0 and end <= len(self._buffer) else 0

    def _line(self, raw: bytes, at_s: float) -> Heard | None:
        """Return what the bytes up to an end are, None for an empty line."""
        framing = self._framing
        whole = raw[: len(raw) - self._tail_b]
        content = whole[: len(whole) - len(framing.terminator)]
        if set(framing.terminator) <= set(_ENDS):
            content = content.strip(_ENDS)
        if not content:
            return None
        content, flaw = self._behind_prefix(content)
        if flaw is Flaw.NONE:
            told = _without_checksum(content, framing, raw[len(whole) :])
            if told is not None and _PLAIN.issuperset(told):
                return Heard(Flaw.NONE, told.decode("latin-1"), raw[-LINE_MAX_B:], at_s)
            flaw = Flaw.DAMAGED if told is None else Flaw.BINARY
        return Heard(flaw, "", raw[-LINE_MAX_B:], at_s)

    def _behind_prefix(self, content: bytes) -> tuple[bytes, Flaw]:
        prefix = self._framing.prefix
        if prefix:
            _, mark, content = content.rpartition(prefix)
            begun = bool(mark)
        else:
            begun = self._begun
        if not begun:
            return content, Flaw.HEADLESS
        return content, Flaw.LONG if len(content) > CONTENT_MAX_B else Flaw.NONE


def checksum(kind: str, content: bytes, terminator: bytes = b"\n") -> bytes:
    """Return what a device writes for `content`: hex digits, or for `bcc` the byte itself."""
    if kind == NMEA:
        return b"*%02X" % reduce(xor, content, 0)
    if kind == SUM8:
        return b"%02X" % (sum(content) & 0xFF)
    if kind == CRC16:
        return b"%04X" % crc16(content)
    if kind == BCC:
        return bytes((reduce(xor, content + terminator, 0),))
    return b""


def _without_checksum(content: bytes, framing: Framing, tail: bytes) -> bytes | None:
    """Return the content that its checksum vouches for, None where it does not."""
    kind = framing.checksum
    if kind == NONE:
        return content
    if kind == BCC:
        return content if tail == checksum(BCC, content, framing.terminator) else None
    told, mark, digits = content, b"", b""
    if kind == NMEA:
        told, mark, digits = content.rpartition(b"*")
    else:
        told, digits = content[: -_DIGITS[kind]], content[-_DIGITS[kind] :]
    if not all(chr(byte) in hexdigits for byte in digits):
        return None
    return told if mark + digits.upper() == checksum(kind, told) else None
