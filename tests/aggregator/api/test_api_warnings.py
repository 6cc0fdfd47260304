"""Warnings over HTTP: pages, filters, ETags, acts, races and repeats."""

from __future__ import annotations

import asyncio

import pytest
from rig.api_centre import NOW_MS, ApiCentre
from rig.events import event, forecast, guess
from rig.sse import StreamClient

from egret_aggregator.api.times import rfc3339

LIST = "/api/v1/warnings"


async def test_a_warning_shows_level_phase_evidence_and_history(centre: ApiCentre) -> None:
    first = guess("raised", 2, 3)
    await centre.ledger.take([first, event("raised", 2, 1, names=first)])
    body = (await centre.get(f"{LIST}/{first.id}")).json()
    warning = body["warning"]
    assert (warning["level"], warning["phase"], warning["state"]) == ("yellow", "settled", "open")
    assert warning["onset"] == "2017-08-18T00:01:00.000Z"
    lines = body["history"]
    assert [line["event"]["phase"] for line in lines] == ["provisional", "settled"]
    assert lines[0]["actor"] == "rule:river-level@1a2b3c4d"
    assert lines[0]["event"]["evidence"]["unit"] == "m"
    assert lines[1]["event"]["provisional_id"] == first.id
    assert body["history_complete"]


async def test_a_forecast_is_shown_as_one_beside_the_level_itself(centre: ApiCentre) -> None:
    ahead, level = forecast("raised", 2, 3), event("raised", 2, 15)
    await centre.ledger.take([ahead, level])
    items = (await centre.get(LIST)).json()["items"]
    assert {item["id"]: item["basis"] for item in items} == {
        ahead.id: "forecast",
        level.id: "observed",
    }
    said = (await centre.get(f"{LIST}/{ahead.id}")).json()["history"][0]["event"]["evidence"]
    assert (said["basis"], said["lead_s"]) == ("forecast", 900)
    assert said["forecast_for"] == "2017-08-18T00:18:00.000Z"
    async with StreamClient(centre.url, centre.bearer("viewer"), "?after=0") as client:
        told = [line.body["warning"]["basis"] for line in await client.warnings(2)]
    assert told == ["forecast", "observed"]


async def test_every_answer_says_how_fresh_judgement_is(centre: ApiCentre) -> None:
    for path in (LIST, "/api/v1/latest", "/api/v1/gateways", "/api/v1/stations"):
        assert (await centre.get(path)).json()["judgement"]["state"] == "current"
    centre.line.judged = NOW_MS - 61_000
    for path in (LIST, "/api/v1/latest", "/api/v1/gateways", "/api/v1/stations"):
        body = (await centre.get(path)).json()
        assert body["judgement"]["state"] == "stale"
        assert body["judgement"]["age_s"] >= 61
        assert body["judgement"]["judged_to"] == rfc3339(NOW_MS - 61_000)
    centre.line.judged = None
    body = (await centre.get(LIST)).json()
    assert body["judgement"] == {"state": "never", "judged_to": None, "age_s": None}


async def test_pages_give_each_old_warning_once_while_new_ones_come(centre: ApiCentre) -> None:
    old = [event("raised", 1, subject=f"st{n:04}/wl") for n in range(250)]
    await centre.ledger.take(old)
    seen: list[str] = []
    path = f"{LIST}?limit=40"
    while path:
        answer = await centre.get(path)
        body = answer.json()
        seen += [item["id"] for item in body["items"]]
        new = [event("raised", 1, subject=f"new{len(seen)}/wl")]
        await centre.ledger.take([*new, event("upgraded", 3, 9, subject="st0001/wl")])
        path = f"{LIST}?limit=40&cursor={body['next']}" if body["next"] else ""
        assert bool(path) == ("link" in answer.headers)
    assert seen == [item.id for item in reversed(old)]


