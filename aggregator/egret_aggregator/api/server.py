"""uvicorn as a part of the centre: our socket, our signals, streams that end when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn

from egret_aggregator.errors import AggregatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from egret_aggregator.api.hub import Hub

BACKLOG = 512  # connections waiting: 128 seats that come back at once, with room
SEND_BUFFER_B = 256 * 1024  # of a connection; the kernel would let a stalled client hold 4 MiB
GRACE_S = 2  # a client that does not read is cut off after this, so that stopping takes < 3 s


class ListenError(AggregatorError):
    """The API's address cannot be listened on."""


class ApiServer(uvicorn.Server):
    """A server that ends its streams before it waits for its connections."""

    def __init__(self, app: ASGIApp, hub: Hub) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                access_log=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=GRACE_S,
                server_header=False,
            )
        )
        self._hub = hub
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to answer, and say so by `up`."""
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the service, which stops every room and not only this one."""
        yield

    def stop(self) -> None:
        """End the streams, then the server; `serve` returns soon after."""
        # uvicorn waits for its connections before it says that it stops: too late for a stream.
        self._hub.stop()
        self.should_exit = True


def listening(host: str, port: int) -> socket.socket:
    """Return a bound socket; port 0 takes a free one.

    Raises:
        ListenError: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_B)  # accepted ones inherit
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ListenError(
            f"api: cannot listen on {host}:{port} ({error.strerror or error}): is another centre "
            "running? set [api] port, or 0 for a free one"
        ) from None
    return listener
