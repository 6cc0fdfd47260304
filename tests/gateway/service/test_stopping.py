"""A stop ends within three seconds whatever the gateway waits for, and loses nothing committed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sqlite3
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from rig.broker import running_broker
from rig.centre import running_centre
from rig.proxy import running_proxy
from rig.pty import FarEnd

from egret_core.codec import decode_batch
from egret_core.entries import read_readings
from egret_core.messages import Kind
from egret_gateway.protocols.modbus_rtu_slave import find_request, reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

pytestmark = pytest.mark.system
WAIT_S = 30.0
STOP_S = 3.0
SLACK_S = 2.0  # a loaded machine is no fault of the gateway
MAIN = "import sys; from egret_gateway.cli import main; sys.exit(main())"
CONFIG = """
[gateway]
id = "XM-TA-0042"
data = "{data}"
[broker]
host = "{host}"
port = {port}
[clock]
source = "rtc"
[[bus]]
name = "bus0"
port = "{tty}"
baud = 115200
cut_s = {cut_s}
[[bus.device]]
profile = "generic-stage-u16"
unit = 7
station = "st0007"
period_s = 0.1
[bus.device.channels.stage]
channel = "wl"
datum = "Luoling"
"""


@dataclass
class Gateway:
    """One gateway process with its folder."""

    folder: Path
    process: asyncio.subprocess.Process

    def values(self) -> list[float]:
        """Raw numbers committed so far, in order."""
        path = self.folder / "data" / "outbox.db"
        if not path.exists():
            return []
        with contextlib.closing(sqlite3.connect(path, timeout=WAIT_S)) as db:
            try:
                found = db.execute("SELECT payload FROM batch WHERE kind = ? AND hash != ''",
                                   (Kind.READINGS,)).fetchall()  # fmt: skip
            except sqlite3.OperationalError:
                return []
        readings = [r for (body,) in found for r in read_readings(decode_batch(body)).dated]
        return [reading.raw for reading in readings if reading.raw is not None]

    def rows(self) -> int:
        path = self.folder / "data" / "outbox.db"
        if not path.exists():
            return 0
        with contextlib.closing(sqlite3.connect(path, timeout=WAIT_S)) as db:
            try:
                return int(db.execute("SELECT count(*) FROM batch").fetchone()[0])
            except sqlite3.OperationalError:
                return 0

    async def until_rows(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while self.rows() < count:
                await asyncio.sleep(0.05)

    async def until_values(self, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while len(self.values()) < count:
                await asyncio.sleep(0.05)

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> float:
        """Stop it; return how long that took."""
        began = time.monotonic()
        self.process.send_signal(how)
        _, log = await asyncio.wait_for(self.process.communicate(), WAIT_S)
        assert self.process.returncode == 0, log.decode()
        assert b"Traceback" not in log, log.decode()
        return time.monotonic() - began


def written(folder: Path, **facts: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "gateway.toml"
    config.write_text(CONFIG.format(data=folder / "data", **facts))
    return config


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 1,
    tty: object = "none",
    cut_s: float = 0.1,
) -> AsyncIterator[Gateway]:
    config = written(folder, host=host, port=port, tty=tty, cut_s=cut_s)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, "run", str(config), stderr=asyncio.subprocess.PIPE
    )
    try:
        yield Gateway(folder, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


class Counting:
    """A gauge that counts its answers, so that a lost one shows."""

    def __init__(self) -> None:
        self.served: list[float] = []
        self.silent = False

    def __call__(self, data: bytes) -> bytes:
        request = find_request(data, (7,))
        if request is None or self.silent:
            return b""
        self.served.append(float(len(self.served) + 1))
        return reply(request, [int(self.served[-1])] * request.words)


@contextlib.contextmanager
def silent_router() -> Iterator[int]:
    """A port whose backlog is full: a dial into it is neither answered nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        for _ in range(4):
            plug = stack.enter_context(socket.socket())
            plug.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                plug.connect(address)
        yield address[1]


async def test_with_a_missing_port_and_no_broker(tmp_path: Path) -> None:
    async with running(tmp_path, tty=tmp_path / "none") as gateway:
        await gateway.until_rows(3)
        assert await gateway.stop() < STOP_S + SLACK_S


async def test_in_the_middle_of_a_dial_that_nobody_answers(tmp_path: Path) -> None:
    with silent_router() as port:
        async with running(tmp_path, port=port, tty=tmp_path / "none") as gateway:
            await gateway.until_rows(3)
            assert await gateway.stop() < STOP_S + SLACK_S


async def test_with_a_broker_that_accepts_and_says_nothing(tmp_path: Path) -> None:
    met = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        met.set()
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with running(tmp_path, port=port, tty=tmp_path / "none") as gateway:
        await asyncio.wait_for(met.wait(), WAIT_S)
        assert await gateway.stop(signal.SIGINT) < STOP_S + SLACK_S
    server.close()


async def test_with_a_host_that_has_no_address(tmp_path: Path) -> None:
    async with running(tmp_path, host="no-such-host.invalid", tty=tmp_path / "none") as gateway:
        await gateway.until_rows(3)
        assert await gateway.stop() < STOP_S + SLACK_S


async def test_while_a_silent_device_is_waited_for(tmp_path: Path) -> None:
    gauge = Counting()
    with FarEnd(gauge) as far:
        async with running(tmp_path, tty=far.path) as gateway:
            await gateway.until_values(3)
            gauge.silent = True
            served = len(gauge.served)
            await asyncio.sleep(0.3)  # the next poll is under way: its patience is 2 s
            assert await gateway.stop() < STOP_S + SLACK_S
            assert sorted(gateway.values()) == gauge.served[:served]


async def test_with_the_link_frozen_under_load(tmp_path: Path) -> None:
    gauge = Counting()
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_centre(broker.host, broker.port, "XM-TA-0042") as centre,
        running_proxy(broker.host, broker.port) as link,
    ):
        with FarEnd(gauge) as far:
            box = running(tmp_path / "box", port=link.port, tty=far.path)
            async with box as gateway:
                await centre.until(lambda: len(centre.batches()) >= 3)
                link.freeze()
                await gateway.until_values(len(gauge.served) + 5)
                assert await gateway.stop() < STOP_S + SLACK_S
                assert sorted(gateway.values()) == gauge.served
            link.thaw()
            async with running(tmp_path / "box", port=link.port, tty=tmp_path / "none"):
                await centre.until(lambda: len(centre.values()) == len(gauge.served))


async def test_what_waits_for_its_cut_is_committed_by_the_stop(tmp_path: Path) -> None:
    gauge = Counting()
    with FarEnd(gauge) as far:
        async with running(tmp_path, tty=far.path, cut_s=3600) as gateway:
            async with asyncio.timeout(WAIT_S):
                while len(gauge.served) < 10:
                    await asyncio.sleep(0.05)
            assert gateway.values() == []
            assert await gateway.stop() < STOP_S + SLACK_S
        assert sorted(gateway.values()) == gauge.served, "every reply that was served"


async def test_twice_told_it_stops_once_and_well(tmp_path: Path) -> None:
    async with running(tmp_path, tty=tmp_path / "none") as gateway:
        await gateway.until_rows(2)
        gateway.process.send_signal(signal.SIGTERM)
        assert await gateway.stop() < STOP_S + SLACK_S


async def test_a_data_folder_that_is_a_file_ends_with_three_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    async with running(tmp_path) as gateway:
        _, log = await asyncio.wait_for(gateway.process.communicate(), WAIT_S)
    assert gateway.process.returncode == 3
    assert b"make the data folder writable" in log
    assert b"Traceback" not in log
