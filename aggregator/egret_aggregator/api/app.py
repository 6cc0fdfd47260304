"""The app: routes, limits and problems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.routing import Route

from egret_aggregator.api import (
    backtests,
    buckets,
    feed,
    gateways,
    grafana,
    health,
    pace,
    problems,
    readings,
    screening,
    session,
    warnings,
)
from egret_aggregator.api.body_limit import BodyLimit
from egret_aggregator.api.description import STREAM_PATH, described
from egret_aggregator.api.stream import Stream
from egret_aggregator.metrics.scrape import Scraper

if TYPE_CHECKING:
    from egret_aggregator.api.context import Context

OPENAPI_PATH = "/api/v1/openapi.json"
_KIB = 1024


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
    app.state.scraper = Scraper(context)
    problems.install(app)
    # Before `/warnings/{warning}`, which would take it for an id.
    app.router.routes.append(Route(STREAM_PATH, Stream(), include_in_schema=False))
    rooms = (
        *(health, session, warnings, readings, buckets, screening, feed, gateways, grafana),
        *(backtests, pace),
    )
    routers = [room.router for room in rooms]
    for router in routers:
        app.include_router(router)
    app.add_middleware(BodyLimit, most_b=context.settings.body_max_kb * _KIB)
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        return described(describe(), routers)

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app
