"""A stage gauge on a pty: it serves what a test says, or serials, each one once."""

from __future__ import annotations

import itertools
import termios
import threading
from typing import TYPE_CHECKING, Self

from rig.pty import FarEnd

from egret_gateway.protocols.modbus_rtu_slave import find_request, reply

if TYPE_CHECKING:
    from pathlib import Path

UNIT = 1
SERIALS_MAX = 60_000  # one u16


class Gauge:
    """`with Gauge(100) as gauge`: unit 1, register 0 holds hundredths; `gauge.stage` sets it.

    Without a stage it serves 1, 2, 3, ...: what reached the store can then be counted. At another
    speed than its own it understands nothing and keeps silent.
    """

    def __init__(self, stage: int | None = None, speed: int = termios.B115200) -> None:
        self.stage = stage
        self.speed = speed
        self.served: list[int] = []
        self.asked = threading.Event()
        self._serials = iter(range(1, SERIALS_MAX))
        self._line = FarEnd(self._answer)

    @property
    def path(self) -> Path:
        """The tty to open."""
        return self._line.path

    def __enter__(self) -> Self:
        self._line.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._line.__exit__()

    def _answer(self, data: bytes) -> bytes:
        request = find_request(data, (UNIT,))
        if request is None or self._line.speed() != self.speed:
            return b""
        value = next(self._serials) if self.stage is None else self.stage
        self.served.append(value)
        self.asked.set()
        return reply(request, list(itertools.repeat(value, request.words)))
