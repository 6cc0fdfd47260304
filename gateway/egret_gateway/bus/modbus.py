"""A Modbus line: the plan's blocks, read by transactions, decoded to raw numbers."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Polled, Turn
from egret_gateway.bus.plan import Block, blocks, unknown_s
from egret_gateway.bus.transaction import Ask, Outcome, Transactions
from egret_gateway.bus.unit import Unit
from egret_gateway.ports.serial_port import line_times, open_serial
from egret_gateway.protocols.registers import decode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from egret_gateway.config import BusSettings
    from egret_gateway.ports.serial_port import SerialPort
    from egret_gateway.profiles import ChannelSettings

DEAF_QUIET_MS = 500  # a deaf neighbour hears again after so long (libmodbus's response timeout)


class ModbusPlan:
    """The reads of a bus, and what is remembered of its units; see `line.Plan`."""

    def __init__(self, settings: BusSettings) -> None:
        self._settings = settings
        times = line_times(settings.baud, settings.parity, settings.stop_bits)
        self.blocks: tuple[Block, ...] = tuple(
            block for device in settings.devices for block in blocks(device, *times)
        )
        self.turns: Sequence[Turn] = [
            Turn(str(block.unit), block.channels, block.period_s) for block in self.blocks
        ]
        self.deaf = settings.post_timeout_quiet_ms < DEAF_QUIET_MS
        self.units = {device.unit: Unit() for device in settings.devices}
        self.unknown_s = unknown_s(self.blocks)  # until then a former process may be answered

    async def open(self) -> ModbusLine:
        """Open the serial port; PortError where it cannot be."""
        return ModbusLine(self, open_serial(self._settings), self._settings.post_timeout_quiet_ms)

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

    def __init__(self, plan: ModbusPlan, port: SerialPort, post_timeout_quiet_ms: int) -> None:
        self._plan = plan
        self._port = port
        self._transactions = Transactions(
            port, plan.units, post_timeout_quiet_s=post_timeout_quiet_ms / 1000
        )

    async def listen(self) -> None:
        """Wait until a question of a former process is forgotten."""
        await self._transactions.idle(time.monotonic() + self._plan.unknown_s)
        self._plan.unknown_s = 0.0

    async def read(self, block: Block) -> Outcome:
        """Ask once; PortError when the port has gone."""
        return await self._transactions.read(Ask(block.unit, block.fc, block.ways, block.patience))

    async def poll(self, index: int) -> Polled:
        """Read a block; PortError when the port has gone."""
        block = self._plan.blocks[index]
        outcome = await self.read(block)
        raws: tuple[float | None, ...] = ()
        if outcome.fault is Fault.NONE:
            raws = tuple(raw_of(channel, block, outcome) for channel in block.channels)
        return Polled(outcome.fault, outcome.at_s, raws, outcome.exception, outcome.free_s)

    async def idle(self, until_s: float) -> None:
        """Drop and count late replies until `until_s`."""
        await self._transactions.idle(until_s)

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def raw_of(channel: ChannelSettings, block: Block, outcome: Outcome) -> float | None:
    """Return a channel's number out of an answer, None where that did not reach it."""
    at = channel.item.at
    start = at.address - block.ways[outcome.way].address
    if start < 0 or start + at.words > len(outcome.registers):
        return None
    return decode(outcome.registers[start : start + at.words], at.kind, at.order)
