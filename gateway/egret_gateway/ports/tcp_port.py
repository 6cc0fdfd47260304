"""A TCP connection as a line of bytes: a serial server's, or a Modbus TCP device's.

A connection can be dead without a word (a cable pulled, a router restarted): keepalive probes
find that while nothing is asked, and the limit on unacknowledged data while something is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import TYPE_CHECKING

from egret_gateway.errors import PortError, PortFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_gateway.bus_settings import Endpoint

CONNECT_S = 3.0  # a link by satellite takes 0.7 s, a lost SYN one second more
KEEPALIVE_IDLE_S = 30  # silence after which the other side is asked whether it is there
KEEPALIVE_EVERY_S = 10
KEEPALIVE_PROBES = 3
ADDRESSES_MAX = 4  # of one name
UNACKNOWLEDGED_MS = 10_000  # sent and not acknowledged for so long: half-open
UNTAKEN_MAX_B = 16_384  # more than any reply: the other side sends without being asked
UNSENT_MAX_B = 4_096  # more than any request: the other side takes nothing
# Names are looked up apart: a dead resolver must not hold the threads that read the outbox.
_NAMES = ThreadPoolExecutor(2, thread_name_prefix="names")


class TcpPort(asyncio.Protocol):
    """One open connection; see `BytePort` for the meaning of its members."""

    def __init__(self, path: str, char_s: float, gap_s: float) -> None:
        self.path = path
        self.char_s = char_s
        self.gap_s = gap_s
        self.last_byte_s = time.monotonic()
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._lost: str | None = None
        self._woken: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection; called by the event loop."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (what asyncio promises)
        self._transport = transport
        _watched(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        """Take bytes with their time; called by the event loop."""
        self.last_byte_s = time.monotonic()
        self._received += data
        if len(self._received) > UNTAKEN_MAX_B:
            self._lose(f"sent {len(self._received)} bytes unasked")
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of the end; called by the event loop."""
        if self._lost is None:
            self._lost = str(exc) if exc else "closed by the other side"
        self._wake()

    def write(self, data: bytes) -> None:
        """Send a whole request; PortError when the connection has gone or takes no more."""
        transport = self._open()
        if transport.get_write_buffer_size() > UNSENT_MAX_B:
            self._lose("takes no more bytes")
            raise self._gone()
        transport.write(data)

    def take(self) -> bytes:
        """Return what has come in; PortError when there is nothing and the connection has gone."""
        if not self._received:
            self._open()
            return b""
        data = bytes(self._received)
        self._received.clear()
        return data

    async def wait(self, until_s: float, missing: int = 1) -> None:  # noqa: ARG002  (see below)
        """Return when bytes (or the end) are there, or at `until_s`, a millisecond late at most.

        Bytes come in packets, so that what is missing needs no nap; and nothing is waited for
        without giving way, as a thousand connections may share the loop.
        """
        if self._received or self._lost is not None or until_s <= time.monotonic():
            return
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[None] = loop.create_future()
        self._woken = woken
        timer = loop.call_at(until_s, self._wake)
        try:
            await woken
        finally:
            timer.cancel()
            self._woken = None

    def close(self) -> None:
        """Close, also a connection that has gone; what was not sent is dropped."""
        if self._lost is None:
            self._lost = "closed"
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    def _open(self) -> asyncio.Transport:
        if self._lost is not None or self._transport is None:
            raise self._gone()
        return self._transport

    def _lose(self, why: str) -> None:
        self._lost = why
        if self._transport is not None:
            self._transport.abort()

    def _gone(self) -> PortError:
        return PortError(self.path, PortFault.LOST, self._lost or "never connected")


async def open_tcp(endpoint: Endpoint, char_s: float = 0.0, gap_s: float = 0.0) -> TcpPort:
    """Connect, within `CONNECT_S`.

    Args:
        endpoint: where to.
        char_s: seconds one character takes on a serial server's line, 0 where there is none.
        gap_s: silence between frames on that line.

    Raises:
        PortError: refused, or nobody there.
    """
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    path = f"tcp://{host}:{endpoint.port}"
    try:
        async with asyncio.timeout(CONNECT_S):
            return await _connected(endpoint, lambda: TcpPort(path, char_s, gap_s))
    except TimeoutError as error:
        why = f"no connection within {CONNECT_S:g} s"
        raise PortError(path, PortFault.UNREACHABLE, why) from error
    except OSError as error:
        refused = error.errno == errno.ECONNREFUSED
        fault = PortFault.REFUSED if refused else PortFault.UNREACHABLE
        raise PortError(path, fault, str(error)) from error
    except UnicodeError as error:  # a name that no resolver can be asked
        raise PortError(path, PortFault.UNREACHABLE, str(error)) from error


async def _connected(endpoint: Endpoint, new: Callable[[], TcpPort]) -> TcpPort:
    """Return the port at the first address of a host that takes us; OSError of the last one."""
    loop = asyncio.get_running_loop()
    found = await _addresses(endpoint)
    for address in found[:-1]:
        with contextlib.suppress(OSError):  # a timeout is one too
            # A share for each: one that swallows packets must not keep us from the next one.
            async with asyncio.timeout(CONNECT_S / len(found)):
                return (await loop.create_connection(new, address, endpoint.port))[1]
    return (await loop.create_connection(new, found[-1], endpoint.port))[1]


async def _addresses(endpoint: Endpoint) -> list[str]:
    try:
        ip_address(endpoint.host)
    except ValueError:
        ask = partial(socket.getaddrinfo, *endpoint, type=socket.SOCK_STREAM)
        infos = await asyncio.get_running_loop().run_in_executor(_NAMES, ask)
        return list(dict.fromkeys(str(info[4][0]) for info in infos))[:ADDRESSES_MAX]
    return [endpoint.host]


def _watched(sock: socket.socket) -> None:
    """Have the system send at once, and find out when the other side is there no more."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", KEEPALIVE_IDLE_S),
        ("TCP_KEEPINTVL", KEEPALIVE_EVERY_S),
        ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ("TCP_USER_TIMEOUT", UNACKNOWLEDGED_MS),
    ):
        if hasattr(socket, name):  # Linux has them all
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
