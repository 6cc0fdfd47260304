"""A TCP connection opened in a thread that no stop waits for.

A dead name server or a router that swallows packets would hold up a pool's thread, and with it the
end of the process, for as long as the system has patience.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egret_gateway.uplink.tls import Tls


async def dialled(host: str, port: int, limit_s: float, tls: Tls | None = None) -> socket.socket:
    """Return a connected socket, with TLS over it where `tls` is given.

    Raises:
        OSError: unknown, unreachable, refused, or no answer within `limit_s`.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[socket.socket] = loop.create_future()

    def dial() -> None:
        found = _connected(host, port, limit_s, tls)
        try:
            loop.call_soon_threadsafe(_settle, answer, found)
        except RuntimeError:  # the loop has ended meanwhile
            _hang_up(found)

    threading.Thread(target=dial, name="dial", daemon=True).start()
    return await answer


def _connected(host: str, port: int, limit_s: float, tls: Tls | None) -> socket.socket | OSError:
    try:
        line = socket.create_connection((host, port), limit_s)
        return line if tls is None else tls.over(line)
    except OSError as error:
        return error
    except UnicodeError as error:  # a host that is no name at all
        return OSError(f"{host!r}: {error}")


def _settle(answer: asyncio.Future[socket.socket], found: socket.socket | OSError) -> None:
    if answer.done():
        _hang_up(found)  # nobody waits for it any more
    elif isinstance(found, OSError):
        answer.set_exception(found)
    else:
        answer.set_result(found)


def _hang_up(found: socket.socket | OSError) -> None:
    if isinstance(found, socket.socket):
        found.close()
