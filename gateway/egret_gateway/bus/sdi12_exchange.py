"""One SDI-12 command, its one right reply, or a named fault; with break, retries and late replies.

Native adapters: the recorder keeps the times of SDI-12 v1.4, clause 7, itself. Transparent
adapters take a command and give a line; break, timing and retries are theirs, and a reply may come
when nobody waits for it any more. After a failure or a repeat nothing new is begun with that sensor
for a while; others are asked meanwhile.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

from egret_gateway.bus.fault import Fault
from egret_gateway.errors import ReplyError, ReplyFault
from egret_gateway.protocols.sdi12 import Lines, acknowledged
from egret_gateway.protocols.sdi12.lines import BUFFER_MAX_B, LINE_END

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from egret_gateway.ports.byte_port import BytePort

BREAK_S = 0.0125  # spacing; at least 12 ms
MARK_S = 0.0095  # marking after it; at least 8.33 ms
TURN_S = 0.0095  # after a reply, before the line is ours: a sensor lets go of it within 7.5 ms
RESPONSE_S = 0.015  # a sensor begins its reply within so long
LAG_S = 0.045  # what an adapter (an FTDI holds bytes for 16 ms) and a busy machine add to it
REPLY_S = 0.78  # the longest reply, 75 characters of values
TRIES = 3  # a command is sent so often after one break, the last more than 100 ms after it
BREAKS = 3  # and so many breaks are made before a sensor is given up
SETTLE_S = 0.1  # after a reply to a repeated command: time for the one to its first sending
GIVE_UP_S = 1.0  # beyond nine tries in silence: a line of noise is given up
LATE_WINDOW_S = 2.0  # no sensor is so late, and an adapter's own retries take about 1 s
TRACE_MAX = 64  # exchanges kept for people: a measurement has at most 12

T = TypeVar("T")


@runtime_checkable
class Wire(Protocol):
    """A port that can be held at spacing."""

    def spacing(self, *, on: bool) -> None:
        """Begin or end a break; PortError when the port has gone or knows none."""


class Timing(NamedTuple):
    """What an adapter asks of us.

    Attributes:
        breaks, tries: of each command; 0 breaks where the adapter makes them.
        start_s: from a command's end until its reply begins; idle_s: between its characters.
        whole_s: from a command's end until its reply ends.
        late_s: how long after a failure a reply may still come.
    """

    breaks: int
    tries: int
    start_s: float
    idle_s: float
    whole_s: float
    late_s: float


NATIVE = Timing(
    BREAKS, TRIES, RESPONSE_S + LAG_S, LAG_S, RESPONSE_S + REPLY_S + LAG_S, LATE_WINDOW_S
)


def transparent(timeout_s: float) -> Timing:
    """Return the timing behind an adapter that answers within `timeout_s`."""
    late_s = max(LATE_WINDOW_S, timeout_s)
    return Timing(0, TRIES, timeout_s, timeout_s, timeout_s + REPLY_S, late_s)


@dataclass(slots=True)
class Counts:
    """How a sensor's polls ended since the start, what was dropped, and its last promise."""

    ok: int = 0
    timeout: int = 0
    crc: int = 0
    exception: int = 0
    quarantined: int = 0
    late_dropped: int = 0
    repeated: int = 0  # commands sent again
    ready_s: int = 0  # it said that it would measure so long


@dataclass(frozen=True, slots=True)
class Heard(Generic[T]):
    """How one command went.

    Attributes:
        fault: the named reason; at_s: monotonic time of the last byte, or of the verdict.
        reply: what the line says, None after a fault.
        free_s: for a quarantine, when it ends.
    """

    fault: Fault
    at_s: float
    reply: T | None = None
    free_s: float = 0.0


