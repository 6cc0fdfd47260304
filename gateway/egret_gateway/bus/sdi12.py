"""An SDI-12 line: measurements started, collected when they are ready, and read as raw numbers.

A concurrent measurement (C) is started and left alone; the schedule gives its turn again when the
sensor has promised to be ready, and other sensors are asked meanwhile: N slow ones take the time
of the slowest. Nothing is sent to a sensor that measures, since that would make it drop the
measurement. For M and V the whole line waits, by the standard, until the service request.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, Protocol

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.line import Cost, Polled, Turn
from egret_gateway.bus.sdi12_exchange import (
    BREAK_S,
    MARK_S,
    NATIVE,
    RESPONSE_S,
    TURN_S,
    Counts,
    Exchange,
    Heard,
    Timing,
    transparent,
)
from egret_gateway.bus_settings import NATIVE as NATIVE_ADAPTER
from egret_gateway.errors import ReplyError, ReplyFault
from egret_gateway.ports.byte_port import BytePort
from egret_gateway.ports.serial_port import open_serial
from egret_gateway.ports.tcp_port import open_tcp
from egret_gateway.profiles import Measured, Sdi12
from egret_gateway.protocols import sdi12
from egret_gateway.protocols.sdi12 import CHARS_MAX, Kind, Measurement, Promise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.profiles import ChannelSettings, DeviceSettings

# Codes of `Polled.exception`; the schedule knows 2 as a device that answers, 6 as one that is busy.
REFUSED = 2  # it has no such measurement, or fewer values
DROPPED = 6  # it answers without data: the measurement was dropped
CLOCK_SHARE = 0.01  # a sensor's seconds may be longer than ours
REQUEST_LAG_S = 0.5  # a service request comes at the promised time at the latest; then its way
TWICE_S = 0.7  # the longest reply: after so much silence nothing of it comes any more
AGAIN_S = 0.2  # until a turn looks again whether another one's data were collected
CHAR_S = 10 / 1200
VALUE_CHARS = 7  # a usual value, with its sign
PAGE_CHARS = 10  # D0! and what is not value in its reply
START_CHARS = 12  # MC1! and the promise
EXCHANGE_S = BREAK_S + MARK_S + RESPONSE_S + TURN_S
COLLECT_WITHIN_S = 30.0  # data that lay longer are not of this turn


@dataclass(frozen=True, slots=True)
class Work:
    """One turn: a measurement of one sensor.

    Attributes:
        address, asked: whom, and what; places: of the values in its data, in the channels' order.
        timing: of the adapter; ready_max_s: a longer promise is not believed.
    """

    address: str
    asked: Measurement
    places: tuple[Measured, ...]
    channels: tuple[ChannelSettings, ...]
    period_s: float
    timing: Timing
    ready_max_s: float


class _Started(NamedTuple):
    """A measurement under way: whose turn, when it is ready, and how many values it will have."""

    turn: int
    ready_s: float
    values: int


class Sdi12Plan:
    """The measurements of a line, and how its sensors did; see `line.Plan`."""

    def __init__(self, settings: BusSettings) -> None:
        self._settings = settings
        self.works = tuple(work for device in settings.devices for work in works(settings, device))
        self.turns: Sequence[Turn] = [
            Turn(work.address, work.channels, work.period_s) for work in self.works
        ]
        self.deaf = False
        self.counts = {device.address: Counts() for device in settings.devices}

    async def open(self) -> Sdi12Line:
        """Open the port; PortError where it cannot be."""
        endpoint = self._settings.endpoint
        if endpoint is None:
            return Sdi12Line(self, open_serial(self._settings))
        return Sdi12Line(self, await open_tcp(endpoint))

    def costs(self) -> Sequence[Cost]:
        """Return what every measurement costs the wire where all goes right."""
        return [
            Cost(
                work.address,
                work.period_s,
                wire_s(work),
                len(work.places),
                f"{work.address}{work.asked.kind}{work.asked.number or ''}!",
                work.channels,
            )
            for work in self.works
        ]

    def health(self) -> Mapping[str, Mapping[str, Any]]:
        """Return per sensor its counts."""
        return {address: asdict(counts) for address, counts in self.counts.items()}


class ClosingPort(BytePort, Protocol):
    """A byte port that can be closed."""

    def close(self) -> None:
        """Close it, also one that has gone."""


class Sdi12Line:
    """An open SDI-12 line; see `line.Line`."""

    def __init__(
        self, plan: Sdi12Plan, port: ClosingPort, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._plan = plan
        self._port = port
        self._now = now
        self._started: dict[str, _Started] = {}
        self.exchange = Exchange(port, plan.counts, now=now)

    async def listen(self) -> None:
        """Wait until a question of a former process is forgotten."""
        # A break ends whatever was asked; an adapter goes on with it.
        asked = (work.timing for work in self._plan.works if not work.timing.breaks)
        late_s = max((timing.late_s for timing in asked), default=0.0)
        await self.exchange.idle(self._now() + late_s)

    async def poll(self, index: int) -> Polled:
        """Start a measurement, or collect the one that was; PortError when the port has gone."""
        work = self._plan.works[index]
        polled = await self._take(index, work)
        counts = self._plan.counts[work.address]
        counts.ok += polled.fault is Fault.NONE
        counts.timeout += polled.fault is Fault.TIMEOUT
        counts.crc += polled.fault is Fault.CRC
        counts.exception += polled.fault is Fault.EXCEPTION
        counts.quarantined += polled.fault is Fault.QUARANTINED
        return polled

    async def identify(self, address: str) -> Heard[sdi12.Identity]:
        """Ask a sensor who it is."""
        timing = next(work.timing for work in self._plan.works if work.address == address)
        read = partial(sdi12.identity, address=address)
        return await self.exchange.ask(address, sdi12.identify(address), read, timing)

    async def describe(self, index: int, place: int) -> Heard[tuple[str, ...]]:
        """Ask what stands at a place of a turn's data; a sensor before v1.4 does not answer."""
        work = self._plan.works[index]
        read = partial(sdi12.description, address=work.address, crc=work.asked.crc)
        command = sdi12.describe(work.address, work.asked, place)
        return await self.exchange.ask(work.address, command, read, work.timing)

    async def idle(self, until_s: float) -> None:
        """Drop and count what comes until `until_s`."""
        await self.exchange.idle(until_s)

    def close(self) -> None:
        """Close the port."""
        self._port.close()

    async def _take(self, index: int, work: Work) -> Polled:
        held = self._started.get(work.address)
        now = self._now()
        if held is None or now > held.ready_s + COLLECT_WITHIN_S:
            return await self._start(index, work)
        if now < held.ready_s:
            return Polled(Fault.PENDING, now, free_s=held.ready_s)
        if held.turn != index:
            # Whatever is sent to it now makes it drop what it measures, or its data.
            return Polled(Fault.PENDING, now, free_s=max(held.ready_s, now) + AGAIN_S)
        del self._started[work.address]
        return await self._collect(work, held.values)

    async def _start(self, index: int, work: Work) -> Polled:
        self._started.pop(work.address, None)
        command = sdi12.start(work.address, work.asked)
        if work.asked.kind is Kind.CONTINUOUS:
            data = await self.exchange.ask(work.address, command, _data(work), work.timing)
            return self._polled(work, data, data.reply or ())
        heard = await self.exchange.ask(work.address, command, _promise(work), work.timing)
        if heard.reply is None:
            return _failed(heard)
        if heard.reply.values < max(at.place for at in work.places):
            return Polled(Fault.EXCEPTION, heard.at_s, exception=REFUSED)
        self._plan.counts[work.address].ready_s = heard.reply.ready_s
        ready_s = heard.at_s + heard.reply.ready_s * (1 + CLOCK_SHARE)
        if work.asked.kind is Kind.CONCURRENT and heard.reply.ready_s:
            self._started[work.address] = _Started(index, ready_s, heard.reply.values)
            return Polled(Fault.PENDING, heard.at_s, free_s=ready_s)
        if heard.reply.ready_s:
            await self.exchange.requested(work.address, ready_s + REQUEST_LAG_S)
        return await self._collect(work, heard.reply.values)

    async def _collect(self, work: Work, promised: int) -> Polled:
        """Ask for data until all that was promised is there, and no more."""
        parts: list[tuple[float, ...]] = []
        found = 0
        for page in range(sdi12.PAGES):
            heard = await self._page(work, page, parts)
            if heard.reply is None:
                return _failed(heard)
            if not heard.reply:
                break
            parts.append(heard.reply)
            found += len(heard.reply)
            if found >= promised:
                break
        if found == promised:
            return self._polled(work, heard, tuple(value for part in parts for value in part))
        self.exchange.doubt(work.address, work.timing)
        if found > promised:
            return Polled(Fault.CRC, self._now())
        return Polled(Fault.EXCEPTION, heard.at_s, exception=DROPPED)

    async def _page(
        self, work: Work, page: int, parts: Sequence[tuple[float, ...]]
    ) -> Heard[tuple[float, ...]]:
        """Ask for a part; one like an earlier one may be that one's, said twice: it is proven."""
        command = sdi12.send_data(work.address, page)
        ask = partial(self.exchange.ask, work.address, command, _data(work), work.timing)
        heard = await ask(goes_on=True)
        if heard.reply and heard.reply in parts:
            await self.exchange.idle(self._now() + TWICE_S)
            heard = await ask(goes_on=True)
        return heard

    def _polled(
        self, work: Work, heard: Heard[tuple[float, ...]], found: tuple[float, ...]
    ) -> Polled:
        if heard.reply is None:
            return _failed(heard)
        if len(found) < max(at.place for at in work.places):
            return Polled(Fault.EXCEPTION, heard.at_s, exception=REFUSED)
        return Polled(Fault.NONE, heard.at_s, tuple(_raw(found, at) for at in work.places))


