"""A city with enrolment: centre, broker and gateways as real programs, driven by the commands."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from rig.broker import free_port, mosquitto
from rig.line import BIN, Program, until

from egret_aggregator.cli.enrolment import shown
from egret_aggregator.enrolment.accounts import decode
from egret_aggregator.enrolment.render import configuration
from egret_aggregator.enrolment.settings import Kind
from egret_aggregator.enrolment.settings import Program as Of

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 180.0  # programs are started one after another, on whatever machine
BUS = """
[[bus]]
name = "bus0"
port = "/dev/serial/by-id/no-such-adapter"
[[bus.device]]
profile = "generic-stage-u16"
station = "st1"
unit = 1
period_s = 1
[bus.device.channels.stage]
channel = "wl"
datum = "gauge"
"""
CATALOGUE = """[[station]]
id = "st1"
name = "st1"
latitude = 24.5
longitude = 118.1
[[station.channel]]
id = "wl"
quantity = "water_level"
datum = "gauge"
gateway = "gw1"
"""


class City:
    """A folder with everything in it; nothing runs until it is started."""

    def __init__(self, folder: Path, broker: Of, by: Kind) -> None:
        self.folder = folder
        self.broker, self.by = broker, by
        self.port = free_port()
        self.data = folder / "centre"
        self.office = folder / "office"
        self.config = folder / "aggregator.toml"
        self._broker: subprocess.Popen[bytes] | None = None
        self.said = ""  # all that the commands have printed
        catalogue = folder / "catalogue"
        catalogue.mkdir()
        (catalogue / "stations.toml").write_text(CATALOGUE)
        (catalogue / "rules.toml").write_text("")
        self._write_config("")
        self.centre = Program(
            "centre",
            [str(BIN / "egret-aggregator"), "run", str(self.config)],
            folder / "centre.log",
        )

    def _write_config(self, reload: str) -> None:
        self.config.write_text(
            f'[centre]\ndata = "{self.data}"\ncatalogue = "{self.folder / "catalogue"}"\n'
            f"[broker]\nembedded = {str(self.broker is Of.NATS).lower()}\n"
            f'host = "127.0.0.1"\nport = {self.port}\n[api]\nport = {free_port()}\n'
            f'[enrolment]\nhost = "localhost"\nfolder = "{self.office}"\nbroker = "{self.broker}"\n'
            f'by = "{self.by}"\n{reload}'
        )

    def start_broker(self) -> None:
        """Start mosquitto from the rendered files; nats-server is the centre's child."""
        if self.broker is Of.NATS:
            return
        store = self.folder / "mosquitto"
        store.mkdir(exist_ok=True)
        text = configuration(self.broker, self.by, str(self.office), str(store), self.port)
        config = store / "running.conf"
        config.write_text(f"user root\n{text}")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._broker = subprocess.Popen(
                [mosquitto(), "-c", config], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._write_config(f'reload = ["kill", "-HUP", "{self._broker.pid}"]\n')

    async def stop(self) -> None:
        await self.centre.stop()
        if self._broker is not None:
            self._broker.send_signal(signal.SIGTERM)
            await asyncio.to_thread(self._broker.wait, 10)

    async def office_does(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command of the centre with --json; return what it says."""
        noun, verb, *rest = arguments
        return await self._run("egret-aggregator", noun, verb, str(self.config), *rest, code=code)

    def accounts(self) -> dict[str, str]:
        """Return the state of every account by name, as `gateway list` shows it."""
        book = decode((self.office / "accounts.json").read_text(), "accounts.json")
        return {one.name: shown(one)["state"] for one in book.accounts}

    async def enrol(self, gateway: str, bundle: Path, code: int = 0) -> dict[str, Any]:
        """Take a bundle as a technician would, and give the box a bus."""
        box = self.folder / gateway
        config = box / "gateway.toml"
        told = await self._run(
            "egret-gateway", "enrol", str(bundle), "--config", str(config),
            "--data", str(box / "data"), code=code,
        )  # fmt: skip
        if config.exists() and "[[bus]]" not in (text := config.read_text()).split("devices;")[-1]:
            config.write_text(text.replace("[gateway]", "[gateway]\nstatus_s = 1", 1) + BUS)
        return told

    def box(self, gateway: str) -> Program:
        """Return a gateway's program; it is not started."""
        box = self.folder / gateway
        command = [str(BIN / "egret-gateway"), "run", str(box / "gateway.toml")]
        return Program(gateway, command, box / "gateway.log")

    def held(self, gateway: str) -> set[str]:
        """Return the accounts that a box has credentials of."""
        folder = self.folder / gateway / "data" / "credentials"
        return {path.name.rpartition(".")[0] for path in folder.iterdir()}

    async def until_accounts(self, states: dict[str, str]) -> None:
        async def so() -> bool:
            return self.accounts() == states

        await until(so, f"accounts are {states} ({self.centre.log})", PATIENCE_S)

    async def until_logged(self, program: Program, words: str, times: int = 1) -> None:
        async def so() -> bool:
            return program.log.exists() and program.log.read_text().count(words) >= times

        await until(so, f"{words!r} {times} times in {program.log}", PATIENCE_S)

    async def _run(self, *command: str, code: int) -> dict[str, Any]:
        child = await asyncio.create_subprocess_exec(
            str(BIN / command[0]), *command[1:], "--json",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        out, err = (part.decode() for part in await child.communicate())
        self.said += out + err
        assert child.returncode == code, f"{command}: {child.returncode}\n{out}{err}"
        told: dict[str, Any] = json.loads(out.splitlines()[-1])
        return told
