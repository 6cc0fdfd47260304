"""One command and its one right reply, in virtual time: breaks, retries, noise, late replies."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from rig.sdi12_line import VirtualWire

from egret_demo.sdi12_sensor import CHAR_S, Measurement, Sensor
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.sdi12_exchange import (
    BREAKS,
    NATIVE,
    TRIES,
    Counts,
    Exchange,
    Heard,
    Timing,
    transparent,
)
from egret_gateway.protocols import sdi12

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from egret_demo.sdi12_sensor import Said

BEHIND = transparent(1.0)


def sensor(address: str = "0", **measurements: Measurement) -> Sensor:
    return Sensor(address, measurements or {"R0": Measurement(("+3.14",))})


class Recorder:
    """An exchange on a virtual wire, and what it asks most."""

    def __init__(self, *sensors: Sensor, timing: Timing = NATIVE) -> None:
        self.wire = VirtualWire(sensors, needs_break=timing.breaks > 0)
        self.counts = {address: Counts() for address in "0123"}
        self.exchange = Exchange(self.wire, self.counts, now=self.wire.now)
        self.timing = timing

    async def there(self, address: str = "0") -> Heard[None]:
        read = partial(sdi12.acknowledged, address=address)
        return await self.exchange.ask(address, sdi12.acknowledge(address), read, self.timing)

    async def values(self, address: str = "0", *, crc: bool = False) -> Heard[tuple[float, ...]]:
        asked = sdi12.measurement("R0", crc=crc)
        read = partial(sdi12.values, address=address, kind=asked.kind, crc=crc)
        return await self.exchange.ask(address, sdi12.start(address, asked), read, self.timing)


async def test_a_break_a_marking_and_a_command_are_answered() -> None:
    at = Recorder(sensor())
    heard = await at.values()
    assert (heard.fault, heard.reply) == (Fault.NONE, (3.14,))
    ((begun_s, ended_s),), ((sent_s, command),) = at.wire.breaks, at.wire.sent
    assert command == b"0R0!"
    assert ended_s - begun_s >= 0.012
    assert 0.00833 <= sent_s - ended_s < 0.1
    assert heard.at_s == at.wire.last_byte_s
    assert list(at.exchange.trace) == [(b"0R0!", b"0+3.14\r\n")]


async def test_a_sensor_that_is_not_there_is_given_up_after_nine_commands() -> None:
    at = Recorder(sensor("1"))
    begun_s = at.wire.now()
    heard = await at.there("0")
    assert heard.fault is Fault.TIMEOUT
    assert len(at.wire.sent) == BREAKS * TRIES
    assert len(at.wire.breaks) == BREAKS
    assert at.wire.now() - begun_s < 1.0, "a dead sensor must not cost its neighbours more"
    for number, (_, ended_s) in enumerate(at.wire.breaks):
        tries = [sent_s for sent_s, _ in at.wire.sent[number * TRIES : (number + 1) * TRIES]]
        assert tries[-1] - ended_s > 0.1, "one try comes when the slowest sensor is awake"
        ends = [sent_s + 2 * CHAR_S for sent_s in tries]
        waits = [after - end for end, after in zip(ends, tries[1:], strict=False)]
        assert all(0.01667 <= wait <= 0.087 for wait in waits)
    assert at.counts["0"].repeated == BREAKS * TRIES - 1


async def test_a_sensor_that_wakes_slowly_is_heard_at_a_later_try() -> None:
    class Sleepy(Sensor):
        def hear(self, command: str, at_s: float, random: Random) -> list[Said]:
            awake = at_s - at.wire.breaks[-1][1] > 0.1
            return super().hear(command, at_s, random) if awake else []

    at = Recorder(Sleepy("0", {"R0": Measurement(("+3.14",))}))
    heard = await at.values()
    assert (heard.fault, heard.reply, len(at.wire.breaks)) == (Fault.NONE, (3.14,), 1)
    assert at.counts["0"].repeated >= 1


@pytest.mark.parametrize("noise", [b"\x00", b"\xff", b"\x00\xff\x00", b" \r\n", b"\r\n"])
async def test_noise_of_the_line_before_a_reply_is_passed_over(noise: bytes) -> None:
    at = Recorder(sensor())
    at.wire.garble = lambda data: noise + data
    heard = await at.values()
    assert (heard.fault, heard.reply, len(at.wire.sent)) == (Fault.NONE, (3.14,), 1)


async def test_our_own_echo_is_struck_out() -> None:
    at = Recorder(sensor())
    at.wire.echo = True
    heard = await at.values()
    assert (heard.fault, heard.reply, len(at.wire.sent)) == (Fault.NONE, (3.14,), 1)
    assert (await at.there("1")).fault is Fault.TIMEOUT, "an echo alone is no damaged reply"


async def test_a_damaged_reply_is_asked_for_again() -> None:
    at = Recorder(sensor())
    damaged = iter([b"0+3.l4OqZ\r\n", b"0+3.15OqZ\r\n"])
    at.wire.garble = lambda data: next(damaged, data)
    heard = await at.values(crc=True)
    assert (heard.fault, heard.reply, len(at.wire.sent)) == (Fault.NONE, (3.14,), 3)
    assert at.counts["0"].repeated == 2


@pytest.mark.parametrize(
    "wrong",
    [b"0+3.14", b"0+3.14\r", b"0+3.14\n", b"0+3\x0014\r\n", b"+3.14\r\n", b"00053\r\n", b"9\r\n"],
)
async def test_what_is_never_right_is_a_damaged_answer(wrong: bytes) -> None:
    at = Recorder(sensor())
    at.wire.garble = lambda _: wrong
    heard = await at.values()
    assert (heard.fault, heard.reply) == (Fault.CRC, None)


async def test_a_line_of_noise_is_given_up_in_time() -> None:
    at = Recorder(sensor())
    begun_s = at.wire.now()
    for number in range(3000):
        at.wire.say(begun_s + number * CHAR_S, b"x")
    heard = await at.values()
    assert heard.fault is Fault.CRC
    assert at.wire.now() - begun_s < 3.5


async def test_another_sensors_line_is_no_answer_and_is_counted() -> None:
    at = Recorder(sensor())
    at.wire.garble = lambda data: b"1+9.99\r\n" + data
    heard = await at.values()
    assert heard.reply == (3.14,)
    assert at.counts["1"].late_dropped == 1


async def test_what_came_before_the_command_is_no_answer_to_it() -> None:
    at = Recorder(sensor())
    at.wire.say(at.wire.now(), b"0+9.99\r\n0+8")
    heard = await at.values()
    assert heard.reply == (3.14,)
    assert at.counts["0"].late_dropped == 1


async def test_the_reply_to_a_first_sending_never_answers_the_next_command() -> None:
    """A sensor 70 ms late: its second reply to one command comes when the next one is out."""
    at = Recorder(sensor(R0=Measurement(("+1.1",)), R1=Measurement(("+2.2",))))
    at.wire.sensors[0].troubles.late_s = 0.07
    first = await at.values()
    assert first.reply == (1.1,)
    assert at.counts["0"].repeated == 1
    asked = sdi12.measurement("R1")
    read = partial(sdi12.values, address="0", kind=asked.kind, crc=False)
    second = await at.exchange.ask("0", sdi12.start("0", asked), read, NATIVE)
    assert second.reply in ((2.2,), None)


async def test_behind_an_adapter_a_command_goes_out_once_and_without_a_break() -> None:
    at = Recorder(sensor("1"), timing=BEHIND)
    heard = await at.there("0")
    assert (heard.fault, at.wire.breaks, len(at.wire.sent)) == (Fault.TIMEOUT, [], 1)


async def test_behind_an_adapter_a_late_reply_never_answers_the_next_command() -> None:
    at = Recorder(sensor("0"), sensor("1"), timing=BEHIND)
    at.wire.sensors[0].troubles.late_s = 1.5
    assert (await at.values("0")).fault is Fault.TIMEOUT
    refused = await at.values("0")
    assert refused.fault is Fault.QUARANTINED
    assert refused.free_s >= at.wire.now() + 1.9
    assert len(at.wire.sent) == 1, "nothing was asked"
    assert (await at.values("1")).reply == (3.14,), "others are asked meanwhile"
    await at.exchange.idle(refused.free_s)
    assert at.counts["0"].late_dropped == 1
    again = await at.values("0")
    assert again.fault is Fault.QUARANTINED, "it was heard late: the wait began anew"
    at.wire.sensors[0].troubles.late_s = 0.0
    await at.exchange.idle(again.free_s)
    assert (await at.values("0")).reply == (3.14,)
    assert (await at.values("0")).reply == (3.14,)


async def test_a_service_request_is_waited_for() -> None:
    at = Recorder(sensor(M=Measurement(("+1",), ready_s=3, takes_s=1.2)))
    asked = sdi12.measurement("M")
    read: Callable[[bytes], sdi12.Promise] = partial(sdi12.promise, address="0", kind=asked.kind)
    heard = await at.exchange.ask("0", sdi12.start("0", asked), read, NATIVE)
    assert heard.reply == (3, 1)
    assert await at.exchange.requested("0", heard.at_s + 3)
    assert at.wire.now() == pytest.approx(heard.at_s + 1.2, abs=0.1)
    assert not await at.exchange.requested("0", at.wire.now() + 1)
    at.wire.say(at.wire.now(), b"0+1\r\n1\r\n0\r\n")
    assert await at.exchange.requested("0", at.wire.now() + 1), "behind what is none"
