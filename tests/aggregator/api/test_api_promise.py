"""The API as its page and its description promise it, asked as each kind of user would."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from rig.api_centre import NOW_MS, ApiCentre
from rig.events import STORM_MS, event
from rig.sse import StreamClient

from egret_aggregator.api import examples, problems
from egret_aggregator.errors import StoreError
from egret_aggregator.store import Aside, Note, StoredReading
from egret_aggregator.tokens import Denial, Role
from egret_aggregator.warnings.acts import Refusal
from egret_core.rules.screened import Shown
from egret_core.screening.chain import Flagged

if TYPE_CHECKING:
    import httpx2

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/reference/api.md"
API = ROOT / "aggregator/egret_aggregator/api"
LIST = "/api/v1/warnings"
BACKTESTS = "/api/v1/backtests"
ORDER = {"state": "event", "for_s": 3600}
DAY = {"from": "2017-08-18T00:00:00Z", "to": "2017-08-19T00:00:00Z"}
PROGRESS = {"share": 1.0, "to_ms": NOW_MS, "readings": 1, "events": 1}
RESULT = examples.ANSWERS["get", f"{BACKTESTS}/{{backtest}}"]["result"]
SAID = f"{json.dumps({'progress': PROGRESS})}\n{json.dumps({'result': RESULT})}"
BACKTESTED = ("printf", "%s", SAID)  # what a backtest's process says; the real one has its own test
OPEN = {"levels", "evidence", "status", "rules"}  # their keys depend on what happened
QUERY = {
    "/api/v1/stations/{station}/channels/{channel}/readings": (
        "?from=2017-08-18T00:00:00Z&to=2017-08-19T00:00:00Z"
    ),
    "/api/v1/stations/{station}/channels/{channel}/buckets": (
        "?from=2017-08-18T00:00:00Z&to=2017-08-19T00:00:00Z&width_s=60"
    ),
    LIST: "?state=acknowledged",
    "/api/v1/latest": "?station=st0007&limit=1000",
    "/api/v1/grafana/annotations": "?from=0&to=1503360000000",
    "/api/v1/grafana/threshold-lines": "?from=1503000000000&to=1503018000000",
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def peopled(centre: ApiCentre) -> str:
    """Fill every room of the API; return the id of a warning that was acknowledged."""
    raised = event("raised", 1)
    await centre.ledger.take([raised])
    ms = NOW_MS - 60_000
    reading = StoredReading("st0007", "wl", ms, 3.4, 2.1, 1, 0, 0, 500)
    await centre.store.write([reading], [Aside("gw", "0" * 32, 1, -1, "foreign", NOW_MS, b"{}")])
    heard = {"online": True, "last_seen": None, "pace": {"st0007": "event"}}
    centre.line.heard["XM-TA-0042"] = heard
    centre.line.doubts["st0007", "wl"] = Shown([Flagged(ms, 3, 2)], {"range": [1, 0]})
    answer = await centre.post(f"{LIST}/{raised.id}/acknowledge")
    assert answer.status_code == 200
    centre.context.backtests._command = BACKTESTED
    await centre.post(BACKTESTS, json=DAY)
    return raised.id


def shape(body: Any) -> Any:
    """Return keys all the way down; of a list its first item's, of a value nothing."""
    if isinstance(body, dict):
        return {key: None if key in OPEN else shape(value) for key, value in body.items()}
    if isinstance(body, list):
        return [shape(item) for item in body[:1]]
    return None


HANDED = {
    "batch": "b1",
    "readings": [
        {"station": "st0000", "channel": "wl", "time": "2017-08-18T00:00:00Z", "value": 1.0}
    ],
}


async def answers(centre: ApiCentre) -> dict[tuple[str, str], httpx2.Response]:
    """Ask every question that the description has an example for."""
    warning = await peopled(centre)
    other, third = event("raised", 1, subject="st0008/wl"), event("raised", 2, rule="flow@1")
    await centre.ledger.take([other, event("raised", 1, 1, rule="flow@1"), third])
    token = centre.token["viewer"]
    await centre.admit(Role.FEEDER)
    down = {"note": "gauge moved", "despite_condition": True}
    opened = (await centre.get(f"{LIST}?level=yellow")).json()["items"][0]["id"]
    bodies: dict[str, tuple[str, Any]] = {
        "acknowledge": (other.id, {}),
        "lower": (opened, {**down, "level": "blue"}),
        "close": (other.id, down),
    }
    found: dict[tuple[str, str], httpx2.Response] = {}
    for method, path in examples.ANSWERS:
        real = path.replace("{station}", "st0007").replace("{channel}", "wl") + QUERY.get(path, "")
        act = path.rpartition("/")[2]
        if act in bodies:
            real, body = path.replace("{warning}", bodies[act][0]), bodies[act][1]
            found[method, path] = await centre.post(real, json=body)
        elif act == "readings" and method == "post":
            found[method, path] = await centre.post(path, "feeder", json=HANDED)
        elif path.startswith(BACKTESTS):
            found[method, path] = await backtested(centre, method, path)
        elif act == "pace" and method == "post":
            found[method, path] = await centre.post(real, json=ORDER)
        elif method == "post":
            found[method, path] = await centre.ask("POST", path, json={"token": token})
        else:
            found[method, path] = await centre.get(real.replace("{warning}", warning))
    return found


