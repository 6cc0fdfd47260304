"""What dashboards are given: flat rows, bounds as Grafana sends them, never green by silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import FED, NOW_MS, STATIONS, ApiCentre, api_centre
from rig.catalogues import level_rule, rain_rule, rung
from rig.events import STORM_MS, event, forecast

from egret_aggregator.api import warning_walk
from egret_aggregator.api.times import rfc3339
from egret_aggregator.config import ApiSettings
from egret_aggregator.store import StoredReading

if TYPE_CHECKING:
    from pathlib import Path

G = "/api/v1/grafana"
HOUR_MS = 3_600_000
DAY = f"from={STORM_MS}&to={STORM_MS + 24 * HOUR_MS}"
OVERRIDE = {"note": "gauge moved", "despite_condition": True}


async def table(centre: ApiCentre, path: str) -> list[dict[str, Any]]:
    answer = await centre.get(f"{G}/{path}")
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()
    for row in rows:
        assert all(not isinstance(cell, dict | list) for cell in row.values()), "not flat"
        assert row.keys() == rows[0].keys()
    return rows


async def test_annotations_have_grafanas_five_columns_in_order(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", 1), event("upgraded", 4, 30)])
    (note,) = await table(centre, f"annotations?{DAY}")
    assert list(note) == ["time", "timeEnd", "text", "title", "tags"]
    assert note["time"] == rfc3339(STORM_MS)
    assert note["timeEnd"] >= rfc3339(NOW_MS), "it still stands: it reaches to the present"
    assert note["title"] == "RED level st0007/wl"
    assert note["tags"] == "red,level,open,st0007"
    assert "Luoling bridge" in note["text"]
    assert "nobody has acknowledged it" in note["text"]


async def test_an_annotation_says_that_it_is_a_forecast(centre: ApiCentre) -> None:
    await centre.ledger.take([forecast("raised", 1), event("raised", 1, 5)])
    notes = await table(centre, f"annotations?{DAY}")
    assert sorted("by forecast" in note["text"] for note in notes) == [False, True]


async def test_a_closed_warning_ends_where_it_was_closed_and_keeps_its_peak(
    centre: ApiCentre,
) -> None:
    raised = event("raised", 4)
    await centre.ledger.take([raised])
    lowered = {**OVERRIDE, "level": "blue"}
    await centre.ledger.take([event("raised", 1)])
    acts = (("acknowledge", {}), ("lower", lowered), ("close", OVERRIDE))
    for act, body in acts:
        answer = await centre.post(f"/api/v1/warnings/{raised.id}/{act}", json=body)
        assert answer.status_code == 200, answer.text
    closed_at = answer.json()["warning"]["closed"]["at"]
    (note,) = await table(centre, f"annotations?{DAY}")
    assert note["timeEnd"] == closed_at
    assert note["title"].startswith("RED")
    assert "peak red" in note["text"]
    assert "closed by officer:officer1" in note["text"]
    assert await table(centre, "warnings") == []


@pytest.mark.parametrize(
    ("first", "last", "seen"),
    [(-2, -1, False), (-1, 0, True), (1, 2, True), (4, 6, True), (9, 10, False)],
)
async def test_a_span_shows_what_stood_within_it(
    centre: ApiCentre, first: int, last: int, seen: object
) -> None:
    raised = event("raised", 1)
    await centre.ledger.take([raised])
    await centre.post(f"/api/v1/warnings/{raised.id}/close", json=OVERRIDE)
    bounds = f"from={STORM_MS + first * HOUR_MS}&to={STORM_MS + last * HOUR_MS}"
    by_ms = await table(centre, f"annotations?{bounds}")
    ends = [rfc3339(STORM_MS + hours * HOUR_MS) for hours in (first, last)]
    assert by_ms == await table(centre, f"annotations?from={ends[0]}&to={ends[1]}")
    # NOW_MS is one hour into the storm: the warning stood from 0:00 to 1:00.
    assert NOW_MS == STORM_MS + HOUR_MS
    assert bool(by_ms) is (seen and first <= 1)


async def test_a_cut_list_of_annotations_says_so(tmp_path: Path) -> None:
    async with api_centre(tmp_path, ApiSettings(port=0, page_max=3)) as centre:
        subjects = [f"st{n}/wl" for n in range(5)]
        await centre.ledger.take([event("raised", 1, subject=subject) for subject in subjects])
        answer = await centre.get(f"{G}/annotations?{DAY}")
        assert answer.headers["egret-left-out"] == "1"
        *shown, last = answer.json()
        assert len(shown) == 3
        assert last["tags"] == "left_out"
        assert "more than 3" in last["text"]
        whole = await centre.get(f"{G}/annotations?{DAY}&station=st1,st3")
        assert {row["tags"].split(",")[-1] for row in whole.json()} == {"st1", "st3"}
        assert whole.headers["egret-left-out"] == "0"


async def test_more_warnings_than_a_page_are_all_there(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warning_walk, "PAGE", 2)
    subjects = [f"st{n}/wl" for n in range(5)]
    raised = [event("raised", 1, subject=subject) for subject in subjects]
    await centre.ledger.take(raised)
    for one in raised[:3]:
        await centre.post(f"/api/v1/warnings/{one.id}/close", json=OVERRIDE)
    assert len(await table(centre, "warnings")) == 2
    assert len(await table(centre, f"annotations?{DAY}")) == 5
    monkeypatch.setattr(warning_walk, "LOOKED_MAX", 4)
    cut = await table(centre, f"annotations?{DAY}")
    assert [row["tags"] for row in cut[4:]] == ["left_out"]


async def test_warnings_are_a_table_with_the_worst_first(centre: ApiCentre) -> None:
    low, high = event("raised", 1, subject="st0008/wl"), event("raised", 3, 5)
    await centre.ledger.take([high, low])
    rows = await table(centre, "warnings")
    assert [(row["level"], row["rank"], row["station_name"]) for row in rows] == [
        ("orange", 3, "Luoling bridge"),
        ("blue", 1, "Dam"),
    ]
    assert rows[0]["age_s"] >= 55 * 60
    assert [row["id"] for row in await table(centre, "warnings?station=st0008")] == [low.id]
    await centre.post(f"/api/v1/warnings/{low.id}/acknowledge")
    (seen,) = await table(centre, "warnings?station=st0008")
    assert (seen["state"], seen["acknowledged_by"]) == ("acknowledged", "officer:officer1")


async def test_a_station_has_its_level_and_its_newest_value(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", 2), event("raised", 1, subject="st0007/rain")])
    rows = [
        StoredReading("st0007", "wl", NOW_MS - 90_000, 3.6, None, 1, 0, 0, 500),
        StoredReading("st0007", "rain", NOW_MS - 30_000, 12.0, None, 1, 0, 0, 500),
    ]
    await centre.store.write(rows)
    bridge, dam = await table(centre, "stations")
    assert (bridge["id"], bridge["level"], bridge["rank"]) == ("st0007", "yellow", 2)
    assert (bridge["warnings"], bridge["unacknowledged"]) == (2, 2)
    assert (bridge["channels"], bridge["channels_heard"]) == (2, 2)
    assert bridge["newest"] == rfc3339(NOW_MS - 30_000)
    assert 30 <= bridge["newest_age_s"] < 600
    assert (bridge["latitude"], bridge["longitude"]) == (24.5, 118.1)
    assert (dam["newest"], dam["channels_heard"]) == (None, 0)
    assert [row["id"] for row in await table(centre, "stations?station=st0008,nowhere")] == [
        "st0008"
    ]


@pytest.mark.parametrize(
    ("hours", "level"), [(None, ("unknown", -1)), (30, ("unknown", -1)), (23, ("none", 0))]
)
async def test_a_silent_station_is_unknown(
    centre: ApiCentre, hours: int | None, level: tuple[str, int]
) -> None:
    if hours is not None:
        at_ms = NOW_MS - hours * HOUR_MS
        await centre.store.write([StoredReading("st0008", "wl", at_ms, 1.0, None, 1, 0, 0, 500)])
    (dam,) = await table(centre, "stations?station=st0008")
    assert (dam["level"], dam["rank"]) == level
    await centre.ledger.take([event("raised", 1, subject="st0008/wl")])
    (dam,) = await table(centre, "stations?station=st0008")
    assert (dam["level"], dam["rank"]) == ("blue", 1)


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ((1.0, None, 1, 0, 0), "none"),
        ((1.0, None, 3, 0, 0), "none"),  # suspect, and judged all the same
        ((None, None, 9, 4, 0), "unknown"),
        ((1.0, None, 4, 8, 0), "unknown"),
        ((1.0, None, 1, 1, 0), "unknown"),  # maintenance
        ((1.0, None, 1, 0, 4), "unknown"),  # history brought in from a file
    ],
)
async def test_a_station_whose_sensors_all_fail_is_unknown(
    centre: ApiCentre, said: tuple[float | None, float | None, int, int, int], level: str
) -> None:
    row = StoredReading("st0008", "wl", NOW_MS - 1000, *said, 500)
    await centre.store.write([row])
    (dam,) = await table(centre, "stations?station=st0008")
    assert dam["level"] == level
    assert dam["channels_heard"] == int(level == "none")
    assert dam["newest"] == rfc3339(NOW_MS - 1000), "when it last said anything is shown"


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ({"wl": {"rise@1": "warming_up"}}, "unknown"),
        ({"wl": {"rise@1": "warming_up", "slope@1": "invalid"}}, "unknown"),
        ({"wl": {"rise@1": "warming_up", "river@1": "ok"}}, "none"),
    ],
)
async def test_a_station_of_which_no_rule_can_judge_is_unknown(
    centre: ApiCentre, words: dict[str, dict[str, str]], level: str
) -> None:
    await centre.store.write([StoredReading("st0008", "wl", NOW_MS, 1.0, None, 1, 0, 0, 500)])
    centre.line.stand["st0008"] = words
    (dam,) = await table(centre, "stations?station=st0008")
    assert dam["level"] == level
    await centre.ledger.take([event("raised", 1, subject="st0008/wl")])
    (dam,) = await table(centre, "stations?station=st0008")
    assert dam["level"] == "blue", "what stands goes on standing"


@pytest.mark.parametrize("how", ["never", "stale", "faults"])
async def test_nothing_is_green_by_silence(centre: ApiCentre, how: str) -> None:
    await centre.store.write([StoredReading("st0007", "wl", NOW_MS, 1.0, None, 1, 0, 0, 500)])
    assert (await table(centre, "stations?station=st0007"))[0]["level"] == "none"
    (service,) = await table(centre, "service")
    assert (service["level"], service["rank"], service["ready"]) == ("none", 0, True)
    if how == "faults":
        centre.line.wrong = ("intake_disconnected",)
    else:
        centre.line.judged = None if how == "never" else NOW_MS - HOUR_MS
    rows = [*await table(centre, "stations"), *await table(centre, "service")]
    assert {(row["level"], row["rank"]) for row in rows} == {("unknown", -1)}
    assert rows[-1]["ready"] is False
    # What stands goes on standing, judged or not.
    await centre.ledger.take([event("raised", 3)])
    levels = {row["id"]: row["level"] for row in await table(centre, "stations")}
    assert levels == {"st0007": "orange", "st0008": "unknown"}
    answer = await centre.get(f"{G}/warnings")
    assert answer.headers["egret-judgement"] == ("current" if how == "faults" else how)


async def test_the_service_counts_what_its_rules_can_say(centre: ApiCentre) -> None:
    centre.line.counted = {"ok": 5, "warming_up": 2, "inputs_missing": 1}
    (service,) = await table(centre, "service")
    told = {name: value for name, value in service.items() if name.startswith("standing_")}
    assert told == {
        "standing_ok": 5,
        "standing_warming_up": 2,
        "standing_not_applicable": 0,
        "standing_invalid": 0,
        "standing_inputs_missing": 1,
    }


async def test_latest_values_are_narrowed_by_ids_and_quantity(centre: ApiCentre) -> None:
    stray = StoredReading("st9999", "x", NOW_MS - 1000, 1.0, None, 1, 0, 2, 500)
    level = StoredReading("st0007", "wl", NOW_MS - 1000, None, None, 9, 4, 0, 500)
    await centre.store.write([stray, level])
    rows = await table(centre, "latest")
    assert [(row["station"], row["channel"]) for row in rows] == [
        ("st0007", "rain"),
        ("st0007", "wl"),
        ("st0008", "wl"),
        ("st9999", "x"),
    ]
    assert [row["known"] for row in rows] == [True, True, True, False]
    assert (rows[1]["value"], rows[1]["flag_name"]) == (None, "MISSING")
    assert rows[0]["time"] is None
    assert len(await table(centre, "latest?quantity=water_level")) == 2
    assert (
        len(await table(centre, "latest?station=st0007&channel=wl,rain&quantity=rain_total")) == 1
    )
    answer = await centre.get(f"{G}/latest?limit=1")
    assert (len(answer.json()), answer.headers["egret-left-out"]) == (1, "3")


async def test_the_fleet_is_one_row_a_gateway(centre: ApiCentre) -> None:
    centre.line.heard["XM-TA-0042"] = {
        "online": True,
        "last_seen": rfc3339(NOW_MS - 5000),
        "outbox": {"bytes": 4096, "unsettled": 3, "oldest_ms": 1500},
        "clock": {"source": "ntp", "offset_ms": -4},
        "buses": {"bus1": {"fault": ""}, "bus0": {"fault": "port_gone"}},
        "missing_batches": 2,
        "clone": False,
    }
    centre.line.heard["stray"] = {"online": True, "clone": True}
    first, second, stray = await table(centre, "gateways")
    assert (first["id"], first["state"], first["channels"]) == ("XM-TA-0042", "online", 2)
    assert (first["outbox_bytes"], first["outbox_unsettled"]) == (4096, 3)
    assert (first["outbox_oldest_s"], first["clock_offset_s"]) == (1.5, -0.004)
    assert (first["buses"], first["bus_faults"]) == (2, "bus0: port_gone")
    assert 5 <= first["last_seen_age_s"] < 600
    assert (second["state"], second["last_seen"]) == ("never_heard", None)
    assert (stray["state"], stray["known"]) == ("clone", False)
    centre.line.heard["XM-TA-0042"]["online"] = False
    assert (await table(centre, "gateways"))[0]["state"] == "offline"


async def test_a_feed_is_no_gateway_that_was_never_heard(tmp_path: Path) -> None:
    async with api_centre(tmp_path, stations=STATIONS + FED) as centre:
        ids = [row["id"] for row in await table(centre, "gateways")]
        assert any(place.gateway.startswith("feed:") for place in centre.context.places.places())
        assert ids
        assert not [id_ for id_ in ids if ":" in id_]


async def test_figures_are_rows(centre: ApiCentre) -> None:
    (row,) = await table(centre, "figures")
    assert row == {"name": "egret_journal_head", "value": 7.0}
    assert await table(centre, "figures?name=x,egret_journal_head") == [row]
    assert await table(centre, "figures?name=egret_none") == []


LADDER = level_rule(rung("blue", 300, 280), rung("red", 400, 380), unit="cm")
RULES = f"""{LADDER}{rain_rule("st0007/rain", "rain")}[[rule]]
id = "silence"
pack = "absence"
channels = ["st0008/wl", "gateway/XM-TA-0042"]
[rule.parameters]
limit_s = 900
"""


async def test_thresholds_are_canonical_and_of_every_family(tmp_path: Path) -> None:
    async with api_centre(tmp_path, rules=RULES) as centre:
        rows = await table(centre, "thresholds")
        told = [(row["station"], row["channel"], row["level"], row["raise"]) for row in rows]
        assert told == [
            ("gateway", "XM-TA-0042", "fault", 900.0),
            ("gateway", "XM-TA-0042", "alarm", 5400.0),
            ("st0007", "rain", "blue", 50.0),
            ("st0007", "rain", "yellow", 50.0),
            ("st0007", "rain", "orange", 50.0),
            ("st0007", "rain", "red", 100.0),
            ("st0007", "wl", "blue", 3.0),
            ("st0007", "wl", "red", 4.0),
            ("st0008", "wl", "fault", 900.0),
            ("st0008", "wl", "alarm", 5400.0),
        ]
        by_level = {(row["channel"], row["level"]): row for row in rows}
        assert by_level["rain", "blue"]["window_h"] == 12
        river = by_level["wl", "red"]
        assert (river["clear"], river["unit"], river["datum"]) == (3.8, "m", "Luoling")
        only = await table(centre, "thresholds?station=st0007&quantity=water_level")
        assert [row["level"] for row in only] == ["blue", "red"]
        lines = await table(centre, f"threshold-lines?{DAY}&station=st0007")
        assert [(line["line"], line["value"]) for line in lines] == [
            ("wl blue", 3.0),
            ("wl red", 4.0),
        ] * 2
        ends = [rfc3339(STORM_MS), rfc3339(STORM_MS + 24 * HOUR_MS)]
        assert sorted({line["time"] for line in lines}) == ends
        cut = await centre.get(f"{G}/threshold-lines?{DAY}&limit=3")
        assert (len(cut.json()), cut.headers["egret-left-out"]) == (2, "2")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("annotations?from=0", "invalid_request"),
        ("annotations?from=now-6h&to=now", "bad_time"),
        ("annotations?from=2017-08-18T00:00:00&to=0", "bad_time"),
        ("annotations?from=-5&to=0", "bad_time"),
        ("annotations?from=999999999999999&to=0", "bad_time"),
        ("annotations?from=2&to=1", "from_after_to"),
        ("annotations?from=0&to=1&limit=0", "limit_out_of_range"),
        ("stations?limit=1001", "limit_out_of_range"),
        ("stations?page=1", "invalid_request"),
        ("latest?station=" + "x" * 2001, "invalid_request"),
        ("threshold-lines?from=0&to=zero", "bad_time"),
    ],
)
async def test_a_wrong_question_is_refused_by_name(
    centre: ApiCentre, query: str, code: str
) -> None:
    answer = await centre.get(f"{G}/{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.headers["content-type"] == "application/problem+json"