class Exchange:
    """The recorder's side of one open line; one command at a time."""

    def __init__(
        self,
        port: BytePort,
        counts: MutableMapping[str, Counts],
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store what is given.

        Args:
            port: the open line; a `Wire` where we make the breaks.
            counts: of every sensor, kept over a replugged port.
            now: the monotonic clock, seconds.
        """
        self.trace: deque[tuple[bytes, bytes]] = deque(maxlen=TRACE_MAX)
        self._port = port
        self._counts = counts
        self._now = now
        self._buffer = b""
        self._echo = b""
        self._heard = b""
        self._late: dict[str, float] = {}  # sensor -> when a late reply is no longer expected

    async def ask(
        self,
        address: str,
        command: bytes,
        read: Callable[[bytes], T],
        timing: Timing,
        *,
        goes_on: bool = False,
    ) -> Heard[T]:
        """Send a command until it is answered, and return what its reply says.

        Args:
            address: whose reply it must be.
            command: as on the wire.
            read: takes a line; ReplyError where it is not the reply.
            timing: of the adapter.
            goes_on: the command belongs to the one before it, and need not wait for late replies.

        Raises:
            PortError: the port has gone.
        """
        late_s = self._late.get(address, 0.0)
        if self._now() < late_s and not goes_on:
            return Heard(Fault.QUARANTINED, self._now(), free_s=late_s)
        give_up_s = self._now() + timing.whole_s + GIVE_UP_S
        worst = Fault.TIMEOUT  # something that answers damaged is more than nothing
        for sent in range(max(1, timing.breaks) * timing.tries):
            await self.idle(self._port.last_byte_s + TURN_S)
            if timing.breaks and sent % timing.tries == 0:
                await self._wake()
            heard = await self._once(command, read, timing)
            if heard.fault is Fault.NONE:
                return await self._answered(address, heard, timing, repeats=sent)
            self._counts[address].repeated += sent > 0
            worst = heard.fault if heard.fault is Fault.CRC else worst
            if self._now() > give_up_s or (heard.fault is Fault.TIMEOUT and not timing.breaks):
                break  # a line of noise; or an adapter that has tried again by itself
        self.doubt(address, timing)
        return Heard(worst, self._now())

    def doubt(self, address: str, timing: Timing) -> None:
        """Begin nothing with a sensor while a reply that nobody waits for may still come."""
        self._late[address] = self._now() + timing.late_s

    async def requested(self, address: str, until_s: float) -> bool:
        """Wait for a sensor's service request; False if none came until `until_s`."""
        while True:
            for line in self._lines():
                if self._is(line, lambda line: acknowledged(line, address)):
                    return True
            if self._now() >= until_s:
                return False
            await self._listen(until_s)

    async def idle(self, until_s: float) -> None:
        """Drop and count what comes until `until_s`; PortError as soon as the port has gone."""
        while self._now() < until_s:
            await self._port.wait(until_s)
            self._drop()

    async def _answered(
        self, address: str, heard: Heard[T], timing: Timing, *, repeats: int
    ) -> Heard[T]:
        if repeats:  # a reply to an earlier sending must not answer what is asked next
            self._counts[address].repeated += 1
            self.doubt(address, timing)
            await self.idle(self._now() + SETTLE_S)
        return heard

    async def _wake(self) -> None:
        """Make a break: sensors wake, and look for an address after the marking."""
        wire = self._port
        if not isinstance(wire, Wire):
            raise TypeError("a connection makes no break: its adapter is transparent")
        try:
            wire.spacing(on=True)
            await self.idle(self._now() + BREAK_S)
        finally:
            wire.spacing(on=False)
        await self.idle(self._now() + MARK_S)

    async def _once(self, command: bytes, read: Callable[[bytes], T], timing: Timing) -> Heard[T]:
        self._drop()
        self._buffer = b""  # half a line now is no beginning of this reply
        self._port.write(command)
        self._echo, self._heard = command, b""
        end_s = self._now() + len(command) * self._port.char_s
        try:
            return await self._reply(read, timing, end_s)
        finally:
            self.trace.append((command, self._heard))

    async def _reply(self, read: Callable[[bytes], T], timing: Timing, end_s: float) -> Heard[T]:
        damaged = False
        while True:
            for line in self._lines():
                try:
                    return Heard(Fault.NONE, self._port.last_byte_s, read(line))
                except ReplyError as error:
                    if error.fault is not ReplyFault.ADDRESS:
                        return Heard(Fault.CRC, self._now())
                    damaged = not self._dropped(line) or damaged
            heard = Lines.of(self._heard, self._echo)
            until_s = end_s + timing.start_s
            if heard.whole or heard.rest:
                idle_s = max(until_s, self._port.last_byte_s + timing.idle_s)
                until_s = min(idle_s, end_s + timing.whole_s)
            if self._now() >= until_s:
                return Heard(Fault.CRC if heard.rest or damaged else Fault.TIMEOUT, self._now())
            await self._listen(until_s)

    async def _listen(self, until_s: float) -> None:
        await self._port.wait(until_s)
        data = self._port.take()
        self._heard = (self._heard + data)[-BUFFER_MAX_B:]
        self._buffer = (self._buffer + data)[-BUFFER_MAX_B:]

    def _lines(self) -> Iterator[bytes]:
        """Take the whole lines out of the buffer, one by one; others stay for whoever is next."""
        while (end := self._buffer.find(LINE_END)) >= 0:
            head, self._buffer = self._buffer[: end + 2], self._buffer[end + 2 :]
            yield from Lines.of(head, self._echo).whole

    def _drop(self) -> None:
        """Drop and count what came while nobody waited."""
        self._buffer = (self._buffer + self._port.take())[-BUFFER_MAX_B:]
        for line in self._lines():
            self._dropped(line)

    def _dropped(self, line: bytes) -> bool:
        """Count a reply of a sensor that was not asked now; False for a line of nobody."""
        address = line[:1].decode("latin-1")
        if address not in self._counts:
            return False
        self._counts[address].late_dropped += 1
        if self._now() < self._late.get(address, 0.0):
            self._late[address] = max(self._late[address], self._now() + LATE_WINDOW_S)
        return True

    @staticmethod
    def _is(line: bytes, read: Callable[[bytes], object]) -> bool:
        try:
            read(line)
        except ReplyError:
            return False
        return True
