"""What the running service says to a technician: one JSON object in, one out.

A socket in the data folder: nothing is written to flash, and only those who may enter the folder
can ask. An empty line asks how it is; `{"do": "read", "bus": ..., "unit": ...}` has a device read
between the polls.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from egret_gateway.errors import AskError, NotRunningError, StatusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    Read = Callable[[str, str], Awaitable[Sequence[Mapping[str, Any]]]]

FILE = "status.sock"
ANSWER_S = 5.0  # a service that takes longer is hung, and that is an answer too
ANSWER_MAX_B = 1024 * 1024  # of a box with hundreds of devices: 200 kB
QUESTION_S = 1.0  # who says nothing by then asks how it is
QUESTION_MAX_B = 1024
_MODE = 0o660  # to connect is to write: the folder's group may
_log = logging.getLogger(__name__)


@asynccontextmanager
async def answering(
    folder: Path, facts: Callable[[], Mapping[str, Any]], read: Read | None = None
) -> AsyncIterator[None]:
    """Answer until the block ends; where no socket can be made the service goes on without.

    Args:
        folder: of the gateway's data, held by this process alone.
        facts: what is so now; it must cost next to nothing.
        read: reads every turn of a bus and a unit once; AskError says why it could not.
    """
    path = folder / FILE

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            found = await _answer(await _question(reader), facts, read)
            writer.write(json.dumps(found, ensure_ascii=False).encode())
            await writer.drain()
        writer.close()

    try:
        path.unlink(missing_ok=True)  # of a process that was killed: the folder is ours
        server = await asyncio.start_unix_server(answer, path, limit=QUESTION_MAX_B)
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


async def _question(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(QUESTION_S):
            return await reader.readline()
    except (TimeoutError, ValueError):  # nothing, or a line that is too long
        return b""


async def _answer(
    question: bytes, facts: Callable[[], Mapping[str, Any]], read: Read | None
) -> Mapping[str, Any]:
    if not question.strip():
        return facts()
    try:
        asked = json.loads(question)
        if read is None or asked["do"] != "read":
            return {"ok": False, "detail": "this service answers: read"}
        return {"ok": True, "reads": await read(str(asked["bus"]), str(asked["unit"]))}
    except (ValueError, KeyError, TypeError):
        return {"ok": False, "detail": 'ask {"do": "read", "bus": "...", "unit": "..."}'}
    except AskError as error:
        return {"ok": False, "detail": str(error)}


def ask(
    folder: Path, question: Mapping[str, str] | None = None, answer_s: float | None = None
) -> dict[str, Any]:
    """Return what the running service says.

    Args:
        folder: of the gateway's data.
        question: None for how it is.
        answer_s: how long an answer may take, None for the usual.

    Raises:
        NotRunningError: it does not run.
        StatusError: it does not answer.
    """
    path = folder / FILE
    limit_s = ANSWER_S if answer_s is None else answer_s
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(limit_s)
            line.connect(str(path))
            line.sendall((json.dumps(question) if question else "").encode() + b"\n")
            body = b""
            while len(body) < ANSWER_MAX_B and (part := line.recv(65536)):
                body += part
        found: dict[str, Any] = json.loads(body)
    except (FileNotFoundError, ConnectionRefusedError):
        raise NotRunningError(
            "the gateway does not run on this data: start it (`systemctl start egret-gateway`)"
        ) from None
    except TimeoutError:
        raise StatusError(f"the gateway did not answer within {limit_s:g} s: it hangs") from None
    except PermissionError:
        raise StatusError(f"{path}: permission denied: ask as root or as its user") from None
    except (OSError, ValueError) as error:
        raise StatusError(f"{path}: {error}") from None
    return found
