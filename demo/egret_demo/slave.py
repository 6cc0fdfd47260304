"""Modbus RTU slaves on one line: several units, each an instrument with its own faults."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tty
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egret_demo.faults import Answer, Fate, Faults, suffer
from egret_gateway.protocols import modbus_rtu_slave as rtu

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from random import Random

    from egret_demo.instruments import Instrument

READ_INPUT = 4
READ_B = 256  # the longest frame on a serial line
HEARD_MAX_B = 512  # two frames: what is older cannot become a request any more


@dataclass(frozen=True, slots=True)
class Unit:
    """One address on the line."""

    instrument: Instrument
    faults: Faults = field(default_factory=Faults)


def answer(request: rtu.Request, unit: Unit, at_s: float, random: Random) -> Answer:
    """Return what a unit does about a request at so many seconds of valley time."""
    code = rtu.why_refused(request)
    if not code and request.fc != READ_INPUT:
        code = rtu.ILLEGAL_FUNCTION
    image = unit.instrument.registers(at_s)
    wanted = range(request.address, request.address + request.words)
    if not code and not all(address in image for address in wanted):
        code = rtu.ILLEGAL_ADDRESS
    words = [] if code else [image[address] for address in wanted]
    frame = rtu.exception(request, code) if code else rtu.reply(request, words)
    return suffer(frame, unit.faults, random)


class Line:
    """The units of one serial line, answering until cancelled.

    Attributes:
        units: address -> unit; clock: returns seconds of valley time.
        fates: how many replies met which fate, by unit and fate.
    """

    def __init__(
        self, units: Mapping[int, Unit], clock: Callable[[], float], random: Random
    ) -> None:
        self.units = units
        self.fates: Counter[tuple[int, Fate]] = Counter()
        self._clock = clock
        self._random = random
        self._heard = b""

    async def run(self, port: Path) -> None:
        """Serve a tty until cancelled or until it is gone.

        Raises:
            OSError: the port cannot be opened.
        """
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        loop = asyncio.get_running_loop()
        gone = loop.create_future()
        try:
            tty.setraw(descriptor)
            loop.add_reader(descriptor, self._listen, descriptor, gone)
            await gone
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def _listen(self, descriptor: int, gone: asyncio.Future[None]) -> None:
        try:
            heard = os.read(descriptor, READ_B)
        except BlockingIOError:
            return
        except OSError:
            heard = b""
        if not heard:
            if not gone.done():
                gone.set_result(None)
            return
        loop = asyncio.get_running_loop()
        for reply in self.hear(heard):
            loop.call_later(reply.delay_s, _speak, descriptor, reply.frame, gone)

    def hear(self, heard: bytes) -> list[Answer]:
        """Take bytes off the line; return the answers to the requests now complete."""
        self._heard = (self._heard + heard)[-HEARD_MAX_B:]
        answers = []
        while (request := rtu.find_request(self._heard, self.units)) is not None:
            self._heard = self._heard[request.end :]
            given = answer(request, self.units[request.unit], self._clock(), self._random)
            self.fates[request.unit, given.fate] += 1
            if given.frame:
                answers.append(given)
        return answers


def _speak(descriptor: int, frame: bytes, gone: asyncio.Future[None]) -> None:
    if gone.done():
        return
    # A line that is full or gone swallows a reply, as a real one would.
    with contextlib.suppress(OSError):
        os.write(descriptor, frame)
