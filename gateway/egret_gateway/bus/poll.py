"""One bus at work: opens its port, takes turns, and turns every poll into samples.

Every poll ends as a sample per channel: a value with its quality, or a missing one with the
reason. Nothing that happens to one device or to the port ends the task.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Any

from egret_core.progress import Pulse
from egret_core.quality import Reason
from egret_gateway.bus.asks import Asks
from egret_gateway.bus.breaker import BACKOFF_MAX_S
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Patient, Talking
from egret_gateway.bus.pace import Pace, Paced
from egret_gateway.bus.plans import plan_of
from egret_gateway.bus.rank import rank_of
from egret_gateway.bus.sampler import Sampler
from egret_gateway.bus.schedule import Schedule
from egret_gateway.bus.shedding import Shedding
from egret_gateway.bus.supply import Supplies, supplied
from egret_gateway.bus.turns import Job, Next
from egret_gateway.errors import AskError, PortError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_core.timescale import Timescale
    from egret_gateway.bus.asks import Ask
    from egret_gateway.bus.latest import Latest
    from egret_gateway.bus.line import Line, Polled, Turn
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
        *,
        latest: Latest | None = None,
        paced: Paced | None = None,
        shedding: Shedding | None = None,
    ) -> None:
        """Store what is given and lay the plan.

        Args:
            settings: the checked line and its devices.
            timescale: periods are scaled seconds; the line's own timing never is.
            emit: takes samples and, for the same commit, changed counter memories.
            memory: counters' memories at the start, by `station/channel`.
            maintenance: tells whether a technician has declared work on the site.
            latest: the last number of every channel of the gateway; None where a bus is alone.
            paced: which of its turns come faster now; None for none ever.
            shedding: which are left out because the battery is low; None for none ever.
        """
        self._settings = settings
        self._timescale = timescale
        self._emit = emit
        self._plan = plan_of(settings)
        self._sampler = Sampler(timescale, memory, maintenance, latest)
        self._turns: Sequence[Turn] = self._plan.turns
        self._shedding = shedding or Shedding()
        self._paced = paced or Paced(Pace(), {})
        self._supplies = Supplies(settings.devices)
        self._schedule = self._lay()
        self._asks = Asks()
        self._nap: asyncio.Timeout | None = None  # ends early for an ask
        self._fault = "not opened yet"
        self._turn = asyncio.Lock()
        self._steps = 0
        self._quiet_until_s = 0.0  # it waits on purpose so long
        self._silent = False  # every unit failed: told once, the port reopened now and then
        self._reopen_s = 0.0

    async def run(self) -> None:
        """Poll until cancelled; the port is taken up again whenever it comes back."""
        self._schedule = self._lay()
        self._paced.relaid()
        delay_s = REOPEN_MIN_S
        longest_s = REOPEN_TCP_MAX_S if self._settings.endpoint else REOPEN_TTY_MAX_S
        while True:
            try:
                line = supplied(await self._plan.open(), self._plan, self._supplies)
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

    async def ask(self, unit: str) -> list[tuple[Turn, Polled]]:
        """Take every turn of a unit once, between the polls, and return how each went.

        Raises:
            AskError: the line is away, has no such unit, or too many ask.
        """
        turns = [turn for turn in self._turns if turn.unit == unit]
        if not turns:
            raise AskError(f"{self._settings.name} has no unit {unit}")
        if self._fault:
            raise AskError(f"{self._settings.port}: {self._fault}")
        answer = self._asks.put(turns, time.monotonic())
        if answer is None:
            raise AskError(f"{self._settings.name}: too many ask already: try again in a minute")
        if self._nap is not None and not self._nap.expired():
            self._nap.reschedule(0.0)
        return await answer

    def pulse(self) -> Pulse:
        """Return whether it is past the time it meant to wait for, and how often it went on."""
        return Pulse(time.monotonic() > self._quiet_until_s, self._steps)

    def health(self) -> Mapping[str, Any]:
        """Return the port's state, overruns and load, and per unit its counts and breaker.

        `strides` tells which classes are served only every n-th turn, because the line is full.
        """
        breakers = self._schedule.breakers
        return {
            "port": self._settings.port,
            "fault": self._fault,
            "silent": self._silent,
            "overruns": self._schedule.overruns,
            "load": round(self._schedule.strides.load, 3),
            "strides": {
                rank.name.lower(): stride
                for rank, stride in self._schedule.strides.of.items()
                if stride > 1
            },
            **({"supplies": supplies} if (supplies := self._supplies.health()) else {}),
            "units": {
                unit: {**facts, "open": unit in breakers and breakers[unit].open}
                for unit, facts in self._plan.health().items()  # a relay is never polled
            },
        }

    def _jobs(self) -> list[Job]:
        real_s = self._timescale.real_s
        return [
            Job(turn.unit, real_s(turn.period_s), rank_of(turn.channels), turn.once)
            for turn in self._turns
        ]

    def _relay(self) -> None:
        """Take up the plan's new turns: each in the place of the one that served its channels."""
        former, self._turns = self._turns, self._plan.turns
        heirs = [_heir(turn, former) for turn in self._turns]
        self._schedule.relay(self._jobs(), heirs)
        LOG.info("bus=%s event=replanned turns=%d", self._settings.name, len(self._turns))

    def _lay(self) -> Schedule:
        real_s = self._timescale.real_s
        schedule = Schedule(
            self._jobs(),
            time.monotonic(),
            random.random,
            backoff_max_s=real_s(BACKOFF_MAX_S),
            deaf_neighbours=self._plan.deaf,
        )
        for group in self._supplies.groups(self._turns):
            schedule.align(group)
        return schedule

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
        self._asks.fail(AskError(f"{error.port}: {error.fault}"))

    async def _away(self, delay_s: float) -> None:
        """Wait without a port: what would have been read is missing, and says why."""
        for index in self._schedule.skip(time.monotonic()):
            self._missing(self._turns[index].channels, Reason.PORT)
        self._rests(time.monotonic() + delay_s)
        await asyncio.sleep(delay_s)

    def _rests(self, until_s: float) -> None:
        self._steps += 1
        self._quiet_until_s = until_s

    async def _serve(self, line: Line) -> None:
        self._rests(time.monotonic() + LISTEN_MAX_S)
        await line.listen()
        talking = line if isinstance(line, Talking) else None  # asked once: it is a slow question
        while True:
            if talking is not None:
                async with self._turn:
                    self._overhear(talking)
            self._repace(time.monotonic())
            pick = self._schedule.pick(time.monotonic())
            for index in pick.parked:
                self._missing(self._turns[index].channels, Reason.BACKED_OFF)
            now_s = time.monotonic()
            slack_s = self._schedule.slack_s(now_s) if pick.job is None else 0.0
            if ask := self._asks.next(now_s, slack_s):
                self._rests(0.0)
                async with self._turn:
                    await self._answer(line, ask)
            elif pick.job is None:
                wake_s = min(self._asks.wake_s(pick.wake_s, now_s), self._paced.look_s(now_s))
                self._rests(wake_s)
                await self._idle(line, wake_s)
            elif self._shedding.all_shed(self._turns[pick.job].channels):
                self._schedule.leave_out(pick.job, time.monotonic())
                self._supplies.left_out(self._turns[pick.job])
                self._missing(self._turns[pick.job].channels, Reason.SHED)
            else:
                self._rests(0.0)
                async with self._turn:
                    await self._poll(line, pick.job)
            if self._suspect(time.monotonic()):
                return

    def _suspect(self, now_s: float) -> bool:
        """Tell whether the port is to be opened anew: nobody on it has answered for long."""
        if not self._schedule.all_open or (self._silent and now_s < self._reopen_s):
            return False
        if not self._silent:
            LOG.warning("bus=%s every unit is silent: port reopened", self._settings.name)
        self._silent = True
        self._reopen_s = now_s + self._timescale.real_s(BACKOFF_MAX_S)
        return True

    def _repace(self, now_s: float) -> None:
        """Take up the pace of the stations, where it has changed."""
        for index, period_s in self._paced.due(self._turns, now_s):
            self._schedule.pace(index, period_s, now_s)

    async def _idle(self, line: Line, until_s: float) -> None:
        """Keep ears open until `until_s`, or until somebody asks."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None) as self._nap:
                    await line.idle(until_s)
        finally:
            self._nap = None  # also where the port has gone: an ask must not wake what is over

    async def _answer(self, line: Line, ask: Ask) -> None:
        """Take the next turn of an ask; its values are readings like others."""
        if ask.turns[0] not in self._turns:
            self._asks.drop(ask)
            return
        index = self._turns.index(ask.turns[0])
        if isinstance(self._plan, Patient):
            self._plan.patient(ask.turns[0].unit)
        polled = await line.poll(index)
        now_s = time.monotonic()
        if polled.fault is Fault.NONE:
            self._schedule.heard(ask.turns[0].unit)
            self._values(self._turns[index], polled)
        if self._plan.turns is not self._turns:
            ask.turns.extend(one for one in self._plan.turns if one not in self._turns)
            self._relay()  # it was refused and split: its parts are asked too
        self._asks.took(ask, polled, now_s)

    async def _poll(self, line: Line, index: int) -> None:
        asked = self._turns[index]
        turn = Next.NOW
        while turn is Next.NOW:
            try:
                polled = await line.poll(index)
            except PortError:
                self._schedule.done(index, time.monotonic(), Fault.BABBLE)
                self._missing(asked.channels, Reason.PORT)
                raise
            if polled.rests:  # no probe: whether the device is there is not known by it
                self._schedule.leave_out(index, time.monotonic())
                self._missing(asked.channels, _REASONS[polled.fault])
                return
            if polled.fault is Fault.EXCEPTION and self._plan.turns is not self._turns:
                self._schedule.heard(asked.unit)
                self._relay()  # the refused read was split: its parts take their turn now
                return
            turn = self._schedule.done(
                index,
                time.monotonic(),
                polled.fault,
                exception=polled.exception,
                free_s=polled.free_s,
            )
        if turn is Next.DONE:
            self._silent = False
            self._values(asked, polled)
        elif turn is Next.FAILED:
            self._supplies.left_out(asked)
            self._missing(asked.channels, _REASONS[polled.fault])
        if self._plan.turns is not self._turns:
            self._relay()

    def _overhear(self, line: Talking) -> None:
        """Take what came unasked where a turn waits for it, or where it must travel at once."""
        for index, polled in line.overheard():
            turn = self._turns[index]
            if self._schedule.awaits(index):
                self._schedule.done(index, time.monotonic(), Fault.NONE)
                self._silent = False
            elif not self._sampler.urgent(turn, polled.raws, polled.at_s, polled.verdicts):
                continue
            line.took(polled)
            self._values(turn, polled)

    def _values(self, turn: Turn, polled: Polled) -> None:
        self._emit(
            *self._sampler.values(turn, polled.raws, polled.at_s, polled.verdicts, lost=polled.lost)
        )
        # The shorter way after a timeout did not reach every value.
        pairs = zip(turn.channels, polled.raws, strict=True)
        if left_out := [channel for channel, raw in pairs if raw is None]:
            self._missing(left_out, Reason.TIMEOUT)

    def _missing(self, channels: Sequence[ChannelSettings], why: Reason) -> None:
        self._emit(*self._sampler.missing(channels, why, time.monotonic()))


def _heir(turn: Turn, former: Sequence[Turn]) -> int:
    """Return the index of the former turn that served most of a turn's channels."""
    keys = {channel.key for channel in turn.channels}
    served = [len(keys & {channel.key for channel in one.channels}) for one in former]
    return max(range(len(former)), key=served.__getitem__)
