"""Stations, their channels, readings and latest values; always with unit, datum and doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from egret_aggregator.api.auth import Viewer, context_of
from egret_aggregator.api.context import Context
from egret_aggregator.api.envelope import cursor, limit_of, paged, position, standing
from egret_aggregator.api.problems import ProblemError
from egret_aggregator.api.times import parsed, rfc3339
from egret_aggregator.store.model import Note, StoredReading, as_of_ms
from egret_core.quality import Flag, Reason, bit_names

_DAY_MS = 86_400_000
FLAG_NAMES = {int(flag): flag.name for flag in Flag}

if TYPE_CHECKING:
    from egret_aggregator.catalogue import ChannelPlace, Station

router = APIRouter(prefix="/api/v1", tags=["stations", "readings"])

Rooms = Annotated[Context, Depends(context_of)]


class Span(BaseModel):
    """Which readings of a channel are asked for: [from, to), RFC 3339 with offset."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: str = Field(alias="from")
    to: str
    limit: int | None = None


class Paging(BaseModel):
    """Which part of a list is asked for."""

    model_config = ConfigDict(extra="forbid")

    limit: int | None = None
    cursor: str | None = None


class LatestFilters(Paging):
    """Which latest values are asked for."""

    station: str | None = None


@router.get("/stations")
async def stations(
    rooms: Rooms, _seat: Viewer, paging: Annotated[Paging, Query()]
) -> dict[str, Any]:
    """List the stations of the catalogue by id."""
    limit = limit_of(rooms, paging.limit)
    after = "" if paging.cursor is None else str(position(paging.cursor, "stations"))
    ids = sorted(id_ for id_ in rooms.places.stations if id_ > after)
    page = [_station(rooms, rooms.places.stations[id_]) for id_ in ids[:limit]]
    more = cursor(ids[limit - 1], "stations") if len(ids) > limit else None
    return {**paged(rooms, page, more), **rooms.catalogues()}


@router.get("/stations/{station}")
async def one_station(rooms: Rooms, _seat: Viewer, station: str) -> dict[str, Any]:
    """Give one station with its channels and their latest values."""
    place = known_station(rooms, station)
    keys = [(station, channel) for channel in sorted(place.channels)]
    rows = {(row.station, row.channel): row for row in await rooms.series.latest(keys)}
    latest = [_latest(rooms, key, rows.get(key)) for key in keys]
    shown = {"station": _station(rooms, place), "latest": latest}
    return {**standing(rooms), **shown, **rooms.catalogues()}


@router.get("/stations/{station}/channels/{channel}/readings")
async def readings(
    rooms: Rooms, _seat: Viewer, station: str, channel: str, span: Annotated[Span, Query()]
) -> dict[str, Any]:
    """Give the readings of one channel in [from, to), in time order.

    Where `truncated` is true, `next_from` is where the next request starts.
    """
    from_ms, to_ms = span_of(rooms, span)
    place = await known_channel(rooms, station, channel)
    page = await rooms.series.range(station, channel, from_ms, to_ms, limit_of(rooms, span.limit))
    items = [_reading(row) for row in page.rows]
    next_from = rfc3339(page.rows[-1].time_ms + 1) if page.truncated and page.rows else None
    return {
        **standing(rooms),
        "station": station,
        "channel": channel,
        **measure(place),
        "standings": rooms.line.standings(station).get(channel, {}),
        "from": rfc3339(from_ms),
        "to": rfc3339(to_ms),
        "items": items,
        "truncated": page.truncated,
        "next_from": next_from,
    }


@router.get("/latest")
async def latest(
    rooms: Rooms, _seat: Viewer, filters: Annotated[LatestFilters, Query()]
) -> dict[str, Any]:
    """Give the newest value of every channel; a channel that never spoke is listed with none."""
    limit = limit_of(rooms, filters.limit)
    question = ["latest", filters.station]
    after = _key_after(filters.cursor, question)
    if filters.station is not None:
        place = known_station(rooms, filters.station)
        keys = [(place.id, channel) for channel in place.channels]
        rows = {(row.station, row.channel): row for row in await rooms.series.latest(keys)}
    else:
        rows = {(row.station, row.channel): row for row in await rooms.series.latest(None)}
        keys = [
            (place.id, channel)
            for place in rooms.places.stations.values()
            for channel in place.channels
        ]
    wanted = sorted(key for key in {*keys, *rows} if key > after)
    items = [_latest(rooms, key, rows.get(key)) for key in wanted[:limit]]
    more = cursor(list(wanted[limit - 1]), question) if len(wanted) > limit else None
    return paged(rooms, items, more)


