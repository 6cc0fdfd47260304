"""Stations, readings and latest values: units, datum and doubt travel along; silence is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.api_centre import NOW_MS, ApiCentre, api_centre

from egret_aggregator.api.times import rfc3339
from egret_aggregator.config import ApiSettings
from egret_aggregator.store import Aside, Note, StoredReading
from egret_core.quality import Reason, bit_names

if TYPE_CHECKING:
    from pathlib import Path

WL = "/api/v1/stations/st0007/channels/wl/readings"
DAY = "from=2017-08-18T00:00:00Z&to=2017-08-19T00:00:00Z"
DAY_MS = 1_503_014_400_000


def row(minute: int, value: float | None = 1.5, **more: object) -> StoredReading:
    facts = {
        "station": "st0007",
        "channel": "wl",
        "time_ms": DAY_MS + minute * 60_000,
        "value": value,
        "raw": None,
        "flag": 1,
        "reasons": 0,
        "notes": 0,
        "lag_ms": 250,
    }
    return StoredReading(**(facts | more))  # type: ignore[arg-type]


async def test_a_reading_carries_unit_datum_and_doubt(centre: ApiCentre) -> None:
    doubtful = row(1, None, flag=9, reasons=1 | 128, notes=1, raw=32767.0)
    await centre.store.write([row(0), doubtful, row(1440)])
    body = (await centre.get(f"{WL}?{DAY}")).json()
    assert (body["quantity"], body["unit"], body["datum"]) == ("water_level", "m", "Luoling")
    assert body["items"] == [
        {
            "time": "2017-08-18T00:00:00.000Z",
            "value": 1.5,
            "raw": None,
            "flag": 1,
            "flag_name": "GOOD",
            "reasons": [],
            "notes": [],
            "lag_ms": 250,
        },
        {
            "time": "2017-08-18T00:01:00.000Z",
            "value": None,
            "raw": 32767.0,
            "flag": 9,
            "flag_name": "MISSING",
            "reasons": ["MAINTENANCE", "TIMEOUT"],
            "notes": ["CLOCK_AHEAD"],
            "lag_ms": 250,
        },
    ]
    assert (body["truncated"], body["next_from"]) == (False, None)


async def test_a_long_span_is_read_in_pieces_without_gap_or_repeat(centre: ApiCentre) -> None:
    await centre.store.write([row(n) for n in range(25)])
    seen: list[str] = []
    start = "2017-08-18T00:00:00Z"
    while start:
        body = (await centre.get(f"{WL}?from={start}&to=2017-08-19T00:00:00Z&limit=10")).json()
        seen += [item["time"] for item in body["items"]]
        start = body["next_from"]
    assert seen == [rfc3339(DAY_MS + n * 60_000) for n in range(25)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2017-08-19T00:00:00Z&to=2017-08-18T00:00:00Z", "from_after_to"),
        ("from=2010-08-18T00:00:00Z&to=2017-08-18T00:00:00Z", "span_too_long"),
        ("from=0&to=1", "bad_time"),
        ("from=2017-08-18&to=2017-08-19", "bad_time"),
        ("from=0000-01-01T00:00:00Z&to=2017-08-19T00:00:00Z", "bad_time"),
        ("from=2017-08-18T00:00:00Z", "invalid_request"),
        (f"{DAY}&limit=0", "limit_out_of_range"),
        (f"{DAY}&limit=1001", "limit_out_of_range"),
        (f"{DAY}&limit=-1", "limit_out_of_range"),
        (f"{DAY}&form=2017-08-18T00:00:00Z", "invalid_request"),
    ],
)
async def test_a_bad_span_is_named(centre: ApiCentre, query: str, code: str) -> None:
    answer = await centre.get(f"{WL}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/stations/nowhere", "unknown_station"),
        ("/api/v1/latest?station=nowhere", "unknown_station"),
        (f"/api/v1/stations/nowhere/channels/wl/readings?{DAY}", "unknown_channel"),
        (f"/api/v1/stations/st0007/channels/nothing/readings?{DAY}", "unknown_channel"),
        ("/api/v1/nothing", "not_found"),
    ],
)
async def test_unknown_things_are_404(centre: ApiCentre, path: str, code: str) -> None:
    answer = await centre.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, code)


async def test_a_stored_channel_that_the_catalogue_lacks_is_shown_as_unknown(
    centre: ApiCentre,
) -> None:
    await centre.store.write([row(0, station="ghost", notes=int(Note.UNKNOWN_CHANNEL))])
    body = (await centre.get(f"/api/v1/stations/ghost/channels/wl/readings?{DAY}")).json()
    assert (body["known"], body["unit"]) == (False, None)
    assert body["items"][0]["notes"] == ["UNKNOWN_CHANNEL"]


async def test_latest_lists_channels_that_never_spoke(centre: ApiCentre) -> None:
    await centre.store.write([row(0), row(10), row(5, station="ghost")])
    body = (await centre.get("/api/v1/latest")).json()
    found = {(item["station"], item["channel"]): item for item in body["items"]}
    assert list(found) == [("ghost", "wl"), ("st0007", "rain"), ("st0007", "wl"), ("st0008", "wl")]
    assert found["st0007", "wl"]["reading"]["time"] == "2017-08-18T00:10:00.000Z"
    age_s = (NOW_MS - DAY_MS) / 1000 - 600
    assert age_s <= found["st0007", "wl"]["age_s"] < age_s + 60
    assert found["st0008", "wl"]["reading"] is None
    assert found["st0008", "wl"]["age_s"] is None
    assert found["st0008", "wl"]["datum"] == "Dam"


async def test_latest_in_pages(centre: ApiCentre) -> None:
    first = (await centre.get("/api/v1/latest?limit=2")).json()
    rest = (await centre.get(f"/api/v1/latest?limit=2&cursor={first['next']}")).json()
    found = [(i["station"], i["channel"]) for i in first["items"] + rest["items"]]
    assert found == [("st0007", "rain"), ("st0007", "wl"), ("st0008", "wl")]
    assert rest["next"] is None
    one = (await centre.get("/api/v1/latest?station=st0008")).json()
    assert [i["station"] for i in one["items"]] == ["st0008"]


@pytest.mark.parametrize("cursor", ["x", "WyJzdGF0aW9ucyIsICJ4Il0"])
async def test_a_bad_cursor_is_named(centre: ApiCentre, cursor: str) -> None:
    for path in ("latest", "stations", "asides"):
        answer = await centre.get(f"/api/v1/{path}?cursor={cursor}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), path


async def test_stations_in_pages(centre: ApiCentre) -> None:
    first = (await centre.get("/api/v1/stations?limit=1")).json()
    rest = (await centre.get(f"/api/v1/stations?limit=1&cursor={first['next']}")).json()
    assert [s["id"] for s in first["items"] + rest["items"]] == ["st0007", "st0008"]
    assert first["items"][0]["channels"][0] == {
        "id": "rain",
        "gateway": "XM-TA-0042",
        "quantity": "rain_total",
        "unit": "mm",
        "datum": None,
        "known": True,
        "standings": {},
    }
    assert rest["next"] is None
    words = {"river@1": "ok", "rise@1": "warming_up"}
    centre.line.stand["st0007"] = {"wl": words}
    one = (await centre.get("/api/v1/stations/st0007")).json()
    told = {row["id"]: row["standings"] for row in one["station"]["channels"]}
    assert told == {"rain": {}, "wl": words}, "a rule that cannot judge is shown"
    assert (await centre.get(f"{WL}?{DAY}")).json()["standings"] == words
    assert one["station"]["name"] == "Luoling bridge"
    assert [item["channel"] for item in one["latest"]] == ["rain", "wl"]


async def test_gateways_that_should_speak_and_those_that_do(centre: ApiCentre) -> None:
    centre.line.heard["stray"] = {"online": True}
    centre.line.heard["XM-TA-0042"] = {"online": False}
    items = {item["id"]: item for item in (await centre.get("/api/v1/gateways")).json()["items"]}
    assert list(items) == ["XM-TA-0042", "XM-TA-0043", "stray"]
    assert items["XM-TA-0042"]["channels"] == ["st0007/rain", "st0007/wl"]
    assert (items["XM-TA-0043"]["heard"], items["XM-TA-0043"]["status"]) == (False, None)
    assert (items["stray"]["known"], items["stray"]["heard"]) == (False, True)


async def test_what_was_set_aside_is_shown_in_pages(centre: ApiCentre) -> None:
    asides = [Aside("gw", "0" * 32, n, -1, "foreign", DAY_MS, b"\xff{}") for n in range(5)]
    await centre.store.write([], asides)
    first = (await centre.get("/api/v1/asides?limit=3")).json()
    rest = (await centre.get(f"/api/v1/asides?limit=3&cursor={first['next']}")).json()
    assert [a["seq"] for a in first["items"] + rest["items"]] == [4, 3, 2, 1, 0]
    assert first["items"][0]["body"] == "\ufffd{}"
    assert rest["next"] is None


async def test_page_limit_is_a_setting(tmp_path: Path) -> None:
    async with api_centre(tmp_path, ApiSettings(page_max=2, span_max_days=1.0)) as small:
        await small.store.write([row(n) for n in range(5)])
        assert len((await small.get(f"{WL}?{DAY}")).json()["items"]) == 2
        assert (await small.get(f"{WL}?{DAY}&limit=3")).status_code == 400


def test_bits_of_later_versions_keep_a_name() -> None:
    assert bit_names(1 | 2, Note) == ["CLOCK_AHEAD", "UNKNOWN_CHANNEL"]
    assert bit_names(1 << 30 | 4, Reason) == ["CLOCK", "BIT_30"]
    assert bit_names(0, Reason) == []