async def backtested(centre: ApiCentre, method: str, path: str) -> httpx2.Response:
    """Ask of the newest backtest, once it is done."""
    while (newest := (await centre.get(BACKTESTS)).json()["items"][0])["state"] == "running":
        await asyncio.sleep(0.01)
    real = path.replace("{backtest}", newest["id"])
    more = {"json": DAY} if method == "post" else {}
    return await centre.ask(method.upper(), real, headers=centre.bearer("officer"), **more)


async def test_every_example_has_the_fields_of_a_real_answer(centre: ApiCentre) -> None:
    for key, answer in (await answers(centre)).items():
        assert answer.status_code in (200, 202), (key, answer.text)
        real, example = answer.json(), json.loads(json.dumps(examples.ANSWERS[key]))
        for body in (real, example) if isinstance(real, dict) else ():
            # Of acts and lists compare the warning itself; people's marks may be there or not.
            _unmark(body)
            _unname(body)
            for items in (body.get("items", []), body.get("latest", [])):
                items.sort(key=lambda item: item.get("reading") is None)
        assert shape(real) == shape(example), key


def _unmark(body: Any) -> None:
    for item in [body.get("warning"), *body.get("items", [])]:
        if isinstance(item, dict):
            for name in ("acknowledged", "lowered", "closed"):
                item.pop(name, None)
    body["history"] = body.get("history", [])[:1]


def _unname(body: Any) -> None:
    """Empty what is keyed by rule: a channel may have none."""
    if isinstance(body, list):
        for item in body:
            _unname(item)
    elif isinstance(body, dict):
        if "standings" in body:
            assert isinstance(body["standings"], dict)
            body["standings"] = {}
        for value in body.values():
            _unname(value)


async def test_every_instant_is_rfc_3339_and_none_is_in_ms(centre: ApiCentre) -> None:
    rebased = event("raised", 2, 5, subject="st0007/rain")
    rebased.evidence.update(rebased_ms=STORM_MS, dry_s=3.0)  # type: ignore[attr-defined]
    await centre.ledger.take([rebased])
    for key, answer in (await answers(centre)).items():
        _look(answer.json(), str(key))
    body = (await centre.get(f"{LIST}/{rebased.id}")).json()
    _look(body, "history")
    evidence = body["history"][0]["event"]["evidence"]
    assert (evidence["rebased"], evidence["dry_s"]) == ("2017-08-18T00:00:00.000Z", 3.0)
    async with StreamClient(centre.url, centre.bearer("viewer"), "?after=0") as client:
        for told in await client.warnings(1):
            _look(told.body, "stream")
            assert told.body["event"]["evidence"] == evidence


def _look(body: Any, where: str) -> None:
    if isinstance(body, list):
        for item in body:
            _look(item, where)
    elif isinstance(body, dict):
        for key, value in body.items():
            if key in ("time", "onset", "as_of", "judged_to", "expires") or key.endswith("_at"):
                assert value is None or TIME.fullmatch(value), f"{where}: {key}={value!r}"
            assert not key.endswith("_ms") or key == "lag_ms", f"{where}: {key}"
            _look(value, where)


