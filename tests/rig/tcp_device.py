"""Real connections whose far end is a function: a Modbus TCP device, or a serial server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from egret_gateway.bus_settings import Endpoint
from egret_gateway.protocols import modbus_rtu_slave
from egret_gateway.protocols.modbus_tcp import cut, frame

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Answer = Callable[[modbus_rtu_slave.Request], list[int] | int | None]
    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """`async with Peer(serve) as peer`: `peer.port` is what a bus is told; stop it, start it anew.

    Attributes:
        connections: how many were taken; endpoint: where it listens.
    """

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0
        self.endpoint = Endpoint("127.0.0.1", 0)

    @property
    def port(self) -> str:
        return f"tcp://{self.endpoint.host}:{self.endpoint.port}"

    @property
    def open(self) -> int:
        """How many connections are open now."""
        return len(self._writers)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, at the same port as before."""
        self._server = await asyncio.start_server(self._connection, *self.endpoint)
        self.endpoint = Endpoint(*self._server.sockets[0].getsockname()[:2])

    async def stop(self) -> None:
        """Hang up on everybody and listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.hang_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hang_up(self) -> None:
        """End every connection with a reset; new ones are taken."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()


def modbus_tcp(answer: Answer) -> Serve:
    """Return a device: `answer` gives registers, an exception's code, or None for silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = b""
        while data := await reader.read(1024):
            buffer += data
            while (found := cut(buffer)).envelope is not None:
                buffer = buffer[found.end :]
                number, unit, pdu = found.envelope
                request = modbus_rtu_slave.request_of(unit, pdu, 0)
                given = answer(request)
                if isinstance(given, int):
                    writer.write(frame(number, unit, bytes((request.fc | 0x80, given))))
                elif given is not None:
                    pdu = modbus_rtu_slave.reply_pdu(request, given)
                    writer.write(frame(number, unit, pdu))

    return serve


def serial_server(answer: Answer) -> Serve:
    """Return a serial server with RTU slaves behind it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        buffer = b""
        while data := await reader.read(1024):
            buffer += data
            while found := modbus_rtu_slave.find_request(buffer, range(1, 256)):
                buffer = buffer[found.end :]
                given = answer(found)
                if isinstance(given, int):
                    writer.write(modbus_rtu_slave.exception(found, given))
                elif given is not None:
                    writer.write(modbus_rtu_slave.reply(found, given))

    return serve
