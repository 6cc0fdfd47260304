"""Nothing that comes in over HTTP makes the centre fail, and every refusal is a problem."""

from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from rig.api_centre import PATIENCE_S, ApiCentre
from rig.events import event

if TYPE_CHECKING:
    from collections.abc import Iterator

REQUESTS = 200
PATHS = (
    "/api/v1/warnings",
    "/api/v1/warnings/{x}",
    "/api/v1/stations",
    "/api/v1/stations/{x}",
    "/api/v1/stations/st0007/channels/{x}/readings",
    "/api/v1/stations/st0007/channels/wl/buckets",
    "/api/v1/stations/{x}/pace",
    "/api/v1/stations/st0007/pace",
    "/api/v1/readings",
    "/api/v1/latest",
    "/api/v1/backtests",
    "/api/v1/backtests/{x}",
    "/api/v1/gateways",
    "/api/v1/asides",
    "/api/v1/session",
    "/metrics",
    "/{x}",
)
KEYS = (
    "limit",
    "cursor",
    "from",
    "to",
    "since",
    "state",
    "level",
    "station",
    "hazard",
    "width_s",
    "x",
)
WORDS = (
    "",
    "0",
    "-1",
    "1e9",
    "600",
    "nan",
    "9" * 40,
    "null",
    "st0007",
    "open",
    "2017-08-18T00:00:00Z",
    "9999-12-31T23:59:59.999Z",
    "0001-01-01T00:00:00Z",
    "W10",
    "WzEsIDJd",
    "bnVsbA",
    "WzFlOTk5LCAiYSJd",
    "%00",
    "%ff%fe",
    "../../etc/passwd",
    "' OR 1=1 --",
    "水位",
    "\U0001f30a" * 50,
    "a" * 3000,
)
BODIES: tuple[Any, ...] = (
    {},
    [],
    None,
    5,
    {"note": "x"},
    {"note": None},
    {"note": "x", "level": "blue", "despite_condition": True},
    {"token": "egret_a_b"},
    {"state": "event", "for_s": 60},
    {"state": "event", "for_s": 1e308},
    {"token": ["x"]},
    {"note": "\x00"},
    {"despite_condition": "maybe"},
)


def requests(seed: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    dice = random.Random(seed)
    for _ in range(REQUESTS):
        path = dice.choice(PATHS).replace("{x}", dice.choice(WORDS) or "x")
        more: dict[str, Any] = {
            "params": [(dice.choice(KEYS), dice.choice(WORDS)) for _ in range(dice.randrange(4))],
            "headers": {},
        }
        if dice.random() < 0.3:
            more["headers"]["If-None-Match"] = dice.choice(('"x"', "*", "W/"))
        yield "GET", path, more
        if dice.random() < 0.4:
            act = dice.choice(("acknowledge", "lower", "close", "x"))
            body = {"json": dice.choice(BODIES)}
            key = {"Idempotency-Key": dice.choice(("a", "b b", "x" * 200))}
            headers = key if dice.random() < 0.5 else {"If-Match": dice.choice(("*", '"1"', "zz"))}
            yield "POST", f"/api/v1/warnings/{{first}}/{act}", {**body, "headers": headers}


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_makes_it_fail(centre: ApiCentre, seed: int) -> None:
    first = event("raised", 3)
    await centre.ledger.take([first])
    seen: set[int] = set()
    async with httpx2.AsyncClient(base_url=centre.url, timeout=PATIENCE_S) as client:
        for method, path, more in requests(seed):
            more["headers"] |= centre.bearer("admin")
            answer = await client.request(method, path.replace("{first}", first.id), **more)
            seen.add(answer.status_code)
            assert answer.status_code < 500, (method, path, more, answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json", (path, more)
                assert answer.json()["code"], (path, more)
    assert {200, 400, 404} <= seen
    assert (await centre.ask("GET", "/healthz")).status_code == 200


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n\r\n",
        b"GET /healthz\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_request_cost_one_connection(centre: ApiCentre, raw: bytes) -> None:
    host, port = centre.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    assert (await centre.ask("GET", "/healthz")).status_code == 200
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    assert json.loads((await centre.ask("GET", "/healthz")).text) == {"status": "alive"}
