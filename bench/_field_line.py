"""The devices of `_field` on one pty, in a thread of the bench: it sees what was asked when."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from _field import TRIP_MV, level
from rig.pty import FarEnd

from egret_gateway.protocols import modbus_rtu_slave

if TYPE_CHECKING:
    from collections.abc import Callable


class FieldLine:
    """`with FieldLine() as line`: `line.port` is the tty to read.

    Attributes:
        asked: how many requests were answered; first_s: monotonic time of the first byte asked.
        tripping: the first register shows `TRIP_MV`; tripped_s: when it was first read so.
    """

    def __init__(self, values: Callable[[int], int] = level) -> None:
        self.asked = 0
        self.first_s = 0.0
        self.tripping = False
        self.tripped_s = 0.0
        self._values = values
        self._heard = b""
        self._far = FarEnd(self._answer)

    def __enter__(self) -> Self:
        self._far.__enter__()
        self.port = str(self._far.path)
        return self

    def __exit__(self, *_: object) -> None:
        self._far.__exit__()

    def _answer(self, data: bytes) -> bytes:
        self.first_s = self.first_s or time.monotonic()
        self._heard += data
        request = modbus_rtu_slave.find_request(self._heard, range(1, 248))
        if request is None:
            return b""
        self._heard = b""
        self.asked += 1
        registers = [self._values(request.address + k) for k in range(request.words)]
        if self.tripping and request.address == 0:
            registers[0] = TRIP_MV
            self.tripped_s = self.tripped_s or time.monotonic()
        return modbus_rtu_slave.reply(request, registers)
