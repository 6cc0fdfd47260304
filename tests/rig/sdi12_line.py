"""An SDI-12 wire in virtual time: sensors that hear breaks, and what goes wrong on it."""

from __future__ import annotations

import heapq
from random import Random
from typing import TYPE_CHECKING

from egret_demo.sdi12_sensor import CHAR_S

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egret_demo.sdi12_sensor import Sensor

PROBE = """
[profile]
name = "probe"
version = 1
title = "probe"
tier = "drafted"
tier_date = "2026-11-29"
evidence = "a test"
sources = ["https://example.org"]
"""


class VirtualWire:
    """A `WirePort`; nothing is heard that was not sent after a break where `needs_break`.

    Attributes:
        sent: (time, command) of all that was sent; breaks: (begin, end) of each.
        garble: changes what is said before it is heard, "" for nothing.
    """

    def __init__(self, sensors: Sequence[Sensor], *, needs_break: bool = True) -> None:
        self.char_s = CHAR_S
        self.gap_s = 0.0
        self.last_byte_s = 0.0
        self.clock_s = 1000.0
        self.sensors = list(sensors)
        self.sent: list[tuple[float, bytes]] = []
        self.breaks: list[tuple[float, float]] = []
        self.echo = False
        self.garble: Callable[[bytes], bytes] = lambda data: data
        self.random = Random("virtual")
        self._needs_break = needs_break
        self._awake_s = -1.0  # when the marking after the last break began, or the last word
        self._break_s: float | None = None
        self._events: list[tuple[float, int, bytes, Sensor | None, int]] = []
        self._ties = 0

    def now(self) -> float:
        return self.clock_s

    def say(self, at_s: float, data: bytes) -> None:
        """Put bytes on the wire at a time."""
        self._push(at_s, data, None, 0)

    def spacing(self, *, on: bool) -> None:
        if on:
            self._break_s = self.clock_s
            return
        if self._break_s is None:
            return
        self.breaks.append((self._break_s, self.clock_s))
        if self.clock_s - self._break_s >= 0.012:
            self._awake_s = self.clock_s
            for sensor in self.sensors:
                sensor.wake(self.clock_s)
        self._break_s = None

    def write(self, data: bytes) -> None:
        assert self._break_s is None, "written during a break"
        self.sent.append((self.clock_s, data))
        if self.echo:
            self.say(self.clock_s + len(data) * CHAR_S, data)
        # Sensors sleep after 100 ms of marking, and hear an address after 8.33 ms of it.
        marked_s = self.clock_s - self._awake_s
        if self._needs_break and not 0.00833 <= marked_s < 0.1:
            return
        end_s = self.clock_s + len(data) * CHAR_S
        self._awake_s = max(self._awake_s, end_s)
        for sensor in self.sensors:
            for said in sensor.hear(data.decode("latin-1").rstrip("!"), end_s, self.random):
                begin_s = end_s + said.delay_s
                heard = self.garble(said.data)
                for number, char in enumerate(heard, 1):
                    at_s = begin_s + number * CHAR_S
                    self._push(at_s, bytes([char]), sensor, said.serial)

    def take(self) -> bytes:
        data = b""
        while self._events and self._events[0][0] <= self.clock_s:
            at_s, _, more, sensor, serial = heapq.heappop(self._events)
            if sensor is not None and serial not in (0, sensor.serial):
                continue
            self.last_byte_s = self._awake_s = at_s
            data += more
        return data

    async def wait(self, until_s: float, missing: int = 1) -> None:  # noqa: ARG002
        event_s = self._events[0][0] if self._events else until_s
        self.clock_s = max(self.clock_s, min(until_s, event_s))

    def close(self) -> None:
        """Nothing is open."""

    def _push(self, at_s: float, data: bytes, sensor: Sensor | None, serial: int) -> None:
        self._ties += 1
        heapq.heappush(self._events, (at_s, self._ties, data, sensor, serial))
