"""Errors as RFC 9457 problems: `application/problem+json` with a stable `type` and `code`."""

from __future__ import annotations

import json
import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from egret_aggregator.api.times import rfc3339
from egret_aggregator.errors import AggregatorError, DatabaseUnavailableError, StoreError
from egret_aggregator.warnings.acts import ActRefusedError, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.requests import Request

_LOG = logging.getLogger(__name__)
# Every code with its status and meaning: promised, so none is ever renamed.
CODES: Mapping[str, tuple[int, str]] = {
    "invalid_request": (400, "a field, a query or the body cannot be read; `errors` names them"),
    "bad_time": (400, "no RFC 3339 time with an offset"),
    "bad_cursor": (400, "no cursor of this list, or one of other filters"),
    "bad_last_event_id": (400, "no id of the stream"),
    "limit_out_of_range": (400, "more items than a page may have, or less than one"),
    "from_after_to": (400, "the span ends before it starts"),
    "span_too_long": (400, "the span is longer than one request may ask for"),
    "bad_width": (400, "no width of a bucket that can be given"),
    "note_missing": (400, "lowering and closing need a reason"),
    "note_too_long": (400, "the note is longer than a page"),
    "bad_rules": (400, "the rules cannot be used: `key`, `seen` and `remedy` say why"),
    "bad_observed": (400, "some of the observed events name a station and some do not"),
    "unknown_level": (400, "none of the warning's levels"),
    "token_missing": (401, "no bearer token and no session"),
    "token_malformed": (401, "no token of this system"),
    "token_unknown": (401, "no such token here"),
    "token_expired": (401, "the token's life is over"),
    "token_revoked": (401, "the token was ended"),
    "role_too_low": (403, "the token's role may not do this"),
    "cross_site": (403, "a session was used by another site's page"),
    "not_found": (404, "no such path"),
    "unknown_warning": (404, "no warning of this id"),
    "unknown_station": (404, "no station of this id in the catalogue"),
    "unknown_backtest": (404, "no backtest of this id, or no longer kept"),
    "unknown_channel": (404, "no channel of this id in the catalogue, and nothing stored of it"),
    "method_not_allowed": (405, "the path is there, the method is not; `Allow` names those"),
    "already_acknowledged": (409, "somebody was first: `by` and `at`"),
    "warning_closed": (409, "the warning is over: `by` and `at`"),
    "not_lower": (409, "levels rise by rule only"),
    "condition_holds": (409, "the rule still holds a higher level; `despite_condition` overrides"),
    "idempotency_key_reused": (409, "the key was used for another act"),
    "backtest_running": (409, "one is running: `id`; wait for it, or cancel it"),
    "no_gateway": (409, "no gateway feeds the station, so none can be ordered"),
    "gateway_offline": (409, "no gateway of the station is connected: nothing was ordered"),
    "pace_order_open": (409, "the station's last order waits for an answer: `id`, `by`, `at`"),
    "batch_conflict": (409, "the batch's word was used for other content"),
    "last_event_id_ahead": (409, "an id of another ledger: read `/warnings` anew"),
    "too_far_behind": (409, "too many lines missed: read `/warnings` anew"),
    "changed_meanwhile": (412, "the warning is no longer the one of `If-Match`"),
    "body_too_large": (413, "the body is larger than a request may be"),
    "http_error": (400, "another error of HTTP itself; `status` says which"),
    "backtest_too_large": (413, "catalogue and observed events are more than one may take"),
    "batch_too_large": (413, "the readings are larger than one batch may be"),
    "pace_orders_full": (503, "too many orders wait for an answer; try after `Retry-After`"),
    "not_taking": (503, "the journal takes no readings now; try after `Retry-After`"),
    "internal": (500, "the centre failed to answer; its log names the error"),
    "database_unavailable": (503, "ledger and accounts do not answer now; see `Retry-After`"),
    "store_unavailable": (503, "the store does not answer just now; try after `Retry-After`"),
    "stream_full": (503, "too many streams, or the centre is stopping"),
}
_CODES = {
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
_TOKEN = re.compile(r"egret_[^\s'\"]*")  # a secret is not shown again, not even to its bearer


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
    app.add_exception_handler(DatabaseUnavailableError, _database)
    app.add_exception_handler(Exception, _unforeseen)


def _problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        raise error
    return response(error)


def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = _CODES.get(error.status_code, "http_error")
    problem = ProblemError(error.status_code, code, str(error.detail), headers=error.headers)
    return response(problem)


def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    found = [
        {
            "where": ".".join(str(part) for part in item["loc"]),
            "message": str(item["msg"]),
            "seen": _TOKEN.sub("egret_...", repr(item.get("input")))[:_SEEN_MAX],
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


def _database(request: Request, error: Exception) -> Response:
    _LOG.error("api path=%r database=%r", request.url.path, str(error))
    detail = "warnings and accounts cannot be read now; readings are taken and judged later"
    headers = {"Retry-After": str(_RETRY_S)}
    return response(ProblemError(503, "database_unavailable", detail, headers=headers))


def _unforeseen(request: Request, error: Exception) -> Response:
    _LOG.error("api path=%r error=%s", request.url.path, type(error).__name__)
    return response(
        ProblemError(500, "internal", "the centre failed to answer; its log names the error")
    )
