"""Ports that come and go a hundred times: always taken up again, and nothing left behind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.sink import Sink
from rig.site import FOLDERS, QUICK, site, stage
from rig.tcp_device import Peer, modbus_tcp, serial_server

from egret_core.quality import Reason
from egret_core.timescale import REAL
from egret_gateway.bus import poll
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load
from egret_gateway.errors import PortError, PortFault
from egret_gateway.ports import serial_port
from egret_gateway.protocols.modbus_rtu_slave import Request, find_request, reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.tcp_device import Answer, Serve

    from egret_gateway.bus_settings import BusSettings

TIMES = 100
FAST = 115200
LIMIT_S = 60.0


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for the port all the time: a hundred times must not take a minute."""
    for name in ("REOPEN_MIN_S", "REOPEN_TTY_MAX_S", "REOPEN_TCP_MAX_S"):
        monkeypatch.setattr(poll, name, 0.005)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def hundred(request: Request) -> list[int]:
    return [100] * request.words


def answered(data: bytes) -> bytes:
    request = find_request(data, {7})
    return b"" if request is None else reply(request, hundred(request))


def settings(folder: Path, port: Path | str, *, tcp: bool = False) -> BusSettings:
    swap = (f"baud = {FAST}\n", 'protocol = "modbus-tcp"\n') if tcp else ("", "")
    devices = stage(7, period_s=0.05, profile=QUICK)
    return load(site(folder, port=port, baud=FAST, devices=devices, swap=swap), FOLDERS).buses[0]


async def nothing_leaks(
    bus_settings: BusSettings, replug: Callable[[Sink, int], Awaitable[None]]
) -> None:
    """Replug once to warm up, then a hundred times; count tasks and descriptors."""
    sink = Sink()
    bus = Bus(bus_settings, REAL, sink.emit, {}, lambda: False)
    task = asyncio.create_task(bus.run())
    await replug(sink, 0)
    tasks, before = len(asyncio.all_tasks()), descriptors()
    for number in range(1, TIMES + 1):
        await replug(sink, number)
    assert len(asyncio.all_tasks()) == tasks
    assert descriptors() == before
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_hundred_replugs_of_a_tty_leak_nothing(tmp_path: Path) -> None:
    link = tmp_path / "bus0"

    async def replug(sink: Sink, _: int) -> None:
        with FarEnd(answered) as far:
            link.symlink_to(far.path)
            count = len(sink.values())
            await sink.until(lambda: len(sink.values()) > count, LIMIT_S)
            link.unlink()
        await sink.until(lambda: bool(sink.samples[-1].reasons & Reason.PORT), LIMIT_S)

    await nothing_leaks(settings(tmp_path, link), replug)


@pytest.mark.parametrize(
    ("serve", "tcp"), [(modbus_tcp, True), (serial_server, False)], ids=["tcp", "rtu"]
)
async def test_a_hundred_new_connections_leak_nothing(
    tmp_path: Path, serve: Callable[[Answer], Serve], *, tcp: bool
) -> None:
    async with Peer(serve(hundred)) as peer:

        async def replug(sink: Sink, number: int) -> None:
            if number % 2:
                peer.hang_up()
            else:
                await peer.stop()
                await peer.start()
            count = len(sink.values())
            await sink.until(lambda: len(sink.values()) > count + 1, LIMIT_S)
            assert peer.open == 1

        await nothing_leaks(settings(tmp_path, peer.port, tcp=tcp), replug)


async def test_a_port_that_vanishes_in_the_middle_of_a_reply(tmp_path: Path) -> None:
    link = tmp_path / "bus0"
    half = asyncio.Event()
    loop = asyncio.get_running_loop()

    def cut_off(data: bytes) -> bytes:
        loop.call_soon_threadsafe(half.set)
        return answered(data)[:4]

    sink = Sink()
    bus = Bus(settings(tmp_path, link), REAL, sink.emit, {}, lambda: False)
    task = asyncio.create_task(bus.run())
    with FarEnd(cut_off) as far:
        link.symlink_to(far.path)
        async with asyncio.timeout(LIMIT_S):
            await half.wait()
        link.unlink()
    await sink.until(lambda: bool(sink.samples and sink.samples[-1].reasons & Reason.PORT), LIMIT_S)
    assert sink.values() == []
    with FarEnd(answered) as far:
        link.symlink_to(far.path)
        await sink.until(lambda: len(sink.values()) >= 2, LIMIT_S)
        assert bus.health()["fault"] == ""
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_connection_that_ends_in_the_middle_of_a_reply(tmp_path: Path) -> None:
    async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if peer.connections > 3:
            await modbus_tcp(hundred)(reader, writer)
            return
        data = await reader.read(1024)
        writer.write(data[:2] + b"\x00\x00\x00\x05\x07\x03\x02")
        await writer.drain()

    sink = Sink()
    async with Peer(cut_off) as peer:
        bus = Bus(settings(tmp_path, peer.port, tcp=True), REAL, sink.emit, {}, lambda: False)
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.values()) >= 2, LIMIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert {s.raw for s in sink.samples if s.value is not None} == {100.0}
    assert sum(s.value is None for s in sink.samples) >= 3


async def test_a_port_that_may_not_be_opened_is_taken_up_once_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = serial_port.serial.Serial
    allowed = False

    def serial(*arguments: object, **line: object) -> object:
        if not allowed:  # root may open anything, so that a refusal must be made up
            raise PermissionError(13, "Permission denied")
        return refused(*arguments, **line)

    monkeypatch.setattr(serial_port.serial, "Serial", serial)
    sink = Sink()
    with FarEnd(answered) as far:
        bus_settings = settings(tmp_path, far.path)
        with pytest.raises(PortError) as caught:
            serial_port.open_serial(bus_settings)
        assert caught.value.fault is PortFault.DENIED
        bus = Bus(bus_settings, REAL, sink.emit, {}, lambda: False)
        task = asyncio.create_task(bus.run())
        await sink.until(lambda: len(sink.samples) >= 2, LIMIT_S)
        assert bus.health()["fault"] == "denied"
        allowed = True
        await sink.until(lambda: len(sink.values()) >= 2, LIMIT_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
