"""A line whose devices are switched on before a read and off after it.

A relay module beside the sensors feeds one or several of them. A turn of a fed device first
switches its supply on and is then under way until the device has warmed up; the schedule runs
others meanwhile. When no device of a supply is under way any more, it is switched off. Where the
relay does not answer, the turn fails with the relay's fault and the supply's state is unknown: it
is switched again before anything is believed, and off as soon as the line is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Polled
from egret_gateway.errors import PortError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from egret_gateway.bus.line import Line, Plan, Turn
    from egret_gateway.profiles import DeviceSettings, Supply

RETRY_S = 30.0  # between two tries to switch off a relay that does not answer
_log = logging.getLogger(__name__)


@runtime_checkable
class Switching(Protocol):
    """A line that can switch a relay."""

    async def switch(self, unit: int, coil: int, *, on: bool) -> Fault:
        """Write one coil; `Fault.NONE` only where the relay's answer proves it."""


@dataclass(slots=True)
class _Feed:
    """One supply: who needs it, since when it is on for certain, and when to try it off again."""

    since_s: float | None = None  # None: off, or unknown
    maybe_on: bool = False
    retry_s: float = 0.0
    under_way: set[str] = field(default_factory=set)  # channels: turns may be laid anew meanwhile
    faults: int = 0

    def begins(self, turn: Turn) -> None:
        self.under_way.update(channel.key for channel in turn.channels)

    def ends(self, turn: Turn) -> None:
        self.under_way.difference_update(channel.key for channel in turn.channels)


class Supplies:
    """What is known of a bus's supplies; it outlives a replugged port."""

    def __init__(self, devices: Sequence[DeviceSettings]) -> None:
        """Take the devices that have a supply."""
        self._of: dict[str, tuple[Supply, float]] = {
            channel.key: (device.supply, device.warmup_s)
            for device in devices
            if device.supply is not None
            for channel in device.channels
        }
        self.feeds: dict[Supply, _Feed] = {supply: _Feed() for supply, _ in self._of.values()}

    def need(self, turn: Turn) -> tuple[Supply, float] | None:
        """Return a turn's supply and warm-up, seconds; None where it has none."""
        return self._of.get(turn.channels[0].key)

    def groups(self, turns: Sequence[Turn]) -> list[list[int]]:
        """Return the turns of each supply that feeds several: they are best read together."""
        found: dict[Supply, list[int]] = {}
        for index, turn in enumerate(turns):
            if (need := self.need(turn)) is not None:
                found.setdefault(need[0], []).append(index)
        return [group for group in found.values() if len(group) > 1]

    def health(self) -> Mapping[str, Mapping[str, object]]:
        """Return per supply whether it is on, as far as known, and how often its relay failed."""
        return {
            f"{supply.unit}/{supply.coil}": {"on": feed.maybe_on, "faults": feed.faults}
            for supply, feed in self.feeds.items()
        }

    def left_out(self, turn: Turn) -> None:
        """Take in that a turn does not go on: its supply is switched off in the next pause."""
        if (need := self.need(turn)) is not None:
            self.feeds[need[0]].ends(turn)

    def lost(self) -> None:
        """Take in that the port went: what was on may have been power-cycled since."""
        for feed in self.feeds.values():
            feed.since_s = None
            feed.under_way.clear()


def supplied(line: Line, plan: Plan, supplies: Supplies) -> Line:
    """Return a line with the supplies of its devices, where it has some."""
    if not supplies.feeds or not isinstance(line, Switching):
        return line
    return SuppliedLine(line, line, plan, supplies)


class SuppliedLine:
    """A line with its supplies; see `line.Line`."""

    def __init__(
        self,
        line: Line,
        relays: Switching,
        plan: Plan,
        supplies: Supplies,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store what is given; nothing is switched yet.

        Args:
            line: what is polled.
            relays: what is switched, usually the same line.
            plan: whose turns these are.
            supplies: what is known of them.
            now: the monotonic clock, seconds.
        """
        self._line = line
        self._now = now
        self._relays = relays
        self._plan = plan
        self._supplies = supplies

    async def listen(self) -> None:
        """Wait as the line does, then switch off what a former process may have left on."""
        await self._line.listen()
        for supply, feed in self._supplies.feeds.items():
            if not feed.under_way:
                feed.maybe_on = True
                await self._off(supply, feed)

    async def poll(self, index: int) -> Polled:
        """Take a turn; under way while its device warms up."""
        turn = self._plan.turns[index]
        need = self._supplies.need(turn)
        if need is None:
            return await self._line.poll(index)
        supply, warmup_s = need
        feed = self._supplies.feeds[supply]
        if feed.since_s is None:
            fault = await self._switch(supply, feed, on=True)
            if fault is not Fault.NONE:
                feed.ends(turn)
                return Polled(fault, self._now())
        feed.begins(turn)
        now_s, ready_s = self._now(), (feed.since_s or 0.0) + warmup_s
        if now_s < ready_s:
            return Polled(Fault.PENDING, now_s, free_s=ready_s)
        polled = await self._line.poll(index)
        if polled.fault is not Fault.PENDING:
            feed.ends(turn)
            if not feed.under_way:
                # A port that goes now takes no value along: whatever uses it next will say so.
                with contextlib.suppress(PortError):
                    await self._off(supply, feed)
        return polled

    async def idle(self, until_s: float) -> None:
        """Use the pause to switch off what could not be, then keep ears open."""
        for supply, feed in self._supplies.feeds.items():
            if feed.maybe_on and not feed.under_way and self._now() >= feed.retry_s:
                await _whole(self._off(supply, feed))
        await self._line.idle(until_s)

    def close(self) -> None:
        """Close the port; what is on is unknown from here on."""
        self._supplies.lost()
        self._line.close()

    async def _off(self, supply: Supply, feed: _Feed) -> None:
        if await self._switch(supply, feed, on=False) is not Fault.NONE:
            feed.retry_s = self._now() + RETRY_S

    async def _switch(self, supply: Supply, feed: _Feed, *, on: bool) -> Fault:
        feed.since_s = None
        feed.maybe_on = feed.maybe_on or on  # an answer that is lost may have switched it
        fault = await self._relays.switch(supply.unit, supply.coil, on=on)
        if fault is Fault.NONE:
            feed.maybe_on = on
            feed.since_s = self._now() if on else None
            return fault
        feed.faults += 1
        _log.warning(
            "event=supply_not_switched unit=%s coil=%s on=%s fault=%s",
            supply.unit,
            supply.coil,
            on,
            fault,
        )
        return fault


async def _whole(switching: Coroutine[Any, Any, None]) -> None:
    """Let a switching end before the pause does: half of one leaves an answer that is nobody's."""
    task = asyncio.ensure_future(switching)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        with contextlib.suppress(PortError):  # whatever uses the port next will say so
            await task
        raise