def works(settings: BusSettings, device: DeviceSettings) -> Iterator[Work]:
    """Yield the measurements that serve a device's channels, each once."""
    way = device.profile.way
    if not isinstance(way, Sdi12):
        raise TypeError(f"{device.profile.name} speaks no SDI-12")
    native = settings.adapter == NATIVE_ADAPTER
    timing = NATIVE if native else transparent(way.timeout_ms / 1000)
    groups: dict[Measurement, list[tuple[Measured, ChannelSettings]]] = {}
    for channel in device.channels:
        at = channel.item.at
        if not isinstance(at, Measured):
            raise TypeError(f"{channel.item.name} is no value of SDI-12")
        groups.setdefault(at.asked, []).append((at, channel))
    for asked, group in groups.items():
        places, channels = zip(*group, strict=True)
        yield Work(
            device.address, asked, places, channels, device.period_s, timing, way.ready_max_s
        )


def wire_s(work: Work) -> float:
    """Return how long a turn keeps the wire where all goes right, beside the wait of M and V."""
    values = max(at.place for at in work.places)
    longest = CHARS_MAX[work.asked.kind]
    pages = ceil(values * VALUE_CHARS / longest)
    chars = values * VALUE_CHARS + pages * PAGE_CHARS
    if work.asked.kind is Kind.CONTINUOUS:
        return EXCHANGE_S + chars * CHAR_S
    return (1 + pages) * EXCHANGE_S + (chars + START_CHARS) * CHAR_S


def _raw(found: Sequence[float], at: Measured) -> float:
    value = found[at.place - 1]
    return float(round(value * 10**at.decimals)) if at.decimals else value


def _failed(heard: Heard[Any]) -> Polled:
    return Polled(heard.fault, heard.at_s, free_s=heard.free_s)


def _promise(work: Work) -> Callable[[bytes], Promise]:
    def read(line: bytes) -> Promise:
        found = sdi12.promise(line, work.address, work.asked.kind)
        # It bears no CRC: one wrong digit must not hold a line for a quarter of an hour.
        if found.ready_s > work.ready_max_s:
            raise ReplyError(ReplyFault.LENGTH, line)
        return found

    return read


def _data(work: Work) -> Callable[[bytes], tuple[float, ...]]:
    asked = work.asked
    return partial(sdi12.values, address=work.address, kind=asked.kind, crc=asked.crc)
