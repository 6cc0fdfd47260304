"""One Modbus TCP request, its one right reply, or a named fault.

A reply counts only where its number, unit, function, byte count and length are those of the
request; another number is a late reply or a stranger's, and is dropped. After a timeout the next
request to that unit has another shape all the same (see `unit`): behind the connection may be a
gateway to a serial line, whose reply bears no number and may be handed to the wrong request.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.transaction import WRITE_PATIENCE, Ask, Outcome
from egret_gateway.bus.unit import Patience, Unit
from egret_gateway.errors import PortError, PortFault
from egret_gateway.protocols.modbus_pdu import (
    Reply,
    Shape,
    Write,
    read_pdu,
    read_reply,
    write_pdu,
    write_reply,
)
from egret_gateway.protocols.modbus_tcp import Envelope, cut, frame, next_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_gateway.ports.byte_port import BytePort

OPEN_MAX = 256  # numbers remembered whose answers may still come: an hour of a dead unit's
SLACK_S = 0.001  # the event loop's timers


class TcpTransactions:
    """The client's side of one connection; one transaction at a time.

    Attributes:
        asked_s: monotonic time at which the last read had left.
    """

    def __init__(
        self,
        port: BytePort,
        units: dict[int, Unit],
        *,
        number: int,
        path: str = "",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store what is given.

        Args:
            port: the open connection.
            units: memory of each unit, kept over a new connection.
            number: of the last request of a former connection, or a random one.
            path: the port, for errors.
            now: the monotonic clock, seconds.
        """
        self._port = port
        self._units = units
        self._path = path
        self._now = now
        self._buffer = bytearray()
        self._open: dict[int, Shape | None] = {}  # by number; None for a write
        self._broken = ""
        self._spoke_s = 0.0
        self.asked_s = now()
        self.number = number

    def keep_quiet(self, quiet_s: float) -> float:  # noqa: ARG002  (nobody is deaf here)
        """Return now: each device has its own ears."""
        return self._now()

    async def read(self, ask: Ask) -> Outcome:
        """Ask once and return what came; PortError when the connection has gone."""
        unit = self._units.setdefault(ask.unit, Unit())
        await self._gap(ask.patience.gap_s)
        now = self._now()
        way = unit.choose(ask.fc, ask.ways, ask.patience, now)
        if way is None:
            unit.counts.quarantined += 1
            free_s = unit.free_s(ask.ways, ask.patience)
            return Outcome(Fault.QUARANTINED, -1, (), 0, now, free_s=free_s)
        span = ask.ways[way]
        shape = Shape(ask.unit, ask.fc, span.words)
        request = self._numbered(ask.unit, read_pdu(ask.fc, span.address, span.words), shape)
        unit.left_open(shape, now)
        self._port.write(request)
        began_s = self.asked_s = self._now()
        envelope, got = await self._answer(unit, began_s + unit.timeout_s(ask.patience))
        at_s = self._port.last_byte_s
        if envelope is None:
            unit.gave_up(self._now())
            return self._nothing(unit, request, got)._replace(way=way)
        reply = self._worth(envelope, ask.unit) or read_reply(envelope.pdu, ask.fc, span.words)
        if reply.wrong:
            unit.gave_up(at_s)
        elif reply.exception:
            unit.open.clear()
        else:
            unit.answered(at_s - began_s)
        return _ended(unit, reply, at_s, request, got)._replace(way=way)

    async def write(self, write: Write, patience: Patience = WRITE_PATIENCE) -> Outcome:
        """Write once and return how it ended; NONE only where the device said that it was done.

        Raises:
            PortError: the connection has gone; whether it was written is unknown.
            ValueError: what the wire cannot carry.
        """
        pdu = write_pdu(write)
        unit = self._units.setdefault(write.unit, Unit())
        await self._gap(patience.gap_s)
        now = self._now()
        if now < unit.write_free_s:
            unit.counts.quarantined += 1
            return Outcome(Fault.QUARANTINED, -1, (), 0, now, free_s=unit.write_free_s)
        request = self._numbered(write.unit, pdu, None)
        unit.wrote(patience, now)
        self._port.write(request)
        envelope, got = await self._answer(unit, self._now() + patience.most_s)
        if envelope is None:
            return self._nothing(unit, request, got)
        reply = self._worth(envelope, write.unit) or write_reply(envelope.pdu, write)
        if not reply.wrong:
            unit.write_free_s = 0.0
        return _ended(unit, reply, self._port.last_byte_s, request, got)

    async def idle(self, until_s: float) -> None:
        """Drop and count late replies until `until_s`; PortError when the connection has gone."""
        while self._now() < until_s:
            self._take()
            while self._late(self._cut(), None):
                pass
            await self._port.wait(until_s)

    def _numbered(self, unit: int, pdu: bytes, shape: Shape | None) -> bytes:
        self.number = next_number(self.number)
        self._open.pop(self.number, None)
        self._open[self.number] = shape
        while len(self._open) > OPEN_MAX:
            self._open.pop(next(iter(self._open)))
        return frame(self.number, unit, pdu)

    async def _gap(self, least_s: float) -> None:
        """Keep a profile's least silence between requests."""
        self._take()
        while self._late(self._cut(), None):
            pass
        if least_s:
            await self.idle(max(self._spoke_s, self._port.last_byte_s) + least_s)

    async def _answer(self, unit: Unit, deadline_s: float) -> tuple[Envelope | None, bytes]:
        """Return the frame with our number, None where none came in time or can come."""
        got = bytearray()
        while True:
            got += self._take()
            while (envelope := self._cut()) is not None:
                if envelope.number == self.number:
                    self._open.pop(self.number, None)
                    self._spoke_s = self._now()
                    return envelope, bytes(got)
                self._late(envelope, unit)
            late = self._now() >= deadline_s
            if late and self._buffer:
                self._broken = "a reply that stopped half-way"  # what follows would complete it
            if late or self._broken:
                self._spoke_s = self._now()
                return None, bytes(got)
            await self._port.wait(deadline_s + SLACK_S)

    def _take(self) -> bytes:
        if self._broken:
            raise PortError(self._path, PortFault.LOST, f"no Modbus TCP: {self._broken}")
        data = self._port.take()
        self._buffer += data
        return data

    def _cut(self) -> Envelope | None:
        if not self._buffer:
            return None
        found = cut(bytes(self._buffer))
        if found.broken:
            self._broken = found.broken
            self._buffer.clear()
        del self._buffer[: found.end]
        return found.envelope

    def _worth(self, envelope: Envelope, unit: int) -> Reply | None:
        """Return why a frame with our number is no answer, None for one that may be."""
        rest = cut(bytes(self._buffer)).broken if self._buffer else ""
        if rest:  # where no frame begins behind it, it did not end there
            return Reply(wrong=f"behind it {rest}")
        if envelope.unit != unit:
            return Reply(wrong=f"unit {envelope.unit}, asked was {unit}")
        return None

    def _late(self, envelope: Envelope | None, asking: Unit | None) -> bool:
        """Drop a frame that answers nothing pending; False where there is none."""
        if envelope is None:
            return False
        shape = self._open.pop(envelope.number, None) if envelope.number else None
        unit = None if shape is None else self._units.get(shape.unit)
        if shape is not None and unit is not None and envelope.unit == shape.unit:
            unit.came_late(shape, self._port.last_byte_s)
        elif asking is not None:
            asking.counts.late_dropped += 1
        return True

    def _nothing(self, unit: Unit, request: bytes, got: bytes) -> Outcome:
        now = self._now()
        if self._broken:
            unit.counts.malformed += 1
            return Outcome(Fault.MALFORMED, 0, (), 0, now, request, got)
        unit.counts.timeout += 1
        return Outcome(Fault.TIMEOUT, 0, (), 0, now, request, got)


def _ended(unit: Unit, reply: Reply, at_s: float, request: bytes, got: bytes) -> Outcome:
    if reply.wrong:
        unit.counts.malformed += 1
        return Outcome(Fault.MALFORMED, 0, (), 0, at_s, request, got)
    if reply.exception:
        unit.counts.exception += 1
        return Outcome(Fault.EXCEPTION, 0, (), reply.exception, at_s, request, got)
    unit.counts.ok += 1
    return Outcome(Fault.NONE, 0, reply.values, 0, at_s, request, got)
