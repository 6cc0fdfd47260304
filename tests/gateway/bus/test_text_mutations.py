"""Ten thousand lines that came to grief: cut, glued, doubled, flipped, foreign. No wrong value.

The n-th line says n; whatever is understood must be a line that was sent whole.
"""

from __future__ import annotations

from collections import Counter
from math import isfinite
from random import Random
from typing import TYPE_CHECKING

import pytest
from rig.talk import device

from egret_demo.talker import KINDS, Mishap, said, sentence
from egret_gateway.bus.understanding import understandings
from egret_gateway.protocols.geodesy import Position
from egret_gateway.protocols.text_line import CRC16, Flaw, Lines, checksum

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_gateway.profiles import DeviceSettings

BASE = Position(24.4798, 118.0894, 545.4 + 12.345)
MUTATIONS = 10_000
FOREIGN = (
    sentence("SDMTW,18.0,C"), sentence("PRDID,1,2"), sentence("GNGGA,,,,,,0,,,,M,,M,,"),
    b"OK\r\n", b">02,+9.999,12.6,A0000\r\n", b"#01\r\n",
)  # fmt: skip


def logger(n: int) -> bytes:
    content = f"01,{n / 1000:+.3f},12.6,A".encode()
    return b">" + content + checksum(CRC16, content) + b"\r\n"


CASES: tuple[tuple[Callable[[int], bytes], DeviceSettings, float], ...] = (
    (KINDS["depth"], device("nmea-echo-sounder", "depth"), 0.01),
    (KINDS["radar"], device("geolux-lx-80-nmea", "level"), 1.0),
    (KINDS["gnss"], device("nmea-gnss-rtk", "up", base=BASE), 0.001),
    (KINDS["tilt"], device("bei-inclinometer-rs232", "x"), 0.001),
    (logger, device("generic-text-poll", "level", address="01"), 0.001),
)


@pytest.mark.parametrize(
    ("line", "sensor", "step"), CASES, ids=["depth", "radar", "gnss", "tilt", "logger"]
)
def test_mutated_lines(line: Callable[[int], bytes], sensor: DeviceSettings, step: float) -> None:
    random = Random(20261129)
    (wanted,) = understandings([sensor])
    framer = Lines(wanted.talk.framing)
    framer.forget()
    summed = wanted.talk.framing.checksum != "none"
    mishaps = [m for m in Mishap if summed or m is not Mishap.FLIPPED]
    whole: set[int] = set()
    heard: list[int] = []
    flaws: Counter[Flaw] = Counter()
    at_s = 0.0
    for n in range(1, MUTATIONS + 1):
        mishap = random.choice(mishaps)
        if mishap in (Mishap.WHOLE, Mishap.NOISE, Mishap.TWICE):
            whole.add(n)
        stream = said(line(n), mishap, random)
        if random.random() < 0.1:
            stream += random.choice(FOREIGN)
        at_s += random.choice((0.0, 0.1, 0.7))
        cut = random.randrange(len(stream) + 1)
        for part in (stream[:cut], stream[cut:]):
            for found in framer.feed(part, at_s):
                flaws[found.flaw] += 1
                polled = wanted.polled(found) if found.flaw is Flaw.NONE else None
                value = polled.raws[0] if polled is not None else None
                if value is not None and isfinite(value):
                    assert value / step == pytest.approx(n, abs=0.01), "it is the line's own"
                    heard.append(n)
    assert set(heard) <= whole
    assert len(heard) > MUTATIONS / 10, "and not by hearing nothing"
    assert {Flaw.NONE, Flaw.HALF} <= set(flaws)
    assert flaws[Flaw.DAMAGED] > 0 or not summed
