"""A logger that answers each command with one line, on a real tty."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.talk import bus, device, talking

from egret_core.quality import Flag, Reason
from egret_gateway.protocols.text_line import CRC16, checksum

if TYPE_CHECKING:
    from collections.abc import Callable


def line(address: str, level: float, status: str = "A") -> bytes:
    content = f"{address},{level:+.3f},12.6,{status}".encode()
    return b">" + content + checksum(CRC16, content) + b"\r\n"


class Logger:
    """Loggers on one line, each asked by its address; `answer` is what one says."""

    def __init__(self, answer: Callable[[str, int], bytes] = line) -> None:
        self.asked: list[str] = []
        self._answer = answer
        self._heard = b""

    def __call__(self, data: bytes) -> bytes:
        self._heard += data
        command, end, rest = self._heard.partition(b"\r\n")
        if not end or not command.startswith(b"#"):
            return b""
        self._heard = rest
        self.asked.append(command[1:].decode())
        return self._answer(self.asked[-1], len(self.asked))


async def test_each_is_asked_and_answers() -> None:
    logger = Logger(lambda address, _: line(address, float(address)))
    one = device("generic-text-poll", "level", "battery", address="01", period_s=0.05)
    two = device("generic-text-poll", "level", address="02", period_s=0.05)
    with FarEnd(logger) as far:
        async with talking(bus(far.path, one, two)) as (running, sink):
            await sink.until(lambda: {1.0, 2.0} <= set(sink.values("level")))
            assert running.health()["units"]["01"]["ok"] >= 1
    assert set(logger.asked) == {"01", "02"}
    assert sink.values("battery")[0] == 12.6


async def test_a_line_of_another_address_is_no_answer() -> None:
    logger = Logger(lambda _, n: line("02", 7.0) if n == 1 else line("02", 7.0) + line("01", 1.5))
    with FarEnd(logger) as far:
        one = device("generic-text-poll", "level", address="01", period_s=2.0)
        async with talking(bus(far.path, one)) as (running, sink):
            await sink.until(lambda: len(sink.values("level")) >= 1)
            assert running.health()["units"]["01"]["strange"]["another line"] >= 2
    assert sink.values("level")[0] == 1.5


@pytest.mark.parametrize(
    ("answer", "reason", "strange"),
    [
        (b"", Reason.TIMEOUT, None),
        (line("01", 1.0).replace(b"+1", b"+7"), Reason.CRC, "checksum"),
        (b"\x00\xff\x13\r\n", Reason.CRC, "beginning not heard"),
        (b"ERR\r\n", Reason.CRC, "beginning not heard"),
        (b"7" * 1500, Reason.CRC, "too long"),
    ],
)
async def test_no_answer_or_a_bad_one_is_missing_with_its_reason(
    answer: bytes, reason: Reason, strange: str | None
) -> None:
    with FarEnd(Logger(lambda *_: answer)) as far:
        one = device("generic-text-poll", "level", address="01", period_s=0.05)
        async with talking(bus(far.path, one)) as (running, sink):
            await sink.until(lambda: len(sink.samples) >= 1)
            assert set(running.health()["units"]["01"]["strange"]) == ({strange} - {None})
    assert {(s.value, s.flag, s.reasons) for s in sink.samples[:1]} == {
        (None, Flag.MISSING, reason)
    }


async def test_a_late_line_is_not_the_answer_to_the_next_command() -> None:
    told: list[bool] = []

    def answer(_: str, n: int) -> bytes:
        if n == 1:
            return b""
        # Asked again without the silence, it would say what it was asked before.
        late = b"" if told else line("01", 99.0)
        return late + line("01", n)

    with FarEnd(Logger(answer)) as far:
        one = device("generic-text-poll", "level", address="01", period_s=2.0)
        async with talking(bus(far.path, one)) as (running, sink):
            unit = running.health()["units"]["01"]
            while not unit["quarantined"] and not sink.values("level"):
                await asyncio.sleep(0.01)
                unit = running.health()["units"]["01"]
            told.append(unit["quarantined"] > 0)
            far.send(line("01", 98.0))
            await sink.until(lambda: len(sink.values("level")) >= 1)
            assert running.health()["units"]["01"]["late_dropped"] == 1
    assert sink.values("level")[0] == 2.0


async def test_neighbours_lines_do_not_answer_each_other_s_commands() -> None:
    logger = Logger(lambda a, _: line("03", 9.0) + both(a))
    one = device("generic-text-poll", "level", address="01", period_s=0.05)
    two = device("generic-text-poll", "battery", address="02", period_s=0.05)
    with FarEnd(logger) as far:
        async with talking(bus(far.path, one, two)) as (_, sink):
            await sink.until(lambda: len(sink.values("level")) >= 3 <= len(sink.values("battery")))
    assert set(sink.values("level")) == {1.5}
    assert set(sink.values("battery")) == {12.6}


def both(address: str) -> bytes:
    """Return the neighbour's line and then one's own."""
    return line({"01": "02", "02": "01"}[address], 1.5) + line(address, 1.5)


async def test_the_status_in_a_line_says_what_its_value_is_worth() -> None:
    states = "AWEA"
    logger = Logger(lambda a, n: line(a, n, states[min(n, 4) - 1]))
    with FarEnd(logger) as far:
        one = device("generic-text-poll", "level", "battery", address="01", period_s=0.05)
        async with talking(bus(far.path, one)) as (_, sink):
            await sink.until(lambda: len(sink.values("level")) >= 4)
    flags = [s.flag for s in sink.samples if s.channel == "level"][:4]
    assert flags == [Flag.GOOD, Flag.SUSPECT, Flag.FAIL, Flag.GOOD]
    assert {s.flag for s in sink.samples if s.channel == "battery"} == {Flag.GOOD}


async def test_an_echo_of_the_command_is_passed_over() -> None:
    logger = Logger(lambda a, n: b"#" + a.encode() + b"\r\n" + line(a, n))
    with FarEnd(logger) as far:
        one = device("generic-text-poll", "level", address="01", period_s=0.05)
        async with talking(bus(far.path, one)) as (_, sink):
            await sink.until(lambda: len(sink.values("level")) >= 3)
    assert sink.values("level")[:3] == [1.0, 2.0, 3.0]
    assert all(sample.value is not None for sample in sink.samples)
