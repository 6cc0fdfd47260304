"""The description says what there is: every route, who may use it, and what it refuses with."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute
from rig.events import event

from egret_aggregator.api import (
    backtests,
    buckets,
    feed,
    gateways,
    grafana,
    health,
    pace,
    readings,
    screening,
    session,
    warnings,
)
from egret_aggregator.api.problems import CODES

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre

# Promised: a path, its method, and the least role that may use it (None: no token).
PROMISED = {
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): None,
    ("POST", "/api/v1/session"): None,
    ("GET", "/api/v1/session"): "viewer",
    ("DELETE", "/api/v1/session"): None,
    ("GET", "/api/v1/warnings"): "viewer",
    ("GET", "/api/v1/warnings/stream"): "viewer",
    ("GET", "/api/v1/warnings/{warning}"): "viewer",
    ("POST", "/api/v1/warnings/{warning}/acknowledge"): "officer",
    ("POST", "/api/v1/warnings/{warning}/lower"): "officer",
    ("POST", "/api/v1/warnings/{warning}/close"): "officer",
    ("GET", "/api/v1/stations"): "viewer",
    ("GET", "/api/v1/stations/{station}"): "viewer",
    ("GET", "/api/v1/stations/{station}/pace"): "viewer",
    ("POST", "/api/v1/stations/{station}/pace"): "officer",
    ("GET", "/api/v1/stations/{station}/channels/{channel}/readings"): "viewer",
    ("GET", "/api/v1/stations/{station}/channels/{channel}/buckets"): "viewer",
    ("GET", "/api/v1/stations/{station}/channels/{channel}/screening"): "viewer",
    ("POST", "/api/v1/readings"): "feeder",
    ("GET", "/api/v1/backtests"): "viewer",
    ("POST", "/api/v1/backtests"): "officer",
    ("GET", "/api/v1/backtests/{backtest}"): "viewer",
    ("DELETE", "/api/v1/backtests/{backtest}"): "officer",
    ("GET", "/api/v1/latest"): "viewer",
    ("GET", "/api/v1/gateways"): "viewer",
    ("GET", "/api/v1/asides"): "viewer",
    ("GET", "/api/v1/grafana/annotations"): "viewer",
    ("GET", "/api/v1/grafana/warnings"): "viewer",
    ("GET", "/api/v1/grafana/stations"): "viewer",
    ("GET", "/api/v1/grafana/latest"): "viewer",
    ("GET", "/api/v1/grafana/gateways"): "viewer",
    ("GET", "/api/v1/grafana/service"): "viewer",
    ("GET", "/api/v1/grafana/figures"): "viewer",
    ("GET", "/api/v1/grafana/thresholds"): "viewer",
    ("GET", "/api/v1/grafana/threshold-lines"): "viewer",
}
ROOMS = (
    *(backtests, buckets, feed, gateways, grafana, health, pace, readings, screening),
    *(session, warnings),
)
ROLES = ("viewer", "officer", "admin")


async def described(centre: ApiCentre) -> dict[str, Any]:
    schema: dict[str, Any] = (await centre.ask("GET", "/api/v1/openapi.json")).json()
    return schema


async def test_it_lists_what_is_promised_and_nothing_else(centre: ApiCentre) -> None:
    schema = await described(centre)
    found = {
        (method.upper(), path): operation["x-role"]
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    }
    assert found == PROMISED


def test_no_route_is_served_that_is_not_promised() -> None:
    served = {
        (method, route.path)
        for room in ROOMS
        for route in room.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert served | {("GET", "/api/v1/warnings/stream")} == PROMISED.keys()


@pytest.mark.parametrize(
    ("method", "path"), [key for key, role in PROMISED.items() if role is not None]
)
async def test_a_role_is_what_is_described(centre: ApiCentre, method: str, path: str) -> None:
    await centre.ledger.take([event("raised", 1)])
    role = PROMISED[method, path]
    place = re.sub(r"\{\w+\}", "x", path)
    # An id ahead of the ledger: the stream answers, and does not stay.
    more = {"headers": {"Last-Event-ID": "900"}} if path.endswith("stream") else {}
    if method == "POST":
        more["json"] = {"note": "x", "level": "blue"} if path.endswith("lower") else {"note": "x"}
    without = await centre.ask(method, place, **more)
    assert (without.status_code, without.json()["code"]) == (401, "token_missing")
    for least in ROLES:
        headers = more.get("headers", {}) | centre.bearer(least)
        answer = await centre.ask(method, place, **{**more, "headers": headers})
        admitted = ("admin",) if role == "feeder" else ROLES[ROLES.index(str(role)) :]
        refused = least not in admitted
        assert (answer.status_code == 403) == refused, (least, answer.text)


async def test_what_needs_no_token_says_so_and_serves_without(centre: ApiCentre) -> None:
    schema = await described(centre)
    for (method, path), role in PROMISED.items():
        operation = schema["paths"][path][method.lower()]
        assert (operation.get("security") == []) == (role is None), path
        if role is None and method == "GET":
            assert (await centre.ask("GET", path)).status_code == 200
    assert schema["security"] == [{"bearer": []}, {"cookie": []}]


async def test_every_code_is_described_with_status_and_meaning(centre: ApiCentre) -> None:
    schema = await described(centre)
    told = schema["components"]["schemas"]["Problem"]["x-codes"]
    assert {code: (item["status"], item["meaning"]) for code, item in told.items()} == dict(CODES)
    for status, meaning in CODES.values():
        assert 400 <= status < 600
        assert len(meaning) > 10


async def test_every_operation_may_answer_with_a_problem(centre: ApiCentre) -> None:
    schema = await described(centre)
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            content = operation["responses"]["default"]["content"]
            (reference,) = content["application/problem+json"]["schema"].values()
            assert reference == "#/components/schemas/Problem", path


async def test_no_reference_leads_nowhere(centre: ApiCentre) -> None:
    answer = await centre.ask("GET", "/api/v1/openapi.json")
    schema = answer.json()
    named = set(re.findall(r'"#/components/schemas/(\w+)"', answer.text))
    assert named <= schema["components"]["schemas"].keys()
    assert "HTTPValidationError" not in answer.text
    # Asked twice it says the same: describing must not pile up.
    assert (await centre.ask("GET", "/api/v1/openapi.json")).text == answer.text
