"""A broker of 3.1.1's bare bones that does what a test tells it: refuses, stays mute, replays.

It speaks just enough for one gateway: CONNECT, SUBSCRIBE, PUBLISH up and down, PING, DISCONNECT.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

WAIT_S = 30.0
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = (
    1, 2, 3, 4, 8, 9, 12, 13, 14,
)  # fmt: skip


class Published(NamedTuple):
    """What a client published."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


def packet(kind: int, body: bytes, flags: int = 0) -> bytes:
    size, left = bytearray(), len(body)
    while True:
        size.append(left % 128 | (128 if left > 127 else 0))
        left //= 128
        if not left:
            return bytes((kind << 4 | flags,)) + bytes(size) + body


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


@dataclass
class BareBroker:
    """What came, and what it is to do."""

    port: int = 0
    connack: int = 0  # 5: not authorised
    suback: int = 0  # 0x80: refused
    pubacks: bool = True
    pings: bool = True
    came: list[Published] = field(default_factory=list)
    connects: int = 0
    farewells: int = 0
    topics: list[str] = field(default_factory=list)
    on_publish: Callable[[Published], None] | None = None
    _writer: asyncio.StreamWriter | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish to the client that is connected, at QoS 0."""
        assert self._writer is not None
        self._writer.write(packet(PUBLISH, text(topic) + payload, int(retain)))

    def drop(self) -> None:
        assert self._writer is not None
        self._writer.transport.abort()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with self._news:
            await asyncio.wait_for(self._news.wait_for(holds), WAIT_S)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        try:
            while True:
                first = (await reader.readexactly(1))[0]
                size = shift = 0
                while True:
                    digit = (await reader.readexactly(1))[0]
                    size |= (digit & 127) << shift
                    shift += 7
                    if digit < 128:
                        break
                self._answer(writer, first >> 4, first & 15, await reader.readexactly(size))
                async with self._news:
                    self._news.notify_all()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    def _answer(self, writer: asyncio.StreamWriter, kind: int, flags: int, body: bytes) -> None:
        if kind == CONNECT:
            self.connects += 1
            writer.write(packet(CONNACK, bytes((0, self.connack))))
        elif kind == SUBSCRIBE:
            self.topics = list(_filters(body[2:]))
            writer.write(packet(SUBACK, body[:2] + bytes([self.suback]) * len(self.topics)))
        elif kind == PINGREQ and self.pings:
            writer.write(packet(PINGRESP, b""))
        elif kind == DISCONNECT:
            self.farewells += 1
        elif kind == PUBLISH:
            self._take(writer, flags, body)

    def _take(self, writer: asyncio.StreamWriter, flags: int, body: bytes) -> None:
        size = int.from_bytes(body[:2], "big")
        topic, rest, qos = body[2 : 2 + size].decode(), body[2 + size :], flags >> 1 & 3
        if qos and self.pubacks:
            writer.write(packet(PUBACK, rest[:2]))
        published = Published(topic, rest[2:] if qos else rest, qos, bool(flags & 1))
        self.came.append(published)
        if self.on_publish is not None:
            self.on_publish(published)


def _filters(body: bytes) -> Iterator[str]:
    while body:
        size = int.from_bytes(body[:2], "big")
        yield body[2 : 2 + size].decode()
        body = body[3 + size :]


@asynccontextmanager
async def bare_broker(host: str = "127.0.0.1") -> AsyncIterator[BareBroker]:
    broker = BareBroker()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(broker.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, 0)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
