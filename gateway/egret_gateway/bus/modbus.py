"""A Modbus line: the plan's blocks, read by transactions, decoded to raw numbers."""

from __future__ import annotations

import time
from dataclasses import asdict
from random import randrange
from typing import TYPE_CHECKING, NamedTuple, Protocol

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.layout import Layout
from egret_gateway.bus.line import Cost, Polled, Turn
from egret_gateway.bus.plan import Block, unknown_s, wire_s
from egret_gateway.bus.quiet import QUIET_S, Quiet
from egret_gateway.bus.tcp_transaction import TcpTransactions
from egret_gateway.bus.transaction import Ask, Outcome, Transactions
from egret_gateway.bus.unit import Span, Unit
from egret_gateway.bus.values import Values, number
from egret_gateway.bus_settings import MODBUS_TCP
from egret_gateway.errors import PortError
from egret_gateway.ports.serial_port import line_times, open_serial
from egret_gateway.ports.tcp_port import open_tcp
from egret_gateway.protocols.modbus_pdu import WRITE_COIL, WRITE_COILS, Write
from egret_gateway.protocols.modbus_tcp import NUMBER_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.ports.serial_port import SerialPort
    from egret_gateway.ports.tcp_port import TcpPort

BUSY_AGAIN_S = 0.5  # a device that is not ready is asked again so soon
BUSY_MAX_S = 10.0  # then the values that are there are kept, the others are missing
ILLEGAL_FUNCTION = 1  # a module that takes one coil at a time
TCP_CHAR_S = 1e-6  # at 10 Mbit/s: a hole of any size costs less than a second request


class Taken(NamedTuple):
    """How a block was read.

    Attributes:
        outcome: of its last request; raws: by channel of the turn, empty where there was no answer.
        busy: the device answered that it is not ready with a number.
    """

    outcome: Outcome
    raws: tuple[float | None, ...]
    busy: bool


class Master(Protocol):
    """What asks: on a serial line, or by Modbus TCP.

    Attributes:
        asked_s: monotonic time at which the last request had left.
    """

    asked_s: float

    def keep_quiet(self, quiet_s: float) -> float:
        """Keep silence for `quiet_s` from the last request's end; return until when."""

    async def read(self, ask: Ask) -> Outcome:
        """Ask once; PortError when the port has gone."""

    async def write(self, write: Write) -> Outcome:
        """Write once; PortError when the port has gone."""

    async def idle(self, until_s: float) -> None:
        """Drop and count late replies until `until_s`."""


