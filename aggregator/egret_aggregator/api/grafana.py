"""Tables and annotations for Grafana's Infinity data source: flat JSON arrays, read-only.

Bounds are what Grafana sends: ms since 1970 or RFC 3339. How fresh judgement is stands in the
`Egret-Judgement` headers and, since Infinity shows rows only, in the rows.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Response

from egret_aggregator.api import grafana_rows as rows
from egret_aggregator.api.auth import Viewer, context_of
from egret_aggregator.api.context import Context, Judgement
from egret_aggregator.api.envelope import headers, limit_of
from egret_aggregator.api.grafana_asked import (
    AtStation,
    Limited,
    LinesOf,
    Named,
    OfChannel,
    SpanAt,
    listed,
)
from egret_aggregator.api.grafana_thresholds import levels
from egret_aggregator.api.times import parsed, rfc3339
from egret_aggregator.api.warning_walk import standing, stood
from egret_aggregator.warnings.state import State
from egret_core.rules.model import AbsenceLaw, Family
from egret_core.rules.standings import is_blind
from egret_core.sources import is_gateway

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_aggregator.warnings.state import WarningState

_OF_THE_CHANNEL = (Family.LEVEL, Family.FLOOD)  # their levels are values of the channel itself
LEFT_OUT = "Egret-Left-Out"  # header: rows that the limit cut off; 0 where all are there

router = APIRouter(prefix="/api/v1/grafana", tags=["grafana"])

Rooms = Annotated[Context, Depends(context_of)]


@router.get("/annotations")
async def warning_annotations(
    rooms: Rooms, _seat: Viewer, asked: Annotated[SpanAt, Query()]
) -> Response:
    """Give warnings that stood within a span, the newest first, as Grafana's annotations."""
    (from_ms, to_ms), most = asked.span(), _most(rooms, asked)
    now_ms = rooms.clock.now_ms()
    found, cut = await stood(rooms.ledger, from_ms, to_ms, listed(asked.station), most)
    items = [rows.annotation(state, rooms.places, now_ms) for state in found]
    if cut:
        items.append(rows.left_out(from_ms, len(found)))
    return _answer(rooms, items, int(cut))


@router.get("/warnings")
async def standing_warnings(
    rooms: Rooms, _seat: Viewer, asked: Annotated[AtStation, Query()]
) -> Response:
    """List warnings that are not closed, the highest level first."""
    most, now_ms = _most(rooms, asked), rooms.clock.now_ms()
    found = await standing(rooms.ledger, listed(asked.station))
    found.sort(key=lambda state: (-state.rank, -state.onset_ms, state.id))
    items = [rows.warning(state, rooms.places, now_ms) for state in found[:most]]
    return _answer(rooms, items, len(found) - len(items))


@router.get("/stations")
async def stations(rooms: Rooms, _seat: Viewer, asked: Annotated[AtStation, Query()]) -> Response:
    """List the stations of the catalogue with the level on record, the highest level first."""
    most, now_ms, wanted = _most(rooms, asked), rooms.clock.now_ms(), listed(asked.station)
    at: dict[str, list[WarningState]] = {}
    for state in await standing(rooms.ledger, wanted):
        at.setdefault(state.station, []).append(state)
    newest = {(row.station, row.channel): row for row in await rooms.series.latest(None)}
    judged, ruled = _judged(rooms), _ruled(rooms)
    items = [
        rows.station(
            place,
            at.get(place.id, ()),
            newest,
            now_ms,
            judged=judged and _able(rooms, place.id),
            ruled=ruled,
        )
        for place in rooms.places.stations.values()
        if not wanted or place.id in wanted
    ]
    items.sort(key=lambda item: (-item["rank"], item["id"]))
    return _answer(rooms, items[:most], max(0, len(items) - most))


@router.get("/latest")
async def latest(rooms: Rooms, _seat: Viewer, asked: Annotated[OfChannel, Query()]) -> Response:
    """List the newest value of every channel; one that never spoke is listed with nulls."""
    most, now_ms = _most(rooms, asked), rooms.clock.now_ms()
    newest = {(row.station, row.channel): row for row in await rooms.series.latest(None)}
    known = {(place.station, place.channel) for place in rooms.places.places()}
    keys = [key for key in sorted({*newest, *known}) if asked.wants(key, rooms.places)]
    items = [rows.latest(key, newest.get(key), rooms.places, now_ms) for key in keys[:most]]
    return _answer(rooms, items, len(keys) - len(items))


@router.get("/gateways")
async def fleet(rooms: Rooms, _seat: Viewer, asked: Annotated[Limited, Query()]) -> Response:
    """List every gateway that the catalogue names or that has spoken, by id."""
    most, now_ms, heard = _most(rooms, asked), rooms.clock.now_ms(), rooms.line.gateways()
    owned: dict[str, int] = {}
    for place in rooms.places.places():
        owned[place.gateway] = owned.get(place.gateway, 0) + 1
    ids = sorted(id_ for id_ in {*heard, *owned} if id_ and is_gateway(id_))
    items = []
    for id_ in ids[:most]:
        seen = heard.get(id_, {}).get("last_seen")
        age_s = None if seen is None else (now_ms - parsed(seen)) / 1000
        items.append(rows.gateway(id_, heard.get(id_), owned.get(id_, 0), age_s))
    return _answer(rooms, items, len(ids) - len(items))


