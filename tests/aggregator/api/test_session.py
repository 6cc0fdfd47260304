"""Browsers: what the cookie says, how long it lives, and whose pages it serves."""

from __future__ import annotations

from http.cookies import Morsel, SimpleCookie
from typing import TYPE_CHECKING, Any

import pytest
from rig.events import event

from egret_aggregator.api.session import SESSION_MAX_S
from egret_aggregator.tokens import Role, Tokens

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre

SESSION = "/api/v1/session"
LIST = "/api/v1/warnings"
DAY_MS = 86_400_000


def cookie_of(answer: Any) -> Morsel[str]:
    (header,) = answer.headers.get_list("set-cookie")
    return SimpleCookie(header)["egret_session"]


async def logged_in(centre: ApiCentre, token: str, **headers: str) -> Any:
    return await centre.ask("POST", SESSION, json={"token": token}, headers=headers)


async def test_scripts_cannot_read_it_and_other_sites_cannot_send_it(centre: ApiCentre) -> None:
    answer = await logged_in(centre, centre.token["viewer"])
    cookie = cookie_of(answer)
    assert (cookie["httponly"], cookie["samesite"].lower()) == (True, "strict")
    assert (cookie["path"], cookie["domain"]) == ("/", "")
    assert int(cookie["max-age"]) == SESSION_MAX_S
    assert answer.headers["cache-control"] == "no-store"
    assert centre.token["viewer"].split("_", 2)[2] not in answer.text


async def test_behind_a_proxy_that_speaks_tls_it_travels_by_tls_only(centre: ApiCentre) -> None:
    plain = await logged_in(centre, centre.token["viewer"])
    assert not cookie_of(plain)["secure"]
    behind = await logged_in(centre, centre.token["viewer"], **{"X-Forwarded-Proto": "https"})
    assert cookie_of(behind)["secure"]


async def test_it_never_outlives_its_token(centre: ApiCentre) -> None:
    days_ago = centre.context.real.now_ms() - DAY_MS + 60_000
    token, row = await Tokens(centre.database, centre.ledger, lambda: days_ago).add(
        "short", Role.VIEWER, 1
    )
    answer = await logged_in(centre, token)
    assert 0 < int(cookie_of(answer)["max-age"]) <= 60
    assert answer.json()["name"] == row.name


async def test_a_revoked_token_ends_its_sessions_at_the_next_request(centre: ApiCentre) -> None:
    cookie = cookie_of(await logged_in(centre, centre.token["officer"]))
    sent = {"Cookie": f"egret_session={cookie.value}"}
    assert (await centre.ask("GET", SESSION, headers=sent)).status_code == 200
    await centre.context.tokens.revoke(centre.token["officer"].split("_")[1])
    answer = await centre.ask("GET", SESSION, headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (401, "token_revoked")
    again = await logged_in(centre, centre.token["officer"])
    assert (again.status_code, "set-cookie" in again.headers) == (401, False)


@pytest.mark.parametrize(
    "body",
    [{}, {"token": ""}, {"token": "x" * 201}, {"token": 5}, {"token": "a", "name": "b"}, []],
)
async def test_a_login_that_is_none_sets_no_cookie(centre: ApiCentre, body: object) -> None:
    answer = await centre.ask("POST", SESSION, json=body)
    assert answer.status_code in (400, 401)
    assert "set-cookie" not in answer.headers


async def test_a_refused_login_does_not_show_the_token_again(centre: ApiCentre) -> None:
    secret = "egret_" + "s3cret" * 40
    for body in ({"token": secret}, {"tokn": secret}, {"token": "egret_a_b", "name": secret}):
        answer = await centre.ask("POST", SESSION, json=body)
        assert answer.status_code == 400
        assert "egret_..." in answer.text
        assert "s3cret" not in answer.text


async def test_another_site_cannot_log_a_browser_in(centre: ApiCentre) -> None:
    answer = await logged_in(centre, centre.token["viewer"], Origin="https://evil.test")
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert "set-cookie" not in answer.headers
    own = await logged_in(centre, centre.token["viewer"], Origin=centre.url)
    assert own.status_code == 200


async def test_another_site_cannot_log_a_browser_out(centre: ApiCentre) -> None:
    sent = {"Cookie": f"egret_session={centre.token['viewer']}", "Origin": "https://evil.test"}
    answer = await centre.ask("DELETE", SESSION, headers=sent)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("verb", ["acknowledge", "lower", "close"])
@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "http://127.0.0.1",  # the same host, another port
        "http://127.0.0.1.evil.test",
        "null",
        "",
        "//",
    ],
)
async def test_no_act_by_a_cookie_from_elsewhere(centre: ApiCentre, verb: str, origin: str) -> None:
    first = event("raised", 4)
    await centre.ledger.take([first])
    head = centre.ledger.head
    sent = {"Cookie": f"egret_session={centre.token['officer']}", "Origin": origin}
    body = {"note": "x", "despite_condition": True} if verb != "acknowledge" else {}
    body |= {"level": "blue"} if verb == "lower" else {}
    answer = await centre.ask("POST", f"{LIST}/{first.id}/{verb}", json=body, headers=sent)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")
    assert centre.ledger.head == head


async def test_a_bearer_needs_no_origin_for_no_browser_sends_it_by_itself(
    centre: ApiCentre,
) -> None:
    first = event("raised", 4)
    await centre.ledger.take([first])
    path, foreign = f"{LIST}/{first.id}/acknowledge", {"Origin": "https://evil.test"}
    assert (await centre.post(path, headers=foreign)).status_code == 200


async def test_a_bearer_goes_before_a_cookie(centre: ApiCentre) -> None:
    sent = centre.bearer("admin") | {"Cookie": f"egret_session={centre.token['viewer']}"}
    assert (await centre.ask("GET", SESSION, headers=sent)).json()["role"] == "admin"
    bad = {"Authorization": "Bearer x", "Cookie": f"egret_session={centre.token['viewer']}"}
    assert (await centre.ask("GET", SESSION, headers=bad)).json()["code"] == "token_malformed"
