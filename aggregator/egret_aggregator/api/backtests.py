"""Backtests over the API: asked for, watched, cancelled; one at a time, beside the centre."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from egret_aggregator import catalogue
from egret_aggregator.api.auth import Officer, Viewer, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.envelope import paged, standing
from egret_aggregator.api.problems import ProblemError
from egret_aggregator.api.readings import Span, span_of
from egret_aggregator.api.times import parsed, rfc3339
from egret_aggregator.backtest.jobs import BusyError, TooLargeError
from egret_aggregator.backtest.observed import (
    APART_MS,
    BEFORE_MS,
    Observed,
    Windows,
    check_stations,
)
from egret_aggregator.backtest.replay import Span as History
from egret_aggregator.backtest.request import Request
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from egret_aggregator.backtest.jobs import Job

RULES_MAX = 200_000  # characters of rules.toml
OBSERVED_MAX = 2000  # events of one request
_HOURS_MAX = 2400.0  # 100 days: no warning is an event's own so long ahead

router = APIRouter(prefix="/api/v1/backtests", tags=["backtests"])

Rooms = Annotated[Context, Depends(context_of)]
Hours = Annotated[float, Field(ge=0, le=_HOURS_MAX)]
Instant = Annotated[str, StringConstraints(max_length=40)]


class Happened(BaseModel):
    """One observed event: at an instant, or from it to `end`."""

    model_config = ConfigDict(extra="forbid")

    start: Instant
    end: Instant | None = None
    station: Annotated[str, StringConstraints(max_length=48)] = ""


class Asked(BaseModel):
    """What is to be judged anew: [from, to), by these rules or those in force."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: Instant = Field(alias="from")
    to: Instant
    rules: Annotated[str, StringConstraints(max_length=RULES_MAX)] | None = None
    observed: list[Happened] = Field(default=[], max_length=OBSERVED_MAX)
    before_h: Hours = BEFORE_MS / 3_600_000
    apart_h: Hours = APART_MS / 3_600_000


@router.post("", status_code=202)
async def begin(rooms: Rooms, seat: Officer, body: Asked) -> dict[str, Any]:
    """Begin a backtest; 409 while another one runs."""
    from_ms, to_ms = span_of(rooms, Span.model_validate({"from": body.from_, "to": body.to}))
    places = await asyncio.to_thread(_catalogue, rooms, body.rules)  # seconds, of many rules
    windows = Windows(round(body.before_h * 3_600_000), round(body.apart_h * 3_600_000))
    happened = _observed(body.observed)
    try:
        check_stations(happened, places, "observed")
    except ConfigError as error:
        more = {"seen": repr(error.seen)[:100], "remedy": error.remedy[:500]}
        raise ProblemError(400, "bad_observed", str(error)[:500], more=more) from None
    asked = Request(places, History(from_ms, to_ms), happened, windows)
    told = {
        "from": rfc3339(from_ms),
        "to": rfc3339(to_ms),
        "catalogue": places.version,
        "observed": len(body.observed),
    }
    try:
        job = rooms.backtests.start(asked, seat.actor, told)
    except TooLargeError as error:
        raise ProblemError(413, "backtest_too_large", str(error)) from None
    except BusyError as error:
        raise ProblemError(409, "backtest_running", str(error), more={"id": error.job}) from None
    return {**standing(rooms), "backtest": shown(job)}


@router.get("")
async def backtests(rooms: Rooms, _seat: Viewer) -> dict[str, Any]:
    """List those that are known, the newest first, without their results."""
    return paged(rooms, [shown(job) for job in rooms.backtests.newest_first()])


@router.get("/{backtest}")
async def one_backtest(rooms: Rooms, _seat: Viewer, backtest: str) -> dict[str, Any]:
    """Give one: state, progress, and its result once it is done."""
    job = _known(rooms, backtest)
    return {**standing(rooms), "backtest": shown(job), "result": job.result}


@router.delete("/{backtest}")
async def cancel(rooms: Rooms, _seat: Officer, backtest: str) -> dict[str, Any]:
    """End one that runs; one that has ended stays as it is."""
    job = _known(rooms, backtest)
    await rooms.backtests.cancel(job)
    return {**standing(rooms), "backtest": shown(job)}


def shown(job: Job) -> dict[str, Any]:
    """Return a job as the API gives it."""
    progress = job.progress
    reached = {
        "share": round(progress["share"], 4),
        "judged_to": rfc3339(progress["to_ms"]),
        "readings": progress["readings"],
        "events": progress["events"],
    }
    return {
        "id": job.id,
        "by": job.by,
        "state": str(job.state),
        "why": job.why,
        "asked": job.asked,
        "started_at": rfc3339(job.started_ms),
        "ended_at": None if job.ended_ms is None else rfc3339(job.ended_ms),
        "progress": reached,
    }


def _known(rooms: Context, backtest: str) -> Job:
    job = rooms.backtests.get(backtest)
    if job is None:
        raise ProblemError(404, "unknown_backtest", f"there is no backtest {backtest[:64]!r}")
    return job


def _catalogue(rooms: Context, rules: str | None) -> catalogue.Catalogue:
    if rules is None:
        return rooms.places
    try:
        return catalogue.of_texts(rooms.places.texts[catalogue.STATIONS], rules, "rules")
    except ConfigError as error:
        more = {"key": error.key, "seen": repr(error.seen)[:100], "remedy": error.remedy}
        raise ProblemError(400, "bad_rules", str(error)[:500], more=more) from None


def _observed(given: list[Happened]) -> list[Observed]:
    out: list[Observed] = []
    for one in given:
        times = []
        for text in (one.start, one.end or one.start):
            try:
                times.append(parsed(text))
            except ValueError as error:
                raise ProblemError(400, "bad_time", f"observed {text!r}: {error}") from None
        if times[1] < times[0]:
            raise ProblemError(400, "from_after_to", f"observed {one.start} lies after its end")
        out.append(Observed(times[0], times[1], one.station))
    if len({bool(one.station) for one in out}) > 1:
        raise ProblemError(400, "bad_observed", "name a station in every event, or in none")
    return sorted(out)
