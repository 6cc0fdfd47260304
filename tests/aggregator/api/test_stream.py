"""The stream on real sockets: resume, heartbeat, ends, and many clients with one that stalls."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from rig.centre_half import until
from rig.events import event
from rig.sse import StreamClient

from egret_aggregator.api import hub as hub_module
from egret_aggregator.api import stream as stream_module
from egret_aggregator.api.hub import beat
from egret_aggregator.api.mailbox import WARNINGS_MAX
from egret_aggregator.api.observations import Observations
from egret_aggregator.store import StoredReading
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.record import Kind

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre

CLIENTS = 128
# 128 live mailboxes and sockets and their clients' own buffers; one mailbox kept without a bound
# for each client would be 128 x 1500 x 5 kB = 960 MB.
GROWTH_MAX_MB = 200
PADDING = "x" * 1200  # a warning as large as one with a long Chinese text


def listener(
    centre: ApiCentre,
    query: str = "",
    headers: dict[str, str] | None = None,
    *,
    small: bool = False,
) -> StreamClient:
    sent = centre.bearer("viewer") | (headers or {})
    return StreamClient(centre.url, sent, query, small=small)


async def storm(centre: ApiCentre, count: int, first: int = 0) -> None:
    for n in range(first, first + count):
        await centre.ledger.take([event("raised", 2, subject=f"st{n:05}/wl", rule=f"r{PADDING}@1")])


async def test_a_warning_and_every_act_on_it_come_live(centre: ApiCentre) -> None:
    first = event("raised", 3)
    async with listener(centre) as client:
        assert client.head["content-type"].startswith("text/event-stream")
        hello = await client.next()
        assert hello is not None
        assert (hello.name, hello.body["head"]) == ("hello", 3)  # three tokens were added
        await centre.ledger.take([first])
        await centre.ledger.act(Act(Kind.ACKNOWLEDGED, first.id, "officer:li", note="seen"))
        raised, seen = await client.warnings(2)
    assert (raised.seq, raised.body["seq"], raised.body["kind"]) == (4, 4, "event")
    assert raised.body["warning"]["level"] == "orange"
    assert raised.body["event"]["time"] == "2017-08-18T00:00:00.000Z"
    assert (seen.body["actor"], seen.body["note"]) == ("officer:li", "seen")
    assert seen.body["warning"]["state"] == "acknowledged"


async def test_it_resumes_without_gap_or_repeat_while_new_ones_come(centre: ApiCentre) -> None:
    await storm(centre, 700)
    task = asyncio.create_task(storm(centre, 100, first=700))
    async with listener(centre, headers={"Last-Event-ID": "103"}) as client:
        told = await client.warnings(700)
    await task
    assert [item.seq for item in told] == list(range(104, 804))


async def test_a_replayed_event_is_the_live_one(centre: ApiCentre) -> None:
    async with listener(centre) as live:
        await live.next()
        await storm(centre, 3)
        first = await live.warnings(3)
    async with listener(centre, "?after=3") as later:
        assert await later.warnings(3) == first


async def test_dropped_at_random_and_resumed_nothing_is_lost(centre: ApiCentre) -> None:
    seen: list[int] = []
    last = 3
    for round_ in range(5):
        task = asyncio.create_task(storm(centre, 40, first=round_ * 40))
        async with listener(centre, headers={"Last-Event-ID": str(last)}) as client:
            told = await client.warnings(7 + 5 * round_)
        await task
        seen += [item.seq for item in told]
        last = seen[-1]
    async with listener(centre, headers={"Last-Event-ID": str(last)}) as client:
        seen += [item.seq for item in await client.warnings(203 - last)]
    assert seen == list(range(4, 204))


@pytest.mark.parametrize(
    ("id_", "status", "code"),
    [
        ("x", 400, "bad_last_event_id"),
        ("-1", 400, "bad_last_event_id"),
        ("1e3", 400, "bad_last_event_id"),
        ("9" * 400, 400, "bad_last_event_id"),
        ("4", 409, "last_event_id_ahead"),
    ],
)
async def test_a_bad_last_event_id(centre: ApiCentre, id_: str, status: int, code: str) -> None:
    async with listener(centre, headers={"Last-Event-ID": id_}) as client:
        assert client.status == status
        assert (await client.problem())["code"] == code
    await until(lambda: len(centre.context.hub) == 0)


async def test_too_far_behind_is_said(centre: ApiCentre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "REPLAY_MAX", 10)
    await storm(centre, 11)
    async with listener(centre, "?after=3") as client:
        assert (client.status, (await client.problem())["code"]) == (409, "too_far_behind")
    async with listener(centre, "?after=4") as client:
        assert len(await client.warnings(10)) == 10


async def test_no_token_no_stream(centre: ApiCentre) -> None:
    async with StreamClient(centre.url, {}) as client:
        assert (client.status, (await client.problem())["code"]) == (401, "token_missing")
    cookie = {"Cookie": f"egret_session={centre.token['viewer']}"}
    async with StreamClient(centre.url, cookie) as client:
        assert client.status == 200


async def test_a_revoked_token_ends_its_stream(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "TOKEN_CHECK_S", 0.05)
    async with listener(centre) as client:
        await client.next()
        await centre.context.tokens.revoke(centre.token["viewer"].split("_")[1])
        assert await client.next() is None


async def test_heartbeats_carry_the_ledgers_head(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "HEARTBEAT_S", 0.02)
    hub, ledger = centre.context.hub, centre.ledger
    task = asyncio.create_task(beat(hub, lambda: {"head": ledger.head.seq}))
    async with listener(centre) as client:
        await client.next()
        told = await client.next()
        assert told is not None
        assert (told.name, told.seq, told.body) == ("heartbeat", 0, {"head": 3})
        await storm(centre, 1)
        (warning,) = await client.warnings(1)
        beats = await client.next()
        assert warning.seq == 4
        assert beats is not None
        assert beats.body == {"head": 4}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_observations_for_those_who_ask(centre: ApiCentre) -> None:
    watch = Observations(centre.context)
    row = StoredReading("st0007", "wl", 1_503_014_400_000, 2.5, None, 1, 0, 0, 10)
    async with listener(centre, "?observations=1") as wants, listener(centre) as other:
        await wants.next()
        await other.next()
        await watch.look()
        await centre.store.write([row])
        await watch.look()
        await watch.look()
        told = await wants.next()
        await storm(centre, 1)
        nothing_else = await other.next()
    assert told is not None
    assert told.name == "observation"
    (item,) = told.body["items"]
    assert (item["unit"], item["datum"], item["reading"]["value"]) == ("m", "Luoling", 2.5)
    assert (told.body["n"], told.body["after"], told.body["more"]) == (1, 0, False)
    assert nothing_else is not None
    assert nothing_else.name == "warning"


async def test_a_client_that_goes_is_forgotten(centre: ApiCentre) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(5):
            client = await stack.enter_async_context(listener(centre))
            await client.next()
        assert len(centre.context.hub) == 5
    await until(lambda: len(centre.context.hub) == 0)


async def test_128_clients_and_one_that_stalls(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is to fall by its full mailbox, however slow the machine is today.
    monkeypatch.setattr(stream_module, "SEND_MAX_S", 600.0)
    hub, count = centre.context.hub, WARNINGS_MAX + 500
    async with AsyncExitStack() as stack:
        stalled = await stack.enter_async_context(listener(centre, small=True))
        clients = [await stack.enter_async_context(listener(centre)) for _ in range(CLIENTS)]
        await asyncio.gather(*(client.next() for client in clients))
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        readers = [asyncio.create_task(client.seqs(count)) for client in clients]
        most = 0
        for start in range(0, count, 50):
            await centre.ledger.take(
                [
                    event("raised", 2, subject=f"st{n:05}/wl", rule=f"r{PADDING}@1")
                    for n in range(start, start + 50)
                ]
            )
            most = max(most, *(len(mailbox) for mailbox in hub._mailboxes))
            await asyncio.sleep(0.01)
        told = await asyncio.gather(*readers)
        wanted = list(range(4, 4 + count))
        assert all(one == wanted for one in told)
        assert most <= WARNINGS_MAX + 2
        grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
        assert grown_mb < GROWTH_MAX_MB, grown_mb
        await until(lambda: hub.overflows == 1)
        assert len(hub) == CLIENTS
        _ = stalled
    # What the stalled one missed it gets by resuming.
    async with listener(centre, headers={"Last-Event-ID": "3"}) as again:
        assert await again.seqs(count) == wanted


async def test_a_write_that_waits_too_long_ends_the_stream(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "SEND_MAX_S", 0.2)
    async with listener(centre, small=True):
        await until(lambda: len(centre.context.hub) == 1)
        await storm(centre, 400)
        await until(lambda: len(centre.context.hub) == 0)
