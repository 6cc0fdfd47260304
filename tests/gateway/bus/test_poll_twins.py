"""A device whose replies look alike, and a process that was killed with a question open."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.scripted import Slave
from rig.sink import Sink, polling
from rig.site import FOLDERS, device_lines, site

from egret_core.quality import Reason
from egret_core.timescale import REAL
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load
from egret_gateway.protocols.modbus_rtu import sealed
from egret_gateway.protocols.modbus_rtu_slave import Request, reply

if TYPE_CHECKING:
    from pathlib import Path

LATE_S = 0.25  # after the killed process has gone


def twins(period_s: float) -> str:
    return device_lines("twins-quick", "one", "two", period_s=period_s)


class Truthful(Slave):
    """Answers every register with its own address; some answers are held back."""

    def __init__(self) -> None:
        super().__init__((7,))
        self.asked: list[int] = []
        self.dumb = False
        self.skip = 0

    def answered(self, request: Request) -> bytes:
        self.asked.append(request.address)
        if len(self.asked) <= self.skip:
            return b""
        return b"" if self.dumb else reply(request, [request.address] * request.words)


def late(far: FarEnd, address: int) -> threading.Timer:
    """Send the answer to a question that nobody here has asked, in a while."""
    answer = sealed(b"\x07\x03\x02" + address.to_bytes(2, "big"))
    timer = threading.Timer(LATE_S, far.send, [answer])
    timer.start()
    return timer


async def polled(path: Path) -> Sink:
    sink = Sink()
    bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
    async with polling(bus):
        await sink.until(lambda: len(sink.values("one")) > 0 and len(sink.values("two")) > 0)
    return sink


async def test_the_late_answer_to_a_killed_process_is_not_our_first_value(tmp_path: Path) -> None:
    device = Truthful()
    device.skip = 1  # our own first question is pending when the stranger's answer comes
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=115200, devices=twins(0.2))
        timer = late(far, 500)
        sink = await polled(path)
        timer.join()
    assert set(sink.values("one")) == {100.0}
    assert set(sink.values("two")) == {500.0}
    assert device.asked[0] == 100


async def test_a_timeout_of_one_twin_never_gives_its_value_to_the_other(tmp_path: Path) -> None:
    device = Truthful()
    with FarEnd(device) as far:
        path = site(tmp_path, port=far.path, baud=115200, devices=twins(0.5))
        sink = Sink()
        bus = Bus(load(path, FOLDERS).buses[0], REAL, sink.emit, {}, lambda: False)
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.values("one")) > 0 and len(sink.values("two")) > 0)
        device.dumb = True
        asked = len(device.asked)
        async with asyncio.timeout(30):
            while len(device.asked) == asked:
                await asyncio.sleep(0.01)
        timer = late(far, device.asked[-1])
        device.dumb = False
        before = len(sink.samples)
        await sink.until(lambda: len(sink.samples) >= before + 8)
        timer.join()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert set(sink.values("one")) == {100.0}
    assert set(sink.values("two")) == {500.0}
    assert {s.reasons & ~Reason.GAP for s in sink.samples} <= {0, Reason.TIMEOUT, Reason.BACKED_OFF}
