"""The app: routes, limits, problems and the description of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.routing import Route

from egret_aggregator.api import examples, gateways, health, problems, readings, session, warnings
from egret_aggregator.api.body_limit import BodyLimit
from egret_aggregator.api.stream import Stream

if TYPE_CHECKING:
    from egret_aggregator.api.context import Context

STREAM_PATH = "/api/v1/warnings/stream"
OPENAPI_PATH = "/api/v1/openapi.json"
_KIB = 1024
_PROBLEM = {
    "type": "object",
    "description": "RFC 9457; `code` is stable, further members depend on it",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
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


def create_app(context: Context) -> FastAPI:
    """Return the API over the rooms in `context`."""
    app = FastAPI(
        title="Egret",
        summary="Early warning for water, rain and slopes",
        version="1",
        openapi_url=OPENAPI_PATH,
        docs_url=None,  # its page would load scripts from another host
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.egret = context
    problems.install(app)
    # Before `/warnings/{warning}`, which would take it for an id.
    app.router.routes.append(Route(STREAM_PATH, Stream(), include_in_schema=False))
    for room in (health, session, warnings, readings, gateways):
        app.include_router(room.router)
    app.add_middleware(BodyLimit, most_b=context.settings.body_max_kb * _KIB)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        return _described(describe())

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the description with the stream, which is no FastAPI route, and the tokens."""
    paths = schema["paths"]
    paths[STREAM_PATH] = _STREAM
    for path, operations in paths.items():
        for method, operation in operations.items():
            _complete(operation, method, path)
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "egret_session"},
    }
    components = schema.setdefault("components", {})
    components["securitySchemes"] = schemes
    schemas = components.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schema["servers"] = [{"url": "/"}]
    schema["security"] = [{"bearer": []}, {"cookie": []}]
    return schema


def _complete(operation: dict[str, Any], method: str, path: str) -> None:
    """Add what FastAPI does not know of an operation: problems, an example, who needs no token."""
    responses = operation["responses"]
    responses.pop("422", None)  # a request that cannot be read is a 400 here
    responses["default"] = _PROBLEM_RESPONSE
    example = examples.ANSWERS.get((method, path))
    if example is not None:
        schema = {"type": "object", "required": sorted(example)}
        responses["200"]["content"] = {"application/json": {"schema": schema, "example": example}}
    if path == "/metrics":
        responses["200"]["content"] = {"text/plain": {"schema": {"type": "string"}}}
    if path == "/readyz":
        responses["503"] = {**responses["200"], "description": "Not judged, or not lately"}
    if path in ("/api/v1/warnings", "/api/v1/warnings/{warning}"):
        responses["304"] = {"description": "Unchanged since If-None-Match"}
    if not path.startswith("/api/") or (method, path) == ("post", "/api/v1/session"):
        operation["security"] = []
