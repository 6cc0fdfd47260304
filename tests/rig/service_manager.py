"""systemd's side of sd_notify: a datagram socket that notes what services say."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE_S = 90.0  # a busy machine's, never a measure of anything


class Notified:
    """What was said, each datagram as a dictionary.

    Args:
        folder: for the socket; None for one in the abstract namespace.
        watchdog_s: what the unit's WatchdogSec would be, None for none.
    """

    def __init__(self, folder: Path | None, watchdog_s: float | None = None) -> None:
        self.folder = folder
        self._watchdog_s = watchdog_s
        self.said: list[dict[str, str]] = []

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        if self.folder is None:
            self._name = f"@egret-test-{os.getpid()}-{id(self)}"
            self._socket.bind(self._name.replace("@", "\0", 1))
        else:
            self._name = str(self.folder / "notify")
            self._socket.bind(self._name)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    @property
    def environment(self) -> dict[str, str]:
        """What the service is started with."""
        found = {"NOTIFY_SOCKET": self._name}
        if self._watchdog_s is not None:
            found["WATCHDOG_USEC"] = str(int(self._watchdog_s * 1e6))
        return found

    def read(self) -> list[dict[str, str]]:
        """Take in what has come."""
        while True:
            try:
                text = self._socket.recv(65536).decode()
            except BlockingIOError:
                return self.said
            self.said.append(dict(line.split("=", 1) for line in text.split("\n")))

    async def until(self, true: Callable[[list[dict[str, str]]], object]) -> list[dict[str, str]]:
        """Wait until what was said fulfils something; return all of it."""
        async with asyncio.timeout(PATIENCE_S):
            while not true(self.read()):
                await asyncio.sleep(0.02)
        return self.said


def pings(said: list[dict[str, str]]) -> int:
    return sum("WATCHDOG" in item for item in said)


def stuck(said: list[dict[str, str]]) -> list[int]:
    """Return where in what was said a part was called stuck."""
    return [at for at, item in enumerate(said) if item.get("STATUS", "").startswith("stuck")]
