"""The README's production section, followed line by line in a bare Debian.

The walk plays what a booted systemd would do: a line that starts a unit starts it as its file says,
and egret-broker.path is watched. Debian's influxd 1.6.7 has no v2 write path: it runs on another
port behind the alias that gives it 1.8's, which is what the section expects to find.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from rig.bare_debian import ROOT, BareDebian, bare_debian
from rig.influx_alias import alias_process
from rig.line import until
from rig.units import Service, Unit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FENCE = re.compile(r"^```sh production\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
PACKAGES = ("apt-get", "/opt/egret/bin/pip")  # what goes out to fetch
INFLUX_PORT, DIRECT_PORT = 8086, 8087
INFLUX = f"""INFLUXDB_HTTP_BIND_ADDRESS=127.0.0.1:{DIRECT_PORT}
INFLUXDB_BIND_ADDRESS=127.0.0.1:8088
INFLUXDB_REPORTING_DISABLED=true
"""
NAME = "mqtt.city.example"
CENTRE_CONFIG = "/etc/egret/aggregator.toml"
LOOK_S = 0.05
PATIENCE_S = 120.0


def section(text: str) -> list[str]:
    """Return the lines of the section's blocks."""
    return [line for match in FENCE.finditer(text) for line in match["body"].splitlines()]


LINES = section((ROOT / "README.md").read_text("utf-8"))


def started(line: str) -> list[str]:
    """Return the units that a line starts or starts anew."""
    words = shlex.split(line)
    if words[0] != "systemctl" or not ("--now" in words or words[1] in ("start", "restart")):
        return []
    return [word for word in words[2:] if not word.startswith("-")]


def left(line: str) -> str:
    """Return what of a line is for systemctl without a systemd: it enables, and starts nothing."""
    words = shlex.split(line)
    if words[0] != "systemctl":
        return line
    return line.replace(" --now", "") if words[1] == "enable" else "true"


def of_the_machine(said: str) -> bool:
    """Tell whether the doctor found something, and all of it is this machine's clock or disk."""
    ill = set(re.findall(r"^look +(\w+)", said, re.MULTILINE))
    return bool(ill) and ill <= {"clock", "disk"}


class Walk:
    """A machine on which the section is followed.

    Attributes:
        services: what was started, by name; said: what each line printed.
    """

    def __init__(self, machine: BareDebian) -> None:
        self.machine = machine
        self.services: dict[str, Service] = {}
        self.said: dict[str, str] = {}
        self.reloads = 0
        self._watcher: asyncio.Task[None] | None = None

    async def line(self, line: str) -> None:
        """Do what one line says; a line that fails ends the walk.

        One that only looks is done again for a while, as a person would who has just started what
        it looks at.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + (PATIENCE_S if re.search(r" (status|doctor) /", line) else 0)
        while True:
            done = await asyncio.to_thread(
                self.machine.run, left(line), outside=line.startswith(PACKAGES)
            )
            if done.returncode == 0 or of_the_machine(done.stdout):
                break
            told = f"$ {line}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            assert loop.time() < end_s, told
            await asyncio.sleep(1)
        self.said[line] = done.stdout
        for name in started(line):
            await self._start(name)

    async def ask(self, command: str) -> str:
        """Run a command of the test's own; return what it printed."""
        done = await asyncio.to_thread(self.machine.run, command)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def said_by(self, part: str) -> str:
        """Return what the one line with this in it printed."""
        (said,) = [said for line, said in self.said.items() if part in line]
        return said

    async def rows(self, station: str) -> list[list[Any]]:
        """Return (time_ms, raw) of a station's readings, from influxd itself."""
        query = f"SELECT raw FROM reading WHERE station = '{station}'"  # noqa: S608  (a test's own)
        told = await self.ask(
            f"curl -fsS -G http://127.0.0.1:{DIRECT_PORT}/query --data-urlencode epoch=ms"
            f" --data-urlencode db=egret --data-urlencode {shlex.quote(f'q={query}')}"
        )
        (result,) = json.loads(told)["results"]
        return [row for series in result.get("series", []) for row in series["values"]]

    async def api(self, path: str, token: str) -> Any:
        command = f"curl -fsS -H 'Authorization: Bearer {token}' http://127.0.0.1:8420{path}"
        return json.loads(await self.ask(command))

    async def settled(self) -> None:
        """Wait until the broker has read all that was written."""
        flag = self.flag

        async def gone() -> bool:
            return not flag.exists()

        await until(gone, "the broker is told", PATIENCE_S)

    @property
    def flag(self) -> Path:
        """The file that egret-broker.path waits for."""
        path = Unit(self.machine.root, "egret-broker.path").one("PathExists")
        return self.machine.root / path[1:]

    async def close(self) -> None:
        try:
            if self._watcher is not None:
                self._watcher.cancel()
                with suppress(asyncio.CancelledError):
                    await self._watcher
        finally:  # what the watcher failed at must not leave a service behind
            for service in reversed(self.services.values()):
                await service.stop()

    async def _start(self, name: str) -> None:
        if name.endswith(".path"):
            self._watcher = asyncio.create_task(self._watch())
            return
        if name in self.services:
            await self.services[name].stop()
        self.services[name] = Service(self.machine, name)
        await self.services[name].start()

    async def _watch(self) -> None:
        """Be egret-broker.path and the service that it starts."""
        reload = Unit(self.machine.root, "egret-broker.service").all("ExecStart")
        while True:
            await asyncio.sleep(LOOK_S)
            if not self.flag.exists():
                continue
            for command in reload:
                _, systemctl, rest = command.partition("/systemctl ")
                if not systemctl:
                    await self.ask(command)
                    continue
                assert rest.split()[0] == "try-reload-or-restart"
                name = rest.split()[1].removesuffix(".service")
                await asyncio.to_thread(self.services[name].reload)
                self.reloads += 1


@asynccontextmanager
async def walk() -> AsyncIterator[Walk]:
    """Give a bare Debian with what the section expects to find: InfluxDB, and a name."""
    async with AsyncExitStack() as stack:
        machine = stack.enter_context(bare_debian())
        here = Walk(machine)
        stack.push_async_callback(here.close)
        with (machine.root / "etc/hosts").open("a") as hosts:
            hosts.write(f"127.0.0.1 localhost {NAME}\n")
        await here.line("apt-get update -q")
        await here.line("apt-get install -yq --no-install-recommends influxdb")
        (machine.root / "etc/default/influxdb").write_text(INFLUX)
        await here.line("systemctl enable --now influxdb")
        within = machine.inside([])
        url = f"http://127.0.0.1:{DIRECT_PORT}"
        await stack.enter_async_context(alias_process(url, INFLUX_PORT, within))
        yield here