@router.get("/service")
async def service(rooms: Rooms, _seat: Viewer) -> Response:
    """Say in one row how the centre is and what stands: `unknown` where nothing was judged."""
    stands, faults = await standing(rooms.ledger), rooms.line.faults()
    state, judged_ms, age_s = rooms.judgement()
    kept, kept_ms, kept_age_s = rooms.recording()
    level, rank = rows.standing_level(stands, judged=_judged(rooms))
    item = {
        "as_of": rfc3339(rooms.clock.now_ms()),
        "ready": _judged(rooms),
        "faults": ",".join(faults),
        "level": level,
        "rank": rank,
        "warnings": len(stands),
        "unacknowledged": sum(one.state is State.OPEN for one in stands),
        "judgement": str(state),
        "judged_to": None if judged_ms is None else rfc3339(judged_ms),
        "judgement_age_s": age_s,
        "recording": str(kept),
        "recorded_to": None if kept_ms is None else rfc3339(kept_ms),
        "recording_age_s": kept_age_s,
        "ledger_head": rooms.ledger.head.seq,
        "stream_clients": len(rooms.hub),
        **rows.standing_counts(rooms.line.standing_counts()),
        **rooms.catalogues(),
    }
    return _answer(rooms, [item], 0)


@router.get("/figures")
async def figures(rooms: Rooms, _seat: Viewer, asked: Annotated[Named, Query()]) -> Response:
    """List the running parts' figures of `/metrics`, one a row; histograms are for scrapers."""
    wanted, found = listed(asked.name), await rooms.line.figures(rooms.clock.now_ms())
    items = [
        {"name": name, "value": value}
        for name, value in sorted(found.items())
        if isinstance(value, float) and (not wanted or name in wanted)
    ]
    most = _most(rooms, asked)
    return _answer(rooms, items[:most], max(0, len(items) - most))


@router.get("/thresholds")
async def thresholds(rooms: Rooms, _seat: Viewer, asked: Annotated[OfChannel, Query()]) -> Response:
    """List the levels of every rule: by channel, the lowest level first."""
    most, found = _most(rooms, asked), _thresholds(rooms, asked)
    return _answer(rooms, found[:most], max(0, len(found) - most))


@router.get("/threshold-lines")
async def threshold_lines(
    rooms: Rooms, _seat: Viewer, asked: Annotated[LinesOf, Query()]
) -> Response:
    """Draw the level ladders of some channels as lines: each at both ends of a span."""
    ends, most = asked.span(), _most(rooms, asked)
    ladders = [row for row in _thresholds(rooms, asked) if row["family"] in _OF_THE_CHANNEL]
    items = [
        {
            "time": rfc3339(at_ms),
            "line": f"{row['channel']} {row['level']}",
            "value": row["raise"],
            "station": row["station"],
            "channel": row["channel"],
            "level": row["level"],
            "unit": row["unit"],
        }
        for at_ms in ends
        for row in ladders[: most // 2]
    ]
    return _answer(rooms, items, max(0, 2 * len(ladders) - len(items)))


def _thresholds(rooms: Context, asked: OfChannel) -> list[dict[str, Any]]:
    found = [
        row
        for rule in rooms.places.rules
        for row in levels(rule)
        if asked.wants((row["station"], row["channel"]), rooms.places)
    ]
    return sorted(found, key=lambda row: (row["station"], row["channel"], row["rule"], row["rank"]))


def _most(rooms: Context, asked: Limited) -> int:
    return limit_of(rooms, rooms.settings.page_max if asked.limit is None else asked.limit)


def _able(rooms: Context, station: str) -> bool:
    """Tell whether any rule of a station can judge now; true where it has none."""
    return not is_blind(rooms.line.standings(station))


def _judged(rooms: Context) -> bool:
    """Tell whether a place without a warning may be called one: else it is unknown."""
    return rooms.judgement()[0] is Judgement.CURRENT and not rooms.line.faults()


def _ruled(rooms: Context) -> set[tuple[str, str]]:
    """Return the channels whose values rules judge; silence is judged of any."""
    return {
        pair
        for rule in rooms.places.rules
        if not isinstance(rule.law, AbsenceLaw)
        for pair in rule.channels
    }


def _answer(rooms: Context, items: Sequence[dict[str, Any]], left_out: int) -> Response:
    fresh = {**headers(rooms), LEFT_OUT: str(left_out), "Cache-Control": "no-store"}
    return Response(json.dumps(items), 200, fresh, "application/json")
