"""Who gets in: tokens good, bad, ended; roles; cookies of our own pages only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.events import event

from egret_aggregator.tokens import Role, TokenError, Tokens

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre

LIST = "/api/v1/warnings"


def is_problem(response: object, status: int, code: str) -> bool:
    body = response.json()  # type: ignore[attr-defined]
    assert response.headers["content-type"] == "application/problem+json"  # type: ignore[attr-defined]
    assert body["type"] == f"urn:egret:problem:{body['code']}"
    assert body["detail"]
    assert (body["status"], body["code"]) == (status, code), body
    return bool(response.status_code == status)  # type: ignore[attr-defined]


async def test_no_token_is_told_how_to_get_one(centre: ApiCentre) -> None:
    answer = await centre.ask("GET", LIST)
    assert is_problem(answer, 401, "token_missing")
    assert "egret-aggregator token add" in answer.json()["detail"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("nonsense", "token_malformed"),
        ("egret_000000000000_" + "A" * 43, "token_unknown"),
        ("egret_x", "token_malformed"),
        ("egret_" + "a" * 500, "token_malformed"),
        ("other_000000000000_AAAA", "token_malformed"),
    ],
)
async def test_a_wrong_token_opens_nothing(centre: ApiCentre, token: str, code: str) -> None:
    answer = await centre.ask("GET", LIST, headers={"Authorization": f"Bearer {token}"})
    assert is_problem(answer, 401, code)


async def test_a_right_id_with_a_wrong_secret_opens_nothing(centre: ApiCentre) -> None:
    wrong = centre.token["viewer"][:-1] + ("A" if centre.token["viewer"][-1] != "A" else "B")
    answer = await centre.ask("GET", LIST, headers={"Authorization": f"Bearer {wrong}"})
    assert is_problem(answer, 401, "token_unknown")


async def test_a_revoked_token_ends_at_once(centre: ApiCentre) -> None:
    assert (await centre.get(LIST)).status_code == 200
    id_ = centre.token["viewer"].split("_")[1]
    assert await centre.context.tokens.revoke(id_)
    assert not await centre.context.tokens.revoke(id_)
    assert is_problem(await centre.get(LIST), 401, "token_revoked")


async def test_an_expired_token_opens_nothing(centre: ApiCentre) -> None:
    long_ago = Tokens(centre.database, centre.ledger, lambda: 0)
    token, _ = await long_ago.add("old", Role.ADMIN, 1)
    answer = await centre.ask("GET", LIST, headers={"Authorization": f"Bearer {token}"})
    assert is_problem(answer, 401, "token_expired")


@pytest.mark.parametrize("act", ["acknowledge", "lower", "close"])
async def test_a_viewer_may_not_act(centre: ApiCentre, act: str) -> None:
    first = event("raised", 2)
    await centre.ledger.take([first])
    head = centre.ledger.head
    body = {"note": "x"} | ({"level": "blue"} if act == "lower" else {})
    answer = await centre.post(f"{LIST}/{first.id}/{act}", "viewer", json=body)
    assert is_problem(answer, 403, "role_too_low")
    assert centre.ledger.head == head


async def test_an_admin_may_what_an_officer_may(centre: ApiCentre) -> None:
    first = event("raised", 2)
    await centre.ledger.take([first])
    assert (await centre.post(f"{LIST}/{first.id}/acknowledge", "admin")).status_code == 200


async def test_only_hashes_are_kept(centre: ApiCentre) -> None:
    secret = centre.token["viewer"].split("_", 2)[2]
    for row in await centre.context.tokens.everything():
        assert secret not in row
    for line in await centre.ledger.after(0, 100):
        assert secret not in line.body


@pytest.mark.parametrize(
    ("name", "days"), [("", 1), ("a b", 1), ("x" * 49, 1), ("a", 0), ("a", 3651)]
)
async def test_a_token_nobody_may_have(centre: ApiCentre, name: str, days: int) -> None:
    with pytest.raises(TokenError):
        await centre.context.tokens.add(name, Role.VIEWER, days)


async def test_a_browser_gets_a_cookie_that_scripts_cannot_read(centre: ApiCentre) -> None:
    body = {"token": centre.token["officer"]}
    answer = await centre.ask("POST", "/api/v1/session", json=body)
    assert answer.json()["role"] == "officer"
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age="):
        assert word in cookie
    sent = {"Cookie": f"egret_session={centre.token['officer']}"}
    assert (await centre.ask("GET", "/api/v1/session", headers=sent)).json()["name"] == "officer1"
    assert (await centre.ask("GET", LIST, headers=sent)).status_code == 200


async def test_a_session_needs_a_good_token(centre: ApiCentre) -> None:
    answer = await centre.ask("POST", "/api/v1/session", json={"token": "egret_1_2"})
    assert is_problem(answer, 401, "token_unknown")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "own"}, 200),
    ],
)
async def test_a_cookie_serves_our_own_pages_only(
    centre: ApiCentre, origin: dict[str, str], status: int
) -> None:
    first = event("raised", 2)
    await centre.ledger.take([first])
    own = {"Origin": centre.url} if origin.get("Origin") == "own" else origin
    headers = {"Cookie": f"egret_session={centre.token['officer']}", **own}
    answer = await centre.ask("POST", f"{LIST}/{first.id}/acknowledge", json={}, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert is_problem(answer, 403, "cross_site")


async def test_logging_out_forgets_the_cookie(centre: ApiCentre) -> None:
    headers = {"Cookie": f"egret_session={centre.token['viewer']}", "Origin": centre.url}
    answer = await centre.ask("DELETE", "/api/v1/session", headers=headers)
    assert answer.status_code == 204
    assert 'egret_session=""' in answer.headers["set-cookie"]