def latest_item(rooms: Context, row: StoredReading) -> dict[str, Any]:
    """Return a latest value as `/latest` and the stream give it."""
    return _latest(rooms, (row.station, row.channel), row)


def _latest(rooms: Context, key: tuple[str, str], row: StoredReading | None) -> dict[str, Any]:
    station = rooms.places.stations.get(key[0])
    place = None if station is None else station.channels.get(key[1])
    age_s = None if row is None else (rooms.clock.now_ms() - as_of_ms(row)) / 1000
    return {
        "station": key[0],
        "channel": key[1],
        **measure(place),
        "reading": None if row is None else _reading(row),
        "age_s": age_s,
    }


def _station(rooms: Context, place: Station) -> dict[str, Any]:
    standings = rooms.line.standings(place.id)
    return {
        "id": place.id,
        "name": place.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "channels": [
            {"id": channel, "gateway": place.channels[channel].gateway}
            | measure(place.channels[channel])
            | {"standings": standings.get(channel, {})}
            for channel in sorted(place.channels)
        ],
    }


def measure(place: ChannelPlace | None) -> dict[str, Any]:
    """Return what a channel's numbers mean; null for a channel the catalogue does not know."""
    if place is None:
        return {"quantity": None, "unit": None, "datum": None, "known": False}
    return {
        "quantity": place.quantity,
        "unit": place.unit,
        "datum": place.datum or None,
        "known": True,
    }


def _reading(row: StoredReading) -> dict[str, Any]:
    return {
        "time": rfc3339(row.time_ms),
        "value": row.value,
        "raw": row.raw,
        "flag": row.flag,
        "flag_name": FLAG_NAMES.get(row.flag, f"FLAG_{row.flag}"),
        "reasons": bit_names(row.reasons, Reason),
        "notes": bit_names(row.notes, Note),
        "lag_ms": row.lag_ms,
    }


def known_station(rooms: Context, station: str) -> Station:
    """Return a station of the catalogue; a ProblemError where there is none."""
    place = rooms.places.stations.get(station)
    if place is None:
        raise ProblemError(404, "unknown_station", f"the catalogue has no station {station[:64]!r}")
    return place


async def known_channel(rooms: Context, station: str, channel: str) -> ChannelPlace | None:
    """Return a channel's place, None for one that is stored but not in the catalogue."""
    home = rooms.places.stations.get(station)
    if home is not None and channel in home.channels:
        return home.channels[channel]
    if await rooms.series.latest([(station, channel)]):
        return None
    raise ProblemError(404, "unknown_channel", f"no channel {f'{station}/{channel}'[:100]!r}")


def span_of(rooms: Context, span: Span) -> tuple[int, int]:
    """Return the instants of a span; a ProblemError where it is none, or too long."""
    from_ms, to_ms = _time("from", span.from_), _time("to", span.to)
    if from_ms > to_ms:
        raise ProblemError(400, "from_after_to", f"from {span.from_} lies after to {span.to}")
    most_days = rooms.settings.span_max_days
    if to_ms - from_ms > most_days * _DAY_MS:
        raise ProblemError(400, "span_too_long", f"at most {most_days:g} days in one request")
    return from_ms, to_ms


def _time(key: str, text: str) -> int:
    try:
        return parsed(text)
    except ValueError as error:
        raise ProblemError(400, "bad_time", f"{key} {text[:40]!r}: {error}") from None


def _key_after(text: str | None, question: object) -> tuple[str, str]:
    if text is None:
        return ("", "")
    place = position(text, question)
    if not isinstance(place, list) or len(place) != 2:  # noqa: PLR2004  (station, channel)
        raise ProblemError(400, "bad_cursor", "use `next` of the page before, as it is")
    return (str(place[0]), str(place[1]))
