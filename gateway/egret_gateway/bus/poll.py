"""One bus at work: opens its port, takes turns, and turns every poll into samples.

Every poll ends as a sample per channel: a value with its quality, or a missing one with the
reason. Nothing that happens to one device or to the port ends the task.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from egret_core.progress import Pulse
from egret_core.quality import Flag, Reason
from egret_core.screening.gap import GAP_PERIODS, check_gap
from egret_core.screening.verdict import Verdict, combined
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.plan import Block, blocks, unknown_s
from egret_gateway.bus.schedule import BACKOFF_MAX_S, Job, Next, Schedule
from egret_gateway.bus.transaction import Ask, Outcome, Transactions
from egret_gateway.bus.unit import Span, Unit
from egret_gateway.convert import Converted, to_canonical
from egret_gateway.errors import PortError
from egret_gateway.ports.serial_port import SerialPort, line_times, open_serial
from egret_gateway.protocols.registers import decode
from egret_gateway.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_core.timescale import Timescale
    from egret_gateway.config import BusSettings
    from egret_gateway.profiles import ChannelSettings

    Emit = Callable[[Sequence[Sample], Mapping[str, str]], None]

LOG = logging.getLogger(__name__)
REOPEN_MIN_S = 0.25  # a replugged adapter is back within a second
REOPEN_MAX_S = 5.0
DEAF_QUIET_MS = 500  # a deaf neighbour hears again after so long (libmodbus's response timeout)
_REASONS = {
    Fault.TIMEOUT: Reason.TIMEOUT,
    Fault.QUARANTINED: Reason.TIMEOUT,
    Fault.CRC: Reason.CRC,
    Fault.BABBLE: Reason.CRC,
    Fault.EXCEPTION: Reason.EXCEPTION,
}


class Bus:
    """The task of one serial line."""

    def __init__(
        self,
        settings: BusSettings,
        timescale: Timescale,
        emit: Emit,
        memory: Mapping[str, str],
        maintenance: Callable[[], bool],
    ) -> None:
        """Store what is given and lay the plan.

        Args:
            settings: the checked line and its devices.
            timescale: periods are scaled seconds; the line's own timing never is.
            emit: takes samples and, for the same commit, changed counter memories.
            memory: counters' memories at the start, by `station/channel`.
            maintenance: tells whether a technician has declared work on the site.
        """
        self._settings = settings
        self._timescale = timescale
        self._emit = emit
        self._memory = dict(memory)
        self._maintenance = maintenance
        times = line_times(settings.baud, settings.parity, settings.stop_bits)
        self._blocks: tuple[Block, ...] = tuple(
            block for device in settings.devices for block in blocks(device, *times)
        )
        self._unknown_s = unknown_s(self._blocks)  # until then a former process may be answered
        self._units = {device.unit: Unit() for device in settings.devices}
        self._last_ms: dict[str, int] = {}
        self._counted_ms: dict[str, int] = {}
        self._watched: dict[str, bool] = {}
        self._schedule = self._lay()
        self._fault = "not opened yet"
        self._turn = asyncio.Lock()
        self._turns = 0
        self._quiet_until_s = 0.0  # it waits on purpose so long
        self._silent = False  # every unit failed: told once, the port reopened once

    async def run(self) -> None:
        """Poll until cancelled; the port is taken up again whenever it comes back."""
        self._schedule = self._lay()
        delay_s = REOPEN_MIN_S
        while True:
            try:
                port = open_serial(self._settings)
            except PortError as error:
                self._gone(error)
                await self._away(delay_s)
                delay_s = min(2 * delay_s, REOPEN_MAX_S)
                continue
            delay_s = REOPEN_MIN_S
            self._fault = ""
            LOG.info("bus=%s port=%s opened", self._settings.name, self._settings.port)
            try:  # it returns when the line itself is suspect: then the port is opened anew
                await self._serve(port)
            except PortError as error:
                self._gone(error)
            finally:
                port.close()

    async def rest(self) -> None:
        """Return when the transaction under way is over; no other begins after it."""
        await self._turn.acquire()

    def pulse(self) -> Pulse:
        """Return whether it is past the time it meant to wait for, and how often it went on."""
        return Pulse(time.monotonic() > self._quiet_until_s, self._turns)

    def health(self) -> Mapping[str, Any]:
        """Return the port's state, overruns, and per unit its counts, breaker and answer time."""
        return {
            "port": self._settings.port,
            "fault": self._fault,
            "silent": self._silent,
            "overruns": self._schedule.overruns,
            "units": {
                str(address): {
                    **asdict(unit.counts),
                    "tau_ms": None if unit.tau_s is None else round(unit.tau_s * 1000, 1),
                    "open": self._schedule.breakers[address].open,
                }
                for address, unit in self._units.items()
            },
        }

    def _lay(self) -> Schedule:
        real_s = self._timescale.real_s
        return Schedule(
            [Job(block.unit, real_s(block.period_s)) for block in self._blocks],
            time.monotonic(),
            random.random,
            backoff_max_s=real_s(BACKOFF_MAX_S),
            deaf_neighbours=self._settings.post_timeout_quiet_ms < DEAF_QUIET_MS,
        )

    def _gone(self, error: PortError) -> None:
        if self._fault != error.fault:
            LOG.warning(
                "bus=%s port=%s fault=%s detail=%r remedy=%r",
                self._settings.name,
                error.port,
                error.fault,
                error.detail,
                error.fault.remedy,
            )
        self._fault = str(error.fault)
        self._schedule.half_open()

    async def _away(self, delay_s: float) -> None:
        """Wait without a port: what would have been read is missing, and says why."""
        for index in self._schedule.skip(time.monotonic()):
            self._missing(self._blocks[index].channels, Reason.PORT)
        self._rests(time.monotonic() + delay_s)
        await asyncio.sleep(delay_s)

    def _rests(self, until_s: float) -> None:
        self._turns += 1
        self._quiet_until_s = until_s

    async def _serve(self, port: SerialPort) -> None:
        line = Transactions(
            port, self._units, post_timeout_quiet_s=self._settings.post_timeout_quiet_ms / 1000
        )
        self._rests(time.monotonic() + self._unknown_s)
        await line.idle(self._quiet_until_s)
        self._unknown_s = 0.0
        while True:
            pick = self._schedule.pick(time.monotonic())
            for index in pick.parked:
                self._missing(self._blocks[index].channels, Reason.BACKED_OFF)
            if pick.job is None:
                self._rests(pick.wake_s)
                await line.idle(pick.wake_s)
            else:
                self._rests(0.0)
                async with self._turn:
                    await self._poll(line, pick.job)
            if self._schedule.all_open and not self._silent:
                self._silent = True
                LOG.warning("bus=%s every unit is silent: port reopened", self._settings.name)
                return

    async def _poll(self, line: Transactions, index: int) -> None:
        block = self._blocks[index]
        turn = Next.NOW
        while turn is Next.NOW:
            try:
                outcome = await line.read(ask_of(block))
            except PortError:
                self._schedule.done(index, time.monotonic(), Fault.BABBLE)
                self._missing(block.channels, Reason.PORT)
                raise
            turn = self._schedule.done(
                index,
                time.monotonic(),
                outcome.fault,
                exception=outcome.exception,
                free_s=outcome.free_s,
            )
        if turn is Next.DONE:
            self._silent = False
            self._values(block, outcome)
        elif turn is Next.FAILED:
            self._missing(block.channels, _REASONS[outcome.fault])

    def _values(self, block: Block, outcome: Outcome) -> None:
        span = block.ways[outcome.way]
        at_ms = int(outcome.at_s * 1000)
        samples: list[Sample] = []
        changed: dict[str, str] = {}
        left_out: list[ChannelSettings] = []
        for channel in block.channels:
            raw = raw_of(channel, span, outcome.registers)
            if raw is None:
                left_out.append(channel)
                continue
            converted = self._converted(channel, raw, at_ms)
            if converted.memory:
                self._memory[channel.key] = changed[channel.key] = converted.memory
            samples.append(self._sample(channel, block.period_s, at_ms, converted))
        self._emit(samples, changed)
        if left_out:  # the shorter way after a timeout did not reach them
            self._missing(left_out, Reason.TIMEOUT)

    def _converted(self, channel: ChannelSettings, raw: float, at_ms: int) -> Converted:
        before_ms = self._counted_ms.get(channel.key)
        # Periods are scaled, and so is the rain that falls meanwhile.
        since_s = None if before_ms is None else (at_ms - before_ms) / 1000 * self._timescale.scale
        converted = to_canonical(channel, raw, self._memory.get(channel.key, ""), since_s)
        if channel.item.counter is not None and converted.value is not None:
            self._counted_ms[channel.key] = at_ms
        return converted

    def _sample(
        self, channel: ChannelSettings, period_s: float, at_ms: int, converted: Converted
    ) -> Sample:
        limit_ms = GAP_PERIODS * self._timescale.real_s(period_s) * 1000
        gap = check_gap(self._last_ms.get(channel.key), at_ms, limit_ms)
        verdict = combined(Verdict(converted.flag, converted.reasons), gap)
        if converted.value is not None:
            self._last_ms[channel.key] = at_ms
        working = self._maintenance()
        return Sample(
            station=channel.station,
            channel=channel.channel,
            mono_ms=at_ms,
            value=converted.value,
            raw=converted.raw,
            flag=verdict.flag,
            reasons=verdict.reasons | (int(Reason.MAINTENANCE) if working else 0),
            urgent=not working and self._trips(channel, converted),
        )

    def _trips(self, channel: ChannelSettings, converted: Converted) -> bool:
        """Tell whether the value crosses its watch from below; a failed value crosses nothing."""
        if channel.watch_at is None or converted.value is None or converted.flag == Flag.FAIL:
            return False
        over = converted.value >= channel.watch_at
        crossed = over and not self._watched.get(channel.key, False)
        self._watched[channel.key] = over
        return crossed

    def _missing(self, channels: Sequence[ChannelSettings], why: Reason) -> None:
        reasons = int(why) | (int(Reason.MAINTENANCE) if self._maintenance() else 0)
        at_ms = int(time.monotonic() * 1000)
        self._emit(
            [
                Sample(c.station, c.channel, at_ms, None, None, int(Flag.MISSING), reasons)
                for c in channels
            ],
            {},
        )


def ask_of(block: Block) -> Ask:
    """Return the transaction that reads a block."""
    return Ask(block.unit, block.fc, block.ways, block.patience)


def raw_of(channel: ChannelSettings, span: Span, registers: Sequence[int]) -> float | None:
    """Return a channel's number out of a span's registers, None where it lies outside."""
    item = channel.item
    start = item.address - span.address
    if start < 0 or start + item.words > len(registers):
        return None
    return decode(registers[start : start + item.words], item.kind, item.order)
