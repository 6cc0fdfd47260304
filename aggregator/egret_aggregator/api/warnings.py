"""Warnings: lists, one with its history, and what an officer does with it."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request  # noqa: TC002  (FastAPI reads it at run time)

from egret_aggregator.api.auth import Officer, Viewer, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.envelope import cursor, headers, limit_of, number_at, paged, standing
from egret_aggregator.api.problems import ProblemError
from egret_aggregator.api.shown import event_shown, summary_shown
from egret_aggregator.api.times import parsed, rfc3339
from egret_aggregator.database import warning_rows
from egret_aggregator.warnings.acts import NOTE_MAX, Act
from egret_aggregator.warnings.ledger import HISTORY_MAX, Acted
from egret_aggregator.warnings.record import Kind, Record
from egret_aggregator.warnings.state import Mark, State, WarningState, summary

KEY_PATTERN = r"^[A-Za-z0-9_.:-]{1,128}$"
FILTERS_MAX = 50  # values of one filter

router = APIRouter(prefix="/api/v1/warnings", tags=["warnings"])

Rooms = Annotated[Context, Depends(context_of)]
Text = Annotated[str, StringConstraints(max_length=NOTE_MAX)]
Word = Annotated[str, StringConstraints(max_length=48)]
Key = Annotated[str, Header(alias="Idempotency-Key", pattern=KEY_PATTERN)]
Match = Annotated[str | None, Header(alias="If-Match")]


class Filters(BaseModel):
    """What a list of warnings is narrowed to; each may be given several times."""

    model_config = ConfigDict(extra="forbid")

    state: list[State] = Field(default=[], max_length=FILTERS_MAX)
    level: list[Word] = Field(default=[], max_length=FILTERS_MAX)
    hazard: list[Word] = Field(default=[], max_length=FILTERS_MAX)
    station: list[Word] = Field(default=[], max_length=FILTERS_MAX)
    since: str | None = None
    limit: int | None = None
    cursor: str | None = None


class Acknowledgement(BaseModel):
    """Body of an acknowledgement."""

    model_config = ConfigDict(extra="forbid")

    note: Text = ""


class Closing(BaseModel):
    """Body of a closing."""

    model_config = ConfigDict(extra="forbid")

    note: Text = ""
    despite_condition: bool = False


class Lowering(Closing):
    """Body of a lowering."""

    level: Word


@router.get("")
async def warnings(
    request: Request,
    rooms: Rooms,
    _seat: Viewer,
    filters: Annotated[Filters, Query()],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """List warnings, the newest first; 304 where nothing has changed since the ETag."""
    asked = filters.model_dump(mode="json", exclude={"cursor", "limit"})
    limit = limit_of(rooms, filters.limit)
    head = rooms.ledger.head
    tag = _tag(head.hash, json.dumps([asked, limit, filters.cursor]))
    fresh = {**headers(rooms), "ETag": tag, "Cache-Control": "private, no-cache"}
    before = None if filters.cursor is None else number_at(filters.cursor, asked)
    since_ms = None if filters.since is None else _since(filters.since)
    if _matches(if_none_match, tag):
        return Response(status_code=304, headers=fresh)
    found = await rooms.ledger.find(
        warning_rows.Query(
            states=tuple(str(state) for state in filters.state),
            levels=tuple(filters.level),
            hazards=tuple(filters.hazard),
            stations=tuple(filters.station),
            since_ms=since_ms,
            before_seq=before,
            limit=limit + 1,
        )
    )
    page = found[:limit]
    more = cursor(page[-1].opened_seq, asked) if len(found) > limit else None
    if more is not None:
        query = request.url.include_query_params(cursor=more).query
        fresh["Link"] = f'<?{query}>; rel="next"'
    body = {**paged(rooms, [shown(state) for state in page], more), "head": head.seq}
    return _json(body, fresh)


@router.get("/{warning}")
async def one_warning(
    rooms: Rooms,
    _seat: Viewer,
    warning: str,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Give one warning with its evidence and the lines of the ledger that made it.

    304 where it has not changed since the ETag, which an act takes as `If-Match`.
    """
    state = await rooms.ledger.get(warning)
    if state is None:
        raise ProblemError(404, "unknown_warning", f"there is no warning {warning[:64]!r}")
    fresh = {**headers(rooms), "ETag": _version(state), "Cache-Control": "private, no-cache"}
    if _matches(if_none_match, fresh["ETag"]):
        return Response(status_code=304, headers=fresh)
    lines = await rooms.ledger.history(warning)
    body = {
        **standing(rooms),
        "warning": shown(state),
        "history": [line_shown(line) for line in lines],
        "history_complete": len(lines) < HISTORY_MAX or lines[0].seq == state.opened_seq,
    }
    return _json(body, fresh)


