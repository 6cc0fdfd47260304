"""What SDI-12 asks of real ports: a break on a tty, and an adapter behind a serial server."""

from __future__ import annotations

import asyncio
import termios
import time
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.sdi12_field import config
from rig.sink import Sink

from egret_core.quality import Reason
from egret_core.timescale import REAL
from egret_demo.sdi12_sensor import Measurement, Sensor
from egret_gateway.bus.poll import Bus
from egret_gateway.bus.sdi12_exchange import NATIVE, Counts, Exchange, Wire
from egret_gateway.bus_settings import BusSettings
from egret_gateway.config import load
from egret_gateway.errors import PortError, PortFault
from egret_gateway.ports.serial_port import line_times, open_serial
from egret_gateway.ports.tcp_port import open_tcp
from egret_gateway.protocols import sdi12

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def native(port: Path) -> BusSettings:
    return BusSettings("sdi0", str(port), baud=1200, parity="E", data_bits=7)


def test_a_native_line_is_1200_baud_7e1() -> None:
    assert line_times(1200, "E", 1, 7)[0] == 10 / 1200


async def test_a_tty_makes_a_break_and_proves_its_characters() -> None:
    with FarEnd(lambda _: b"") as far:
        port = open_serial(native(far.path))
        try:
            assert isinstance(port, Wire)
            port.spacing(on=True)
            port.spacing(on=False)
            assert far.speed() == termios.B1200
            # A pty keeps neither 7 bits nor parity; that damaged ones become NUL it does keep.
            assert termios.tcgetattr(far._theirs)[0] & termios.INPCK
        finally:
            port.close()


async def test_a_tty_that_has_gone_makes_no_break() -> None:
    with FarEnd(lambda _: b"") as far:
        port = open_serial(native(far.path))
        far.hang_up()
        try:
            with pytest.raises(PortError) as caught:
                port.spacing(on=True)
            assert caught.value.fault is PortFault.VANISHED
        finally:
            port.close()


async def test_a_port_that_goes_during_a_break_is_told() -> None:
    with FarEnd(lambda _: b"") as far:
        port = open_serial(native(far.path))
        exchange = Exchange(port, {"0": Counts()})
        far.hang_up()
        try:
            with pytest.raises(PortError):
                await exchange.ask("0", b"0!", lambda _: None, NATIVE)
        finally:
            port.close()


class Server:
    """A serial server with a transparent adapter and sensors behind it; `port` is where."""

    def __init__(self, *sensors: Sensor) -> None:
        self.sensors = sensors
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        loop = asyncio.get_running_loop()
        while True:
            try:
                command = await reader.readuntil(b"!")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            for sensor in self.sensors:
                for said in sensor.hear(command[:-1].decode(), loop.time(), Random("tcp")):
                    loop.call_later(said.delay_s, writer.write, said.data)


@asynccontextmanager
async def serving(*sensors: Sensor) -> AsyncIterator[Server]:
    server = Server(*sensors)
    await server.up()
    try:
        yield server
    finally:
        await server.down()


async def test_a_connection_makes_no_break() -> None:
    async with serving() as server:
        settings = BusSettings("sdi0", f"tcp://127.0.0.1:{server.port}")
        assert settings.endpoint is not None
        port = await open_tcp(settings.endpoint)
        try:
            with pytest.raises(TypeError, match="no break"):
                await Exchange(port, {"0": Counts()}).ask("0", b"0!", lambda _: None, NATIVE)
        finally:
            port.close()


async def test_sensors_behind_a_serial_server_are_read_and_taken_up_again(tmp_path: Path) -> None:
    level = Sensor("0", {"C": Measurement(("+1.234", "+11.5"), 1)})
    soil = Sensor("5", {"M": Measurement(("+0.354", "+0.21", "+18.4"), 1, 0.3)})
    devices = {"0": ("ott-pls", "level"), "5": ("campbell-cs650", "moisture")}
    async with serving(level, soil) as server:
        port = f"tcp://127.0.0.1:{server.port}"
        path = config(tmp_path, port, devices, adapter="transparent", period_s=3)
        sink = Sink()
        bus = Bus(load(path).buses[0], REAL, sink.emit, {}, lambda: False)
        task = asyncio.create_task(bus.run())
        try:
            both = ("level0", "moisture5")
            await sink.until(lambda: all(len(sink.values(name)) >= 1 for name in both))
            await server.down()
            await sink.until(lambda: bool(sink.samples[-1].reasons & Reason.PORT))
            await server.up()
            count = len(sink.values("level0"))
            await sink.until(lambda: len(sink.values("level0")) > count)
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert set(sink.values("level0")) == {1.234}
    assert set(sink.values("moisture5")) == {35.4}
    assert level.dropped == soil.dropped == 0


async def test_a_task_that_is_stopped_leaves_no_break_on_the_wire() -> None:
    class Held:
        """A wire that is only watched."""

        char_s, gap_s, last_byte_s = 0.001, 0.0, 0.0
        held = False

        def spacing(self, *, on: bool) -> None:
            self.held = on

        def write(self, data: bytes) -> None:
            raise AssertionError(data)

        def take(self) -> bytes:
            return b""

        async def wait(self, until_s: float, missing: int = 1) -> None:  # noqa: ARG002
            await asyncio.sleep(60)

    wire = Held()
    exchange = Exchange(wire, {"0": Counts()}, now=time.monotonic)
    task = asyncio.create_task(exchange.ask("0", sdi12.acknowledge("0"), lambda _: None, NATIVE))
    while not wire.held:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not wire.held
