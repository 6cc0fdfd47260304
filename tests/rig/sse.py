"""A client of the stream on a bare socket: it reads, or it does not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S = 60.0
STREAM = "/api/v1/warnings/stream"


class Told(NamedTuple):
    """One event as it came."""

    name: str
    seq: int
    body: dict[str, Any]


class StreamClient:
    """Opens the stream; `small` gives it a tiny receive buffer, so that it stalls at once."""

    def __init__(
        self, url: str, headers: Mapping[str, str], query: str = "", *, small: bool = False
    ) -> None:
        self._url = urlsplit(url)
        self._headers = headers
        self._query = query
        self._small = small
        self.status = 0
        self.head: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        peer = socket.socket()
        if self._small:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.setblocking(False)
        await asyncio.get_running_loop().sock_connect(peer, (self._url.hostname, self._url.port))
        limit = 4096 if self._small else 2**20
        self._reader, self._writer = await asyncio.open_connection(sock=peer, limit=limit)
        lines = [f"GET {STREAM}{self._query} HTTP/1.1", f"Host: {self._url.netloc}"]
        lines += [f"{name}: {value}" for name, value in self._headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        async with asyncio.timeout(PATIENCE_S):
            self.status = int((await self._reader.readline()).split()[1])
            while line := (await self._reader.readline()).strip():
                name, _, value = line.decode().partition(": ")
                self.head[name.lower()] = value
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def problem(self) -> dict[str, Any]:
        body = await self._reader.readexactly(int(self.head["content-length"]))
        parsed: dict[str, Any] = json.loads(body)
        return parsed

    async def next(self) -> Told | None:
        """Return the next event, None at the end."""
        facts: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = await self._line()
                if line is None:
                    return None
                if line:
                    name, _, value = line.partition(": ")
                    facts[name] = value
                elif "data" in facts:
                    body = json.loads(facts["data"])
                    return Told(facts["event"], int(facts.get("id", 0)), body)

    async def next_or_cut(self) -> Told | None:
        """Return the next event, None at the end, orderly or cut off in the middle."""
        try:
            return await self.next()
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            return None

    async def warnings(self, count: int) -> list[Told]:
        """Return the next warnings; other events are passed over."""
        found: list[Told] = []
        while len(found) < count:
            told = await self.next()
            assert told is not None, f"the stream ended after {len(found)} of {count}"
            if told.name == "warning":
                found.append(told)
        return found

    async def seqs(self, count: int) -> list[int]:
        """Return the ids of the next warnings, keeping nothing else of them."""
        found: list[int] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(found) < count:
                line = await self._line()
                assert line is not None, f"the stream ended after {len(found)} of {count}"
                if line.startswith("id: "):
                    found.append(int(line[4:]))
        return found

    async def _line(self) -> str | None:
        """Return a line of the body without its chunk frames, None at the end."""
        while b"\n" not in self._body:
            size = await self._reader.readline()
            if not size or int(size, 16) == 0:
                return None
            self._body += (await self._reader.readexactly(int(size, 16) + 2))[:-2]
        line, _, self._body = self._body.partition(b"\n")
        return line.decode()

    _body = b""
