"""SDI-12 sensors on a pty: `python -m egret_demo.sdi12_wire SENSORS.toml` until SIGTERM.

```toml
link = "sdi0"              # where the tty is found; beside the file
adapter = "transparent"    # or "native": then the line hands back what is sent
[[sensor]]
address = "0"
[sensor.measurements.C]    # by command without address and CRC
ready_s = 2
values = ["+3.14", "+20.5"]
[sensor.troubles]          # as `Troubles`; the file is read again when it changes
late_s = 0.5
```

A pty has neither parity nor break: breaks are not seen here, and nothing is dropped by one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tomllib
import tty
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from egret_demo.sdi12_sensor import CHAR_S, Measurement, Sensor, Troubles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_demo.sdi12_sensor import Said

LOOK_S = 0.1  # how soon a change of the file is seen
READ_B = 256
COMMAND_MAX_B = 64  # what is longer without a `!` is noise


@dataclass(slots=True)
class Wire:
    """The sensors of one line.

    Attributes:
        sensors: all of them; echo: whether the line hands back what is sent.
    """

    sensors: list[Sensor]
    echo: bool
    random: Random
    _heard: str = ""

    def hear(self, data: bytes, descriptor: int) -> None:
        """Take bytes off the line and answer the commands now complete."""
        if self.echo:
            _speak(descriptor, data)
        self._heard = (self._heard + data.decode("latin-1"))[-COMMAND_MAX_B:]
        *commands, self._heard = self._heard.split("!")
        for command in commands:
            for sensor in self.sensors:
                self._ask(sensor, command.strip(), descriptor)

    def _ask(self, sensor: Sensor, command: str, descriptor: int) -> None:
        loop = asyncio.get_running_loop()
        for said in sensor.hear(command, loop.time(), self.random):
            loop.call_later(said.delay_s, self._say, sensor, said, descriptor)

    def _say(self, sensor: Sensor, said: Said, descriptor: int) -> None:
        """Say it character by character, or behind an adapter as a whole line."""
        if said.serial not in (0, sensor.serial):
            return
        if not self.echo:
            asyncio.get_running_loop().call_later(
                len(said.data) * CHAR_S, _speak, descriptor, said.data
            )
            return
        for number, char in enumerate(said.data, 1):
            asyncio.get_running_loop().call_later(
                number * CHAR_S, _speak, descriptor, bytes([char])
            )


def _speak(descriptor: int, data: bytes) -> None:
    # A line that is full or gone swallows a reply, as a real one would.
    with contextlib.suppress(OSError):
        os.write(descriptor, data)


def sensors(table: dict[str, Any]) -> list[Sensor]:
    """Return the sensors of a file."""
    return [
        Sensor(
            entry["address"],
            {
                name: Measurement(
                    tuple(one["values"]),
                    one.get("ready_s", 0),
                    one.get("takes_s"),
                    tuple(one.get("described", ())),
                )
                for name, one in entry.get("measurements", {}).items()
            },
            troubles=Troubles(**entry.get("troubles", {})),
        )
        for entry in table["sensor"]
    ]


def read(path: Path) -> dict[str, Any]:
    """Return what stands in a file of sensors."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def changed_ns(path: Path) -> int:
    """Return when a file was last written."""
    return path.stat().st_mtime_ns


async def serve(path: Path) -> None:
    """Serve a file's sensors until cancelled; its troubles are read again when it changes."""
    table = read(path)
    wire = Wire(sensors(table), table.get("adapter") == "native", Random("sdi-12"))
    ours, theirs = os.openpty()
    link = path.parent / table["link"]
    tty.setraw(theirs)
    link.unlink(missing_ok=True)
    link.symlink_to(os.ttyname(theirs))
    asyncio.get_running_loop().add_reader(ours, lambda: wire.hear(os.read(ours, READ_B), ours))
    try:
        await _watch(path, wire)
    finally:
        link.unlink(missing_ok=True)


async def _watch(path: Path, wire: Wire) -> None:
    seen = changed_ns(path)
    while True:
        await asyncio.sleep(LOOK_S)
        if changed_ns(path) == seen:
            continue
        seen = changed_ns(path)
        fresh = sensors(read(path))
        for sensor, now in zip(wire.sensors, fresh, strict=True):
            sensor.troubles, sensor.measurements = now.troubles, now.measurements


async def _until_told(path: Path) -> None:
    serving = asyncio.create_task(serve(path))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def main(argv: Sequence[str]) -> int:
    """Serve the sensors of one file."""
    asyncio.run(_until_told(Path(argv[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
