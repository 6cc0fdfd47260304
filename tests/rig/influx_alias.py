"""InfluxDB 1.8's face over 1.6.7: `/api/v2/write`, `/health`, `Token name:password`.

And the place to make trouble: `Alias.faults`.

Also a program, `python -m rig.influx_alias UPSTREAM [PORT]`: it prints its address and serves
until its standard input ends, so that a measurement does not share its interpreter.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

BODY_MAX_B = 64 * 1024 * 1024
SEEN_MAX = 10_000  # requests kept for a test to look at
WRITE = "/api/v2/write"
PASSED_ON = ("Authorization", "Content-Encoding", "Content-Type", "Accept")
PASSED_BACK = ("Content-Type", "X-Influxdb-Version", "X-Influxdb-Error", "WWW-Authenticate")


class Fault(NamedTuple):
    """One answer that is not the server's.

    Attributes:
        status: 0 cuts the connection without an answer.
        applied: the server gets the request first: done, but nobody hears of it.
        slow_s: waited before anything else; path: which requests it meets, "" for all.
    """

    status: int = 0
    body: str = ""
    headers: Mapping[str, str] = {}
    applied: bool = False
    slow_s: float = 0.0
    path: str = WRITE


class Seen(NamedTuple):
    """A request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int  # what was answered, 0 for a cut connection


@dataclass
class Alias:
    """A running proxy.

    Attributes:
        url: where it listens; upstream: influxd's own address.
        faults: met by the next requests, one each; standing: met by all while it is set.
        seen: requests in the order of their answers; keep: False in long runs.
    """

    upstream: str
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    standing: Fault | None = None
    seen: list[Seen] = field(default_factory=list)
    keep: bool = True
    client: Any = None

    def writes(self) -> list[Seen]:
        """Return the writes seen so far."""
        return [one for one in self.seen if one.path == WRITE]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        fault = self._fault(request.path)
        if fault is None:
            answer = await self._pass(request, body)
            self._note(request, body, answer.status)
            return answer
        await asyncio.sleep(fault.slow_s)
        if fault.applied or (fault.slow_s and not fault.status):
            answer = await self._pass(request, body)
            if not fault.applied:
                self._note(request, body, answer.status)
                return answer
        self._note(request, body, fault.status)
        if not fault.status:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(status=fault.status, text=fault.body, headers=dict(fault.headers))

    def _fault(self, path: str) -> Fault | None:
        for at, fault in enumerate(self.faults):
            if fault.path in ("", path):
                return self.faults.pop(at)
        standing = self.standing
        return standing if standing is not None and standing.path in ("", path) else None

    def _note(self, request: web.Request, body: bytes, status: int) -> None:
        if self.keep and len(self.seen) < SEEN_MAX:
            query, headers = dict(request.query), dict(request.headers)
            self.seen.append(Seen(request.method, request.path, query, headers, body, status))

    async def _pass(self, request: web.Request, body: bytes) -> web.Response:
        path, query = request.path, dict(request.query)
        if path == WRITE:
            path, query = "/write", _as_v1(query)
        elif path == "/health":
            path = "/ping"
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        if headers.get("Authorization", "").startswith("Token "):
            login = base64.b64encode(headers["Authorization"][6:].encode()).decode()
            headers["Authorization"] = f"Basic {login}"
        if request.method == "POST":
            headers.setdefault("Content-Type", "text/plain")
        try:
            async with self.client.request(
                request.method, self.upstream + path, params=query, data=body, headers=headers
            ) as answer:
                told = await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            return web.Response(status=503, text=f"influxd does not answer: {error!r}")
        if request.path == "/health":
            return _health(answer)
        back = {name: answer.headers[name] for name in PASSED_BACK if name in answer.headers}
        return web.Response(status=answer.status, body=told, headers=back)


def _as_v1(query: dict[str, str]) -> dict[str, str]:
    """Return the parameters of 1.x `/write`; a precision it does not know would be taken as ns."""
    database, _, policy = query.pop("bucket", "").partition("/")
    query.pop("org", None)
    precision = query.pop("precision", "ns")
    query |= {"db": database, "precision": "u" if precision == "us" else precision}
    return query | {"rp": policy} if policy else query


def _health(answer: aiohttp.ClientResponse) -> web.Response:
    up = answer.status == 204
    version = answer.headers.get("X-Influxdb-Version", "")
    told = {"name": "influxdb", "status": "pass" if up else "fail", "version": version}
    return web.json_response(told, status=200 if up else 503)


@asynccontextmanager
async def running_alias(upstream: str, port: int = 0) -> AsyncIterator[Alias]:
    """Serve on a loopback port, 0 for a free one."""
    alias = Alias(upstream)
    # Bodies pass as they are, still compressed.
    app = web.Application(client_max_size=BODY_MAX_B, handler_args={"auto_decompress": False})
    app.router.add_route("*", "/{rest:.*}", alias.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    host, port = runner.addresses[0][:2]
    alias.url = f"http://{host}:{port}"
    async with aiohttp.ClientSession() as alias.client:
        try:
            yield alias
        finally:
            await runner.cleanup()


@asynccontextmanager
async def alias_process(
    upstream: str, port: int = 0, within: Sequence[str] = ()
) -> AsyncIterator[str]:
    """Serve from a process of its own, started by `within`; gives the address."""
    child = await asyncio.create_subprocess_exec(
        *within,
        sys.executable,
        "-m",
        "rig.influx_alias",
        upstream,
        str(port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield (await child.stdout.readline()).decode().strip()
    finally:
        child.stdin.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), 10)
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def _serve(upstream: str, port: int = 0) -> None:
    async with running_alias(upstream, port) as alias:
        alias.keep = False
        sys.stdout.write(f"{alias.url}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], *map(int, sys.argv[2:])))
