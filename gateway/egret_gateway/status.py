"""What the running service says of itself to a technician: one JSON object to whoever connects.

A socket in the data folder: nothing is written to flash, and only those who may enter the folder
can ask.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from egret_gateway.errors import StatusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

FILE = "status.sock"
ANSWER_S = 5.0  # a service that takes longer is hung, and that is an answer too
ANSWER_MAX_B = 1024 * 1024  # of a box with hundreds of devices: 200 kB
_MODE = 0o660  # to connect is to write: the folder's group may
_log = logging.getLogger(__name__)


@asynccontextmanager
async def answering(folder: Path, facts: Callable[[], Mapping[str, Any]]) -> AsyncIterator[None]:
    """Answer until the block ends; where no socket can be made the service goes on without.

    Args:
        folder: of the gateway's data, held by this process alone.
        facts: what is so now; it must cost next to nothing.
    """
    path = folder / FILE

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(json.dumps(facts(), ensure_ascii=False).encode())
            await writer.drain()
        writer.close()

    try:
        path.unlink(missing_ok=True)  # of a process that was killed: the folder is ours
        server = await asyncio.start_unix_server(answer, path)
        path.chmod(_MODE)
    except OSError as error:
        _log.warning("event=no_status_socket path=%s error=%r", path, str(error))
        yield
        return
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def ask(folder: Path) -> dict[str, Any]:
    """Return what the running service says.

    Raises:
        StatusError: it does not run, or does not answer.
    """
    path = folder / FILE
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_S)
            line.connect(str(path))
            body = b""
            while len(body) < ANSWER_MAX_B and (part := line.recv(65536)):
                body += part
        found: dict[str, Any] = json.loads(body)
    except (FileNotFoundError, ConnectionRefusedError):
        raise StatusError(
            "the gateway does not run on this data: start it (`systemctl start egret-gateway`)"
        ) from None
    except TimeoutError:
        raise StatusError(f"the gateway did not answer within {ANSWER_S:g} s: it hangs") from None
    except PermissionError:
        raise StatusError(f"{path}: permission denied: ask as root or as its user") from None
    except (OSError, ValueError) as error:
        raise StatusError(f"{path}: {error}") from None
    return found
