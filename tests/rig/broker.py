"""A real nats-server with an MQTT listener on a free loopback port, for the time of a block."""

from __future__ import annotations

import asyncio
import os
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


# The lines that matter are those of docker/mosquitto: a kill -9 loses at most a second of QoS 1.
MOSQUITTO_CONFIG = """per_listener_settings true
listener {port} 127.0.0.1
allow_anonymous true
user root
persistence true
persistence_location {store}/
autosave_interval 1
autosave_on_changes false
max_inflight_messages 1000
max_queued_messages 10000000
set_tcp_nodelay true
message_size_limit 1048576
log_dest stderr
"""
LOG = "broker.log"


def mosquitto() -> Path:
    """Debian's own, which is not on everybody's PATH."""
    return Path(shutil.which("mosquitto") or "/usr/sbin/mosquitto")


def without(kind: str) -> str:
    """Why tests with a kind of broker are skipped, "" where they run."""
    absent = kind == "mosquitto" and not os.access(mosquitto(), os.X_OK)
    return "no mosquitto (Debian: mosquitto)" if absent else ""


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
        command = self._command()
        with (self.folder / LOG).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  (it must outlive this call)
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        await asyncio.wait_for(self._until_listening(), UP_S)

    def _command(self) -> list[str | Path]:
        """Write the configuration; return what to run."""
        config = self.folder / "nats.conf"
        config.write_text(
            CONFIG.format(client=self._client_port, port=self.port, store=self.folder / "store")
        )
        return [nats_server(), "-c", config]

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
                raise RuntimeError((self.folder / LOG).read_text()[-2000:])
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            await writer.wait_closed()
            return


class Mosquitto(Broker):
    """Debian's mosquitto, set up as we ship it, without TLS."""

    def _command(self) -> list[str | Path]:
        config = self.folder / "mosquitto.conf"
        config.write_text(MOSQUITTO_CONFIG.format(port=self.port, store=self.folder))
        return [mosquitto(), "-c", config]


BROKERS: dict[str, type[Broker]] = {"nats": Broker, "mosquitto": Mosquitto}


@asynccontextmanager
async def running_broker(folder: Path) -> AsyncIterator[Broker]:
    broker = Broker(folder)
    await broker.start()
    try:
        yield broker
    finally:
        broker.stop()
