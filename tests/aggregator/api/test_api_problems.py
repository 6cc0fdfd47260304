"""Every error is a problem document; limits hold; health says what is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from rig.api_centre import NOW_MS, ApiCentre, api_centre
from rig.events import event

from egret_aggregator.config import ApiSettings

if TYPE_CHECKING:
    from pathlib import Path

SESSION = "/api/v1/session"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/docs", 404, "not_found"),
        ("POST", "/healthz", 405, "method_not_allowed"),
        ("PUT", "/api/v1/warnings", 405, "method_not_allowed"),
        ("POST", "/api/v1/warnings/stream", 405, "method_not_allowed"),
        ("GET", "/api/v1/warnings/x/acknowledge", 405, "method_not_allowed"),
    ],
)
async def test_wrong_turns(
    centre: ApiCentre, method: str, path: str, status: int, code: str
) -> None:
    answer = await centre.ask(method, path)
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"urn:egret:problem:{code}"
    assert (status == 405) == ("allow" in answer.headers)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"note": 5}', b'{"note": "\\ud800"}', b"\xff"]
)
async def test_a_malformed_body_is_400(centre: ApiCentre, body: bytes) -> None:
    first = event("raised", 1)
    await centre.ledger.take([first])
    headers = {**centre.bearer("officer"), "Content-Type": "application/json"}
    path = f"/api/v1/warnings/{first.id}/close"
    answer = await centre.ask("POST", path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert centre.ledger.head.seq == 4  # three tokens and the event: nothing was recorded


async def test_a_body_over_the_limit_is_413_declared_or_not(tmp_path: Path) -> None:
    async with api_centre(tmp_path, ApiSettings(body_max_kb=1)) as centre:
        sent = {"Content-Type": "application/json"}
        fits = json.dumps({"token": "x" * 100}).encode()
        assert (await centre.ask("POST", SESSION, content=fits, headers=sent)).status_code == 401
        large = b"x" * 1025
        declared = await centre.ask("POST", SESSION, content=large)
        assert (declared.status_code, declared.json()["code"]) == (413, "body_too_large")

        async def pieces():  # type: ignore[no-untyped-def]  # noqa: ANN202
            for _ in range(5):
                yield b"x" * 300

        chunked = await centre.ask("POST", SESSION, content=pieces())
        assert (chunked.status_code, chunked.json()["code"]) == (413, "body_too_large")


async def test_a_liar_about_its_length_is_not_waited_for(centre: ApiCentre) -> None:
    host, port = centre.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST /api/v1/session HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n")
    answer = await asyncio.wait_for(reader.readline(), 30)
    assert b" 413 " in answer
    writer.close()
    await writer.wait_closed()


async def test_alive_and_ready_are_two_things(centre: ApiCentre) -> None:
    assert (await centre.ask("GET", "/healthz")).json() == {"status": "alive"}
    assert (await centre.ask("GET", "/readyz")).status_code == 200
    centre.line.judged = NOW_MS - 100_000
    answer = await centre.ask("GET", "/readyz")
    assert (answer.status_code, answer.json()["judgement"]["state"]) == (503, "stale")
    centre.line.judged = None
    answer = await centre.ask("GET", "/readyz")
    assert (answer.status_code, answer.json()["judgement"]["state"]) == (503, "never")
    assert (await centre.ask("GET", "/healthz")).status_code == 200


async def test_metrics_are_prometheus_text(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", n % 2 + 1, subject=f"st{n}/wl") for n in range(3)])
    answer = await centre.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert "egret_ledger_head 6" in lines
    assert "egret_judgement_current 1" in lines
    assert 'egret_warnings{state="open",level="blue"} 2' in lines
    assert lines.count("# TYPE egret_warnings gauge") == 1
    assert "# TYPE egret_stream_overflows_total counter" in lines
    assert "egret_journal_head 7" in lines


async def test_the_description_is_openapi_3_1_and_whole(centre: ApiCentre) -> None:
    schema = (await centre.ask("GET", "/api/v1/openapi.json")).json()
    assert schema["openapi"].startswith("3.1")
    for path in (
        "/api/v1/warnings",
        "/api/v1/warnings/{warning}",
        "/api/v1/warnings/{warning}/acknowledge",
        "/api/v1/warnings/{warning}/lower",
        "/api/v1/warnings/{warning}/close",
        "/api/v1/warnings/stream",
        "/api/v1/stations",
        "/api/v1/stations/{station}",
        "/api/v1/stations/{station}/channels/{channel}/readings",
        "/api/v1/latest",
        "/api/v1/gateways",
        "/api/v1/asides",
        "/api/v1/session",
    ):
        assert path in schema["paths"]
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            assert "422" not in operation["responses"], path


async def test_a_fault_of_ours_is_a_problem_too(centre: ApiCentre) -> None:
    await centre.database.close()
    answer = await centre.get("/api/v1/warnings")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "Traceback" not in answer.text
