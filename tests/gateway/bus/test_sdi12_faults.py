"""Ten thousand damaged, late, foreign and glued replies: no wrong value, and no other error.

Every measurement gives a number that no other one gives, so that a value of another sensor, or of
the measurement before, is seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.sdi12_line import VirtualWire

from egret_demo.sdi12_sensor import Measurement, Said, Sensor, checked
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.sdi12 import Sdi12Line, Sdi12Plan, Work
from egret_gateway.bus.sdi12_exchange import NATIVE, Counts, Timing, transparent
from egret_gateway.profiles import Measured
from egret_gateway.protocols import sdi12

if TYPE_CHECKING:
    from collections.abc import Mapping

DAMAGED = 10_000
ADDRESSES = "0aZ"
SHARE = 0.5  # of replies that something happens to
LATE = (0.05, 0.08, 0.3, 1.4, 1.6, 1.9)  # about the ends of both waits; 2 s is what is promised


VALUES = {"M": 6, "C": 16, "R0": 2}  # in two parts of the same size


class Serials(dict[str, Measurement]):
    """Measurements whose numbers are all different: of which sensor, when, and at which place."""

    def __init__(self, address: str, ready_s: int, values: int = 2) -> None:
        super().__init__()
        self.last = 0
        self._mark = ADDRESSES.index(address)
        self._ready_s = ready_s
        self._values = range(values)

    def numbers(self) -> tuple[float, ...]:
        """The numbers of the newest measurement."""
        return tuple((self.last * 100.0 + n) * len(ADDRESSES) + self._mark for n in self._values)

    def get(self, key: str, default: object = None) -> Measurement:  # type: ignore[override]  # noqa: ARG002
        self.last += 1
        return Measurement(tuple(f"+{n:07.0f}." for n in self.numbers()), self._ready_s)


@dataclass(slots=True)
class Fickle(Sensor):
    """A sensor whose replies are late by dice."""

    dice: Random = field(default_factory=lambda: Random("fickle"))

    def hear(self, command: str, at_s: float, random: Random) -> list[Said]:
        late_s = self.dice.choice(LATE) if self.dice.random() < SHARE / 3 else 0.0
        said = Sensor.hear(self, command, at_s, random)
        return [one._replace(delay_s=one.delay_s + late_s) for one in said]


class Line:
    """Three sensors, damage by dice, and what is known of each measurement."""

    def __init__(self, command: str, timing: Timing, ready_s: int = 1) -> None:
        values = VALUES[command]
        self.serials = {address: Serials(address, ready_s, values) for address in ADDRESSES}
        sensors = [Fickle(address, self.serials[address]) for address in ADDRESSES]
        self.wire = VirtualWire(sensors, needs_break=timing.breaks > 0)
        self.wire.garble = self._garble
        self.dice = Random(f"{command}/{timing.breaks}")
        self.damaged = 0
        plan = Sdi12Plan.__new__(Sdi12Plan)
        asked = sdi12.measurement(command, crc=True)
        places = tuple(Measured(asked, n + 1) for n in range(values))
        plan.works = tuple(
            Work(address, asked, places, (), 60.0, timing, 5.0) for address in ADDRESSES
        )
        plan.counts = {address: Counts() for address in ADDRESSES}
        self.line = Sdi12Line(plan, self.wire, now=self.wire.now)

    def _garble(self, data: bytes) -> bytes:
        if self.dice.random() >= SHARE:
            return data
        self.damaged += 1
        at = self.dice.randrange(len(data))
        foreign = self.dice.choice(ADDRESSES)
        body = f"{foreign}" + f"+{self.dice.randrange(9):07d}." * 3
        return self.dice.choice([
            data[:at] + bytes([data[at] ^ 1 << self.dice.randrange(8)]) + data[at + 1 :],
            data[:at],
            data[:at] + data[at + 1 :],
            data[:at] + data[at : at + 1] + data[at:],
            b"",
            self.dice.randbytes(at) + data,
            data + data,
            body.encode() + b"\r\n" + data,
            f"{body}{checked(body)}\r\n".encode()[1:] + data,
            data.replace(b"\r\n", b"\n"),
            data[:at] + b"\x00" + data[at + 1 :],
        ])  # fmt: skip

    async def take(self, index: int) -> bool:
        """Take one turn to its end; whether a value came, which must be the newest one."""
        polled = await self.line.poll(index)
        while polled.fault in (Fault.PENDING, Fault.QUARANTINED):
            await self.line.idle(polled.free_s)
            polled = await self.line.poll(index)
        assert polled.fault in (Fault.NONE, Fault.CRC, Fault.TIMEOUT, Fault.EXCEPTION)
        if polled.fault is not Fault.NONE:
            assert polled.raws == ()
            return False
        assert polled.raws == self.serials[ADDRESSES[index]].numbers()
        return True


TIMINGS: Mapping[str, Timing] = {"native": NATIVE, "transparent": transparent(1.5)}


@pytest.mark.parametrize("adapter", TIMINGS)
@pytest.mark.parametrize("command", ["C", "M"])
async def test_ten_thousand_damaged_replies_give_no_wrong_value(command: str, adapter: str) -> None:
    at = Line(command, TIMINGS[adapter])
    good = taken = 0
    while at.damaged < DAMAGED / 4:
        good += await at.take(at.dice.randrange(len(ADDRESSES)))
        taken += 1
    assert good > taken / 20, "and many are read all the same"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6), st.sampled_from(["C", "M", "R0"]))
async def test_whatever_is_said_ends_in_a_named_fault(said: list[bytes], command: str) -> None:
    at = Line(command, replace_waits(NATIVE))
    answers = iter(said)
    at.wire.garble = lambda _: next(answers, b"")
    polled = await at.line.poll(0)
    assert polled.fault in (Fault.NONE, Fault.CRC, Fault.TIMEOUT, Fault.EXCEPTION, Fault.PENDING)


def replace_waits(timing: Timing) -> Timing:
    """One break is enough to see what a line makes of noise."""
    return timing._replace(breaks=1)


def test_a_sensor_of_this_rig_never_repeats_a_number() -> None:
    sensor = replace(Fickle("0", Serials("0", 0)))
    random = Random("plain")
    numbers = {tuple(sensor.measurements.get("C", Measurement(())).values) for _ in range(5)}
    assert len(numbers) == 5
    assert sensor.hear("0C", 0.0, random)[0].data == b"000002\r\n"
