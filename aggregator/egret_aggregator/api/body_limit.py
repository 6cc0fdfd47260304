"""Refuses a request body over the limit before anything reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.api.problems import ProblemError, response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BODYLESS = frozenset(("GET", "HEAD", "OPTIONS"))  # their bodies mean nothing and are not read


class BodyLimit:
    """ASGI middleware that takes in a whole body, at most `most_b` bytes, and hands it on."""

    def __init__(self, app: ASGIApp, most_b: int) -> None:
        self._app = app
        self._most_b = most_b

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 for a body that is too large, declared or not."""
        if scope["type"] != "http" or scope["method"] in _BODYLESS:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(scope, receive)
        except ProblemError as problem:
            await response(problem)(scope, receive, send)
            return
        if body is None:
            return  # half a request is none: nobody waits for its answer
        await self._app(scope, _replayed(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """Return the whole body, None where the client went before its end."""
        too_large = ProblemError(413, "body_too_large", f"at most {self._most_b} bytes")
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._most_b:
                raise too_large
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._most_b:
                raise too_large
            more = message.get("more_body", False)
        return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
