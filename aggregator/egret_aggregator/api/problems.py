"""Errors as RFC 9457 problems: `application/problem+json` with a stable `type` and `code`."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from egret_aggregator.api.times import rfc3339
from egret_aggregator.errors import AggregatorError, StoreError
from egret_aggregator.warnings.acts import ActRefusedError, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

_LOG = logging.getLogger(__name__)
CODES = {
    400: "invalid_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
}
_STATUS = {
    Refusal.UNKNOWN_WARNING: 404,
    Refusal.NOTE_MISSING: 400,
    Refusal.NOTE_TOO_LONG: 400,
    Refusal.UNKNOWN_LEVEL: 400,
    Refusal.CHANGED_MEANWHILE: 412,
}
_CONFLICT = 409
_RETRY_S = 5  # a store that hangs is asked no oftener
_SEEN_MAX = 100  # characters of a refused value that are shown again


class ProblemError(AggregatorError):
    """An error with an HTTP status; handlers make a problem document of it.

    Attributes:
        status: HTTP status; code: stable word, the tail of `type`; detail: one sentence.
        more: further members; headers: further response headers.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        more: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.more = dict(more or {})
        self.headers = dict(headers or {})
        super().__init__(f"{status} {code}: {detail}")


def document(problem: ProblemError) -> bytes:
    """Return the JSON of a problem."""
    body = {
        "type": f"urn:egret:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        **problem.more,
    }
    return json.dumps(body).encode()


def response(problem: ProblemError) -> Response:
    """Return the HTTP response of a problem."""
    return Response(
        document(problem),
        problem.status,
        {**problem.headers, "Cache-Control": "no-store"},
        "application/problem+json",
    )


def install(app: FastAPI) -> None:
    """Have every error of an app answered as a problem."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ActRefusedError, _refused)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(Exception, _unforeseen)


def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        raise error
    return response(error)


def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = CODES.get(error.status_code, "http_error")
    problem = ProblemError(error.status_code, code, str(error.detail), headers=error.headers)
    return response(problem)


def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = [
        {
            "where": ".".join(str(part) for part in item["loc"]),
            "message": str(item["msg"]),
            "seen": repr(item.get("input"))[:_SEEN_MAX],
        }
        for item in error.errors()
    ]
    first = found[0] if found else {"where": "request", "message": "cannot be read"}
    detail = f"{first['where']}: {first['message']}"
    return response(ProblemError(400, "invalid_request", detail, more={"errors": found}))


def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ActRefusedError):
        raise error
    more: dict[str, Any] = {}
    state = error.state
    if state is not None:
        more["warning"] = {"id": state.id, "state": str(state.state), "level": state.level}
        mark = state.closed or state.acknowledged
        if mark is not None:
            more["by"] = mark.by
            more["at"] = rfc3339(mark.time_ms)
    status = _STATUS.get(error.why, _CONFLICT)
    return response(ProblemError(status, str(error.why), error.detail, more=more))


def _store(request: Request, error: Exception) -> Response:
    _LOG.error("api path=%r store=%r", request.url.path, str(error))
    detail = "the time series cannot be read now; warnings go on without it"
    headers = {"Retry-After": str(_RETRY_S)}
    return response(ProblemError(503, "store_unavailable", detail, headers=headers))


def _unforeseen(request: Request, error: Exception) -> Response:
    _LOG.error("api path=%r error=%s", request.url.path, type(error).__name__)
    return response(
        ProblemError(500, "internal", "the centre failed to answer; its log names the error")
    )
