"""A Modbus TCP peer in virtual time: it may be late, wrong, torn or gone."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.errors import PortError, PortFault
from egret_gateway.protocols.modbus_rtu_slave import Request, request_of
from egret_gateway.protocols.modbus_tcp import cut

if TYPE_CHECKING:
    from collections.abc import Callable


class Asked(NamedTuple):
    """One request: when, under which number, what."""

    at_s: float
    number: int
    request: Request


class Said(NamedTuple):
    """What the peer sends, how long after the request came, and whether it then dies."""

    delay_s: float
    data: bytes
    last: bool = False


class VirtualPeer:
    """A `BytePort` whose far end answers by `behave(asked, serial)`."""

    def __init__(self, behave: Callable[[Asked, int], list[Said]]) -> None:
        self.char_s = self.gap_s = 0.0
        self.path = "tcp://peer:502"
        self.last_byte_s = 0.0
        self.clock_s = 100.0
        self.asked: list[Asked] = []
        self.gone = False
        self._behave = behave
        self._events: list[tuple[float, int, bytes]] = []

    def now(self) -> float:
        return self.clock_s

    def say(self, at_s: float, data: bytes) -> None:
        heapq.heappush(self._events, (at_s, len(self._events) + 10_000 * len(self.asked), data))

    def write(self, data: bytes) -> None:
        self._check()
        envelope = cut(data).envelope
        assert envelope is not None
        request = request_of(envelope.unit, envelope.pdu, 0)
        self.asked.append(Asked(self.clock_s, envelope.number, request))
        for said in self._behave(self.asked[-1], len(self.asked)):
            if said.last:
                self.hang_up()
            self.say(self.clock_s + said.delay_s, said.data)

    def take(self) -> bytes:
        data = b""
        while self._events and self._events[0][0] <= self.clock_s:
            self.last_byte_s, _, more = heapq.heappop(self._events)
            data += more
        if not data:
            self._check()
        return data

    async def wait(self, until_s: float, missing: int = 1) -> None:  # noqa: ARG002
        event_s = self._events[0][0] if self._events else until_s
        self.clock_s = max(self.clock_s, min(until_s, event_s))

    def hang_up(self) -> None:
        """End the connection; what was still to be said on it is not said on the next."""
        self._events.clear()

    def _check(self) -> None:
        if self.gone:
            raise PortError(self.path, PortFault.LOST, "gone")
