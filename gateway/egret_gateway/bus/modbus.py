"""A Modbus line: the plan's blocks, read by transactions, decoded to raw numbers."""

from __future__ import annotations

import time
from dataclasses import asdict
from random import randrange
from typing import TYPE_CHECKING, NamedTuple, Protocol

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Polled, Turn
from egret_gateway.bus.plan import Block, blocks, unknown_s
from egret_gateway.bus.tcp_transaction import TcpTransactions
from egret_gateway.bus.transaction import Ask, Outcome, Transactions
from egret_gateway.bus.unit import Span, Unit
from egret_gateway.bus.values import Values, number
from egret_gateway.bus_settings import MODBUS_TCP
from egret_gateway.ports.serial_port import line_times, open_serial
from egret_gateway.ports.tcp_port import open_tcp
from egret_gateway.protocols.modbus_tcp import NUMBER_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.ports.serial_port import SerialPort
    from egret_gateway.ports.tcp_port import TcpPort
    from egret_gateway.protocols.modbus_pdu import Write

DEAF_QUIET_MS = 500  # a deaf neighbour hears again after so long (libmodbus's response timeout)
BUSY_AGAIN_S = 0.5  # a device that is not ready is asked again so soon
BUSY_MAX_S = 10.0  # then the values that are there are kept, the others are missing
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
    """What asks: on a serial line, or by Modbus TCP."""

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
        times = wire_times(settings)
        self.values = {device.unit: Values(device) for device in settings.devices}
        self.blocks: tuple[Block, ...] = tuple(
            block for values in self.values.values() for block in blocks(values.planned, *times)
        )
        self.turns: Sequence[Turn] = [
            Turn(str(block.unit), self.values[block.unit].channels(block.channels), block.period_s)
            for block in self.blocks
        ]
        self._tcp = settings.protocol == MODBUS_TCP
        self.deaf = not self._tcp and settings.post_timeout_quiet_ms < DEAF_QUIET_MS
        self.units = {device.unit: Unit() for device in settings.devices}
        # Until then a former process may be answered; what it asked by a connection ended with it.
        self.unknown_s = 0.0 if self._tcp else unknown_s(self.blocks)
        self._number = randrange(1, NUMBER_MAX)  # noqa: S311  (only unlike the last process's)

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
        return Transactions(
            port,
            self.units,
            post_timeout_quiet_s=self._settings.post_timeout_quiet_ms / 1000,
            local_echo=self._settings.local_echo,
        )

    def health(self) -> Mapping[str, Mapping[str, Any]]:
        """Return per unit its counts and its usual answer time."""
        return {
            str(address): {
                **asdict(unit.counts),
                "tau_ms": None if unit.tau_s is None else round(unit.tau_s * 1000, 1),
            }
            for address, unit in self.units.items()
        }


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
                return Taken(outcome, (), busy=False)
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

    async def poll(self, index: int) -> Polled:
        """Read a block; PortError when the port has gone."""
        outcome, raws, busy = await self.take(self._plan.blocks[index])
        if busy and self._waits(index, outcome.at_s):
            return Polled(Fault.PENDING, outcome.at_s, free_s=outcome.at_s + BUSY_AGAIN_S)
        self._busy_s.pop(index, None)
        return Polled(outcome.fault, outcome.at_s, raws, outcome.exception, outcome.free_s)

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
