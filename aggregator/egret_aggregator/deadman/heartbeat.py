"""Hearing a centre: `/readyz` asked again and again, or the heartbeats of its live stream.

Blocking calls of the standard library, for a thread: whatever hangs here is silence.
"""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egret_aggregator.deadman.settings import DeadmanSettings

ANSWER_S = 10.0  # for one read of the socket; the stream beats every 2 s
ANSWER_MAX_B = 64 * 1024  # of /readyz, and of one line of the stream
STREAM = "/api/v1/warnings/stream"
_OK, _NOT_READY = 200, 503


def beats(settings: DeadmanSettings) -> Iterator[str]:
    """Yield "" for each good heartbeat, else why it is none; ends when the connection does."""
    try:
        if settings.token_file is None:
            yield _ready(settings)
        else:
            yield from _stream(settings, settings.token_file.read_text().strip())
    except (OSError, http.client.HTTPException, ValueError) as error:
        yield f"{type(error).__name__}: {error}"


def connection(url: str, ca_file: Path | None) -> http.client.HTTPConnection:
    """Return a connection to a URL's host, not yet open.

    Raises:
        OSError: the CA's file cannot be read.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return http.client.HTTPConnection(host, parts.port, timeout=ANSWER_S)
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    return http.client.HTTPSConnection(host, parts.port, timeout=ANSWER_S, context=context)


def _ready(settings: DeadmanSettings) -> str:
    with closing(connection(settings.url, settings.ca_file)) as line:
        line.request("GET", f"{urlsplit(settings.url).path}/readyz")
        answer = line.getresponse()
        body = answer.read(ANSWER_MAX_B)
        if answer.status == _OK:
            return ""
        why = _object(body).get("why", []) if answer.status == _NOT_READY else []
        return f"status {answer.status}: {', '.join(map(str, why)) or answer.reason}"


def _stream(settings: DeadmanSettings, token: str) -> Iterator[str]:
    with closing(connection(settings.url, settings.ca_file)) as line:
        path = f"{urlsplit(settings.url).path}{STREAM}"
        line.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = line.getresponse()
        if answer.status != _OK:
            yield f"status {answer.status}: {answer.reason}"
            return
        event = ""
        while raw := answer.readline(ANSWER_MAX_B):
            name, _, value = raw.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data" and event == "heartbeat":
                state = _object(value.encode()).get("judgement", {}).get("state", "unknown")
                yield "" if state == "current" else f"judgement {state}"
        yield "the stream ended"


def _object(body: bytes) -> dict[str, Any]:
    found = json.loads(body)
    return found if isinstance(found, dict) else {}