async def test_filters(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", n % 4 + 1, subject=f"st{n}/wl") for n in range(8)])

    async def count(query: str) -> int:
        return len((await centre.get(f"{LIST}?{query}")).json()["items"])

    assert await count("level=red&level=blue") == 4
    assert await count("station=st3") == 1
    assert await count("state=open&hazard=level") == 8
    assert await count("state=closed") == 0
    assert await count("hazard=rain") == 0
    assert await count("since=2100-01-01T00:00:00Z") == 0
    assert await count("since=1970-01-01T00:00:00%2B08:00") == 8
    assert await count("since=1970-01-01T00:00:00+08:00") == 8  # a bare plus arrives as a blank


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "limit_out_of_range"),
        ("limit=1001", "limit_out_of_range"),
        ("limit=99999999999999999999", "limit_out_of_range"),
        ("limit=ten", "invalid_request"),
        ("state=gone", "invalid_request"),
        ("colour=red", "invalid_request"),
        ("since=yesterday", "bad_time"),
        ("since=2017-08-18T00:00:00", "bad_time"),
        ("since=2017-02-30T00:00:00Z", "bad_time"),
        ("cursor=nonsense", "bad_cursor"),
        ("cursor=%F0%9F%8C%8A", "bad_cursor"),
        ("cursor=" + "A" * 5000, "bad_cursor"),
        ("cursor=WyJ4IiwgImFiY2RlZmdoIl0", "bad_cursor"),
        ("&".join(["level=red"] * 51), "invalid_request"),
    ],
)
async def test_a_bad_question_is_named(centre: ApiCentre, query: str, code: str) -> None:
    answer = await centre.get(f"{LIST}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_cursor_belongs_to_its_filters(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", 1, subject=f"st{n}/wl") for n in range(4)])
    more = (await centre.get(f"{LIST}?limit=2&level=blue")).json()["next"]
    assert (await centre.get(f"{LIST}?limit=2&level=blue&cursor={more}")).status_code == 200
    answer = await centre.get(f"{LIST}?limit=2&level=red&cursor={more}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def test_nothing_new_is_304_and_still_says_how_fresh_it_is(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", 1)])
    tag = (await centre.get(LIST)).headers["etag"]
    centre.line.judged = NOW_MS - 90_000
    same = await centre.get(LIST, headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["egret-judgement"] == "stale"
    assert (
        await centre.get(f"{LIST}?level=red", headers={"If-None-Match": tag})
    ).status_code == 200
    await centre.ledger.take([event("upgraded", 2, 1)])
    assert (await centre.get(LIST, headers={"If-None-Match": tag})).status_code == 200


async def test_an_unknown_warning(centre: ApiCentre) -> None:
    for answer in (
        await centre.get(f"{LIST}/nothing"),
        await centre.post(f"{LIST}/nothing/acknowledge"),
        await centre.post(f"{LIST}/{'x' * 3000}/acknowledge"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_warning")


async def test_of_two_acknowledgements_the_second_is_told_who_was_first(centre: ApiCentre) -> None:
    first = event("raised", 3)
    await centre.ledger.take([first])
    path = f"{LIST}/{first.id}/acknowledge"
    answers = await asyncio.gather(
        centre.post(path, "officer", json={"note": "on my way"}), centre.post(path, "admin")
    )
    lost, won = sorted(answers, key=lambda a: -a.status_code)
    assert (won.status_code, lost.status_code) == (200, 409)
    assert lost.json()["code"] == "already_acknowledged"
    assert lost.json()["by"] == won.json()["warning"]["acknowledged"]["by"]
    assert lost.json()["at"] == won.json()["warning"]["acknowledged"]["at"]


async def test_down_by_a_person_only_with_a_reason(centre: ApiCentre) -> None:
    first = event("raised", 4)
    await centre.ledger.take([first, event("eased", 1, 5)])
    lower, close = f"{LIST}/{first.id}/lower", f"{LIST}/{first.id}/close"

    async def code(path: str, **body: object) -> tuple[int, str]:
        answer = await centre.post(path, json=body)
        return answer.status_code, answer.json().get("code", "")

    assert await code(lower) == (400, "invalid_request")
    assert await code(lower, level="blue") == (400, "note_missing")
    assert await code(lower, level="puce", note="x") == (400, "unknown_level")
    assert await code(close, note="x") == (409, "condition_holds")
    assert await code(close, note="x", colour="red") == (400, "invalid_request")
    assert await code(close, note="x" * 2001) == (400, "invalid_request")
    assert await code(lower, level="blue", note="the gauge fell") == (200, "")
    assert await code(lower, level="blue", note="again") == (409, "not_lower")
    assert await code(close, note="checked on site", despite_condition=True) == (200, "")
    assert await code(close, note="twice") == (409, "warning_closed")
    body = (await centre.get(f"{LIST}/{first.id}")).json()
    assert [line["kind"] for line in body["history"]] == ["event", "event", "lowered", "closed"]
    assert body["history"][3]["despite_condition"] is True
    assert body["warning"]["closed"]["note"] == "checked on site"


async def test_the_same_key_twice_is_one_act(centre: ApiCentre) -> None:
    first = event("raised", 3)
    await centre.ledger.take([first])
    path, key = f"{LIST}/{first.id}/acknowledge", {"Idempotency-Key": "seat37-1"}
    once = await centre.post(path, headers=key, json={"note": "水位"})
    again = await centre.post(path, headers=key, json={"note": "水位"})
    assert (once.status_code, again.status_code) == (200, 200)
    assert once.json()["warning"] == again.json()["warning"]
    assert once.json()["warning"]["acknowledged"]["note"] == "水位"
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in once.headers
    other = await centre.post(path, headers=key, json={"note": "other"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    bad = await centre.post(path, headers={"Idempotency-Key": "a b"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_request")


async def test_if_match_holds_an_act_to_what_its_person_saw(centre: ApiCentre) -> None:
    first = event("raised", 3)
    await centre.ledger.take([first])
    path = f"{LIST}/{first.id}"
    tag = (await centre.get(path)).headers["etag"]
    await centre.ledger.take([event("upgraded", 4, 1)])
    stale = await centre.post(f"{path}/acknowledge", headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile")
    odd = await centre.post(f"{path}/acknowledge", headers={"If-Match": '"x"'})
    assert odd.status_code == 412
    tag = (await centre.get(path)).headers["etag"]
    assert (await centre.post(f"{path}/acknowledge", headers={"If-Match": tag})).status_code == 200


async def test_a_refuted_guess_is_shown(centre: ApiCentre) -> None:
    first = guess("raised", 4)
    await centre.ledger.take([first, event("raised", 4, phase="refuted", names=first)])
    (item,) = (await centre.get(LIST)).json()["items"]
    assert (item["phase"], item["condition"], item["level"]) == ("refuted", "refuted", "red")
    closed = await centre.post(f"{LIST}/{first.id}/close", json={"note": "a stone in the well"})
    assert closed.json()["warning"]["state"] == "closed"
