"""A whole bus over real connections: Modbus TCP, and RTU through a serial server."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.sink import Sink, polling
from rig.site import FOLDERS, QUICK, site, stage
from rig.tcp_device import Peer, modbus_tcp, serial_server

from egret_core.quality import Flag, Reason
from egret_core.timescale import REAL
from egret_gateway.bus.poll import Bus
from egret_gateway.config import load

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from rig.tcp_device import Answer, Serve

    from egret_gateway.bus_settings import BusSettings
    from egret_gateway.protocols.modbus_rtu_slave import Request

TCP = 'protocol = "modbus-tcp"'


def hundreds(request: Request) -> list[int] | int | None:
    return [100 * request.unit] * request.words


def settings(folder: Path, port: str, devices: str, *, tcp: bool) -> BusSettings:
    swap = ("baud = 115200\n", f"{TCP}\n") if tcp else ("", "")
    path = site(folder, port=port, baud=115200, devices=devices, swap=swap)
    return load(path, FOLDERS).buses[0]


@asynccontextmanager
async def running(bus_settings: BusSettings) -> AsyncIterator[tuple[Bus, Sink]]:
    sink = Sink()
    bus = Bus(bus_settings, REAL, sink.emit, {}, lambda: False)
    async with polling(bus):
        yield bus, sink


WAYS = pytest.mark.parametrize(
    ("serve", "tcp"), [(modbus_tcp, True), (serial_server, False)], ids=["tcp", "rtu"]
)


@WAYS
async def test_units_share_one_connection(
    tmp_path: Path, serve: Callable[[Answer], Serve], *, tcp: bool
) -> None:
    devices = "".join(stage(unit, f"c{unit}", 0.1, profile=QUICK) for unit in (1, 2, 255))
    async with Peer(serve(hundreds)) as peer:
        async with running(settings(tmp_path, peer.port, devices, tcp=tcp)) as (bus, sink):
            await sink.until(lambda: all(len(sink.values(f"c{unit}")) >= 3 for unit in (1, 2, 255)))
        assert peer.connections == 1
    assert {s.raw for s in sink.samples if s.channel == "c255"} == {25500.0}
    assert all(s.value is not None for s in sink.samples)
    assert bus.health()["port"] == peer.port


@WAYS
async def test_a_dead_unit_is_told_while_its_neighbour_goes_on(
    tmp_path: Path, serve: Callable[[Answer], Serve], *, tcp: bool
) -> None:
    devices = stage(1, "wl", 0.2, profile=QUICK) + stage(9, "dead", 0.2, profile=QUICK)
    answer = lambda request: None if request.unit == 9 else hundreds(request)  # noqa: E731
    async with (
        Peer(serve(answer)) as peer,
        running(settings(tmp_path, peer.port, devices, tcp=tcp)) as (_, sink),
    ):
        await sink.until(lambda: any(s.reasons == Reason.BACKED_OFF for s in sink.samples))
        before = len(sink.values())
        await sink.until(lambda: len(sink.values()) >= before + 5)
        assert peer.connections == 1, "a dead unit is no reason to call anew"
    assert all(s.value is not None for s in sink.samples if s.channel == "wl")


@WAYS
async def test_a_server_that_goes_is_told_and_taken_up_again(
    tmp_path: Path, serve: Callable[[Answer], Serve], *, tcp: bool
) -> None:
    async with Peer(serve(hundreds)) as peer:
        devices = stage(7, period_s=0.05, profile=QUICK)
        async with running(settings(tmp_path, peer.port, devices, tcp=tcp)) as (bus, sink):
            for _ in range(3):
                before = len(sink.values())
                await sink.until(lambda count=before: len(sink.values()) >= count + 2)
                await peer.stop()
                await sink.until(lambda: bool(sink.samples[-1].reasons & Reason.PORT))
                assert bus.health()["fault"] in ("refused", "lost")
                await peer.start()
            peer.hang_up()
            before = len(sink.values())
            await sink.until(lambda: len(sink.values()) >= before + 2)
            assert bus.health()["fault"] == ""
            assert peer.open == 1
        await asyncio.sleep(0.05)
        assert peer.open == 0, "a cancelled bus leaves no connection"


async def test_nobody_there_is_told_with_a_remedy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Peer(modbus_tcp(hundreds)) as peer:
        port = peer.port
    async with running(settings(tmp_path, port, stage(7, period_s=0.05), tcp=True)) as (_, sink):
        await sink.until(lambda: len(sink.samples) >= 3)
    assert {(s.flag, s.reasons) for s in sink.samples} == {(Flag.MISSING, Reason.PORT)}
    assert "nothing listens at that address" in caplog.text
    assert caplog.text.count("fault=refused") == 1, "once, not at every attempt"


async def test_a_half_open_connection_is_called_anew(tmp_path: Path) -> None:
    # The first connection takes everything and answers nothing, as one through a dead router.
    async def first_deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if peer.connections > 1:
            await modbus_tcp(hundreds)(reader, writer)
        else:
            await reader.read(1_000_000)
            while await reader.read(1_000_000):
                pass

    async with (
        Peer(first_deaf) as peer,
        running(settings(tmp_path, peer.port, stage(7, period_s=0.1, profile=QUICK), tcp=True)) as (
            bus,
            sink,
        ),
    ):
        await sink.until(lambda: len(sink.values()) >= 3)
        assert peer.connections == 2
        assert not bus.health()["silent"]


async def test_a_web_server_is_no_device(tmp_path: Path) -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with (
        Peer(http) as peer,
        running(settings(tmp_path, peer.port, stage(7, period_s=0.1, profile=QUICK), tcp=True)) as (
            bus,
            sink,
        ),
    ):
        await sink.until(lambda: len(sink.samples) >= 4)
        assert bus.health()["units"]["7"]["malformed"] >= 1
    assert all(s.value is None for s in sink.samples)
