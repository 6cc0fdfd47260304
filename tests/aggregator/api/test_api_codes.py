"""Every problem code that is promised can be met, has its status, and is described."""

from __future__ import annotations

import ast
import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rig.events import event
from rig.sse import StreamClient
from starlette.exceptions import HTTPException

import egret_aggregator.api
from egret_aggregator.api import problems
from egret_aggregator.api import stream as stream_module
from egret_aggregator.api.problems import CODES
from egret_aggregator.intake.pace_orders import ORDERS_MAX, PaceAsked, PaceState
from egret_aggregator.tokens import Denial, Role, Tokens
from egret_aggregator.warnings.acts import Act, Refusal
from egret_aggregator.warnings.record import Kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rig.api_centre import ApiCentre

V1 = "/api/v1"
READINGS = f"{V1}/stations/st0007/channels/wl/readings"
BUCKETS = f"{V1}/stations/st0007/channels/wl/buckets"
BACKTESTS = f"{V1}/backtests"
PACE = f"{V1}/stations/st0007/pace"
ORDER = {"state": "event", "for_s": 60}
DAY = {"from": "2017-08-17T00:00:00Z", "to": "2017-08-18T00:00:00Z"}
HALF_NAMED = [{"start": DAY["from"]}, {"start": DAY["from"], "station": "st0007"}]
FIRST = event("raised", 3)
ONE = f"{V1}/warnings/{FIRST.id}"
NOTE = {"note": "checked on site"}

# What to ask for a code: method, path, and how.
ASKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "invalid_request": ("GET", f"{V1}/warnings?colour=red", {}),
    "bad_time": ("GET", f"{V1}/warnings?since=yesterday", {}),
    "bad_cursor": ("GET", f"{V1}/stations?cursor=x", {}),
    "bad_last_event_id": ("GET", f"{V1}/warnings/stream?after=x", {}),
    "limit_out_of_range": ("GET", f"{V1}/asides?limit=0", {}),
    "from_after_to": ("GET", f"{READINGS}?from=2017-08-19T00:00:00Z&to=2017-08-18T00:00:00Z", {}),
    "span_too_long": ("GET", f"{READINGS}?from=2000-08-19T00:00:00Z&to=2017-08-18T00:00:00Z", {}),
    "bad_width": (
        "GET",
        f"{BUCKETS}?from=2017-08-17T00:00:00Z&to=2017-08-18T00:00:00Z&width_s=0",
        {},
    ),
    "bad_rules": ("POST", BACKTESTS, {"json": {**DAY, "rules": "[[rule]]"}}),
    "bad_observed": ("POST", BACKTESTS, {"json": {**DAY, "observed": HALF_NAMED}}),
    "note_missing": ("POST", f"{ONE}/close", {"json": {"note": " "}}),
    "unknown_level": ("POST", f"{ONE}/lower", {"json": {"level": "puce", **NOTE}}),
    "token_missing": ("GET", f"{V1}/latest", {"headers": {"Authorization": ""}}),
    "token_malformed": ("GET", f"{V1}/latest", {"headers": {"Authorization": "Bearer x"}}),
    "token_unknown": ("GET", f"{V1}/latest", {"headers": {"Authorization": "Bearer egret_a_b"}}),
    "role_too_low": ("POST", f"{ONE}/close", {"role": "viewer", "json": NOTE}),
    "not_found": ("GET", "/api/v2/warnings", {}),
    "unknown_warning": ("GET", f"{V1}/warnings/nothing", {}),
    "unknown_backtest": ("GET", f"{BACKTESTS}/nothing", {}),
    "unknown_station": ("GET", f"{V1}/stations/nowhere", {}),
    "gateway_offline": ("POST", PACE, {"json": ORDER}),
    "unknown_channel": (
        "GET",
        f"{READINGS.replace('wl', 'x')}?from=2017-08-18T00:00:00Z&to=2017-08-18T00:00:00Z",
        {},
    ),
    "method_not_allowed": ("POST", f"{V1}/latest", {}),
    "not_lower": ("POST", f"{ONE}/lower", {"json": {"level": "orange", **NOTE}}),
    "condition_holds": ("POST", f"{ONE}/close", {"json": NOTE}),
    "last_event_id_ahead": ("GET", f"{V1}/warnings/stream?after=1000", {}),
    "changed_meanwhile": ("POST", f"{ONE}/acknowledge", {"headers": {"If-Match": '"1"'}}),
    "body_too_large": ("POST", f"{ONE}/acknowledge", {"content": b" " * (256 * 1024 + 1)}),
}