async def test_the_link_to_the_next_page_keeps_the_filters(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", 2, subject=f"st{n}/wl") for n in range(5)])
    question = f"{LIST}?level=yellow&level=red&state=open&limit=2"
    first = await centre.get(question)
    link = re.fullmatch(r'<(.*)>; rel="next"', first.headers["link"])
    assert link is not None
    second = await centre.get(urljoin(question, link[1]))
    assert second.status_code == 200, second.text
    ids = [item["id"] for answer in (first, second) for item in answer.json()["items"]]
    assert len(set(ids)) == 4


async def test_one_warning_unchanged_is_304(centre: ApiCentre) -> None:
    warning = await peopled(centre)
    tag = (await centre.get(f"{LIST}/{warning}")).headers["etag"]
    same = await centre.get(f"{LIST}/{warning}", headers={"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["egret-judgement"] == "current"
    await centre.ledger.take([event("upgraded", 2, 9)])
    again = await centre.get(f"{LIST}/{warning}", headers={"If-None-Match": tag})
    assert again.status_code == 200
    stale = await centre.post(f"{LIST}/{warning}/acknowledge", headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile")


@pytest.mark.parametrize("place", ["x", 1.5, None, True, -1, 2**63, [1], {}])
@pytest.mark.parametrize("path", [LIST, "/api/v1/asides"])
async def test_a_forged_cursor_is_refused_by_name(centre: ApiCentre, path: str, place: Any) -> None:
    await centre.ledger.take([event("raised", 2, subject=f"st{n}/wl") for n in range(2)])
    asides = [Aside("gw", "0" * 32, n, -1, "foreign", NOW_MS, b"{}") for n in range(2)]
    await centre.store.write([], asides)
    real = (await centre.get(f"{path}?limit=1")).json()["next"]
    _, digest = json.loads(base64.urlsafe_b64decode(real + "=" * (-len(real) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps([place, digest]).encode()).decode().rstrip("=")
    answer = await centre.get(f"{path}?limit=1&cursor={forged}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


async def test_a_page_that_ends_exactly_has_no_next(centre: ApiCentre) -> None:
    asides = [Aside("gw", "0" * 32, n, -1, "foreign", NOW_MS, b"{}") for n in range(3)]
    await centre.store.write([], asides)
    assert (await centre.get("/api/v1/asides?limit=3")).json()["next"] is None
    assert (await centre.get("/api/v1/asides?limit=2")).json()["next"] is not None


async def test_a_clock_ahead_makes_no_value_younger_than_its_receipt(centre: ApiCentre) -> None:
    ahead = StoredReading("st0007", "wl", NOW_MS + 10**9, 3.4, None, 1, 0, 1, -(10**9) - 5000)
    assert ahead.notes == Note.CLOCK_AHEAD
    await centre.store.write([ahead])
    body = (await centre.get("/api/v1/stations/st0007")).json()
    ages = {item["channel"]: item["age_s"] for item in body["latest"]}
    assert ages["rain"] is None
    assert 5 <= ages["wl"] < 600


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/latest",
        "/api/v1/stations/st0007",
        "/api/v1/asides",
        "/api/v1/stations/st0007/channels/wl/readings?from=2017-08-18T00:00:00Z&to=2017-08-18T01:00:00Z",
        "/api/v1/stations/st0007/channels/wl/buckets?from=2017-08-18T00:00:00Z&to=2017-08-18T01:00:00Z&width_s=7",
    ],
)
async def test_a_store_that_is_down_is_503_and_the_warnings_go_on(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def fails(*_: object) -> None:
        raise StoreError("disk I/O error")

    for name in ("latest", "range", "asides"):
        monkeypatch.setattr(centre.store, name, fails)
    answer = await centre.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert "disk" not in answer.text
    assert (await centre.get(LIST)).status_code == 200


async def described(centre: ApiCentre) -> dict[str, Any]:
    body: dict[str, Any] = (await centre.ask("GET", "/api/v1/openapi.json")).json()
    return body


async def test_the_description_has_an_example_of_every_answer(centre: ApiCentre) -> None:
    schema = await described(centre)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            told = operation["responses"]
            ok = next(told[code] for code in ("200", "202", "204") if code in told)
            assert operation["summary"], path
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            if path == "/metrics" or method == "delete":
                continue
            (content,) = ok["content"].values()
            assert content["example"], (method, path)


async def test_the_description_says_who_needs_no_token(centre: ApiCentre) -> None:
    schema = await described(centre)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method not in ("get", "post"):
                continue
            real = re.sub(r"\{.*?\}", "x", path)
            bare = await centre.ask(method.upper(), real, json={"token": "x"})
            token_needed = operation.get("security") != []
            told = bare.json()["code"] if bare.status_code == 401 else ""
            assert token_needed == (told == "token_missing"), (method, path)


async def test_every_reference_in_the_description_leads_somewhere(centre: ApiCentre) -> None:
    schema = await described(centre)
    for ref in set(re.findall(r'"\$ref": "(.*?)"', json.dumps(schema))):
        here: Any = schema
        for part in ref.removeprefix("#/").split("/"):
            here = here[part]
        assert here
    ids = [o["operationId"] for p in schema["paths"].values() for o in p.values()]
    assert len(ids) == len(set(ids))


async def test_the_page_names_every_request_and_no_other(centre: ApiCentre) -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(GET|POST) (\S+)` \|", text, re.MULTILINE))
    schema = await described(centre)
    real = {
        (method.upper(), path)
        for path, operations in schema["paths"].items()
        for method in operations
        if method != "delete" and (method, path) != ("get", "/api/v1/session")
    }
    assert named == real | {("GET", "/api/v1/openapi.json")}


def test_the_page_names_every_error_code_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("## Errors") :].partition("|---|---|")[2]
    named = set(re.findall(r"`([a-z_]+)`", table))
    source = "".join(path.read_text(encoding="utf-8") for path in API.glob("*.py"))
    codes = set(re.findall(r'ProblemError\(\s*\d{3},\s*"([a-z_]+)"', source))
    codes |= {str(kind) for kind in (*Refusal, *Denial)} | set(problems._CODES.values())
    assert named == codes | {"http_error"} == set(problems.CODES)
