"""The description of the API: OpenAPI 3.1 with the stream, the roles and every problem's code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.routing import APIRoute

from egret_aggregator.api import examples
from egret_aggregator.api.auth import COOKIE, NEEDS
from egret_aggregator.api.problems import CODES
from egret_aggregator.tokens import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fastapi import APIRouter

STREAM_PATH = "/api/v1/warnings/stream"
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457; `code` is stable, further members depend on it",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "one of `x-codes`; more may come"},
        "detail": {"type": "string"},
    },
    "x-codes": {
        code: {"status": status, "meaning": meaning} for code, (status, meaning) in CODES.items()
    },
}
_PROBLEM_RESPONSE = {
    "description": "Any error",
    "content": {
        "application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"},
            "example": examples.PROBLEM,
        }
    },
}
_STREAM = {
    "get": {
        "tags": ["warnings"],
        "operationId": "warnings_stream",
        "summary": "Warnings as they change, as server-sent events",
        "description": (
            "Events: `hello`, `warning` (its id is the ledger's line: resume with "
            "Last-Event-ID), `heartbeat` every 2 s with the ledger's head, and with "
            "`observations=1` also `observation`, of which only the latest is kept."
        ),
        "parameters": [
            {
                "name": "Last-Event-ID",
                "in": "header",
                "required": False,
                "schema": {"type": "integer", "minimum": 0},
            },
            {
                "name": "after",
                "in": "query",
                "required": False,
                "schema": {"type": "integer", "minimum": 0},
            },
            {
                "name": "observations",
                "in": "query",
                "required": False,
                "schema": {"type": "string", "enum": ["1"]},
            },
        ],
        "responses": {
            "200": {
                "description": "The stream",
                "content": {
                    "text/event-stream": {
                        "schema": {"type": "string"},
                        "example": examples.STREAM,
                    }
                },
            }
        },
    }
}


def described(schema: dict[str, Any], routers: Iterable[APIRouter]) -> dict[str, Any]:
    """Return the description with the stream, which is no FastAPI route, and who may do what."""
    paths = schema["paths"]
    paths[STREAM_PATH] = {"get": dict(_STREAM["get"])}
    needs = {(STREAM_PATH, "get"): Role.VIEWER, **_roles(routers)}
    for path, operations in paths.items():
        for method, operation in operations.items():
            operation["responses"] = _responses(operation["responses"], method, path)
            role = needs.get((path, method))
            operation["x-role"] = None if role is None else str(role)
            if role is None:
                operation["security"] = []
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schema["servers"] = [{"url": "/"}]
    schema["security"] = [{"bearer": []}, {"cookie": []}]
    return schema


def _responses(told: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    """Return an operation's answers with what FastAPI does not know: problems and an example."""
    responses = dict(told)
    responses.pop("422", None)  # a request that cannot be read is a 400 here
    responses["default"] = _PROBLEM_RESPONSE
    example = examples.ANSWERS.get((method, path))
    if example is not None:
        content = {"application/json": {"schema": _schema(example), "example": example}}
        good = "202" if "202" in responses else "200"
        responses[good] = {**responses[good], "content": content}
    if path == "/metrics":
        content = {"text/plain": {"schema": {"type": "string"}}}
        responses["200"] = {**responses["200"], "content": content}
    if path == "/readyz":
        responses["503"] = {**responses["200"], "description": "Not judged, or not lately"}
    if path in ("/api/v1/warnings", "/api/v1/warnings/{warning}"):
        responses["304"] = {"description": "Unchanged since If-None-Match"}
    return responses


def _schema(example: Any) -> dict[str, Any]:  # noqa: ANN401  (JSON: an object, or a list of them)
    if isinstance(example, list):
        return {"type": "array", "items": _schema(example[0])}
    return {"type": "object", "required": sorted(example)}


def _roles(routers: Iterable[APIRouter]) -> dict[tuple[str, str], Role]:
    """Return the role that each route asks for, by path and method."""
    return {
        (route.path, method.lower()): NEEDS[dependency.call]
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for dependency in route.dependant.dependencies
        if dependency.call in NEEDS
        for method in route.methods or ()
    }
