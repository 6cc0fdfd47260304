"""The gateway as one process: buses into the outbox, the outbox up to the centre.

A task that ends unexpectedly ends the process with an error, so that its keeper starts it anew
from what is on disk; only a signal ends it well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

from egret_gateway.bus.latest import Latest
from egret_gateway.bus.pacer import Pacer
from egret_gateway.bus.poll import Bus
from egret_gateway.bus.shedding import Shedding
from egret_gateway.clock import Clock
from egret_gateway.diagnosis import report
from egret_gateway.errors import AskError
from egret_gateway.health import Health
from egret_gateway.maintenance import Maintenance
from egret_gateway.outbox import Outbox
from egret_gateway.service_manager import ServiceManager
from egret_gateway.status import answering
from egret_gateway.uplink import Uplink

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_core.progress import Pulse
    from egret_gateway.config import GatewayConfig

FINISH_S = 1.0  # for the replies that are on the wire when we are told to stop
FAREWELL_S = 0.6  # for the acks of the last batches; without them they are sent at the next start
STOP_S = 1.0  # for the tasks to end; the outbox then commits what it holds
OK = 0
PEER = 3
_log = logging.getLogger(__name__)


class Service:
    """Builds the parts from a checked configuration; `run` keeps them going."""

    def __init__(self, config: GatewayConfig) -> None:
        timescale = config.clock.timescale
        self._config = config
        self._clock = Clock(config.clock.source, timescale)
        self._outbox = Outbox(
            config.data, config.gateway, self._clock, config.channels(), config.outbox
        )
        self._maintenance = Maintenance(config.data, self._clock)
        devices = [device for bus in config.buses for device in bus.devices]
        self._pacer = Pacer(config.pace, devices, timescale, lambda: self._clock.mono_ms() / 1000)
        self._shedding = Shedding(config.battery)
        watchers = (self._pacer.take, self._shedding.take)
        self._latest = Latest(timescale, config.derived, watchers)
        self._buses: dict[str, Bus] = {}
        self._stop = asyncio.Event()
        self._since_ms = self._clock.mono_ms()
        self._manager = ServiceManager(os.environ)

    async def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit code.

        Raises:
            OutboxError: the outbox cannot be opened.
        """
        await asyncio.to_thread(self._outbox.open)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            return await self._until_stopped()
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
            await asyncio.to_thread(self._outbox.close)
            _log.info("gateway=%s stopped", self._config.gateway)

    async def _until_stopped(self) -> int:
        memory = self._outbox.memory()
        timescale = self._config.clock.timescale
        for settings in self._config.buses:
            cut_s = timescale.real_s(settings.cut_s)
            emit = self._outbox.emitter(cut_s, self._pacer.cut_s)
            self._buses[settings.name] = Bus(
                settings,
                timescale,
                emit,
                memory,
                self._maintenance.active,
                latest=self._latest,
                paced=self._pacer.bus(settings.devices),
                shedding=self._shedding,
            )
        health = Health(
            self._config.gateway,
            self._outbox,
            self._clock,
            self._health,
            self._maintenance.active,
            more=self._more,
        )
        uplink = Uplink(
            self._config.gateway,
            self._config.broker,
            self._outbox,
            self._clock,
            health,
            status_s=self._config.status_s,
            pacer=self._pacer,
        )
        buses = [
            asyncio.create_task(bus.run(), name=f"bus {name}") for name, bus in self._buses.items()
        ]
        tasks = [
            asyncio.create_task(uplink.run(), name="uplink"),
            asyncio.create_task(self._outbox.wait_ended(), name="outbox"),
            asyncio.create_task(
                self._manager.watch(self._pulses, self._status), name="service manager"
            ),
            *buses,
        ]
        stop = asyncio.create_task(self._stop.wait())
        _log.info("gateway=%s buses=%d started", self._config.gateway, len(self._buses))
        self._manager.ready(self._status())
        async with answering(self._config.data, lambda: self._facts(uplink), self._read):
            await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        self._manager.stopping()
        code = OK if self._stop.is_set() else PEER
        for task in tasks:
            if task.done() and code:
                _log.error("task=%r ended error=%r", task.get_name(), _why(task))
        if code == OK:
            await self._finish(buses, uplink)
        await _cancelled([stop, *tasks])
        return code

    async def _finish(self, buses: list[asyncio.Task[Any]], uplink: Uplink) -> None:
        """Take the replies that are on the wire, and let the last batches be acknowledged."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await asyncio.gather(*(bus.rest() for bus in self._buses.values()))
        await _cancelled(buses)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._outbox.flush()
                await uplink.settled()

    async def _read(self, bus: str, unit: str) -> list[dict[str, Any]]:
        """Have a unit read between the polls, for a technician."""
        settings = next((one for one in self._config.buses if one.name == bus), None)
        if settings is None:
            raise AskError(f"there is no bus {bus!r}")
        found = await self._buses[bus].ask(unit)
        return [report(settings, turn, polled, self._latest) for turn, polled in found]

    def _pulses(self) -> Mapping[str, Pulse]:
        """Return the parts that must get further: each line, and what commits to disk."""
        pulses = {f"bus {name}": bus.pulse() for name, bus in self._buses.items()}
        return {**pulses, "outbox": self._outbox.pulse()}

    def _status(self) -> str:
        buses = self._health().items()
        unwell = "; ".join(f"{name} {bus['fault']}" for name, bus in buses if bus["fault"])
        return f"{self._outbox.stats()['unsettled']} batches wait; {unwell or 'every bus is up'}"

    def _facts(self, uplink: Uplink) -> Mapping[str, Any]:
        clock = self._clock.stamped()
        return {
            "gateway": self._config.gateway,
            "up_s": (self._clock.mono_ms() - self._since_ms) / 1000,
            "uplink": uplink.facts(),
            "outbox": self._outbox.stats(),
            "clock": {"source": str(clock.source), "offset_ms": clock.offset_ms},
            "maintenance": self._maintenance.active(),
            **self._more(),
            "buses": self._health(),
        }

    def _more(self) -> Mapping[str, Mapping[str, object]]:
        battery = self._shedding.facts()
        return {"pace": self._pacer.states(), **({"battery": battery} if battery else {})}

    def _health(self) -> Mapping[str, Mapping[str, Any]]:
        return {name: bus.health() for name, bus in self._buses.items()}


def _why(task: asyncio.Task[Any]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=STOP_S)
