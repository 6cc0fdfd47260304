"""A connection as a port: bytes with their time, and every way it can be gone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from egret_gateway.bus_settings import Endpoint
from egret_gateway.errors import PortError, PortFault
from egret_gateway.ports import tcp_port
from egret_gateway.ports.tcp_port import UNTAKEN_MAX_B, open_tcp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LIMIT_S = 10


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[Endpoint]:
    async def whole(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()

    running = await asyncio.start_server(whole, "127.0.0.1", 0)
    async with running:
        yield Endpoint(*running.sockets[0].getsockname()[:2])


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data[::-1])


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100)
    writer.write(b"last words")


async def test_bytes_go_out_and_come_in_with_their_time() -> None:
    async with server(echo) as endpoint:
        port = await open_tcp(endpoint, 1e-3, 4e-3)
        assert (port.char_s, port.gap_s) == (1e-3, 4e-3)
        assert port.take() == b""
        before = time.monotonic()
        port.write(b"abc")
        await port.wait(time.monotonic() + LIMIT_S)
        assert port.take() == b"cba"
        assert before <= port.last_byte_s <= time.monotonic()
        assert port.take() == b""
        port.close()


async def test_waiting_ends_at_its_time_and_leaves_nothing_behind() -> None:
    async with server(silent) as endpoint:
        port = await open_tcp(endpoint)
        until_s = time.monotonic() + 0.02
        await port.wait(until_s)
        assert time.monotonic() >= until_s - 0.001
        await port.wait(until_s)
        waiting = asyncio.create_task(port.wait(time.monotonic() + LIMIT_S))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert port.take() == b""
        port.close()


async def test_the_system_is_told_to_watch_the_connection() -> None:
    async with server(silent) as endpoint:
        port = await open_tcp(endpoint)
        assert port._transport is not None
        sock = port._transport.get_extra_info("socket")
        read = sock.getsockopt
        assert read(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert read(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert read(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == tcp_port.KEEPALIVE_IDLE_S
        assert read(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == tcp_port.UNACKNOWLEDGED_MS
        port.close()


async def test_what_came_before_the_end_is_still_given() -> None:
    async with server(hang_up) as endpoint:
        port = await open_tcp(endpoint)
        port.write(b"?")
        got = b""
        with pytest.raises(PortError) as caught:  # noqa: PT012  (bytes first, then the end)
            while True:
                got += port.take()
                await port.wait(time.monotonic() + LIMIT_S)
        assert got == b"last words"
        assert caught.value.fault is PortFault.LOST
        assert "closed by the other side" in str(caught.value)
        with pytest.raises(PortError):
            port.write(b"x")
        port.close()


async def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", free.getsockname()[1])
    with pytest.raises(PortError, match="nothing listens") as caught:
        await open_tcp(endpoint)
    assert caught.value.fault is PortFault.REFUSED
    assert caught.value.port == f"tcp://127.0.0.1:{endpoint.port}"


async def test_a_name_with_two_addresses_that_both_refuse() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    with pytest.raises(PortError) as caught:
        await open_tcp(Endpoint("localhost", number))
    assert caught.value.fault is PortFault.REFUSED


async def test_a_name_that_leads_nowhere() -> None:
    with pytest.raises(PortError, match="host, cable") as caught:
        await open_tcp(Endpoint("no-such-host.invalid", 502))
    assert caught.value.fault is PortFault.UNREACHABLE


async def test_a_name_that_no_resolver_can_be_asked() -> None:
    with pytest.raises(PortError) as caught:
        await open_tcp(Endpoint("plc1..local", 502))
    assert caught.value.fault is PortFault.UNREACHABLE


async def test_an_address_that_swallows_packets_leaves_time_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tcp_port, "CONNECT_S", 2.0)
    monkeypatch.setattr(
        tcp_port.socket,
        "getaddrinfo",
        lambda *_, **__: [(0, 0, 0, "", (host, 0)) for host in ("127.0.0.9", "127.0.0.1")],
    )
    with socket.socket() as full, socket.socket() as open_one, contextlib.ExitStack() as fillers:
        full.bind(("127.0.0.9", 0))
        full.listen(0)
        open_one.bind(("127.0.0.1", full.getsockname()[1]))
        open_one.listen()
        for _ in range(4):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        port = await open_tcp(Endpoint("two.example", full.getsockname()[1]))
        port.close()


async def test_a_host_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_port, "CONNECT_S", 0.1)
    with socket.socket() as full:  # a listener with no room for one more is as good as gone
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        with pytest.raises(PortError) as caught:
            await open_tcp(Endpoint("127.0.0.1", full.getsockname()[1]))
        for filler in fillers:
            filler.close()
    assert caught.value.fault is PortFault.UNREACHABLE
    assert "within" in caught.value.detail


async def test_who_talks_without_being_asked_is_cut_off() -> None:
    async def talker(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(2 * UNTAKEN_MAX_B))
        await reader.read()

    async with server(talker) as endpoint:
        port = await open_tcp(endpoint)
        got = 0
        with pytest.raises(PortError, match="unasked"):  # noqa: PT012  (bytes first, then the end)
            while True:
                await asyncio.sleep(0.05)
                got += len(port.take())
                await port.wait(time.monotonic() + LIMIT_S)
        assert got <= 2 * UNTAKEN_MAX_B


async def test_who_takes_nothing_is_given_up() -> None:
    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(LIMIT_S)

    async def fill() -> None:
        async with server(deaf) as endpoint:
            port = await open_tcp(endpoint)
            try:
                while True:
                    port.write(bytes(65_536))
                    await asyncio.sleep(0)
            finally:
                port.close()

    with pytest.raises(PortError, match="takes no more"):
        async with asyncio.timeout(LIMIT_S):
            await fill()


async def test_a_closed_port_stays_closed() -> None:
    async with server(echo) as endpoint:
        port = await open_tcp(endpoint)
        port.close()
        port.close()
        with pytest.raises(PortError):
            port.take()
        async with asyncio.timeout(LIMIT_S):
            await port.wait(time.monotonic() + LIMIT_S)


async def test_a_host_s_second_address_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async with server(echo) as endpoint:
        monkeypatch.setattr(
            tcp_port.socket,
            "getaddrinfo",
            lambda *_, **__: [(0, 0, 0, "", (host, 0)) for host in ("127.0.0.9", "127.0.0.1")],
        )
        port = await open_tcp(Endpoint("two.example", endpoint.port))
        assert port.path == f"tcp://two.example:{endpoint.port}"
        port.close()


async def test_names_that_nobody_answers_for_leave_other_threads_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(tcp_port, "CONNECT_S", 0.05)
    monkeypatch.setattr(tcp_port.socket, "getaddrinfo", lambda *_, **__: stuck.wait(LIMIT_S))
    try:
        for number in range(40):
            with pytest.raises(PortError) as caught:
                await open_tcp(Endpoint(f"h{number}.example", 502))
            assert caught.value.fault is PortFault.UNREACHABLE
        async with asyncio.timeout(LIMIT_S):
            assert await asyncio.to_thread(sum, (1, 2)) == 3
        names = [t.name for t in threading.enumerate() if t.name.startswith("names")]
        assert len(names) <= 2
    finally:
        stuck.set()
