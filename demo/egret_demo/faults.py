"""What goes wrong on the make-believe bus: units that are dead, late, or heard badly.

Pure: a reply in, what the line makes of it out; the dice are an argument.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from random import Random


class Fate(Enum):
    """What became of one reply."""

    WHOLE = "whole"
    CRC = "crc"
    LATE = "late"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Faults:
    """The character of one unit.

    Attributes:
        turnaround_s: how long it thinks before it answers.
        dead: it never answers.
        crc_share: share of its replies in which a bit is flipped, 0 to 1.
        late_share: share of its replies that come `late_s` after the request.
    """

    turnaround_s: float = 0.02
    dead: bool = False
    crc_share: float = 0.0
    late_share: float = 0.0
    late_s: float = 0.6


class Answer(NamedTuple):
    """What comes back over the wire: bytes (none from a dead unit), after a delay."""

    frame: bytes
    delay_s: float
    fate: Fate


def suffer(frame: bytes, faults: Faults, random: Random) -> Answer:
    """Return what the bus makes of a good reply."""
    if faults.dead:
        return Answer(b"", 0.0, Fate.DEAD)
    dice = random.random()
    if dice < faults.crc_share:
        return Answer(_flipped(frame, random), faults.turnaround_s, Fate.CRC)
    if dice < faults.crc_share + faults.late_share:
        return Answer(frame, faults.late_s, Fate.LATE)
    return Answer(frame, faults.turnaround_s, Fate.WHOLE)


def _flipped(frame: bytes, random: Random) -> bytes:
    """Flip one bit: a CRC of 16 bits finds every single one."""
    bit = random.randrange(8 * len(frame))
    spoiled = bytearray(frame)
    spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)
