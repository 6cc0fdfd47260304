"""A seat that loses its stream and comes back has every warning, once, in order; or is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rig.centre_half import until
from rig.events import event
from rig.sse import StreamClient

from egret_aggregator.api import mailbox as mailbox_module
from egret_aggregator.api import stream as stream_module
from egret_aggregator.api.hub import beat
from egret_aggregator.api.mailbox import End, Event, Mailbox
from egret_aggregator.api.stream import Stream
from egret_aggregator.database import Database
from egret_aggregator.store import StoredReading
from egret_aggregator.tokens import Role, Tokens
from egret_aggregator.warnings import Ledger
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.record import Kind

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from rig.api_centre import ApiCentre
    from starlette.types import Message

PADDING = "x" * 1200


def seat(centre: ApiCentre, after: int | None = None, query: str = "", **more: Any) -> StreamClient:
    resumed = {} if after is None else {"Last-Event-ID": str(after)}
    return StreamClient(centre.url, centre.bearer("viewer") | resumed, query, **more)


async def rain(centre: ApiCentre, count: int, first: int = 0) -> list[int]:
    before = centre.ledger.head.seq
    await centre.ledger.take(
        [
            event("raised", 2, subject=f"st{n:05}/wl", rule=f"r{PADDING}@1")
            for n in range(first, first + count)
        ]
    )
    return list(range(before + 1, before + count + 1))


async def test_lines_that_are_no_warnings_leave_gaps_that_are_none(centre: ApiCentre) -> None:
    first = await rain(centre, 2)
    await centre.context.tokens.add("more", Role.VIEWER)
    second = await rain(centre, 2, 10)
    wanted = first + second
    assert wanted[2] - wanted[1] == 2  # the token's line is between them
    async with seat(centre, after=first[0] - 1) as client:
        assert [told.seq for told in await client.warnings(4)] == wanted
    # To resume after the token's own line is to resume.
    async with seat(centre, after=first[1] + 1) as client:
        assert [told.seq for told in await client.warnings(2)] == second


async def test_resuming_at_the_head_brings_nothing_old(centre: ApiCentre) -> None:
    await rain(centre, 3)
    async with seat(centre, after=centre.ledger.head.seq) as client:
        hello = await client.next()
        assert hello is not None
        assert hello.body == {"head": centre.ledger.head.seq, "after": centre.ledger.head.seq}
        (wanted,) = await rain(centre, 1, 10)
        assert (await client.next()).seq == wanted  # type: ignore[union-attr]


async def test_a_header_goes_before_a_query(centre: ApiCentre) -> None:
    seqs = await rain(centre, 4)
    async with seat(centre, after=seqs[2], query="?after=0") as client:
        assert [told.seq for told in await client.warnings(1)] == seqs[3:]


async def test_an_id_of_another_ledger_is_refused_and_not_waited_on(
    centre: ApiCentre, tmp_path: Path
) -> None:
    # A seat of a centre whose disk was lost comes with an id that this ledger has not reached.
    foreign = Database(tmp_path / "foreign.db")
    await foreign.open()
    ledger = Ledger(foreign, lambda: 1)
    await ledger.open()
    await ledger.take([event("raised", 1, subject=f"a{n}/wl") for n in range(50)])
    async with seat(centre, after=ledger.head.seq) as client:
        assert (client.status, (await client.problem())["code"]) == (409, "last_event_id_ahead")
    await foreign.close()


async def test_a_slow_reader_is_cut_at_its_bound_and_resumes_whole(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_module, "WARNINGS_MAX", 50)
    hub = centre.context.hub
    wanted: list[int] = []
    seen: list[int] = []
    async with seat(centre, small=True) as slow:
        await slow.next()
        # It reads nothing; the sockets take some, then the mailbox, and then it is cut off.
        for burst in range(400):
            wanted += await rain(centre, 20, burst * 20)
            await asyncio.sleep(0)
            if hub.overflows:
                break
        await until(lambda: hub.overflows == 1)
        while (told := await slow.next_or_cut()) is not None:
            if told.name == "warning":
                seen.append(told.seq)
    assert len(seen) < len(wanted)
    assert seen == wanted[: len(seen)]  # cut off, yet without a hole
    async with seat(centre, after=seen[-1] if seen else 3) as again:
        seen += await again.seqs(len(wanted) - len(seen))
    assert seen == wanted


class Gate:
    """The far end of a stream by hand: writing waits while it is shut."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.data = b""

    async def send(self, message: Message) -> None:
        await self.open.wait()
        self.data += message.get("body", b"")

    def seqs(self) -> list[int]:
        return [int(line[4:]) for line in self.data.decode().split("\n") if line.startswith("id: ")]


async def test_what_came_after_a_cut_is_not_written_although_the_client_reads_again(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailbox_module, "WARNINGS_MAX", 10)
    gate, gone = Gate(), asyncio.Event()

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    app: Any = type("App", (), {"state": type("State", (), {"egret": centre.context})})
    bearer = centre.bearer("viewer")["Authorization"].encode()
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"authorization", bearer)],
        "app": app,
    }
    stream = asyncio.create_task(Stream()(scope, receive, gate.send))
    await until(lambda: b"hello" in gate.data)
    first = await rain(centre, 1)
    await until(lambda: gate.seqs() == first)
    gate.open.clear()
    await rain(centre, 1, 10)  # its writing waits
    await asyncio.sleep(0)
    # The bound is crossed and the client reads again in the same instant.
    gate.open.set()
    lost = [event("raised", 2, subject=f"x{n}/wl") for n in range(30)]
    await centre.ledger.take(lost)
    async with asyncio.timeout(30):
        await stream
    got = gate.seqs()
    assert got == list(range(first[0], first[0] + len(got))), "a hole that no resuming closes"
    assert centre.context.hub.overflows == 1


