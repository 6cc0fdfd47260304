"""`GET /api/v1/warnings/stream`: server-sent events, as a raw ASGI app.

A client that names the last line it has (`Last-Event-ID`, or `?after=` at first) is given every
later one from the ledger, then the live ones: it joins the hub before the ledger is read.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from starlette.requests import HTTPConnection

from egret_aggregator.api.auth import context_of, seat_of
from egret_aggregator.api.hub import HEARTBEAT_S, encoded, warning_event
from egret_aggregator.api.mailbox import End, Mailbox
from egret_aggregator.api.problems import ProblemError, response
from egret_aggregator.errors import DatabaseUnavailableError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from egret_aggregator.api.context import Context
    from egret_aggregator.tokens import Seat

REPLAY_MAX = 20_000  # lines; a client further behind reads /warnings anew, which is quicker
REPLAY_PAGE = 500  # lines read at once
SEND_MAX_S = 30.0  # one write may wait this long for a client that does not read
TOKEN_CHECK_S = 30.0  # an ended token ends its streams within this time
RETRY_MS = 2000  # what a browser waits before it comes again

_SEQ_DIGITS = 18  # more is not one of our seqs
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold events back
]
_LOG = logging.getLogger(__name__)


class _Client(NamedTuple):
    seat: Seat
    mailbox: Mailbox


class Stream:
    """The ASGI app of the stream."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it goes, falls behind, or the centre stops."""
        connection = HTTPConnection(scope)
        try:
            await _serve(connection, receive, send)
        except ProblemError as problem:
            await response(problem)(scope, receive, send)


async def _serve(connection: HTTPConnection, receive: Receive, send: Send) -> None:
    if connection.scope["method"] != "GET":
        raise ProblemError(
            405, "method_not_allowed", "the stream is read", headers={"Allow": "GET"}
        )
    context = context_of(connection)
    seat = await seat_of(connection)
    wants = connection.query_params.get("observations") == "1"
    mailbox = Mailbox(wants_observations=wants)
    if not context.hub.join(mailbox):
        raise ProblemError(503, "stream_full", "too many clients, or the centre is stopping")
    try:
        after = await _start_of(connection, context)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _run(context, _Client(seat, mailbox), after, receive, send)
    finally:
        context.hub.leave(mailbox)


async def _start_of(connection: HTTPConnection, context: Context) -> int:
    """Return the line after which the client wants to hear."""
    head = context.ledger.head.seq
    header = connection.headers.get("last-event-id")
    text = connection.query_params.get("after") if header is None else header
    if text is None:
        return head
    if not (text.isascii() and text.isdigit() and len(text) <= _SEQ_DIGITS):
        raise ProblemError(
            400, "bad_last_event_id", f"{text[:40]!r} is not an id of this stream (a number)"
        )
    after = int(text)
    if after > head:
        raise ProblemError(
            409,
            "last_event_id_ahead",
            f"the ledger ends at {head}: it is not the one you listened to; read /warnings anew",
        )
    if await context.ledger.count_after(after, REPLAY_MAX + 1) > REPLAY_MAX:
        raise ProblemError(
            409, "too_far_behind", f"more than {REPLAY_MAX} lines behind: read /warnings anew"
        )
    return after


async def _run(context: Context, client: _Client, after: int, receive: Receive, send: Send) -> None:
    seat, mailbox = client
    tasks = [
        asyncio.ensure_future(_write(context, mailbox, after, send)),
        asyncio.ensure_future(_gone(receive)),
        asyncio.ensure_future(_watch_token(context, seat, mailbox)),
        asyncio.ensure_future(mailbox.ended.wait()),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [r for r in results if isinstance(r, Exception)]
    if mailbox.end is not None:
        _LOG.info("stream end=%s seat=%r", mailbox.end, seat.name)
    if mailbox.end in (End.STOPPING, End.TOKEN_ENDED):
        # A client that reads is told the end; one that does not is cut off by the server.
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(HEARTBEAT_S / 4):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
    for error in failed:
        if not isinstance(error, OSError):
            raise error


async def _write(context: Context, mailbox: Mailbox, after: int, send: Send) -> None:
    hello = {"head": context.ledger.head.seq, "after": after}
    await _send(mailbox, send, f"retry: {RETRY_MS}\n".encode() + encoded("hello", hello))
    sent = after
    while mailbox.end is None and (lines := await context.ledger.after(sent, REPLAY_PAGE)):
        await _send(mailbox, send, b"".join(warning_event(line).data for line in lines))
        sent = lines[-1].seq
    while mailbox.end is None:  # what was not written must not be followed by what came later
        await mailbox.filled.wait()
        events = [event for event in mailbox.take() if event.seq == 0 or event.seq > sent]
        if events:
            await _send(mailbox, send, b"".join(event.data for event in events))
        sent = max([sent, *(event.seq for event in events)])


async def _send(mailbox: Mailbox, send: Send, data: bytes) -> None:
    try:
        async with asyncio.timeout(SEND_MAX_S):
            await send({"type": "http.response.body", "body": data, "more_body": True})
    except TimeoutError:
        mailbox.finish(End.STALLED)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _watch_token(context: Context, seat: Seat, mailbox: Mailbox) -> None:
    good = True
    while good:
        await asyncio.sleep(TOKEN_CHECK_S)
        # A database that does not answer ends nobody's stream: the seat would see less, not more.
        with suppress(DatabaseUnavailableError):
            good = await context.tokens.still(seat)
    mailbox.finish(End.TOKEN_ENDED)
