"""One bus at work: opens its port, takes turns, and turns every poll into samples.

Every poll ends as a sample per channel: a value with its quality, or a missing one with the
reason. Nothing that happens to one device or to the port ends the task.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING, Any

from egret_core.progress import Pulse
from egret_core.quality import Reason
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Talking
from egret_gateway.bus.plans import plan_of
from egret_gateway.bus.sampler import Sampler
from egret_gateway.bus.schedule import BACKOFF_MAX_S, Job, Next, Schedule
from egret_gateway.errors import PortError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_core.timescale import Timescale
    from egret_gateway.bus.line import Line, Polled
    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.profiles import ChannelSettings
    from egret_gateway.sample import Sample

    Emit = Callable[[Sequence[Sample], Mapping[str, str]], None]

LOG = logging.getLogger(__name__)
REOPEN_MIN_S = 0.25  # a replugged adapter is back within a second
REOPEN_TTY_MAX_S = 0.25  # to look for a tty costs nothing
REOPEN_TCP_MAX_S = 5.0  # to call a host costs packets, on mobile data too
LISTEN_MAX_S = 60.0  # the longest timeout a profile may have
_REASONS = {
    Fault.TIMEOUT: Reason.TIMEOUT,
    Fault.QUARANTINED: Reason.TIMEOUT,
    Fault.CRC: Reason.CRC,
    Fault.BABBLE: Reason.CRC,
    Fault.MALFORMED: Reason.CRC,
    Fault.UNPROVEN: Reason.TIMEOUT,
    Fault.EXCEPTION: Reason.EXCEPTION,
    Fault.PENDING: Reason.TIMEOUT,  # never ready within its two periods
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
        self._plan = plan_of(settings)
        self._sampler = Sampler(timescale, memory, maintenance)
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
        longest_s = REOPEN_TCP_MAX_S if self._settings.endpoint else REOPEN_TTY_MAX_S
        while True:
            try:
                line = await self._plan.open()
            except PortError as error:
                self._gone(error)
                await self._away(delay_s)
                delay_s = min(2 * delay_s, longest_s)
                continue
            delay_s = REOPEN_MIN_S
            self._fault = ""
            LOG.info("bus=%s port=%s opened", self._settings.name, self._settings.port)
            try:  # it returns when the line itself is suspect: then the port is opened anew
                await self._serve(line)
            except PortError as error:
                self._gone(error)
            finally:
                line.close()

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
                unit: {**facts, "open": self._schedule.breakers[unit].open}
                for unit, facts in self._plan.health().items()
            },
        }

    def _lay(self) -> Schedule:
        real_s = self._timescale.real_s
        return Schedule(
            [Job(turn.unit, real_s(turn.period_s)) for turn in self._plan.turns],
            time.monotonic(),
            random.random,
            backoff_max_s=real_s(BACKOFF_MAX_S),
            deaf_neighbours=self._plan.deaf,
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
            self._missing(self._plan.turns[index].channels, Reason.PORT)
        self._rests(time.monotonic() + delay_s)
        await asyncio.sleep(delay_s)

    def _rests(self, until_s: float) -> None:
        self._turns += 1
        self._quiet_until_s = until_s

    async def _serve(self, line: Line) -> None:
        self._rests(time.monotonic() + LISTEN_MAX_S)
        await line.listen()
        talking = line if isinstance(line, Talking) else None  # asked once: it is a slow question
        while True:
            if talking is not None:
                async with self._turn:
                    self._overhear(talking)
            pick = self._schedule.pick(time.monotonic())
            for index in pick.parked:
                self._missing(self._plan.turns[index].channels, Reason.BACKED_OFF)
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

    async def _poll(self, line: Line, index: int) -> None:
        channels = self._plan.turns[index].channels
        turn = Next.NOW
        while turn is Next.NOW:
            try:
                polled = await line.poll(index)
            except PortError:
                self._schedule.done(index, time.monotonic(), Fault.BABBLE)
                self._missing(channels, Reason.PORT)
                raise
            turn = self._schedule.done(
                index,
                time.monotonic(),
                polled.fault,
                exception=polled.exception,
                free_s=polled.free_s,
            )
        if turn is Next.DONE:
            self._silent = False
            self._values(index, polled)
        elif turn is Next.FAILED:
            self._missing(channels, _REASONS[polled.fault])

    def _overhear(self, line: Talking) -> None:
        """Take what came unasked where a turn waits for it, or where it must travel at once."""
        for index, polled in line.overheard():
            turn = self._plan.turns[index]
            if self._schedule.awaits(index):
                self._schedule.done(index, time.monotonic(), Fault.NONE)
                self._silent = False
            elif not self._sampler.urgent(turn, polled.raws, polled.at_s, polled.verdicts):
                continue
            line.took(polled)
            self._values(index, polled)

    def _values(self, index: int, polled: Polled) -> None:
        turn = self._plan.turns[index]
        self._emit(*self._sampler.values(turn, polled.raws, polled.at_s, polled.verdicts))
        # The shorter way after a timeout did not reach every value.
        pairs = zip(turn.channels, polled.raws, strict=True)
        if left_out := [channel for channel, raw in pairs if raw is None]:
            self._missing(left_out, Reason.TIMEOUT)

    def _missing(self, channels: Sequence[ChannelSettings], why: Reason) -> None:
        self._emit(*self._sampler.missing(channels, why, time.monotonic()))
