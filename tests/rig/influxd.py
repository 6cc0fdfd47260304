"""A real influxd 1.6.7 on free loopback ports, behind the alias that gives it 1.8's write path."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
from rig.broker import free_port
from rig.influx_alias import Alias, alias_process, running_alias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UP_S = 60.0
ASK_S = 60.0
BUCKET = "egret"
ADMIN = ("rig", "a pass/word")  # with `auth`: as a token "rig:a pass/word"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
UNPACKED = CACHE / "egret" / "debian" / "influxdb" / "usr" / "bin"  # by tools/debian.py
CONFIG = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
index-version = "tsi1"
cache-max-memory-size = "1g"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
auth-enabled = {auth}
[monitor]
store-enabled = false
[subscriber]
enabled = false
"""


def influxd() -> Path | None:
    """Return the server's program, None where there is none."""
    places = os.pathsep.join([os.environ.get("PATH", ""), str(UNPACKED)])
    found = shutil.which("influxd", path=places)
    return Path(found) if found else None


def why_no_influxd() -> str:
    """Return what is missing, "" for nothing."""
    return "" if influxd() else "influxd is not here (Debian: influxdb; ./dev test fetches it)"


class Influxd:
    """One server process; it can be stopped, killed and started again on the same port.

    Attributes:
        url: its face as 1.8, the alias; direct: its own address.
        alias: the proxy, to look at and to make trouble; None where it is another process.
    """

    def __init__(self, folder: Path, *, auth: bool = False) -> None:
        self.folder = folder
        self.auth = auth
        self.port, self._rpc = free_port(), free_port()
        self.direct = f"http://127.0.0.1:{self.port}"
        self.url = ""
        self.alias: Alias | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def faults(self) -> Alias:
        """The proxy in this process."""
        assert self.alias is not None
        return self.alias

    async def start(self) -> None:
        """Start, or start again; returns when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "influxd.conf"
        config.write_text(
            CONFIG.format(
                rpc=self._rpc, port=self.port, folder=self.folder, auth=str(self.auth).lower()
            )
        )
        program = influxd()
        assert program is not None, why_no_influxd()
        with (self.folder / "influxd.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  (it must outlive this call)
                [program, "-config", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        await asyncio.wait_for(self._until_up(), UP_S)

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """As a power cut would end it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def cpu_s(self) -> float:
        """Return the processor time the process has had."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def ask(self, query: str, *, database: str = BUCKET) -> list[dict[str, Any]]:
        """Run InfluxQL as it is; return the series of the first result, times in ms."""
        async with httpx2.AsyncClient(timeout=ASK_S) as client:
            answer = await client.post(
                f"{self.direct}/query",
                params={"db": database, "epoch": "ms", "q": query},
                auth=ADMIN if self.auth else None,
            )
        told = answer.json()
        assert "error" not in told, told
        (result, *_) = told["results"]
        assert "error" not in result, result
        return list(result.get("series", []))

    def raws(self, station: str, channel: str) -> list[float]:
        """Return the raw numbers of a series in time order; waits, for rigs that are not async."""
        where = f"\"station\"='{station}' AND \"channel\"='{channel}'"
        asked = {"db": BUCKET, "epoch": "ms", "q": f'SELECT "raw" FROM "reading" WHERE {where}'}  # noqa: S608  (a test names its series)
        answer = httpx2.get(f"{self.direct}/query", params=asked, timeout=ASK_S)
        (result,) = answer.json()["results"]
        return [raw for one in result.get("series", []) for _, raw in one["values"]]

    async def count(self, field: str = "q", *, database: str = BUCKET) -> int:
        """Return how many rows `reading` has."""
        series = await self.ask(f'SELECT count("{field}") FROM "reading"', database=database)  # noqa: S608  (a test names its fields)
        return int(series[0]["values"][0][1]) if series else 0

    async def _until_up(self) -> None:
        async with httpx2.AsyncClient() as client:
            while True:
                assert self._process is not None
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "influxd.log").read_text()[-2000:])
                try:
                    if (await client.get(f"{self.direct}/ping")).status_code == 204:
                        return
                except httpx2.TransportError:
                    pass
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running_influxd(
    folder: Path, *, auth: bool = False, own_process: bool = False
) -> AsyncIterator[Influxd]:
    """Run a server with an empty database `egret`.

    Args:
        folder: its files and its log.
        auth: names and passwords are asked for; `ADMIN` may do anything.
        own_process: the alias runs beside us, without faults: for measurements.
    """
    server = Influxd(folder, auth=auth)
    async with AsyncExitStack() as stack:
        stack.callback(server.stop)
        await server.start()
        if auth:
            name, password = ADMIN
            await server.ask(f"CREATE USER {name} WITH PASSWORD '{password}' WITH ALL PRIVILEGES")
        await server.ask(f'CREATE DATABASE "{BUCKET}"')
        if own_process:
            server.url = await stack.enter_async_context(alias_process(server.direct))
        else:
            server.alias = await stack.enter_async_context(running_alias(server.direct))
            server.url = server.alias.url
        yield server
