"""The whole centre as the process a user starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Self

import httpx2
from rig.api_centre import TLS, catalogue_folder
from rig.centre_half import free_port

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S = 60.0
COMMAND = (sys.executable, "-m", "egret_aggregator.cli.main")


def settings_file(folder: Path, *, broker_port: int | None = None, api_port: int = 0) -> Path:
    catalogue_folder(folder / "catalogue")
    path = folder / "centre.toml"
    path.write_text(
        '[centre]\ndata = "data"\ncatalogue = "catalogue"\n'
        f"[broker]\nport = {broker_port or free_port()}\n[api]\nport = {api_port}\n"
    )
    return path


async def command(*arguments: str) -> tuple[int, str, str]:
    """Run one command to its end; return code, output and errors."""
    child = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE_S):
        out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


class CentreProcess:
    """`egret-aggregator run`, from its first word to its last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._token = ""
        self.url = ""

    async def __aenter__(self) -> Self:
        _, out, _ = await command(
            "token", "add", str(self._path), "--role", "officer", "--name", "li", "--json"
        )
        self._token = json.loads(out)["token"]
        self._log = (self._path.parent / "centre.log").open("ab")
        self.child = await asyncio.create_subprocess_exec(
            *COMMAND,
            "run",
            str(self._path),
            "--json",
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
        )
        assert self.child.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            line = await self.child.stdout.readline()
        assert line, self.log()
        self.url = json.loads(line)["url"]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.child.returncode is None:
            self.child.kill()
        await self.child.communicate()
        self._log.close()

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def log(self) -> str:
        return (self._path.parent / "centre.log").read_text()

    async def get(self, path: str) -> Any:
        async with httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S, verify=TLS) as client:
            answer = await client.get(path, headers=self.bearer)
            assert answer.status_code == 200, answer.text
            return answer.json()

    async def text(self, path: str) -> str:
        async with httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S, verify=TLS) as client:
            return (await client.get(path)).text

    async def post(self, path: str, body: dict[str, Any]) -> httpx2.Response:
        async with httpx2.AsyncClient(base_url=self.url, timeout=PATIENCE_S, verify=TLS) as client:
            return await client.post(path, headers=self.bearer, json=body)

    async def ended(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; return the exit code and the seconds it took."""
        clock = asyncio.get_running_loop().time
        start_s = clock()
        os.kill(self.child.pid, number)
        async with asyncio.timeout(PATIENCE_S):
            await self.child.wait()
        assert self.child.returncode is not None
        return self.child.returncode, clock() - start_s