class ModbusPlan:
    """The reads of a bus, and what is remembered of its units; see `line.Plan`."""

    def __init__(self, settings: BusSettings) -> None:
        self._settings = settings
        self._times = wire_times(settings)
        self._tcp = settings.protocol == MODBUS_TCP
        self.values = {device.unit: Values(device) for device in settings.devices}
        self._layouts = {
            unit: Layout(values.planned, *self._times) for unit, values in self.values.items()
        }
        self.units = {device.unit: Unit() for device in settings.devices}
        self.blocks, self.turns = self._laid()
        fixed_ms = 0 if self._tcp else settings.post_timeout_quiet_ms
        load = sum(cost.wire_s / cost.period_s for cost in self.costs())
        self.quiet = Quiet(None if fixed_ms is None else fixed_ms / 1000, load)
        self.deaf = not self._tcp and (fixed_ms is None or fixed_ms < QUIET_S * 1000)
        # A former process may have read and cleared: what it was given is not known here.
        self._lost: set[tuple[int, tuple[int, Span]]] = {
            (block.unit, block.key) for block in self.blocks if block.once
        }
        # Until then a former process may be answered; what it asked by a connection ended with it.
        self.unknown_s = 0.0 if self._tcp else unknown_s(self.blocks)
        self._number = randrange(1, NUMBER_MAX)  # noqa: S311  (only unlike the last process's)

    def _laid(self) -> tuple[tuple[Block, ...], Sequence[Turn]]:
        blocks = tuple(block for layout in self._layouts.values() for block in layout.blocks)
        turns = [
            Turn(
                str(block.unit),
                self.values[block.unit].channels(block.channels),
                block.period_s,
                block.once,
            )
            for block in blocks
        ]
        return blocks, turns

    def resting(self, block: Block) -> int:
        """Return the code of a block that was refused and rests this turn, 0 for ask it."""
        return self._layouts[block.unit].resting(block)

    def heard(self, block: Block, outcome: Outcome, asked_s: float) -> bool:
        """Learn from how a read ended; return whether what it had cleared before was lost.

        Args:
            block: what was asked.
            outcome: what came.
            asked_s: when the request had left.
        """
        layout, unit = self._layouts[block.unit], self.units[block.unit]
        key, changed = (block.unit, block.key), False
        lost = key in self._lost
        if outcome.fault is Fault.NONE:
            self.quiet.answered(str(block.unit), asked_s)
            self._lost.discard(key)
            changed = layout.answered(block, unit.tau_s, unit.counts.ok, outcome.at_s)
        elif outcome.fault is Fault.EXCEPTION:
            self.quiet.answered(str(block.unit), asked_s)
            if outcome.way >= 0:
                changed = layout.refused(block, outcome.way, outcome.exception)
        elif outcome.fault not in (Fault.QUARANTINED, Fault.BABBLE):  # those asked nothing
            self.quiet.failed(str(block.unit), asked_s)
            if outcome.way >= 0:
                self.left(block)
        if changed:
            self.blocks, self.turns = self._laid()
        return lost

    def left(self, block: Block) -> None:
        """Take in that a block was asked and its answer, if there was one, is lost."""
        if block.once:
            self._lost.add((block.unit, block.key))

    def patient(self, unit: str) -> None:
        """Wait for a unit's next answer as long as its profile says."""
        self.units[int(unit)].patient = True

    def costs(self) -> Sequence[Cost]:
        """Return what every block costs the wire."""
        return [
            Cost(
                str(block.unit),
                block.period_s,
                wire_s(block, *self._times),
                block.ways[0].words,
                f"FC{block.fc:02d} {block.ways[0].address}+{block.ways[0].words}",
                block.channels,
            )
            for block in self.blocks
        ]

    async def open(self) -> ModbusLine:
        """Open the port or connect; PortError where that cannot be."""
        endpoint = self._settings.endpoint
        if endpoint is None:
            port: SerialPort | TcpPort = open_serial(self._settings)
        else:
            port = await open_tcp(endpoint, *wire_times(self._settings))
        return ModbusLine(self, port, self._master(port))

    def _master(self, port: SerialPort | TcpPort) -> Master:
        if self._tcp:
            # Numbers of a former connection are left behind: its answers are nobody's.
            self._number = (self._number + NUMBER_MAX // 2) % NUMBER_MAX
            return TcpTransactions(port, self.units, number=self._number, path=port.path)
        return Transactions(port, self.units, local_echo=self._settings.local_echo)

    def health(self) -> Mapping[str, Mapping[str, Any]]:
        """Return per unit its counts, its usual answer time, and what its profile should say."""
        found: dict[str, dict[str, Any]] = {}
        for address, unit in self.units.items():
            facts = found[str(address)] = {
                **asdict(unit.counts),
                "tau_ms": None if unit.tau_s is None else round(unit.tau_s * 1000, 1),
            }
            layout = self._layouts.get(address)  # None: a relay that is only written to
            if layout is not None and (suggestions := layout.suggestions()):
                facts["suggestions"] = suggestions
        return found


class ModbusLine:
    """An open Modbus line; see `line.Line`."""

    def __init__(self, plan: ModbusPlan, port: SerialPort | TcpPort, master: Master) -> None:
        self._plan = plan
        self._port = port
        self._master = master
        self._busy_s: dict[int, float] = {}  # by turn: since when its device is not ready

    async def listen(self) -> None:
        """Wait until a question of a former process is forgotten."""
        await self._master.idle(time.monotonic() + self._plan.unknown_s)
        self._plan.unknown_s = 0.0

    async def take(self, block: Block) -> Taken:
        """Read a block, and before it what its values need; PortError when the port has gone."""
        values = self._plan.values[block.unit]
        known: dict[str, float] = {}
        for item in values.before(block.channels):
            span = Span(item.register.address, item.register.words)
            outcome = await self._master.read(
                Ask(block.unit, item.register.fc, (span,), block.patience)
            )
            if outcome.fault is not Fault.NONE:
                return Taken(outcome._replace(way=-1), (), busy=False)  # the block was not asked
            found = number(item, outcome.registers, span.address)
            if found is not None:
                known[item.name] = found
        outcome = await self._master.read(Ask(block.unit, block.fc, block.ways, block.patience))
        if outcome.fault is not Fault.NONE:
            return Taken(outcome, (), busy=False)
        first = block.ways[outcome.way].address
        return Taken(outcome, *values.read(block.channels, outcome.registers, first, known))

    async def write(self, write: Write) -> Outcome:
        """Write once; PortError when the port has gone.

        Where the outcome is not `Fault.NONE`, whether it was written is unknown: read it back.
        """
        return await self._master.write(write)

    async def switch(self, unit: int, coil: int, *, on: bool) -> Fault:
        """Write one coil, e.g. of a relay; PortError when the port has gone."""
        # A list's answer is never the request itself: it proves more than function 5's can.
        outcome = await self.write(Write(unit, WRITE_COILS, coil, (int(on),)))
        if outcome.exception == ILLEGAL_FUNCTION:
            outcome = await self.write(Write(unit, WRITE_COIL, coil, (int(on),)))
        return outcome.fault

    async def poll(self, index: int) -> Polled:
        """Read a block; PortError when the port has gone."""
        block = self._plan.blocks[index]
        if code := self._plan.resting(block):
            return Polled(Fault.EXCEPTION, time.monotonic(), exception=code, rests=True)
        try:
            outcome, raws, busy = await self.take(block)
        except PortError:
            self._plan.left(block)
            raise
        lost = self._plan.heard(block, outcome, self._master.asked_s)
        if busy and self._waits(index, outcome.at_s):
            return Polled(Fault.PENDING, outcome.at_s, free_s=outcome.at_s + BUSY_AGAIN_S)
        self._busy_s.pop(index, None)
        free_s = outcome.free_s
        if outcome.fault in (Fault.TIMEOUT, Fault.CRC):
            free_s = self._master.keep_quiet(self._plan.quiet.s)
        return Polled(
            outcome.fault,
            outcome.at_s,
            raws,
            exception=outcome.exception,
            free_s=free_s,
            lost=lost,
            sent=outcome.sent,
            got=outcome.got,
        )

    def _waits(self, index: int, at_s: float) -> bool:
        """Tell whether a device that is not ready is asked again before others' values are kept."""
        since_s = self._busy_s.setdefault(index, at_s)
        return at_s - since_s < min(BUSY_MAX_S, self._plan.blocks[index].period_s / 2)

    async def idle(self, until_s: float) -> None:
        """Drop and count late replies until `until_s`."""
        await self._master.idle(until_s)

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def wire_times(settings: BusSettings) -> tuple[float, float]:
    """Return (seconds per character, seconds of silence between frames) of a bus."""
    if settings.protocol == MODBUS_TCP:
        return TCP_CHAR_S, 0.0
    return line_times(settings.baud, settings.parity, settings.stop_bits)
