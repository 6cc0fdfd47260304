"""Lists read in pages while the world goes on, and answers that say whether anything is new."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pytest
from rig.api_centre import NOW_MS
from rig.events import event

from egret_aggregator.api.envelope import cursor, number_at, position
from egret_aggregator.api.problems import ProblemError
from egret_aggregator.store import Aside
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.record import Kind

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre

LIST = "/api/v1/warnings"
ALL = {"state": [], "level": [], "hazard": [], "station": [], "since": None}


def link_of(answer: Any) -> str | None:
    header = answer.headers.get("link")
    if header is None:
        return None
    target, _, relation = header.partition("; ")
    assert relation == 'rel="next"'
    return urljoin(str(answer.url), target.strip("<>"))


async def shake(centre: ApiCentre, dice: random.Random, known: list[str], serial: int) -> None:
    """Change something between two pages: new warnings, rises, acknowledgements, closings."""
    fresh = event("raised", 1, serial, subject=f"new{serial}/wl")
    rise = event("upgraded", 4, serial, subject=f"st{dice.randrange(60):03}/wl")
    await centre.ledger.take([fresh, rise])
    closing = Act(
        Kind.CLOSED, dice.choice(known), "officer:li", note="x", despite_condition=True, key=""
    )
    state = await centre.ledger.get(closing.warning)
    if state is not None and state.state != "closed":
        await centre.ledger.act(closing)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nothing_is_skipped_or_doubled_whatever_happens_between_pages(
    centre: ApiCentre, seed: int
) -> None:
    dice = random.Random(seed)
    old = [event("raised", n % 4 + 1, subject=f"st{n:03}/wl") for n in range(60)]
    await centre.ledger.take(old)
    known = [item.id for item in old]
    seen: list[str] = []
    path: str | None = f"{LIST}?limit={dice.randrange(3, 12)}"
    serial = 1
    while path:
        answer = await centre.get(path)
        seen += [item["id"] for item in answer.json()["items"]]
        await shake(centre, dice, known, serial)
        serial += 1
        path = link_of(answer)
    assert seen == known[::-1]


async def test_the_link_keeps_the_filters(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", n % 4 + 1, subject=f"st{n}/wl") for n in range(20)])
    path: str | None = f"{LIST}?limit=3&level=red&level=blue&since=1970-01-01T00:00:00%2B08:00"
    found: list[str] = []
    while path:
        answer = await centre.get(path)
        assert answer.status_code == 200, answer.text
        found += [item["level"] for item in answer.json()["items"]]
        path = link_of(answer)
    assert sorted(found) == ["blue"] * 5 + ["red"] * 5


@pytest.mark.parametrize("place", [None, True, -1, 1.5, "7", [7], {"a": 1}, 2**63, 10**40])
async def test_a_forged_position_is_a_bad_cursor_and_no_fault_of_ours(
    centre: ApiCentre, place: object
) -> None:
    for path, question in ((LIST, ALL), ("/api/v1/asides", "asides")):
        answer = await centre.get(f"{path}?cursor={cursor(place, question)}")
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), path


async def test_a_position_beyond_everything_is_an_empty_page(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", 1)])
    body = (await centre.get(f"{LIST}?cursor={cursor(1, ALL)}")).json()
    assert (body["items"], body["next"]) == ([], None)
    body = (await centre.get(f"{LIST}?cursor={cursor(2**63 - 1, ALL)}")).json()
    assert len(body["items"]) == 1


def test_a_cursor_is_read_as_it_was_written() -> None:
    assert position(cursor(["st0007", "wl"], "q"), "q") == ["st0007", "wl"]
    assert number_at(cursor(17, "q"), "q") == 17
    with pytest.raises(ProblemError, match="other filters"):
        number_at(cursor(17, "q"), "p")


async def test_asides_keep_their_place_while_more_are_set_aside(centre: ApiCentre) -> None:
    def aside(number: int) -> Aside:
        return Aside("gw", "0" * 32, number, -1, "foreign", NOW_MS, b"{}")

    await centre.store.write([], [aside(n) for n in range(30)])
    seen: list[int] = []
    more = ""
    while True:
        body = (await centre.get(f"/api/v1/asides?limit=7{more}")).json()
        seen += [item["seq"] for item in body["items"]]
        if body["next"] is None:
            break
        await centre.store.write([], [aside(100 + len(seen))])
        more = f"&cursor={body['next']}"
    assert seen == list(range(29, -1, -1))


async def test_an_etag_changes_with_every_line_that_changes_a_warning(centre: ApiCentre) -> None:
    tags = {(await centre.get(LIST)).headers["etag"]}
    first = event("raised", 3)
    await centre.ledger.take([first])
    tags.add((await centre.get(LIST)).headers["etag"])
    await centre.post(f"{LIST}/{first.id}/acknowledge")
    tags.add((await centre.get(LIST)).headers["etag"])
    lower = {"level": "orange", "note": "x"}
    refused = await centre.post(f"{LIST}/{first.id}/lower", json=lower)
    assert refused.status_code == 409
    tags.add((await centre.get(LIST)).headers["etag"])  # nothing was recorded: the same
    assert len(tags) == 3


async def test_an_etag_belongs_to_its_question(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", n % 4 + 1, subject=f"st{n}/wl") for n in range(8)])
    page = await centre.get(f"{LIST}?limit=2")
    questions = ["limit=2", "limit=3", "limit=2&level=red", f"limit=2&cursor={page.json()['next']}"]
    tags = [(await centre.get(f"{LIST}?{query}")).headers["etag"] for query in questions]
    assert len(set(tags)) == len(questions)
    for query, tag in zip(questions, tags, strict=True):
        many = f'"other", {tag}'
        same = await centre.get(f"{LIST}?{query}", headers={"If-None-Match": many})
        assert same.status_code == 304
        assert same.headers["etag"] == tag
        assert "no-cache" in same.headers["cache-control"]


async def test_a_304_is_not_given_before_the_question_is_checked(centre: ApiCentre) -> None:
    tag = (await centre.get(LIST)).headers["etag"]
    for query in ("limit=0", "cursor=x", "since=x"):
        answer = await centre.get(f"{LIST}?{query}", headers={"If-None-Match": tag})
        assert answer.status_code == 400


async def test_a_warnings_own_tag_is_its_newest_line(centre: ApiCentre) -> None:
    first = event("raised", 3)
    await centre.ledger.take([first, event("raised", 1, subject="st0008/wl")])
    one = await centre.get(f"{LIST}/{first.id}")
    assert one.headers["etag"] == f'"{one.json()["warning"]["last_seq"]}"'
    done = await centre.post(f"{LIST}/{first.id}/acknowledge")
    assert done.headers["etag"] == f'"{done.json()["line"]}"'
    assert (await centre.get(f"{LIST}/{first.id}")).headers["etag"] == done.headers["etag"]
