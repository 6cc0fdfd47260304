"""Backtests over HTTP: asked for, watched, cancelled; wrong questions are problems."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import api_centre
from rig.catalogues import level_rule, rung
from rig.events import event

from egret_aggregator.backtest import request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rig.api_centre import ApiCentre

PATH = "/api/v1/backtests"
DAY = {"from": "2017-08-17T00:00:00Z", "to": "2017-08-18T00:00:00+08:00"}
# It says what it was asked, and goes on until it is told to end.
ECHO = (
    "import json, sys, time\nasked = json.loads(sys.stdin.readline())\n"
    "print(json.dumps({'progress': {'share': 0.123456, 'to_ms': asked['from_ms'], "
    "'readings': 1, 'events': 0}}), flush=True)\n"
    "if asked['to_ms'] > asked['from_ms'] + 10**8: time.sleep(60)\n"
    "print(json.dumps({'result': asked}), flush=True)"
)
RULES = level_rule(rung("blue", 3.0), name="flow", channel="st0008/wl", datum="Dam")


@pytest.fixture
async def centre(tmp_path: Path) -> AsyncIterator[ApiCentre]:
    async with api_centre(tmp_path, backtest=(sys.executable, "-c", ECHO)) as centre:
        yield centre


async def begun(centre: ApiCentre, **more: Any) -> Any:
    answer = await centre.post(PATH, json={**DAY, **more})
    assert answer.status_code == 202, answer.text
    return answer.json()["backtest"]


async def until(centre: ApiCentre, id_: str, state: str) -> Any:
    async with asyncio.timeout(30):
        while True:
            body = (await centre.get(f"{PATH}/{id_}")).json()
            if body["backtest"]["state"] == state:
                return body
            await asyncio.sleep(0.02)


async def test_one_is_asked_for_and_its_result_read(centre: ApiCentre) -> None:
    job = await begun(centre)
    assert (job["state"], job["by"], job["ended_at"]) == ("running", "officer:officer1", None)
    assert job["asked"]["to"] == "2017-08-17T16:00:00.000Z"
    assert job["asked"]["catalogue"] == centre.context.places.version
    body = await until(centre, job["id"], "done")
    asked = body["result"]
    assert json.loads(asked["payload"])["texts"] == dict(centre.context.places.texts)
    assert asked["to_ms"] - asked["from_ms"] == 16 * 3_600_000
    assert body["backtest"]["progress"]["share"] == 0.1235
    assert (await centre.get(PATH)).json()["items"] == [body["backtest"]]


async def test_other_rules_events_and_windows_are_passed_on(centre: ApiCentre) -> None:
    observed = [
        {"start": "2017-08-17T12:00:00Z", "station": "st0008"},
        {"start": "2017-08-17T10:00:00Z", "end": "2017-08-17T11:00:00Z", "station": "st0007"},
    ]
    job = await begun(centre, rules=RULES, observed=observed, before_h=6, apart_h=0.5)
    assert job["asked"]["observed"] == 2
    asked = (await until(centre, job["id"], "done"))["result"]
    assert json.loads(asked["payload"])["texts"]["rules.toml"] == RULES
    assert [row[2] for row in asked["observed"]] == ["st0007", "st0008"]
    assert asked["observed"][0][1] - asked["observed"][0][0] == 3_600_000
    assert asked["windows"] == [21_600_000, 1_800_000]


async def test_one_that_runs_is_cancelled_and_then_another_may_run(centre: ApiCentre) -> None:
    long = {"from": "2017-08-10T00:00:00Z", "to": "2017-08-17T00:00:00Z"}
    job = await begun(centre, **long)
    refused = await centre.post(PATH, json=DAY)
    assert (refused.status_code, refused.json()["id"]) == (409, job["id"])
    ended = await centre.ask("DELETE", f"{PATH}/{job['id']}", headers=centre.bearer("officer"))
    assert ended.json()["backtest"]["state"] == "cancelled"
    body = (await centre.get(f"{PATH}/{job['id']}")).json()
    assert (body["backtest"]["ended_at"] is None, body["result"]) == (False, None)
    await until(centre, (await begun(centre))["id"], "done")


async def test_a_backtest_stops_no_answer(centre: ApiCentre) -> None:
    await begun(centre, **{"from": "2017-08-10T00:00:00Z", "to": "2017-08-17T00:00:00Z"})
    async with asyncio.timeout(5):
        for _ in range(20):
            assert (await centre.get("/api/v1/warnings")).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid_request"),
        ({**DAY, "speed": 2}, "invalid_request"),
        ({**DAY, "before_h": -1}, "invalid_request"),
        ({**DAY, "apart_h": 1e9}, "invalid_request"),
        ({**DAY, "observed": [{"when": "now"}]}, "invalid_request"),
        ({**DAY, "observed": [{"start": DAY["from"]}] * 2001}, "invalid_request"),
        ({**DAY, "from": "noon"}, "bad_time"),
        ({**DAY, "from": "2018-01-01T00:00:00Z"}, "from_after_to"),
        ({**DAY, "from": "1999-01-01T00:00:00Z"}, "span_too_long"),
        ({**DAY, "rules": "rule = 1"}, "bad_rules"),
        ({**DAY, "rules": RULES.replace("st0008", "st0009")}, "bad_rules"),
        ({**DAY, "observed": [{"start": "noon"}]}, "bad_time"),
        ({**DAY, "observed": [{"start": DAY["from"], "station": "St0007"}]}, "bad_observed"),
        ({**DAY, "observed": [{"start": DAY["to"], "end": DAY["from"]}]}, "from_after_to"),
    ],
)
async def test_a_wrong_question_begins_nothing(
    centre: ApiCentre, body: dict[str, Any], code: str
) -> None:
    answer = await centre.post(PATH, json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert (await centre.get(PATH)).json()["items"] == []


async def test_wrong_rules_are_told_with_key_and_remedy(centre: ApiCentre) -> None:
    answer = await centre.post(PATH, json={**DAY, "rules": RULES.replace("Dam", "Damm")})
    body = answer.json()
    assert body["key"] == "rule[0].parameters.datum"
    assert "Damm" in body["seen"]
    assert body["remedy"]


async def test_an_event_in_the_ledger_says_why_it_is(centre: ApiCentre) -> None:
    raised = event("raised", 1)
    await centre.ledger.take([raised])
    body = (await centre.get(f"/api/v1/warnings/{raised.id}")).json()
    told = body["history"][0]["event"]["sentence"]
    assert told["en"].startswith("st0007/wl at 2017-08-18T00:00:00Z: 3.1 m ≥ 3 m (Luoling);")
    assert "触发蓝色" in told["zh"]


async def test_a_catalogue_too_large_for_its_process_is_a_problem_with_a_name(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request, "REQUEST_MAX_B", 100)
    answer = await centre.post(PATH, json=DAY)
    assert (answer.status_code, answer.json()["code"]) == (413, "backtest_too_large")
    assert (await centre.get(PATH)).json()["items"] == []
