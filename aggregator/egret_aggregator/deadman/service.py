"""The dead man's switch as one process: a thread that listens, a vigil, and desks that tell."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from egret_aggregator.api.times import rfc3339
from egret_aggregator.deadman.heartbeat import beats
from egret_aggregator.deadman.memory import recall, remember
from egret_aggregator.deadman.routes import Command, Desk, RouteError, Webhook
from egret_aggregator.deadman.vigil import Kind, Vigil
from egret_aggregator.errors import DataFolderError
from egret_aggregator.service_manager import ServiceManager
from egret_aggregator.supervision import supervise
from egret_core.progress import Pulse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_aggregator.clock import Clock
    from egret_aggregator.deadman.routes import Notice, Route
    from egret_aggregator.deadman.settings import DeadmanSettings

LOOK_S = 1.0  # between two looks at the time
AGAIN_S = 5.0  # between two questions, or two connections to the stream

_log = logging.getLogger(__name__)


async def run(settings: DeadmanSettings, clock: Clock) -> int:
    """Watch until SIGTERM or SIGINT; 0 for an orderly end.

    Raises:
        TaskDiedError: a part ended by itself.
    """
    switch, stop, loop = Switch(settings, clock), asyncio.Event(), asyncio.get_running_loop()
    manager = ServiceManager(os.environ)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    switch.listen(loop)
    manager.ready(switch.status())
    _log.info("event=watching centre=%s silence_s=%g", settings.url, settings.silence_s)
    parts = {f"route {desk.route.name}": desk.run() for desk in switch.desks}
    watching = manager.watch(switch.pulses, switch.status)
    await supervise({**parts, "vigil": switch.run(), "service manager": watching}, stop)
    manager.stopping()
    return 0


async def try_out(settings: DeadmanSettings, clock: Clock) -> Mapping[str, str]:
    """Tell a test over every route, once; return by route why it failed, "" where it arrived."""
    found: dict[str, str] = {}
    notice = notice_of(settings, Kind.TEST, clock.now_ms(), clock.now_ms(), "somebody tries it")
    for route in routes(settings):
        try:
            await route.tell(notice)
            found[route.name] = ""
        except RouteError as error:
            found[route.name] = str(error)
    return found


def routes(settings: DeadmanSettings) -> list[Route]:
    """Return the ways to tell somebody that the settings name."""
    found: list[Route] = [] if settings.webhook is None else [Webhook(settings.webhook)]
    return [*found, Command(settings.command)] if settings.command else found


def notice_of(
    settings: DeadmanSettings, kind: Kind, since_ms: int, now_ms: int, why: str
) -> Notice:
    """Return what is told.

    Args:
        settings: name the centre.
        kind: what happened.
        since_ms: of the last good heartbeat before.
        now_ms: when it is told.
        why: what was heard instead of a heartbeat, "" for nothing.
    """
    return {
        "id": secrets.token_hex(16),
        "kind": str(kind),
        "centre": settings.url,
        "since": rfc3339(since_ms),
        "at": rfc3339(now_ms),
        "silence_s": settings.silence_s,
        "why": why,
        "watcher": socket.gethostname(),
    }


class Switch:
    """One centre watched, and what follows from its silence."""

    def __init__(self, settings: DeadmanSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._memory = recall(settings.state)
        out = self._memory.silent_since_ms is not None
        self._vigil = Vigil(settings.silence_s, clock.monotonic_s(), out=out)
        self._looks = 0
        self._unwritten = ""
        self.desks = [
            Desk(route, self._memory.waiting.setdefault(route.name, []), self._remember)
            for route in routes(settings)
        ]
        self._remember()  # a state that cannot be written is found now, not in an outage

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread that hears the centre; it ends with the process."""

        def listening() -> None:
            while not loop.is_closed():
                for fault in beats(self._settings):
                    with suppress(RuntimeError):  # it has just been closed: nobody listens
                        loop.call_soon_threadsafe(self.heard, fault)
                threading.Event().wait(AGAIN_S)

        threading.Thread(target=listening, name="heartbeat", daemon=True).start()

    def heard(self, fault: str) -> None:
        """Take a heartbeat, or why there was none."""
        if fault and fault != self._vigil.why:
            _log.warning("event=no_heartbeat why=%r", fault)
        self._told(self._vigil.beat(fault, self._clock.monotonic_s()))

    async def run(self) -> None:
        """Look at the time until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self._looks += 1
            if self._unwritten:
                self._remember()
            self._told(self._vigil.look(self._clock.monotonic_s()))

    def pulses(self) -> Mapping[str, Pulse]:
        """Return what must get further: looking at the time."""
        return {"vigil": Pulse(busy=True, steps=self._looks)}

    def status(self) -> str:
        """Return how the centre is, in one line."""
        silent_s = self._vigil.silent_s(self._clock.monotonic_s())
        waiting = sum(len(desk.waiting) for desk in self.desks)
        state = "SILENT" if self._vigil.out else "well" if not self._vigil.why else "waiting"
        said = f"{state}: last heartbeat {silent_s:.0f} s ago, {waiting} notices to tell"
        return f"{said}; NOT REMEMBERED: {self._unwritten}" if self._unwritten else said

    def _told(self, kind: Kind | None) -> None:
        if kind is None:
            return
        now_ms = self._clock.now_ms()
        silent_ms = int(self._vigil.silent_s(self._clock.monotonic_s()) * 1000)
        since_ms = self._memory.silent_since_ms
        if kind is Kind.SILENT or since_ms is None:
            since_ms = now_ms - silent_ms
        self._memory.silent_since_ms = since_ms if kind is Kind.SILENT else None
        _log.error("event=centre_%s since=%s why=%r", kind, rfc3339(since_ms), self._vigil.why)
        notice = notice_of(self._settings, kind, since_ms, now_ms, self._vigil.why)
        for desk in self.desks:
            desk.put(notice)
        # Once, after all: a kill in between forgets the outage, which is then found and told anew.
        self._remember()

    def _remember(self) -> None:
        """Write what is known; where that fails it is told, and tried again at every look.

        A full disk must keep nobody from being called.
        """
        try:
            remember(self._settings.state, self._memory)
        except DataFolderError as error:
            if str(error) != self._unwritten:
                self._unwritten = str(error)
                _log.error(
                    "event=state_unwritten error=%r remedy=%r", self._unwritten, error.remedy
                )
            return
        if self._unwritten:
            self._unwritten = ""
            _log.warning("event=state_written file=%s", self._settings.state)
