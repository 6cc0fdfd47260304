"""The whole line as real processes: each can be started, killed and read."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
from rig.broker import free_port

from egret_core.codec import decode_batch
from egret_core.entries import read_readings
from egret_core.messages import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

WAIT_S = 60.0  # generous: a busy machine is no fault
STEP_S = 0.05
LATE_S = 3  # a test need not wait the half minute that field links are given
BAUD = 115200
STORE_FILE = "series.db"
INFLUX_FILE = "influx.db"  # what a store on InfluxDB keeps at home
BIN = Path(sys.executable).parent

T = TypeVar("T")


async def until(ask: Callable[[], Awaitable[T]], what: str, wait_s: float = WAIT_S) -> T:
    """Ask until the answer is truthy; fail with the last answer after `wait_s`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + wait_s
    while True:
        answer = await ask()
        if answer:
            return answer
        if loop.time() > end:
            raise AssertionError(f"not within {wait_s} s: {what}; last answer {answer!r}")
        await asyncio.sleep(STEP_S)


@dataclass
class Program:
    """One child process with its log in a file; stopped or killed by its own handle only."""

    name: str
    command: list[str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; its output goes to the log, appended over restarts."""
        with self.log.open("ab") as out:
            self.process = await asyncio.create_subprocess_exec(
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    async def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        await self._end(signal.SIGKILL)

    async def stop(self, wait_s: float = 15.0) -> int:
        """SIGTERM; returns the exit code; a process that ignores it is killed and fails."""
        return await self._end(signal.SIGTERM, wait_s)

    async def _end(self, how: signal.Signals, wait_s: float = 15.0) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            return await asyncio.wait_for(process.wait(), wait_s)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"{self.name} did not end within {wait_s} s") from None

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.returncode is None


class Centre(Program):
    """An aggregator on an outside or embedded broker, with a token of its own."""

    def __init__(
        self, folder: Path, mqtt_port: int, *, embedded: bool, stations: str, rules: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.data = folder, folder / "data"
        self.api_port = free_port()
        self.token = ""
        self.series = self.data / STORE_FILE
        catalogue = folder / "catalogue"
        catalogue.mkdir(exist_ok=True)
        (catalogue / "stations.toml").write_text(stations)
        (catalogue / "rules.toml").write_text(rules)
        self.config = folder / "aggregator.toml"
        self.config.write_text(
            f'[centre]\ndata = "{self.data}"\ncatalogue = "{catalogue}"\n'
            f"[broker]\nembedded = {str(embedded).lower()}\n"
            f'host = "127.0.0.1"\nport = {mqtt_port}\n'
            f'[api]\nhost = "127.0.0.1"\nport = {self.api_port}\n'
        )
        command = [str(BIN / "egret-aggregator"), "run", str(self.config)]
        super().__init__("centre", command, folder / "centre.log")

    async def up(self) -> None:
        """Start it, wait until it is ready, and make a token if it has none that works."""
        await self.start()
        await until(self._ready, f"centre is ready ({self.log})")
        await self.make_token()

    async def make_token(self, role: str = "officer") -> str:
        """Make a token by the command line, as an operator would."""
        command = [str(BIN / "egret-aggregator"), "token", "add", str(self.config)]
        made = await asyncio.create_subprocess_exec(
            *command, "--role", role, "--name", "rig", "--json", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await made.communicate()
        assert made.returncode == 0, out
        self.token = json.loads(out)["token"]
        return self.token

    async def _ready(self) -> bool:
        assert self.running, f"the centre ended: {self.log.read_text()[-2000:]}"
        try:
            async with httpx2.AsyncClient() as client:
                answer = await client.get(f"{self.url}/readyz", timeout=5)
        except httpx2.TransportError:
            return False
        # Judgement begins with the first tick or batch; that one of them comes is for the test.
        return set(answer.json()["why"]) <= {"judgement_never"}

    def on_influx(self, url: str) -> None:
        """Keep readings in InfluxDB from the next start on."""
        self.series = self.data / INFLUX_FILE
        with self.config.open("a") as file:
            file.write(f'[store]\nkind = "influx"\nurl = "{url}"\n')

    def rows(self, station: str, channel: str) -> list[tuple[int, float | None, float | None]]:
        """Return (time_ms, value, raw) of a series in time order, from the store's own file."""
        with contextlib.closing(sqlite3.connect(self.series, timeout=30)) as db:
            return db.execute(
                "SELECT time, value, raw FROM reading WHERE station = ? AND channel = ?"
                " ORDER BY time",
                (station, channel),
            ).fetchall()

    def doubled(self) -> set[float]:
        """Return the raw numbers kept aside because another value had their very millisecond."""
        with contextlib.closing(sqlite3.connect(self.series, timeout=30)) as db:
            bodies = db.execute("SELECT body FROM aside WHERE why = 'value_conflict'")
            return {float(json.loads(body)["raw"]) for (body,) in bodies}

    @property
    def url(self) -> str:
        """Where the API listens."""
        return f"http://127.0.0.1:{self.api_port}"

    async def get(self, path: str, **query: Any) -> Any:
        """GET a path of the API as JSON with the rig's token."""
        async with httpx2.AsyncClient() as client:
            answer = await client.get(
                f"{self.url}/api/v1{path}",
                params=query,
                headers={"Authorization": f"Bearer {self.token}"},
                timeout=20,
            )
        assert answer.status_code == httpx2.codes.OK, answer.text
        return answer.json()


class Field(Program):
    """A gateway with one stage gauge on one line; its outbox can be read beside it."""

    def __init__(
        self,
        folder: Path,
        gateway: str,
        mqtt_port: int,
        port: Path,
        *,
        period_s: float,
        baud: int = BAUD,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.data = folder, folder / "data"
        self.config = folder / "gateway.toml"
        self.config.write_text(
            f'[gateway]\nid = "{gateway}"\ndata = "{self.data}"\nstatus_s = 5\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {mqtt_port}\n'
            '[clock]\nsource = "rtc"\n'
            f'[[bus]]\nname = "bus0"\nport = "{port}"\nbaud = {baud}\ncut_s = 0.1\n'
            f'[[bus.device]]\nprofile = "generic-stage-u16"\nunit = 1\nstation = "st1"\n'
            f"period_s = {period_s}\n"
            '[bus.device.channels.stage]\nchannel = "wl"\ndatum = "gauge"\n'
        )
        command = [str(BIN / "egret-gateway"), "run", str(self.config)]
        super().__init__("gateway", command, folder / "gateway.log")

    def committed(self, after: int = 0) -> tuple[dict[float, int], int]:
        """Return (how often each raw number was committed, the last row looked at)."""
        found: dict[float, int] = {}
        path = self.data / "outbox.db"
        if not path.exists():
            return found, after
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as db:
            made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'batch'").fetchone()
            rows = made and db.execute(
                "SELECT id, payload FROM batch WHERE kind = ? AND id > ? ORDER BY id",
                (Kind.READINGS, after),
            )
            rows = list(rows or ())
        for row, payload in rows:
            after = row
            for reading in read_readings(decode_batch(payload)).dated:
                if reading.raw is not None:
                    found[reading.raw] = found.get(reading.raw, 0) + 1
        return found, after


def station_toml(station: str, channels: dict[str, str], gateway: str, datum: str) -> str:
    """Return a stations.toml entry; channels maps id to quantity."""
    head = (
        f'[[station]]\nid = "{station}"\nname = "{station}"\nlatitude = 24.5\nlongitude = 118.1\n'
    )
    parts = [
        f'[[station.channel]]\nid = "{name}"\nquantity = "{quantity}"\ngateway = "{gateway}"\n'
        f"late_s = {LATE_S}\n" + (f'datum = "{datum}"\n' if quantity == "water_level" else "")
        for name, quantity in channels.items()
    ]
    return head + "".join(parts)
