"""A real nats-server with an MQTT listener on a free loopback port, for the time of a block."""

from __future__ import annotations

import asyncio
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UP_S = 30.0
CONFIG = """server_name: rig
listen: "127.0.0.1:{client}"
jetstream {{ store_dir: "{store}", max_file_store: 256MB, max_memory_store: 32MB }}
mqtt {{ listen: "127.0.0.1:{port}", ack_wait: "10s", max_ack_pending: 5000 }}
"""


def nats_server() -> Path:
    """The pinned wheel's server, beside this Python; else one on PATH."""
    own = Path(sys.executable).with_name("nats-server")
    found = str(own) if own.exists() else shutil.which("nats-server")
    if found is None:
        raise FileNotFoundError("nats-server: install the extra [embedded]")
    return Path(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """One server process; it can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = "127.0.0.1"
        self.port = free_port()
        self._client_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        config.write_text(
            CONFIG.format(client=self._client_port, port=self.port, store=self.folder / "store")
        )
        with (self.folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  (it must outlive this call)
                [nats_server(), "-c", config], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        await asyncio.wait_for(self._until_listening(), UP_S)

    def kill(self) -> None:
        """As a power cut would end it."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    async def _until_listening(self) -> None:
        while True:
            assert self._process is not None
            if self._process.poll() is not None:
                raise RuntimeError((self.folder / "nats.log").read_text()[-2000:])
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return


@asynccontextmanager
async def running_broker(folder: Path) -> AsyncIterator[Broker]:
    broker = Broker(folder)
    await broker.start()
    try:
        yield broker
    finally:
        broker.stop()
