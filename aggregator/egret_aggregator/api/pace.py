"""A station's pace: what its gateways tell, and the order of an officer to change it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from egret_aggregator.api.auth import Officer, Viewer, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.envelope import standing
from egret_aggregator.api.problems import ProblemError
from egret_aggregator.api.readings import known_station
from egret_aggregator.api.times import rfc3339
from egret_aggregator.intake.pace_orders import (
    EXPIRE_S,
    OrderOpenError,
    OrdersFullError,
    PaceAsked,
    PaceState,
)
from egret_aggregator.warnings.record import Kind
from egret_core.sources import is_gateway

if TYPE_CHECKING:
    from egret_aggregator.catalogue import Station
    from egret_aggregator.intake.pace_orders import PaceOrder

FOR_MIN_S = 60  # below it the order would be over before a slow sensor was read once
FOR_MAX_S = 86_400  # a day: a battery is worth a second thought after it

router = APIRouter(prefix="/api/v1/stations/{station}/pace", tags=["stations"])

Rooms = Annotated[Context, Depends(context_of)]


class Ordered(BaseModel):
    """Body of an order: which pace, and for how many seconds; `normal` ends earlier orders."""

    model_config = ConfigDict(extra="forbid")

    state: PaceState
    for_s: Annotated[int, Field(strict=True, ge=FOR_MIN_S, le=FOR_MAX_S)]


@router.get("")
async def pace(rooms: Rooms, _seat: Viewer, station: str) -> dict[str, Any]:
    """Tell at which pace a station is read, and what became of its last order."""
    feeding = _feeding(known_station(rooms, station))
    last = rooms.pace.last(station, rooms.clock.monotonic_s())
    return {
        **standing(rooms),
        "station": station,
        "gateways": [_gateway(rooms, gateway, station) for gateway in feeding],
        "order": None if last is None else shown(last),
        "orders_since": rfc3339(rooms.since_ms),
    }


@router.post("", status_code=202)
async def order_pace(rooms: Rooms, seat: Officer, station: str, body: Ordered) -> dict[str, Any]:
    """Order a station to be read faster for a while, or normally again; the outcome comes later."""
    connected = _reached(rooms, known_station(rooms, station))
    asked = PaceAsked(
        station,
        body.state,
        body.for_s,
        seat.actor,
        rooms.clock.now_ms(),
        rooms.clock.in_ms(EXPIRE_S),
    )
    order = _reserved(rooms, asked, connected)
    said = {
        "order": order.id,
        "station": station,
        "state": str(body.state),
        "for_s": body.for_s,
        "gateways": sorted(gateway for gateway, reached in connected.items() if reached),
    }
    try:
        await rooms.ledger.note(seat.actor, Kind.PACE_ORDERED, said)
    except BaseException:
        rooms.pace.drop(order)  # what is on no record is not sent
        raise
    order.recorded = True
    return {**standing(rooms), "order": shown(order)}


def shown(order: PaceOrder) -> dict[str, Any]:
    """Return an order as the API gives it."""
    asked = order.asked
    return {
        "id": order.id,
        "station": asked.station,
        "state": str(asked.state),
        "for_s": asked.for_s,
        "by": asked.by,
        "ordered_at": rfc3339(asked.at_ms),
        "expires_at": rfc3339(asked.void_ms),
        "outcome": str(order.outcome),
        "gateways": [
            {"id": gateway, "outcome": str(told.outcome), "detail": told.detail}
            for gateway, told in order.gateways.items()
        ],
    }


def _reserved(rooms: Context, asked: PaceAsked, connected: dict[str, bool]) -> PaceOrder:
    try:
        return rooms.pace.reserve(asked, connected, rooms.clock.monotonic_s())
    except OrderOpenError as error:
        first = error.order
        more = {"id": first.id, "by": first.asked.by, "at": rfc3339(first.asked.at_ms)}
        raise ProblemError(409, "pace_order_open", str(error), more=more) from None
    except OrdersFullError as error:
        headers = {"Retry-After": f"{EXPIRE_S:g}"}
        raise ProblemError(503, "pace_orders_full", str(error), headers=headers) from None


def _feeding(place: Station) -> list[str]:
    """Return the gateways that own a channel of a station, by id."""
    owners = {channel.gateway for channel in place.channels.values()}
    return sorted(owner for owner in owners if owner and is_gateway(owner))


def _reached(rooms: Context, place: Station) -> dict[str, bool]:
    """Return a station's gateways and whether each is connected; at least one is."""
    feeding = _feeding(place)
    if not feeding:
        detail = f"no gateway feeds {place.id}: give a channel its `gateway` in stations.toml"
        raise ProblemError(409, "no_gateway", detail)
    if "intake_disconnected" in rooms.line.faults():
        detail = "the centre itself has no broker now: see /readyz, and order again"
        raise ProblemError(409, "gateway_offline", detail)
    connected = {gateway: _online(rooms, gateway) for gateway in feeding}
    if not any(connected.values()):
        names = ", ".join(feeding)[:200]
        detail = f"not connected: {names}; the field goes on by its own rules, order again later"
        raise ProblemError(409, "gateway_offline", detail)
    return connected


def _online(rooms: Context, gateway: str) -> bool:
    known = rooms.line.gateway(gateway)
    return known is not None and bool(known["online"])


def _gateway(rooms: Context, gateway: str, station: str) -> dict[str, Any]:
    known = rooms.line.gateway(gateway) or {}
    return {
        "id": gateway,
        "online": known.get("online", False),
        "last_seen": known.get("last_seen"),
        "pace": known.get("pace", {}).get(station),
    }
