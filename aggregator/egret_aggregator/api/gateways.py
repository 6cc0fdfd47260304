"""Gateways, and what was set aside."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from egret_aggregator.api.auth import Viewer, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.envelope import cursor, limit_of, number_at, paged
from egret_aggregator.api.times import rfc3339
from egret_core.sources import is_gateway

_BODY_SHOWN = 2000  # characters of something set aside

router = APIRouter(prefix="/api/v1", tags=["gateways"])

Rooms = Annotated[Context, Depends(context_of)]


class AsideFilters(BaseModel):
    """Which things set aside are asked for."""

    model_config = ConfigDict(extra="forbid")

    limit: int | None = None
    cursor: str | None = None


@router.get("/gateways")
async def gateways(rooms: Rooms, _seat: Viewer) -> dict[str, Any]:
    """List every gateway that the catalogue names or that has spoken, by id."""
    heard = rooms.line.gateways()
    owned: dict[str, list[str]] = {}
    for station in rooms.places.stations.values():
        for channel, place in station.channels.items():
            if is_gateway(place.gateway):
                owned.setdefault(place.gateway, []).append(f"{station.id}/{channel}")
    items = [
        {
            "id": id_,
            "known": id_ in owned,
            "heard": id_ in heard,
            "channels": sorted(owned.get(id_, [])),
            "status": dict(heard.get(id_, {})) or None,
        }
        for id_ in sorted({*heard, *owned} - {""})
    ]
    return paged(rooms, items)


@router.get("/asides")
async def asides(
    rooms: Rooms, _seat: Viewer, filters: Annotated[AsideFilters, Query()]
) -> dict[str, Any]:
    """List what was kept but is no reading of a series, the newest first."""
    limit = limit_of(rooms, filters.limit)
    before = None if filters.cursor is None else number_at(filters.cursor, "asides")
    found = await rooms.series.asides(limit + 1, before)
    items = [
        {
            "id": kept.id,
            "gateway": kept.aside.gateway,
            "log": kept.aside.log,
            "seq": kept.aside.seq,
            "entry": kept.aside.at,
            "why": kept.aside.why,
            "received_at": rfc3339(kept.aside.received_ms),
            "body": kept.aside.body[:_BODY_SHOWN].decode("utf-8", "replace"),
        }
        for kept in found[:limit]
    ]
    more = cursor(found[limit - 1].id, "asides") if len(found) > limit else None
    return paged(rooms, items, more)
