"""`/healthz`, `/readyz`, `/metrics`: for machines that watch the centre; no token, no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from egret_aggregator.api.auth import context_of
from egret_aggregator.api.context import Context, Judgement
from egret_aggregator.api.envelope import standing

if TYPE_CHECKING:
    from egret_aggregator.metrics.scrape import Scraper

router = APIRouter(tags=["health"])

Rooms = Annotated[Context, Depends(context_of)]


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers; nothing more."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(rooms: Rooms, response: Response) -> dict[str, Any]:
    """Say whether readings come in and are judged; 503 with named reasons in `why` if not."""
    state, _, _ = rooms.judgement()
    why = [] if state is Judgement.CURRENT else [f"judgement_{state}"]
    why += rooms.line.faults()
    if rooms.ledger.fault:
        why.append("database_unavailable")
    if why:
        response.status_code = 503
    return {"status": "not_ready" if why else "ready", "why": why, **standing(rooms)}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Give figures in Prometheus' text format 0.0.4."""
    scraper: Scraper = request.app.state.scraper
    media_type = "text/plain; version=0.0.4; charset=utf-8"
    return Response(await scraper.text(), media_type=media_type)
