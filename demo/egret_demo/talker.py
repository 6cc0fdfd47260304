"""A make-believe sensor that talks by itself, as badly as lines in the field do.

`python -m egret_demo.talker LINK KIND EVERY_S [SHARE [SEED]]` makes a tty at LINK, prints "ready",
says one line every EVERY_S seconds, SHARE of which meet a mishap, and at SIGTERM prints one JSON
line: how many lines met which mishap. The n-th line says n, so that a wrong value shows.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import tty
from collections import Counter
from enum import Enum
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from egret_gateway.protocols.text_line import NMEA, checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USAGE = "usage: python -m egret_demo.talker LINK depth|radar|gnss|tilt EVERY_S [SHARE [SEED]]\n"
NOISE_MAX_B = 40
BASE_MM = 545_400  # altitude of the receiver when the valley is still


class Mishap(Enum):
    """What became of one line."""

    WHOLE = "whole"
    NOISE = "noise"  # garbage before it
    HALF = "half"  # its end is lost, and with it the next line's beginning
    TWICE = "twice"  # said twice, the first time without its end
    FLIPPED = "flipped"  # one bit is another
    SILENT = "silent"


def sentence(content: str) -> bytes:
    """Return an NMEA 0183 line with its checksum."""
    return b"$" + content.encode() + checksum(NMEA, content.encode()) + b"\r\n"


def depth(n: int) -> bytes:
    """Return an echo sounder's line: n centimetres."""
    return sentence(f"SDDPT,{n / 100:.2f},0.0,")


def radar(n: int) -> bytes:
    """Return a level radar's line: a level of n mm."""
    return sentence(f"LVX,{8000 - n},{8000 - n},21.5,{n},{n},44")


def gnss(n: int) -> bytes:
    """Return a receiver's line: n mm up; every fourth fix is a float, every eighth none."""
    quality = {0: 1, 4: 5}.get(n % 8, 4)
    altitude = (BASE_MM + n) / 1000
    return sentence(
        f"GNGGA,120000.00,2428.78800000,N,11805.36400000,E,{quality},20,0.6,"
        f"{altitude:.3f},M,12.345,M,1.0,0001"
    )


def tilt(n: int) -> bytes:
    """Return an inclinometer's line, without a checksum: n thousandths of a degree."""
    return f"X={n / 1000:+07.3f}\r\n".encode()


KINDS: dict[str, Callable[[int], bytes]] = {
    "depth": depth,
    "radar": radar,
    "gnss": gnss,
    "tilt": tilt,
}


def said(line: bytes, mishap: Mishap, random: Random) -> bytes:
    """Return what of a line comes out at the far end."""
    if mishap is Mishap.SILENT:
        return b""
    if mishap is Mishap.NOISE:
        return random.randbytes(random.randrange(1, NOISE_MAX_B)) + line
    cut = random.randrange(1, len(line) - 2)
    if mishap is Mishap.HALF:
        return line[:cut]
    if mishap is Mishap.TWICE:
        return line[:cut] + line
    return _flipped(line, random) if mishap is Mishap.FLIPPED else line


def _flipped(line: bytes, random: Random) -> bytes:
    spoiled = bytearray(line)
    while spoiled.upper() == line.upper():  # a checksum's digits may be small letters
        bit = random.randrange(8 * len(line))
        spoiled = bytearray(line)
        spoiled[bit // 8] ^= 1 << bit % 8
    return bytes(spoiled)


class Talker:
    """Says line after line.

    Attributes:
        mishaps: how many lines met which; whole: numbers of the lines that were said whole.
    """

    def __init__(self, kind: str, share: float, random: Random) -> None:
        self.mishaps: Counter[Mishap] = Counter()
        self.whole: list[int] = []
        self._line = KINDS[kind]
        # Without a checksum nobody can tell a flipped digit from a true one.
        summed = kind != "tilt"
        self._choices = [m for m in Mishap if summed or m is not Mishap.FLIPPED][1:]
        self._share = share
        self._random = random
        self._n = 0

    def next(self) -> bytes:
        """Return what the far end hears next."""
        self._n += 1
        chance = self._random.random() < self._share
        mishap = self._random.choice(self._choices) if chance else Mishap.WHOLE
        self.mishaps[mishap] += 1
        if mishap in (Mishap.WHOLE, Mishap.NOISE, Mishap.TWICE):
            self.whole.append(self._n)
        return said(self._line(self._n), mishap, self._random)


def main(argv: Sequence[str]) -> int:
    """Talk until SIGTERM or SIGINT, then report."""
    try:
        link, kind, every_s = Path(argv[0]), argv[1], float(argv[2])
        share = float(argv[3]) if len(argv) > 3 else 0.0  # noqa: PLR2004  (the fourth argument)
        seed = int(argv[4]) if len(argv) > 4 else 1  # noqa: PLR2004  (the fifth one)
        talker = Talker(kind, share, Random(seed))
    except (IndexError, KeyError, ValueError):
        sys.stderr.write(USAGE)
        return 2
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: stopped.append(signum))
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    os.set_blocking(ours, False)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(theirs))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not stopped:
        with contextlib.suppress(BlockingIOError):  # nobody listens: a real one talks on, too
            os.write(ours, talker.next())
        time.sleep(every_s)
    link.unlink(missing_ok=True)
    counts = {mishap.value: talker.mishaps[mishap] for mishap in Mishap}
    sys.stdout.write(json.dumps({"lines": counts, "whole": talker.whole}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