@router.post("/{warning}/acknowledge")
async def acknowledge(
    rooms: Rooms,
    seat: Officer,
    warning: str,
    body: Acknowledgement,
    *,
    key: Key = "",
    if_match: Match = None,
) -> Response:
    """Say that a person has seen the level on record; the second one is told who was first."""
    act = Act(
        Kind.ACKNOWLEDGED,
        warning,
        seat.actor,
        note=body.note,
        key=key,
        expected_seq=_expected(if_match),
    )
    return _acted(rooms, await rooms.ledger.act(act))


@router.post("/{warning}/lower")
async def lower(
    rooms: Rooms,
    seat: Officer,
    warning: str,
    body: Lowering,
    *,
    key: Key = "",
    if_match: Match = None,
) -> Response:
    """Bring the level on record down, with a reason."""
    act = Act(
        Kind.LOWERED,
        warning,
        seat.actor,
        note=body.note,
        level=body.level,
        despite_condition=body.despite_condition,
        key=key,
        expected_seq=_expected(if_match),
    )
    return _acted(rooms, await rooms.ledger.act(act))


@router.post("/{warning}/close")
async def close(
    rooms: Rooms,
    seat: Officer,
    warning: str,
    body: Closing,
    *,
    key: Key = "",
    if_match: Match = None,
) -> Response:
    """End a warning, with a reason; a new rise is a new warning."""
    act = Act(
        Kind.CLOSED,
        warning,
        seat.actor,
        note=body.note,
        despite_condition=body.despite_condition,
        key=key,
        expected_seq=_expected(if_match),
    )
    return _acted(rooms, await rooms.ledger.act(act))


def shown(state: WarningState) -> dict[str, Any]:
    """Return a warning as the API gives it."""
    return {
        **summary_shown(summary(state)),
        "opened_at": rfc3339(state.opened_ms),
        "changed_at": rfc3339(state.changed_ms),
        "peak_rank": state.peak_rank,
        "opened_seq": state.opened_seq,
        "last_seq": state.last_seq,
        "levels": dict(state.levels),
        "holds": [
            {
                "event": step.event,
                "rank": step.rank,
                "level": step.level,
                "phase": step.phase,
                "time": rfc3339(step.time_ms),
                "reason": step.reason,
                "rule": step.rule,
            }
            for step in state.steps
        ],
        "acknowledged": _mark(state.acknowledged),
        "lowered": _mark(state.lowered),
        "closed": _mark(state.closed),
    }


def line_shown(line: Record) -> dict[str, Any]:
    """Return a ledger line as the API gives it: who, when, what, and on which evidence."""
    content = line.content
    content.pop("after", None)
    event = content.get("event")
    if event is not None:
        content["event"] = event_shown(event)
    return {
        "seq": line.seq,
        "at": rfc3339(line.time_ms),
        "actor": line.actor,
        "kind": line.kind,
        "hash": line.hash,
        **content,
    }


def _mark(mark: Mark | None) -> dict[str, str] | None:
    if mark is None:
        return None
    return {"by": mark.by, "at": rfc3339(mark.time_ms), "note": mark.note}


def _acted(rooms: Context, acted: Acted) -> Response:
    body = {**standing(rooms), "warning": shown(acted.state), "line": acted.record.seq}
    fresh = {**headers(rooms), "ETag": _version(acted.state)}
    if acted.repeated:
        fresh["Idempotency-Replayed"] = "true"
    return _json(body, fresh)


def _since(text: str) -> int:
    try:
        return parsed(text)
    except ValueError as error:
        raise ProblemError(400, "bad_time", f"since {text[:40]!r}: {error}") from None


def _expected(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 19):  # noqa: PLR2004
        raise ProblemError(412, "changed_meanwhile", "If-Match names no version of this warning")
    return int(text)


def _version(state: WarningState) -> str:
    return f'"{state.last_seq}"'


def _tag(head: str, question: str) -> str:
    return f'W/"{hashlib.sha256((head + question).encode()).hexdigest()[:24]}"'


def _matches(if_none_match: str | None, tag: str) -> bool:
    return if_none_match is not None and tag in {part.strip() for part in if_none_match.split(",")}


def _json(body: object, fresh: dict[str, str]) -> Response:
    return Response(json.dumps(body), 200, fresh, "application/json")
