"""A request acts when its body is whole and small enough, and not otherwise."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.api_centre import PATIENCE_S, ApiCentre, api_centre
from rig.events import event

from egret_aggregator.api.body_limit import BodyLimit
from egret_aggregator.config import ApiSettings

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Message, Receive, Scope, Send

LIMIT_B = 64


class Echo:
    """An app behind the limit: it notes the body that reached it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.after: Message | None = None

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        self.after = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def through(
    messages: list[Message], *, method: str = "POST", declared: bytes | None = None
) -> tuple[Echo, int | None]:
    echo, said = Echo(), []
    left = [*messages, {"type": "http.disconnect"}]

    async def receive() -> Message:
        return left.pop(0)

    async def send(message: Message) -> None:
        said.append(message)

    headers = [] if declared is None else [(b"content-length", declared)]
    scope = {"type": "http", "method": method, "headers": headers}
    await BodyLimit(echo, LIMIT_B)(scope, receive, send)
    status: int | None = said[0]["status"] if said else None
    return echo, status


def pieces(*parts: bytes, whole: bool = True) -> list[Message]:
    last = len(parts) - 1
    return [
        {"type": "http.request", "body": part, "more_body": n < last or not whole}
        for n, part in enumerate(parts)
    ]


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_a_body_in_pieces_arrives_whole_or_is_413(parts: list[bytes]) -> None:
    echo, status = asyncio.run(through(pieces(*parts)))
    body = b"".join(parts)
    if len(body) <= LIMIT_B:
        assert (echo.bodies, status) == ([body], 200)
        assert echo.after == {"type": "http.disconnect"}
    else:
        assert (echo.bodies, status) == ([], 413)


@pytest.mark.parametrize(("size", "status"), [(LIMIT_B, 200), (LIMIT_B + 1, 413)])
async def test_the_limit_itself_still_fits(size: int, status: int) -> None:
    assert (await through(pieces(b"x" * size)))[1] == status


async def test_a_declared_length_is_believed_before_anything_is_read() -> None:
    echo, status = await through([], declared=b"%d" % (LIMIT_B + 1))
    assert (echo.bodies, status) == ([], 413)


async def test_a_length_that_is_no_number_does_not_open_a_way_round() -> None:
    for odd in (b"-1", b"1e3", b"", b"0x10"):
        _, status = await through(pieces(b"x" * (LIMIT_B + 1)), declared=odd)
        assert status == 413, odd


async def test_a_client_that_goes_in_the_middle_is_no_request() -> None:
    echo, status = await through(pieces(b'{"note": "x"}', whole=False))
    assert (echo.bodies, status) == ([], None)


async def test_a_get_is_handed_on_unread() -> None:
    echo, status = await through(pieces(b"x" * 500), method="GET")
    assert (echo.bodies, status) == ([b"x" * 500], 200)


async def test_half_a_request_acknowledges_nothing(centre: ApiCentre) -> None:
    first = event("raised", 3)
    await centre.ledger.take([first])
    head = centre.ledger.head
    body = b'{"note": "seen"}'
    host, port = centre.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    lines = (
        f"POST /api/v1/warnings/{first.id}/acknowledge HTTP/1.1",
        f"Host: {host}",
        f"Authorization: {centre.bearer('officer')['Authorization']}",
        "Content-Type: application/json",
        f"Content-Length: {len(body) + 100}",  # the JSON is whole, the request is not
    )
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    # The centre is asked again on a connection of its own until it has seen the end of the first.
    for _ in range(20):
        assert (await centre.get(f"/api/v1/warnings/{first.id}")).json()["warning"][
            "state"
        ] == "open"
    assert centre.ledger.head == head


async def test_every_posting_route_is_behind_the_limit(tmp_path: Path) -> None:
    async with api_centre(tmp_path, ApiSettings(body_max_kb=1)) as centre:
        schema = (await centre.ask("GET", "/api/v1/openapi.json")).json()
        posting = [path for path, operations in schema["paths"].items() if "post" in operations]
        assert len(posting) >= 4
        for path in (*posting, "/no/such/path", "/api/v1/warnings/stream"):
            answer = await centre.post(path.replace("{warning}", "x"), content=b" " * 1025)
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), path


def nested(depth: int) -> bytes:
    return b'{"note":' + b"[" * depth + b"]" * depth + b"}"


@pytest.mark.parametrize(
    "body",
    [nested(100_000), b'{"note": ' + b"9" * 100_000 + b"}", json.dumps({"note": "x" * 2001})],
    ids=["nested", "digits", "note"],
)
async def test_a_body_within_the_limit_that_is_absurd_is_400(centre: ApiCentre, body: Any) -> None:
    first = event("raised", 3)
    await centre.ledger.take([first])
    head = centre.ledger.head
    sent = {"Content-Type": "application/json"} | centre.bearer("officer")
    path = f"/api/v1/warnings/{first.id}/acknowledge"
    async with asyncio.timeout(PATIENCE_S):
        answer = await centre.ask("POST", path, content=body, headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert len(answer.content) < 2000
    assert centre.ledger.head == head
