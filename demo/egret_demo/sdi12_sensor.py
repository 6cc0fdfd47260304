"""A make-believe SDI-12 sensor: commands in, replies out, after the text of the standard; pure.

It measures, asks for service, keeps its data until the next measurement, and drops a measurement
that is disturbed: an M by a break or by a command to it, a C by a command to it (v1.4, 4.4 and 7).
Its line and its code for the CRC are its own, so that a recorder is tried against something else
than itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

COMMAND = re.compile(r"([MC])(C?)([1-9]?)|(R)(C?)([0-9])|(V)()()")
DESCRIBE = re.compile(r"I([MCRV])(C?)([0-9]?)_([0-9]{3})")
M_CHARS, C_CHARS = 35, 75
RESPONSE_S = 0.0095  # marking before a reply: 8.33 ms at least, 15 ms at most
CHAR_S = 10 / 1200


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one measurement gives.

    Attributes:
        values: as they stand in the data, e.g. ``+3.14``.
        described: code and unit of each, for the commands of v1.4; () for a sensor before it.
        ready_s: what it promises; takes_s: what it really takes, None for as promised.
    """

    values: tuple[str, ...]
    ready_s: int = 0
    takes_s: float | None = None
    described: tuple[str, ...] = ()


@dataclass(slots=True)
class Troubles:
    """What goes wrong, and can be changed while it runs.

    Attributes:
        dead: it says nothing; late_s: added to the time before every reply.
        crc_share: share of replies with a flipped bit; garbage_share: with noise in place of them.
        mute_data: it answers D as if the measurement had been dropped.
    """

    dead: bool = False
    late_s: float = 0.0
    crc_share: float = 0.0
    garbage_share: float = 0.0
    mute_data: bool = False


class Said(NamedTuple):
    """Bytes that begin `delay_s` after the command's end; void when `serial` is over by then."""

    delay_s: float
    data: bytes
    serial: int = 0


@dataclass(slots=True)
class Sensor:
    """One sensor.

    Attributes:
        address; measurements: by their command without address and CRC, ``M`` ``C1`` ``R0``.
        identity: what follows the address in the reply to I.
        serial: of the measurement under way; heard: every command to it.
    """

    address: str
    measurements: Mapping[str, Measurement]
    identity: str = "14EGRET___DEMO  001"
    troubles: Troubles = field(default_factory=Troubles)
    serial: int = 0
    heard: list[str] = field(default_factory=list)
    dropped: int = 0
    _kind: str = ""
    _ready_s: float = 0.0
    _pages: list[str] = field(default_factory=list)
    _crc: bool = False

    def wake(self, at_s: float) -> None:
        """Hear a break: an M or V under way is dropped."""
        if self._kind in ("M", "V") and at_s < self._ready_s:
            self._drop()

    def hear(self, command: str, at_s: float, random: Random) -> list[Said]:
        """Hear a command without its `!`; return what is said to it."""
        if command[:1] not in (self.address, "?"):
            return []
        self.heard.append(command)
        if self.troubles.dead:
            return []
        said = self._answer(command[1:], at_s)
        return [one._replace(data=self._spoilt(one.data, random)) for one in said]

    def _answer(self, body: str, at_s: float) -> list[Said]:
        if body[:1] != "D" and at_s < self._ready_s:
            self._drop()
        if body == "":
            return [self._line("")]
        if body == "I":
            return [self._line(self.identity)]
        if body[0] == "A" and body[1:].isalnum() and len(body) == 2:  # noqa: PLR2004  (aAb!)
            self.address = body[1]
            return [self._line("")]
        if re.fullmatch("D[0-9]", body):
            return [self._data(int(body[1]), at_s)]
        if found := DESCRIBE.fullmatch(body):
            return self._describe(found[1] + (found[3] or ""), int(found[4]), crc=bool(found[2]))
        if found := COMMAND.fullmatch(body):
            kind, crc, number = (part for part in found.groups() if part is not None)
            return self._measure(kind, number, at_s, crc=bool(crc))
        return []  # an unknown command is not answered

    def _measure(self, kind: str, number: str, at_s: float, *, crc: bool) -> list[Said]:
        wanted = self.measurements.get(kind + number, Measurement(()))
        most = M_CHARS if kind in ("M", "V") else C_CHARS
        pages = paged(wanted.values, most)
        if kind == "R":
            return [self._line(pages[0] if pages else "", crc=crc)]
        takes_s = float(wanted.ready_s) if wanted.takes_s is None else wanted.takes_s
        self.serial += 1
        self._kind, self._crc, self._pages = kind, crc, pages
        self._ready_s = at_s + takes_s if wanted.ready_s else at_s
        count = len(wanted.values)
        digits = f"{count:02d}" if kind == "C" else f"{count:d}"
        first = self._line(f"{wanted.ready_s:03d}{digits}")
        if kind == "C" or not wanted.ready_s:
            return [first]
        request = self._line("")
        return [first, request._replace(delay_s=takes_s, serial=self.serial)]

    def _describe(self, name: str, place: int, *, crc: bool) -> list[Said]:
        words = self.measurements.get(name, Measurement(())).described
        return [self._line(f",{words[place - 1]};", crc=crc)] if place <= len(words) else []

    def _data(self, page: int, at_s: float) -> Said:
        if at_s < self._ready_s:
            self._drop()
        there = page < len(self._pages) and not self.troubles.mute_data
        return self._line(self._pages[page] if there else "", crc=self._crc)

    def _drop(self) -> None:
        self.serial += 1
        self.dropped += 1
        self._ready_s, self._pages = 0.0, []

    def _line(self, body: str, *, crc: bool = False) -> Said:
        text = f"{self.address}{body}"
        data = (text + checked(text) if crc else text).encode() + b"\r\n"
        return Said(RESPONSE_S + self.troubles.late_s, data)

    def _spoilt(self, data: bytes, random: Random) -> bytes:
        dice = random.random()
        if dice < self.troubles.crc_share:
            at = random.randrange(len(data) - 2)
            return data[:at] + bytes([data[at] ^ 1 << random.randrange(7)]) + data[at + 1 :]
        if dice < self.troubles.crc_share + self.troubles.garbage_share:
            return random.randbytes(random.randrange(1, len(data) + 1))
        return data


def paged(values: tuple[str, ...], most: int) -> list[str]:
    """Return the values as D0, D1, ... give them: whole values, at most `most` characters."""
    pages = [""]
    for value in values:
        if len(pages[-1]) + len(value) > most:
            pages.append("")
        pages[-1] += value
    return [page for page in pages if page]


def checked(text: str) -> str:
    """Return the three characters of CRC over a text, bit by bit as the standard describes it."""
    crc = 0
    for char in text:
        crc ^= ord(char)
        for _ in range(8):
            low = crc & 1
            crc >>= 1
            if low:
                crc ^= 0xA001
    return "".join(chr(0x40 | part) for part in (crc >> 12, crc >> 6 & 0x3F, crc & 0x3F))
