"""A serial line in virtual time: a slave that may be late, dumb, damaged or talked over."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.protocols import modbus_rtu_slave

if TYPE_CHECKING:
    from collections.abc import Callable


class Words(NamedTuple):
    """What a slave writes, and how long after it began to work on the request."""

    delay_s: float
    data: bytes


class VirtualLine:
    """A `BytePort` whose slaves answer by a function and serve their questions in order.

    `behave(request, serial)` returns what is written for the serial-th request.
    """

    def __init__(
        self, behave: Callable[[modbus_rtu_slave.Request, int], list[Words]], char_s: float = 1e-4
    ) -> None:
        self.char_s = char_s
        self.gap_s = 0.00175
        self.last_byte_s = 0.0
        self.clock_s = 100.0
        self.requests: list[tuple[float, modbus_rtu_slave.Request]] = []
        self._behave = behave
        self._free_s = 0.0
        self._events: list[tuple[float, int, bytes]] = []
        self._ties = 0

    def now(self) -> float:
        return self.clock_s

    def say(self, at_s: float, data: bytes) -> None:
        """Put bytes on the wire at a time."""
        self._ties += 1
        heapq.heappush(self._events, (at_s, self._ties, data))

    def write(self, data: bytes) -> None:
        request = modbus_rtu_slave.find_request(data, range(256))
        assert request is not None
        self.requests.append((self.clock_s, request))
        start_s = max(self.clock_s + len(data) * self.char_s, self._free_s)
        for words in self._behave(request, len(self.requests)):
            start_s += words.delay_s + len(words.data) * self.char_s
            self.say(start_s, words.data)
        self._free_s = start_s

    def take(self) -> bytes:
        data = b""
        while self._events and self._events[0][0] <= self.clock_s:
            at_s, _, more = heapq.heappop(self._events)
            self.last_byte_s = at_s
            data += more
        return data

    async def wait(self, until_s: float, missing: int = 1) -> None:  # noqa: ARG002
        event_s = self._events[0][0] if self._events else until_s
        self.clock_s = max(self.clock_s, min(until_s, event_s))
