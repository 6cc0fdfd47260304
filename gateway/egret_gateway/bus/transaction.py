"""One request, its one right reply, or a named fault.

Before a request the line is silent for 3.5 characters; a reply counts only when `hunt` finds it
exactly; after a timeout the next request to that unit has another shape (see `unit`). The time of
a reply is when its last byte arrived.

A write is sent once. Where its answer did not come, whether it was done is unknown: the caller
reads it back. Functions 5 and 6 are answered by their own bytes, which is also what an echoing
adapter hands back: whether the line echoes is told by the settings or learnt from reads, and until
it is known, one copy proves nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.protocols.modbus_pdu import WRITE_COIL, WRITE_REGISTER, Shape, Write
from egret_gateway.protocols.modbus_rtu import (
    FRAME_MAX_B,
    REQUEST_CHARS,
    Frame,
    find_exception,
    hunt,
    read_request,
    write_done,
    write_request,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_gateway.ports.byte_port import BytePort

BABBLE_S = 2.0  # a line that is not silent for one gap in so long carries no answers
DAMAGE_WAIT_S = 0.02  # after a broken frame: time for a whole one behind it (USB adds 16 ms)
BUFFER_MAX_B = 4 * FRAME_MAX_B  # a pending frame behind echo, glitch and late frames


WRITE_PATIENCE = Patience(most_s=2.0)  # a device that keeps a setting in flash takes its time


class Ask(NamedTuple):
    """What to read.

    Attributes:
        unit, fc: whom, and how.
        ways: the spans that serve, best first; others have other sizes, for use after a timeout.
        patience: limits of the profile.
    """

    unit: int
    fc: int
    ways: tuple[Span, ...]
    patience: Patience = Patience()


class Outcome(NamedTuple):
    """How it went.

    Attributes:
        fault: the named reason; way: index of the way asked, -1 where nothing was asked.
        registers: of that span; exception: the device's code; at_s: monotonic time of the last
            byte, or of the verdict; free_s: for a quarantine, when it ends.
        sent, got: the bytes, for people.
    """

    fault: Fault
    way: int
    registers: tuple[int, ...]
    exception: int
    at_s: float
    sent: bytes = b""
    got: bytes = b""
    free_s: float = 0.0


class Transactions:
    """The master's side of one open port; one transaction at a time.

    Attributes:
        asked_s: monotonic time at which the last request had left.
    """

    def __init__(
        self,
        port: BytePort,
        units: dict[int, Unit],
        *,
        post_timeout_quiet_s: float = 0.0,
        local_echo: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store what is given.

        Args:
            port: the open line.
            units: memory of each unit, kept over a replugged port.
            post_timeout_quiet_s: silence from a request's end after it was not answered.
            local_echo: the line is known to hand back what is sent.
            now: the monotonic clock, seconds.
        """
        self._port = port
        self._units = units
        self._usual_s: dict[int, float] = {}  # patience of every unit that was heard
        self._quiet_s = post_timeout_quiet_s
        self._now = now
        self._not_before_s = 0.0
        self.asked_s = now()
        self._buffer = bytearray()
        self._told_echo = local_echo
        self._echo: bool | None = True if local_echo else None  # learnt from reads otherwise
        self._echoed = False  # within the transaction under way

    async def read(self, ask: Ask) -> Outcome:
        """Ask once and return what came; PortError when the port has gone."""
        unit = self._units.setdefault(ask.unit, Unit())
        calm = await self._silence(ask.patience.gap_s)
        now = self._now()
        if not calm:
            return Outcome(Fault.BABBLE, -1, (), 0, now)
        way = unit.choose(ask.fc, ask.ways, ask.patience, now)
        if way is None:
            unit.counts.quarantined += 1
            free_s = unit.free_s(ask.ways, ask.patience)
            return Outcome(Fault.QUARANTINED, -1, (), 0, now, free_s=free_s)
        span = ask.ways[way]
        shape = Shape(ask.unit, ask.fc, span.words)
        request = read_request(shape, span.address)
        self._buffer.clear()
        self._echoed = False
        # Open until proven answered: a port that vanishes now may come back with the answer.
        tainted = bool(unit.open)
        unit.left_open(shape, now)
        self._port.write(request)
        self.asked_s = self._now() + REQUEST_CHARS * self._port.char_s
        outcome = await self._reply(unit, shape, request, ask.patience, tainted=tainted)
        return outcome._replace(way=way)

    def keep_quiet(self, quiet_s: float) -> float:
        """Keep silence for `quiet_s` from the last request's end; return until when."""
        self._quiet_s = quiet_s
        self._not_before_s = self.asked_s + quiet_s
        return self._not_before_s

    async def _reply(
        self, unit: Unit, shape: Shape, request: bytes, patience: Patience, *, tainted: bool
    ) -> Outcome:
        wire_s = shape.reply_chars * self._port.char_s
        usual_s = max(self._usual_s.values(), default=None)
        deadline_s = self.asked_s + wire_s + unit.timeout_s(patience, usual_s)
        got = bytearray()
        while True:
            frame, missing, damaged = self._find(shape, request, tainted=tainted)
            if frame:
                outcome = self._answered(unit, frame, wire_s, request, bytes(got))
                self._usual_s[shape.unit] = unit.timeout_s(patience)
                return outcome
            until_s = deadline_s
            if damaged:
                until_s = min(deadline_s, self._port.last_byte_s + DAMAGE_WAIT_S)
            if self._now() >= until_s:
                return self._failed(unit, request, bytes(got), damaged=damaged)
            await self._port.wait(until_s, missing if got else 1)
            data = self._port.take()
            got += data
            self._buffer += data
            del self._buffer[:-BUFFER_MAX_B]

    def _find(
        self, shape: Shape, request: bytes, *, tainted: bool
    ) -> tuple[Frame | None, int, bool]:
        """Return the answer if it is there; late frames and our own echo are struck out."""
        while True:
            self._strike_echo(request)
            found = hunt(bytes(self._buffer), (shape, *self._open_shapes(shape)))
            frame = found.frame
            if frame is None:
                return None, found.missing, found.damaged
            # While older questions are open an exception may answer any of them.
            if frame.shape == shape and not (frame.exception and tainted):
                return frame, 1, False
            del self._buffer[: frame.end]
            if frame.shape != shape:
                self._late(frame)

    def _strike_echo(self, request: bytes) -> None:
        echo = self._buffer.find(request)
        if echo >= 0:
            del self._buffer[echo : echo + len(request)]
            self._echo = self._echoed = True

    def _answered(
        self, unit: Unit, frame: Frame, wire_s: float, request: bytes, got: bytes
    ) -> Outcome:
        at_s = self._port.last_byte_s
        if frame.exception:
            unit.open.clear()
            unit.missed = 0
            unit.counts.exception += 1
            return Outcome(Fault.EXCEPTION, 0, (), frame.exception, at_s, request, got)
        if frame.start == 0 and not self._echoed and not self._told_echo:
            self._echo = False  # the answer came first, and nothing before it
        unit.answered(at_s - self.asked_s - wire_s)
        unit.counts.ok += 1
        unit.counts.resync += frame.start > 0
        return Outcome(Fault.NONE, 0, frame.registers, 0, at_s, request, got)

    def _failed(self, unit: Unit, request: bytes, got: bytes, *, damaged: bool) -> Outcome:
        now = self._now()
        self._not_before_s = self.asked_s + self._quiet_s
        # Even a damaged candidate ends no question: noise or a broken echo can look like one.
        unit.gave_up(now)
        if damaged or len(self._buffer) > 0:
            unit.counts.crc += 1
            return Outcome(Fault.CRC, 0, (), 0, now, request, got)
        unit.counts.timeout += 1
        return Outcome(Fault.TIMEOUT, 0, (), 0, now, request, got)

    async def write(self, write: Write, patience: Patience = WRITE_PATIENCE) -> Outcome:
        """Write once and return how it ended; NONE only where the device said that it was done.

        Raises:
            PortError: the port has gone; whether it was written is unknown.
            ValueError: what the wire cannot carry.
        """
        request = write_request(write)
        unit = self._units.setdefault(write.unit, Unit())
        calm = await self._silence(patience.gap_s)
        now = self._now()
        if not calm:
            return Outcome(Fault.BABBLE, -1, (), 0, now)
        if now < unit.write_free_s:
            unit.counts.quarantined += 1
            return Outcome(Fault.QUARANTINED, -1, (), 0, now, free_s=unit.write_free_s)
        self._buffer.clear()
        unit.wrote(patience, now)
        self._port.write(request)
        self.asked_s = self._now() + len(request) * self._port.char_s
        deadline_s = self.asked_s + REQUEST_CHARS * self._port.char_s + patience.most_s
        got = bytearray()
        while True:
            fault, code = self._written(write, request)
            if fault is not None and (fault is not Fault.UNPROVEN or self._now() >= deadline_s):
                return self._wrote(unit, fault, code, request, bytes(got))
            if self._now() >= deadline_s:
                silent = bytes(self._buffer) in (b"", request)
                fault = Fault.TIMEOUT if silent else Fault.CRC
                return self._wrote(unit, fault, 0, request, bytes(got))
            await self._port.wait(deadline_s)
            data = self._port.take()
            got += data
            self._idle(data)

    def _written(self, write: Write, request: bytes) -> tuple[Fault | None, int]:
        """Return how the write ended (None: not yet) and the device's code."""
        refused = find_exception(bytes(self._buffer), write.unit, write.fc)
        if refused is not None:
            return Fault.EXCEPTION, refused[0]
        done = write_done(write)
        if write.fc not in (WRITE_COIL, WRITE_REGISTER):
            self._strike_echo(request)
            return (Fault.NONE if done in self._buffer else None), 0
        copies = self._buffer.count(done)
        if copies > 1:
            self._echo = True
        if copies > 1 or (copies and self._echo is False):
            return Fault.NONE, 0
        return (Fault.UNPROVEN if copies and self._echo is None else None), 0

    def _wrote(self, unit: Unit, fault: Fault, code: int, request: bytes, got: bytes) -> Outcome:
        answered = fault in (Fault.NONE, Fault.EXCEPTION)
        if answered:
            unit.write_free_s = 0.0
            unit.counts.ok += fault is Fault.NONE
            unit.counts.exception += fault is Fault.EXCEPTION
        else:
            self._not_before_s = self.asked_s + self._quiet_s
            unit.counts.timeout += fault is not Fault.CRC
            unit.counts.crc += fault is Fault.CRC
        at_s = self._port.last_byte_s if answered else self._now()
        return Outcome(fault, 0, (), code, at_s, request, got)

    async def _silence(self, least_s: float) -> bool:
        """Wait for the silence a request needs; False if the line never is silent."""
        gap_s = max(self._port.gap_s, least_s)
        give_up_s = self._now() + BABBLE_S + self._quiet_s + gap_s
        while True:
            self._idle(self._port.take())
            now = self._now()
            heard_s = max(self._port.last_byte_s, self.asked_s)
            quiet_s = max(heard_s + gap_s, self._not_before_s)
            if now >= quiet_s:
                return True
            if now >= give_up_s:
                return False
            await self._port.wait(quiet_s)

    def _idle(self, data: bytes) -> None:
        """Drop and count late frames that come while nobody waits."""
        self._buffer += data
        del self._buffer[:-BUFFER_MAX_B]
        shapes = self._open_shapes(None)
        while shapes and (frame := hunt(bytes(self._buffer), shapes).frame):
            del self._buffer[: frame.end]
            self._late(frame)
            shapes = self._open_shapes(None)

    def _late(self, frame: Frame) -> None:
        unit = self._units[frame.shape.unit]
        if frame.exception:
            unit.counts.late_dropped += 1  # it may belong to any open question: all stay open
            unit.quiet_since_s = self._port.last_byte_s
        else:
            unit.came_late(frame.shape, self._port.last_byte_s)

    def _open_shapes(self, pending: Shape | None) -> tuple[Shape, ...]:
        return tuple(s for unit in self._units.values() for s in unit.open if s != pending)

    async def idle(self, until_s: float) -> None:
        """Listen until `until_s`; PortError as soon as the port has gone."""
        while self._now() < until_s:
            await self._port.wait(until_s)
            self._idle(self._port.take())
