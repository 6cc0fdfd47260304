"""systemd, told what it must know of us: ready, how we are, and a watchdog fed by progress.

sd_notify(3): one datagram of key=value lines to the socket that `NOTIFY_SOCKET` names. Without one
nothing is said and nothing is lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import TYPE_CHECKING

from egret_core.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from egret_core.progress import Pulse

LOOKS = 3  # within the time after which systemd gives the process up
LOOK_S = 20.0  # between two looks where no watchdog asks for them
STATUS_MAX = 200  # characters of the line that `systemctl status` shows

_log = logging.getLogger(__name__)


class ServiceManager:
    """The service manager, as the environment names it.

    Args:
        environment: `os.environ`, or what a test puts in its place.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        limit_us = environment.get("WATCHDOG_USEC", "") if ours else ""
        self._watched = limit_us.isdecimal() and int(limit_us) > 0
        self._look_s = int(limit_us) / 1e6 / LOOKS if self._watched else LOOK_S
        self._progress = Progress()
        self._stuck: list[str] = []

    def ready(self, status: str) -> None:
        """Say that the service is up."""
        self._tell(f"READY=1\nSTATUS={_line(status)}")

    def stopping(self) -> None:
        """Say that an orderly end has begun."""
        self._tell("STOPPING=1\nSTATUS=stopping")

    async def watch(
        self, pulses: Callable[[], Mapping[str, Pulse]], status: Callable[[], str]
    ) -> None:
        """Look again and again until cancelled; a part that is stuck stops the pings.

        Args:
            pulses: the parts that must get further.
            status: one line for `systemctl status`.
        """
        if not self._address:
            await asyncio.Event().wait()
        while True:
            await asyncio.sleep(self._look_s)
            self.look(pulses(), status())

    def look(self, pulses: Mapping[str, Pulse], status: str) -> None:
        """Ping where every part got further or had nothing to do; else say which one hangs."""
        stuck = self._progress.stuck(pulses)
        if stuck != self._stuck and stuck:
            _log.error("event=stuck parts=%s", ",".join(stuck))
        self._stuck = stuck
        if stuck:
            self._tell(f"STATUS={_line('stuck: ' + ', '.join(stuck))}")
        else:
            ping = "WATCHDOG=1\n" if self._watched else ""
            self._tell(f"{ping}STATUS={_line(status)}")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
                line.setblocking(False)  # a service manager that hangs must not hang us
                line.sendto(text.encode(), self._address)
        except OSError as error:
            _log.warning("event=service_manager_not_told error=%r", str(error))


def _line(status: str) -> str:
    return " ".join(status.split())[:STATUS_MAX]