async def cross_site(centre: ApiCentre) -> Any:
    headers = {"Cookie": f"egret_session={centre.token['officer']}", "Origin": "https://evil.test"}
    return await centre.ask("POST", f"{ONE}/acknowledge", json={}, headers=headers)


async def expired(centre: ApiCentre) -> Any:
    long_ago = Tokens(centre.database, centre.ledger, lambda: 0)
    token, _ = await long_ago.add("old", Role.ADMIN, 1)
    return await centre.ask("GET", f"{V1}/latest", headers={"Authorization": f"Bearer {token}"})


async def revoked(centre: ApiCentre) -> Any:
    await centre.context.tokens.revoke(centre.token["viewer"].split("_")[1])
    return await centre.get(f"{V1}/latest")


async def second(centre: ApiCentre) -> Any:
    await centre.post(f"{ONE}/acknowledge")
    return await centre.post(f"{ONE}/acknowledge")


async def closed(centre: ApiCentre) -> Any:
    await centre.post(f"{ONE}/close", json={"despite_condition": True, **NOTE})
    return await centre.post(f"{ONE}/acknowledge")


async def reused(centre: ApiCentre) -> Any:
    key = {"Idempotency-Key": "k"}
    await centre.post(f"{ONE}/acknowledge", headers=key)
    return await centre.post(f"{ONE}/acknowledge", headers=key, json={"note": "other"})


async def stream_full(centre: ApiCentre) -> Any:
    centre.context.hub.stopping = True
    return await centre.get(f"{V1}/warnings/stream")


async def internal(centre: ApiCentre) -> Any:
    await centre.database.close()
    return await centre.get(f"{V1}/warnings")


async def other_batch(centre: ApiCentre) -> Any:
    for value in (1.0, 2.0):
        row = {"station": "st0007", "channel": "rain", "time": "2017-08-18T00:00:00Z", "unit": "mm"}
        body = {"batch": "b", "readings": [{**row, "value": value}]}
        answer = await centre.post(f"{V1}/readings", "admin", json=body)
    return answer


async def two_backtests(centre: ApiCentre) -> Any:
    centre.context.backtests._command = ("sleep", "60")
    await centre.post(BACKTESTS, json=DAY)
    return await centre.post(BACKTESTS, json=DAY)


async def no_gateway(centre: ApiCentre) -> Any:
    place = centre.context.places.stations["st0007"]
    for channel, known in place.channels.items():
        place.channels[channel] = replace(known, gateway="feed:bureau")  # type: ignore[index]
    return await centre.post(PACE, json=ORDER)


async def two_orders(centre: ApiCentre) -> Any:
    centre.line.heard["XM-TA-0042"] = {"online": True}
    await centre.post(PACE, json=ORDER)
    return await centre.post(PACE, json=ORDER)


async def too_many_orders(centre: ApiCentre) -> Any:
    centre.line.heard["XM-TA-0042"] = {"online": True}
    for number in range(ORDERS_MAX):
        asked = PaceAsked(f"other{number}", PaceState.EVENT, 60, "officer:li", 0, 0)
        centre.context.pace.reserve(asked, {"gw": True}, centre.context.clock.monotonic_s())
    return await centre.post(PACE, json=ORDER)


