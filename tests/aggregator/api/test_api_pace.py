"""An officer orders a pace over HTTP: who may, what is on record, what is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import NOW_MS, STATIONS, ApiCentre, api_centre

from egret_aggregator.database import ledger_rows
from egret_aggregator.errors import DatabaseUnavailableError
from egret_aggregator.intake.pace_orders import EXPIRE_S, UNANSWERED, UNSENT
from egret_aggregator.warnings import audit
from egret_core.messages import CommandAck, Outcome

if TYPE_CHECKING:
    from pathlib import Path

PACE = "/api/v1/stations/st0007/pace"
ORDER = {"state": "event", "for_s": 3600}
GATEWAY = "XM-TA-0042"
SECOND = STATIONS.replace(
    'quantity = "rain_total"\ngateway = "XM-TA-0042"',
    'quantity = "rain_total"\ngateway = "XM-TA-0099"',
)
FED = STATIONS.replace('gateway = "XM-TA-0043"', 'feed = "bureau"')


def reach(centre: ApiCentre, gateway: str = GATEWAY, **more: Any) -> None:
    centre.line.heard[gateway] = {"online": True, "last_seen": "x", "pace": {}, **more}


async def lines(centre: ApiCentre) -> list[tuple[str, dict[str, Any]]]:
    async with centre.database.reading() as connection:
        found = await ledger_rows.after(connection, 0, 1000)
    return [(one.actor, one.content) for one in found if one.kind == "pace_ordered"]


def answer(centre: ApiCentre, id_: str, outcome: str, detail: str = "") -> None:
    ack = CommandAck(id_, outcome, detail=detail)
    assert centre.context.pace.answered(GATEWAY, ack) is not None


def due(centre: ApiCentre) -> list[tuple[str, str]]:
    clock = centre.context.clock
    found = centre.context.pace.due(clock.monotonic_s(), clock.in_ms, clock.now_ms())
    return [(gateway, command.id) for gateway, command in found]


async def test_an_order_is_recorded_then_sent_and_its_outcome_told(centre: ApiCentre) -> None:
    reach(centre, pace={"st0008": "watch", "st0007": "normal"})
    head = centre.ledger.head.seq
    before = (await centre.get(PACE)).json()
    assert before["order"] is None
    assert before["orders_since"] == "2017-08-18T01:00:00.000Z"
    assert before["gateways"] == [
        {"id": GATEWAY, "online": True, "last_seen": "x", "pace": "normal"}
    ]
    given = await centre.post(PACE, json=ORDER)
    assert given.status_code == 202
    order = given.json()["order"]
    assert (order["state"], order["for_s"], order["by"]) == ("event", 3600, "officer:officer1")
    assert order["outcome"] == "waiting"
    assert order["gateways"] == [{"id": GATEWAY, "outcome": "waiting", "detail": ""}]
    assert order["ordered_at"] < order["expires_at"]
    assert given.json()["head"] == head + 1
    said = {"order": order["id"], "station": "st0007", "state": "event", "for_s": 3600}
    assert await lines(centre) == [("officer:officer1", {**said, "gateways": [GATEWAY]})]
    assert due(centre) == [(GATEWAY, order["id"])]
    assert (await centre.get(PACE)).json()["order"] == order
    answer(centre, order["id"], Outcome.DONE, "event for 3600 s")
    done = (await centre.get(PACE)).json()["order"]
    assert (done["id"], done["outcome"]) == (order["id"], "done")
    assert done["gateways"][0]["detail"] == "event for 3600 s"
    report = await audit.verify(centre.database)
    assert (report.findings, report.head) == ([], centre.ledger.head)


async def test_a_refusal_of_the_gateway_is_told_with_its_words(centre: ApiCentre) -> None:
    reach(centre)
    id_ = (await centre.post(PACE, json=ORDER)).json()["order"]["id"]
    answer(centre, id_, Outcome.REFUSED, "pace: no device of station 'st0007' has watch_s")
    order = (await centre.get(PACE)).json()["order"]
    assert order["outcome"] == order["gateways"][0]["outcome"] == "refused"
    assert "has watch_s" in order["gateways"][0]["detail"]


async def test_an_order_that_nobody_answers_ends(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(centre)
    await centre.post(PACE, json=ORDER)
    later_s = centre.context.clock.monotonic_s() + EXPIRE_S
    monkeypatch.setattr(centre.context.clock, "monotonic_s", lambda: later_s)
    order = (await centre.get(PACE)).json()["order"]
    assert (order["outcome"], order["gateways"][0]["detail"]) == ("expired", UNANSWERED)
    assert due(centre) == []
    assert (await centre.post(PACE, json=ORDER)).status_code == 202, "and may be given again"


async def test_one_open_order_a_station_and_the_second_officer_learns_of_the_first(
    centre: ApiCentre,
) -> None:
    reach(centre)
    reach(centre, "XM-TA-0043")
    first = (await centre.post(PACE, json=ORDER)).json()["order"]
    second = await centre.post(PACE, "admin", json={"state": "normal", "for_s": 60})
    problem = second.json()
    assert (second.status_code, problem["code"]) == (409, "pace_order_open")
    assert (problem["id"], problem["by"]) == (first["id"], "officer:officer1")
    assert problem["at"] == first["ordered_at"]
    other = await centre.post("/api/v1/stations/st0008/pace", json=ORDER)
    assert other.status_code == 202
    assert len(await lines(centre)) == 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"state": "event"},
        {"for_s": 60},
        {"state": "fast", "for_s": 60},
        {"state": "event", "for_s": 59},
        {"state": "event", "for_s": 86_401},
        {"state": "event", "for_s": 60.5},
        {"state": "event", "for_s": "60"},
        {"state": "event", "for_s": 60, "station": "st0008"},
    ],
)
async def test_what_is_no_order_is_refused_by_name(centre: ApiCentre, body: Any) -> None:
    reach(centre)
    refused = await centre.post(PACE, json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert (await centre.get(PACE)).json()["order"] is None


@pytest.mark.parametrize("for_s", [60, 86_400])
async def test_the_bounds_themselves_are_taken(centre: ApiCentre, for_s: int) -> None:
    reach(centre)
    for state in ("normal", "watch", "event"):
        given = await centre.post(PACE, json={"state": state, "for_s": for_s})
        assert given.status_code == 202
        answer(centre, given.json()["order"]["id"], Outcome.DONE)


async def test_who_may_not_order_orders_nothing(centre: ApiCentre) -> None:
    reach(centre)
    refused = await centre.post(PACE, "viewer", json=ORDER)
    assert (refused.status_code, refused.json()["code"]) == (403, "role_too_low")
    assert (await lines(centre), due(centre)) == ([], [])


@pytest.mark.parametrize("heard", [None, {"online": False}])
async def test_a_gateway_that_is_not_connected_is_not_ordered(
    centre: ApiCentre, heard: dict[str, Any] | None
) -> None:
    if heard is not None:
        centre.line.heard[GATEWAY] = heard
    refused = await centre.post(PACE, json=ORDER)
    assert (refused.status_code, refused.json()["code"]) == (409, "gateway_offline")
    assert GATEWAY in refused.json()["detail"]
    assert (await lines(centre), due(centre)) == ([], [])
    (shown,) = (await centre.get(PACE)).json()["gateways"]
    assert shown == {"id": GATEWAY, "online": False, "last_seen": None, "pace": None}


async def test_a_centre_without_its_broker_says_so(centre: ApiCentre) -> None:
    reach(centre)
    centre.line.wrong = ("intake_disconnected",)
    refused = (await centre.post(PACE, json=ORDER)).json()
    assert refused["code"] == "gateway_offline"
    assert "the centre itself has no broker" in refused["detail"]
    assert await lines(centre) == []


async def test_a_station_that_is_unknown_or_fed_by_no_gateway(tmp_path: Path) -> None:
    async with api_centre(tmp_path, stations=FED) as centre:
        for method in ("GET", "POST"):
            more: dict[str, Any] = {"json": ORDER} if method == "POST" else {}
            path = PACE.replace("st0007", "st9")
            headers = centre.bearer("officer")
            unknown = await centre.ask(method, path, headers=headers, **more)
            assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_station")
        fed = PACE.replace("st0007", "st0008")
        refused = await centre.post(fed, json=ORDER)
        assert (refused.status_code, refused.json()["code"]) == (409, "no_gateway")
        assert "stations.toml" in refused.json()["detail"]
        assert (await centre.get(fed)).json()["gateways"] == []
        assert await lines(centre) == []


async def test_every_connected_gateway_of_a_station_is_ordered(tmp_path: Path) -> None:
    async with api_centre(tmp_path, stations=SECOND) as centre:
        reach(centre)
        given = (await centre.post(PACE, json=ORDER)).json()["order"]
        assert [(one["outcome"], one["detail"]) for one in given["gateways"]] == [
            ("waiting", ""),
            ("refused", UNSENT),
        ]
        assert due(centre) == [(GATEWAY, given["id"])]
        assert (await lines(centre))[0][1]["gateways"] == [GATEWAY]
        answer(centre, given["id"], Outcome.DONE)
        reach(centre, "XM-TA-0099", pace={"st0007": "event"})
        given = (await centre.post(PACE, json=ORDER)).json()["order"]
        assert [gateway for gateway, _ in due(centre)] == [GATEWAY, "XM-TA-0099"]
        told = (await centre.get(PACE)).json()["gateways"]
        assert [one["pace"] for one in told] == [None, "event"]


async def test_what_cannot_be_recorded_is_not_sent(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(centre)

    async def away(*_: object) -> None:
        assert due(centre) == [], "nothing goes out ahead of its record"
        raise DatabaseUnavailableError("no database")

    with monkeypatch.context() as patched:
        patched.setattr(centre.ledger, "note", away)
        refused = await centre.post(PACE, json=ORDER)
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert due(centre) == []
    assert (await centre.get(PACE)).json()["order"] is None
    assert (await centre.post(PACE, json=ORDER)).status_code == 202


async def test_times_are_the_centres(centre: ApiCentre) -> None:
    reach(centre)
    order = (await centre.post(PACE, json=ORDER)).json()["order"]
    last = centre.context.pace.last("st0007", 0.0)
    assert last is not None
    assert 0 <= last.asked.at_ms - NOW_MS < 600_000
    assert last.asked.void_ms - last.asked.at_ms >= EXPIRE_S * 1000 - 1
    assert order["ordered_at"].startswith("2017-08-18T01:0")
