"""Modbus devices behind a pty: any that answers requests, and one that is scripted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from egret_gateway.protocols.modbus_rtu_slave import Request, exception, find_request, reply

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


class Slave(ABC):
    """Finds whole requests in what comes; what it says to one is told by its heir."""

    def __init__(self, units: Collection[int] = range(1, 256)) -> None:
        self._units = units
        self._pending = bytearray()

    def __call__(self, data: bytes) -> bytes:
        self._pending += data
        request = find_request(bytes(self._pending), self._units)
        if request is None:
            return b""
        del self._pending[: request.end]
        return self.answered(request)

    @abstractmethod
    def answered(self, request: Request) -> bytes:
        """Return what is said to a request."""


class ScriptedDevice(Slave):
    """Several units: registers by a function of request and count, silence for dead ones."""

    def __init__(self, value: Callable[[Request, int], int | list[int]] | None = None) -> None:
        super().__init__()
        self.value = value or (lambda request, _: 100 * request.unit)
        self.dead: set[int] = set()
        self.refusing: set[int] = set()
        self.asked: list[int] = []

    def answered(self, request: Request) -> bytes:
        self.asked.append(request.unit)
        if request.unit in self.dead:
            return b""
        if request.unit in self.refusing:
            return exception(request, 2)
        value = self.value(request, len(self.asked))
        return reply(request, value if isinstance(value, list) else [value] * request.words)
