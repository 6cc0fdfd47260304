"""A TCP proxy in the way: delays each direction, freezes, refuses, drops."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNK_B = 65_536


class Proxy:
    """Listens on a port of its own and passes bytes on after `delay_s` each way."""

    def __init__(self, host: str, port: int, delay_s: float = 0.0) -> None:
        self._target = (host, port)
        self.delay_s = delay_s
        self.host = "127.0.0.1"
        self.port = 0
        self.refuse = False
        self.connections = 0
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.drop()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        """Bytes stay where they are; nobody is told."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def drop(self) -> None:
        """Cut every connection, what is under way is lost."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _accept(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        if self.refuse:
            near_out.transport.abort()
            return
        self.connections += 1
        try:
            far_in, far_out = await asyncio.open_connection(*self._target)
        except OSError:
            near_out.transport.abort()
            return
        self._writers |= {near_out, far_out}
        tasks = [
            asyncio.create_task(self._pass(near_in, far_out)),
            asyncio.create_task(self._pass(far_in, near_out)),
        ]
        self._tasks.update(tasks)
        for task in tasks:
            task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for writer in (near_out, far_out):
                self._writers.discard(writer)
                writer.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """A delay line: what is read now is written `delay_s` later, in order, at any rate."""
        loop = asyncio.get_running_loop()
        line: deque[tuple[float, bytes]] = deque()
        more = asyncio.Event()

        async def write() -> None:
            while True:
                await more.wait()
                while line:
                    due, data = line.popleft()
                    await asyncio.sleep(max(0.0, due - loop.time()))
                    await self._flowing.wait()
                    sink.write(data)
                    await sink.drain()
                more.clear()

        writer = asyncio.create_task(write())
        try:
            with suppress(OSError):
                while data := await source.read(CHUNK_B):
                    line.append((loop.time() + self.delay_s, data))
                    more.set()
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)


@asynccontextmanager
async def running_proxy(host: str, port: int, delay_s: float = 0.0) -> AsyncIterator[Proxy]:
    proxy = Proxy(host, port, delay_s)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