DONE: dict[str, Callable[[ApiCentre], Awaitable[Any]]] = {
    "cross_site": cross_site,
    "token_expired": expired,
    "token_revoked": revoked,
    "already_acknowledged": second,
    "warning_closed": closed,
    "idempotency_key_reused": reused,
    "batch_conflict": other_batch,
    "backtest_running": two_backtests,
    "no_gateway": no_gateway,
    "pace_order_open": two_orders,
    "pace_orders_full": too_many_orders,
    "stream_full": stream_full,
    "internal": internal,
}
# Met by a test below, for each needs something that a request alone does not bring about.
APART = {
    *("http_error", "database_unavailable", "store_unavailable", "too_far_behind"),
    "note_too_long",
    *("not_taking", "batch_too_large", "backtest_too_large"),
}


def test_no_code_is_left_out() -> None:
    assert ASKED.keys() | DONE.keys() | APART == CODES.keys()


@pytest.mark.parametrize("code", sorted(ASKED.keys() | DONE.keys()))
async def test_a_code_can_be_met_and_has_its_status(centre: ApiCentre, code: str) -> None:
    await centre.ledger.take([FIRST])
    if code in DONE:
        answer = await DONE[code](centre)
    else:
        method, path, more = ASKED[code]
        asking = centre.get if method == "GET" else centre.post
        answer = await asking(path, **more)
    body = answer.json()
    assert (answer.status_code, body["code"]) == (CODES[code][0], code)
    assert body["type"] == f"urn:egret:problem:{code}"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


async def test_a_stream_too_far_behind(centre: ApiCentre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "REPLAY_MAX", 1)
    await centre.ledger.take([FIRST, event("upgraded", 4, 1)])
    async with StreamClient(centre.url, centre.bearer("viewer"), "?after=3") as client:
        assert (client.status, (await client.problem())["code"]) == (
            CODES["too_far_behind"][0],
            "too_far_behind",
        )


def test_an_error_of_http_that_has_no_code_of_its_own() -> None:
    answer = problems._http(None, HTTPException(418, "short and stout"))  # type: ignore[arg-type]
    assert (answer.status_code, b'"http_error"' in bytes(answer.body)) == (418, True)


async def test_a_refusal_of_the_ledger_keeps_its_status_whoever_asks(centre: ApiCentre) -> None:
    await centre.ledger.take([FIRST])
    long = Act(Kind.CLOSED, FIRST.id, "officer:li", note="x" * 2001)
    with pytest.raises(Exception, match="note_too_long") as caught:
        await centre.ledger.act(long)
    answer = problems._refused(None, caught.value)  # type: ignore[arg-type]
    assert (answer.status_code, b"note_too_long" in bytes(answer.body)) == (400, True)


def raised_codes() -> dict[str, set[int]]:
    """Every `ProblemError(status, "code", ...)` in the API's source."""
    found: dict[str, set[int]] = {}
    for path in Path(egret_aggregator.api.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and len(node.args) >= 2):
                continue
            name, (status, code) = ast.unparse(node.func), node.args[:2]
            if name != "ProblemError" or not isinstance(code, ast.Constant):
                continue
            assert isinstance(status, ast.Constant)
            found.setdefault(str(code.value), set()).add(int(str(status.value)))
    return found


def test_every_code_in_the_source_is_promised_with_that_status() -> None:
    found = raised_codes()
    assert len(found) >= 12
    for code, statuses in found.items():
        assert statuses == {CODES[code][0]}, code
    for denial in Denial:
        assert CODES[denial][0] == 401
    for refusal in Refusal:
        assert CODES[refusal][0] == problems._STATUS.get(refusal, 409), refusal
    for status, code in problems._CODES.items():
        assert CODES[code][0] == status


async def test_two_that_ask_at_once_are_both_told(centre: ApiCentre) -> None:
    await centre.ledger.take([FIRST])
    answers = await asyncio.gather(*(centre.get(f"{V1}/stations/nowhere") for _ in range(8)))
    assert {answer.json()["code"] for answer in answers} == {"unknown_station"}