async def test_a_write_that_was_given_up_is_not_followed_by_a_later_one(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "SEND_MAX_S", 0.01)
    box, gate = Mailbox(wants_observations=False), Gate()
    for seq in range(4, 7):
        box.put_warning(Event(seq, f"id: {seq}\n".encode()))
    writing = asyncio.create_task(stream_module._write(centre.context, box, 3, gate.send))
    gate.open.clear()
    await until(lambda: box.end is End.STALLED)
    gate.open.set()
    box.put_warning(Event(7, b"id: 7\n"))
    async with asyncio.timeout(30):
        await writing
    assert 7 not in gate.seqs()


async def test_an_expired_token_ends_an_open_stream(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "TOKEN_CHECK_S", 0.02)
    tokens: Tokens = centre.context.tokens
    async with seat(centre) as client, seat(centre) as other:
        assert await client.next() is not None
        assert await other.next() is not None
        monkeypatch.setattr(tokens, "_real_ms", lambda: 4_000_000_000_000)
        assert await client.next() is None
        assert await other.next() is None
    await until(lambda: len(centre.context.hub) == 0)
    async with seat(centre) as late:
        assert (late.status, (await late.problem())["code"]) == (401, "token_expired")


async def test_the_check_of_tokens_is_often_enough_to_matter() -> None:
    assert stream_module.TOKEN_CHECK_S <= 60


async def test_a_revoked_token_ends_its_own_streams_only(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "TOKEN_CHECK_S", 0.02)
    admin = StreamClient(centre.url, centre.bearer("admin"))
    async with seat(centre) as client, admin as other:
        assert await client.next() is not None
        assert await other.next() is not None
        await centre.context.tokens.revoke(centre.token["viewer"].split("_")[1])
        assert await client.next() is None
        wanted = await rain(centre, 1)
        assert [told.seq for told in await other.warnings(1)] == wanted


async def test_a_seat_that_wants_no_observations_is_never_given_one(centre: ApiCentre) -> None:
    row = StoredReading("st0007", "wl", 1_503_014_400_000, 2.5, None, 1, 0, 0, 10)
    async with seat(centre) as plain, seat(centre, query="?observations=1") as wants:
        await plain.next()
        await wants.next()
        for n in range(3):
            centre.context.hub.observe([{"station": row.station, "n": n}])
        centre.context.hub.heartbeat({"head": 3})
        told = [await wants.next(), await wants.next()]
        assert [item.name for item in told if item] == ["observation", "heartbeat"]
        # Three came while it did not read: it has the newest, and sees that two are missing.
        assert told[0] is not None
        assert (told[0].body["n"], told[0].body["after"], told[0].body["items"][0]["n"]) == (
            3,
            2,
            2,
        )
        assert told[0].seq == 0  # no id: a resume is by warnings only
        beaten = await plain.next()
        assert beaten is not None
        assert beaten.name == "heartbeat"


async def test_a_beat_never_overtakes_the_warnings_it_counts(centre: ApiCentre) -> None:
    ledger, hub = centre.ledger, centre.context.hub
    async with seat(centre) as client:
        await client.next()
        task = asyncio.create_task(beat(hub, lambda: {"head": ledger.head.seq}))
        last = ledger.head.seq
        for round_ in range(10):
            wanted = await rain(centre, 3, round_ * 3)
            hub.heartbeat({"head": ledger.head.seq})
            while last < wanted[-1]:
                told = await client.next()
                assert told is not None
                if told.name == "warning":
                    last = told.seq
                else:
                    assert told.body["head"] <= last, "a head whose warnings have not come yet"
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_acts_travel_like_events_and_are_replayed_the_same(centre: ApiCentre) -> None:
    first = event("raised", 3)
    async with seat(centre) as live:
        await live.next()
        await centre.ledger.take([first, event("eased", 1, 2)])
        close = Act(
            Kind.CLOSED, first.id, "officer:李", note="水位已退\n完", despite_condition=True
        )
        await centre.ledger.act(close)
        told = await live.warnings(3)
    async with seat(centre, after=3) as later:
        assert await later.warnings(3) == told
    assert [item.body["kind"] for item in told] == ["event", "event", "closed"]
    assert (told[2].body["actor"], told[2].body["note"]) == ("officer:李", "水位已退\n完")
    assert [item.body["warning"]["state"] for item in told] == ["open", "open", "closed"]
    assert told[1].body["warning"]["level"] == "orange"  # eased is a proposal


async def test_a_stopping_centre_takes_no_new_stream(centre: ApiCentre) -> None:
    async with seat(centre) as client:
        await client.next()
        centre.context.hub.stop()
        assert await client.next() is None
    async with seat(centre) as late:
        assert (late.status, (await late.problem())["code"]) == (503, "stream_full")
