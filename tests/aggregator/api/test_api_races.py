"""Two officers at once, on connections of their own: one outcome, and both are told which."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from rig.api_centre import PATIENCE_S
from rig.events import event
from rig.ledgers import opened
from rig.sse import StreamClient

from egret_aggregator.database import Database
from egret_aggregator.tokens import Role
from egret_aggregator.warnings import Ledger, audit
from egret_aggregator.warnings.acts import Act, ActRefusedError
from egret_aggregator.warnings.record import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from rig.api_centre import ApiCentre

LIST = "/api/v1/warnings"
RED = event("raised", 4)
ONE = f"{LIST}/{RED.id}"
NOTE = {"note": "checked on site"}
DESPITE = {**NOTE, "despite_condition": True}


@pytest.fixture
async def seats(centre: ApiCentre) -> Any:
    """Five officers, each with a kept connection of their own."""
    await centre.ledger.take([event("raised", 1, subject="st0007/wl", rule="other@1"), RED])
    async with AsyncExitStack() as stack:
        found = []
        for number in range(5):
            token, _ = await centre.context.tokens.add(f"seat{number}", Role.OFFICER)
            client = httpx2.AsyncClient(
                base_url=centre.url,
                timeout=PATIENCE_S,
                headers={"Authorization": f"Bearer {token}"},
            )
            found.append(await stack.enter_async_context(client))
        yield found


async def lines(centre: ApiCentre) -> list[tuple[str, str]]:
    return [(line.kind, line.actor) for line in await centre.ledger.history(RED.id)]


async def test_five_acknowledge_and_four_are_told_the_same_name(
    centre: ApiCentre, seats: list[httpx2.AsyncClient]
) -> None:
    answers = await asyncio.gather(
        *(seat.post(f"{ONE}/acknowledge", json={"note": "mine"}) for seat in seats)
    )
    won = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    assert len(won) == 1
    by = f"officer:seat{won[0]}"
    assert answers[won[0]].json()["warning"]["acknowledged"]["by"] == by
    for number, answer in enumerate(answers):
        if number not in won:
            body = answer.json()
            assert (answer.status_code, body["code"]) == (409, "already_acknowledged")
            assert (body["by"], body["warning"]["state"]) == (by, "acknowledged")
            assert body["at"] == answers[won[0]].json()["warning"]["acknowledged"]["at"]
    assert await lines(centre) == [("event", "rule:river-level@1a2b3c4d"), ("acknowledged", by)]


async def test_closing_wins_over_what_comes_after_it(
    centre: ApiCentre, seats: list[httpx2.AsyncClient]
) -> None:
    closing, acknowledging, closing_too, *_ = seats
    answers = await asyncio.gather(
        closing.post(f"{ONE}/close", json=DESPITE),
        acknowledging.post(f"{ONE}/acknowledge", json={}),
        closing_too.post(f"{ONE}/close", json=DESPITE),
    )
    closes = sorted(answers[n].status_code for n in (0, 2))
    assert closes == [200, 409]
    told = await lines(centre)
    # Nothing follows the closing, whichever of the three came first.
    assert told[-1][0] == "closed"
    assert [kind for kind, _ in told].count("closed") == 1
    acknowledged = answers[1].status_code == 200
    assert ("acknowledged", "officer:seat1") in told or not acknowledged
    if not acknowledged:
        assert answers[1].json()["code"] == "warning_closed"


async def test_the_same_key_at_once_is_one_act(
    centre: ApiCentre, seats: list[httpx2.AsyncClient]
) -> None:
    seat, key = seats[0], {"Idempotency-Key": "tab-1"}
    answers = await asyncio.gather(
        *(seat.post(f"{ONE}/acknowledge", json=NOTE, headers=key) for _ in range(6))
    )
    assert [answer.status_code for answer in answers] == [200] * 6
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert sorted(replayed, key=str) == [None, *["true"] * 5]
    assert len({(a.json()["line"], str(a.json()["warning"])) for a in answers}) == 1
    assert len(await lines(centre)) == 2


async def test_a_key_belongs_to_a_person(
    centre: ApiCentre, seats: list[httpx2.AsyncClient]
) -> None:
    key = {"Idempotency-Key": "tab-1"}
    first = await seats[0].post(f"{ONE}/acknowledge", json=NOTE, headers=key)
    other = await seats[1].post(f"{ONE}/acknowledge", json=NOTE, headers=key)
    assert (first.status_code, other.status_code) == (200, 409)
    assert other.json()["code"] == "already_acknowledged"


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("acknowledge", {"note": "something else"}),
        ("close", DESPITE),
        ("lower", {"level": "blue", **DESPITE}),
    ],
)
async def test_a_key_used_again_for_another_act_changes_nothing(
    centre: ApiCentre, seats: list[httpx2.AsyncClient], verb: str, body: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "tab-1"}
    await seats[0].post(f"{ONE}/acknowledge", json=NOTE, headers=key)
    head = centre.ledger.head
    answer = await seats[0].post(f"{ONE}/{verb}", json=body, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert centre.ledger.head == head


async def test_a_key_of_a_refused_act_is_free(
    centre: ApiCentre, seats: list[httpx2.AsyncClient]
) -> None:
    key = {"Idempotency-Key": "tab-1"}
    refused = await seats[0].post(f"{ONE}/close", json=NOTE, headers=key)
    assert refused.json()["code"] == "condition_holds"
    done = await seats[0].post(f"{ONE}/close", json=DESPITE, headers=key)
    assert done.status_code == 200
    # The answer to a repeat is the answer of then, although the warning is long closed.
    again = await seats[0].post(f"{ONE}/close", json=DESPITE, headers=key)
    assert again.json()["warning"] == done.json()["warning"]


async def test_a_rise_between_look_and_act_is_not_acted_over(
    centre: ApiCentre, seats: list[httpx2.AsyncClient]
) -> None:
    low = event("raised", 1, subject="st0008/wl")
    await centre.ledger.take([low])
    path = f"{LIST}/{low.id}"
    seen = (await seats[0].get(path)).headers["etag"]
    rise = asyncio.create_task(centre.ledger.take([event("upgraded", 4, 3, subject="st0008/wl")]))
    await rise
    held = await seats[0].post(f"{path}/close", json=DESPITE, headers={"If-Match": seen})
    assert (held.status_code, held.json()["warning"]["level"]) == (412, "red")
    assert (await seats[0].get(path)).json()["warning"]["state"] == "open"
    of_another = await seats[0].post(
        f"{path}/close", json=DESPITE, headers={"If-Match": f'{seen}, "9"'}
    )
    assert of_another.status_code == 412


async def test_every_seat_sees_the_acts_of_a_race_in_one_order(
    centre: ApiCentre, seats: list[httpx2.AsyncClient]
) -> None:
    warnings = [event("raised", 3, subject=f"st{n}/wl") for n in range(6)]
    await centre.ledger.take(warnings)
    after = f"?after={centre.ledger.head.seq}"
    viewer = centre.bearer("viewer")
    async with (
        StreamClient(centre.url, viewer, after) as left,
        StreamClient(centre.url, viewer, after) as right,
    ):
        await asyncio.gather(
            *(
                seat.post(f"{LIST}/{warning.id}/acknowledge", json={})
                for seat in seats
                for warning in warnings
            )
        )
        told = await left.warnings(len(warnings))
        assert await right.warnings(len(warnings)) == told
    assert {item.body["id"] for item in told} == {warning.id for warning in warnings}
    assert all(item.body["warning"]["state"] == "acknowledged" for item in told)
    report = await audit.verify(centre.database)
    assert report.findings == []


async def test_two_processes_race_and_the_chain_is_one(tmp_path: Path) -> None:
    path = tmp_path / "egret.db"
    async with opened(path) as (here, database):
        await here.take([RED])
        other = Database(path)
        await other.open()
        there = Ledger(other, lambda: 1_503_014_400_500)
        await there.open()
        acts = [Act(Kind.ACKNOWLEDGED, RED.id, f"officer:seat{n}") for n in range(10)]
        results = await asyncio.gather(
            *((here if n % 2 else there).act(act) for n, act in enumerate(acts)),
            return_exceptions=True,
        )
        assert sum(isinstance(result, ActRefusedError) for result in results) == 9
        assert (await audit.verify(database)).findings == []
        assert len(await here.history(RED.id)) == 2
        await other.close()
