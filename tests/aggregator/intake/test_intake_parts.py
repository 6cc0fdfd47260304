"""The intake's pure parts and its inbox: verdicts, acks, clones, gateways, bytes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import pytest
from rig.batches import LOG, OTHER_LOG, T0_MS, batch, incoming, payload, series

from egret_aggregator.intake.acks import acks
from egret_aggregator.intake.clone import LEFT_MAX, LogChange, LogWatch
from egret_aggregator.intake.gateways import CLONE_SHOWN_S, SILENT_S, Gateways
from egret_aggregator.intake.inbox import ITEM_B, Inbox
from egret_aggregator.intake.verdict import Refused, read
from egret_aggregator.journal import Incoming, Verdict
from egret_core.codec import payload_hash
from egret_core.control import encode_ack
from egret_core.messages import (
    ACK_GOT_MAX,
    CONTROL_MAX_B,
    GatewayStatus,
    Kind,
    Reject,
)
from egret_core.topics import Leaf


def test_a_good_payload_is_incoming_with_its_hash_and_losses() -> None:
    loss = {
        "log": OTHER_LOG,
        "seqs": [[1, 2], [5, 5]],
        "from_ms": None,
        "to_ms": None,
        "channels": [],
        "count": 3,
        "why": "damaged",
    }
    body = payload(4, kind=Kind.LOSS, entries=[loss, {"log": "no"}])
    found = read("gw1", Leaf.BACKLOG, body)
    assert isinstance(found, Incoming)
    assert (found.seq, found.hash, found.lane) == (4, payload_hash(body), Leaf.BACKLOG)
    assert found.lost == {OTHER_LOG: ((1, 2), (5, 5))}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", Reject.UNREADABLE),
        (b"[1]", Reject.UNREADABLE),
        (b"{nonsense", Reject.UNREADABLE),
        (b'{"v":2}', Reject.VERSION),
        (b'{"v":1}', Reject.MALFORMED),
        (b"x" * 70_000, Reject.TOO_LARGE),
        (payload(1, series(1), gateway="gw9"), Reject.FOREIGN),
    ],
)
def test_a_bad_payload_is_refused_by_name_and_alike_each_time(body: bytes, why: Reject) -> None:
    found = read("gw1", Leaf.DATA, body)
    assert isinstance(found, Refused)
    assert (found.gateway, found.hash, found.why) == ("gw1", payload_hash(body), why)
    assert read("gw1", Leaf.DATA, body) == found


def test_acks_name_every_batch_by_gateway_and_log_and_stay_small() -> None:
    taken = [(incoming(seq), Verdict.NEW) for seq in range(1, ACK_GOT_MAX + 2)]
    taken += [
        (incoming(1, log=OTHER_LOG), Verdict.DUPLICATE),
        (incoming(2, log=OTHER_LOG), Verdict.AGAIN),
        (incoming(3, log=OTHER_LOG), Verdict.CONFLICT),
        (incoming(4, log=OTHER_LOG), Verdict.HELD),
        (incoming(1, gateway="gw2"), Verdict.NEW),
    ]
    refused = [Refused("gw2", "", None, "00" * 8, Reject.BOMB, "")] * (ACK_GOT_MAX + 1)
    out = list(acks(taken, refused, 77, "run"))
    assert all(len(encode_ack(ack)) <= CONTROL_MAX_B for _, ack in out)
    assert [(gw, ack.log, len(ack.got), len(ack.rejected)) for gw, ack in out] == [
        ("gw1", LOG, 512, 0),
        ("gw1", LOG, 1, 0),
        ("gw1", OTHER_LOG, 2, 0),
        ("gw1", OTHER_LOG, 0, 1),
        ("gw2", LOG, 1, 0),
        ("gw2", "", 0, 256),
        ("gw2", "", 0, 256),
        ("gw2", "", 0, 1),
    ]
    assert out[3][1].rejected[0].why == Reject.CONFLICT
    assert (out[0][1].now_ms, out[0][1].run) == (77, "run")


def changes(*cuts: tuple[str, int, list[str]]) -> list[LogChange]:
    watch = LogWatch()
    return [
        watch.saw(batch(seq, log=log * 32, cut_ms=cut_ms, extra={"older": [o * 32 for o in older]}))
        for seq, (log, cut_ms, older) in enumerate(cuts, 1)
    ]


def test_a_new_log_that_names_the_old_one_is_its_successor() -> None:
    assert changes(("a", 1, []), ("a", 2, []), ("b", 3, ["a"]), ("a", 2, []), ("b", 4, [])) == [
        LogChange.SAME,
        LogChange.SAME,
        LogChange.SUCCESSOR,
        LogChange.SAME,
        LogChange.SAME,
    ]


def test_a_new_card_is_told_apart_from_a_clone() -> None:
    assert changes(("a", 1, []), ("b", 2, []), ("b", 3, [])) == [
        LogChange.SAME,
        LogChange.UNNAMED,
        LogChange.SAME,
    ]
    # Whoever goes back to a log that was left is another box, named or not.
    assert changes(("a", 1, []), ("b", 2, ["a"]), ("a", 3, []), ("b", 4, []))[2:] == [
        LogChange.CLONE,
        LogChange.CLONE,
    ]


def test_the_watch_remembers_few_logs() -> None:
    watch = LogWatch()
    for n in range(3 * LEFT_MAX):
        watch.saw(batch(1, log=f"{n:032x}", cut_ms=n + 1, extra={"older": ["x"] * 1000}))
    assert len(watch._left) <= LEFT_MAX
    assert len(watch._named) <= LEFT_MAX


def test_a_gateway_is_online_while_it_says_so_and_is_heard_of() -> None:
    gateways = Gateways(lambda _: 3)
    status = GatewayStatus("gw1", online=True, held={LOG: ((1, 3),)}, outbox={"bytes": 9})
    gateways.status(status)
    assert not gateways.views(0.0)[0].online  # a retained word proves nothing of now
    gateways.heard("gw1", T0_MS, 5.0)
    view = gateways.views(6.0)[0]
    assert (view.online, view.last_seen_ms, view.missing, view.held) == (
        True,
        T0_MS,
        3,
        {LOG: ((1, 3),)},
    )
    assert not gateways.views(6.0 + SILENT_S)[0].online
    gateways.status(GatewayStatus("gw1", online=False))
    assert gateways.views(6.0)[0].held == {LOG: ((1, 3),)}
    kept = gateways.keep("gw1")
    again = Gateways(lambda _: 0)
    again.restore("gw1", kept)
    assert again.views(0.0)[0].held == {LOG: ((1, 3),)}
    assert again.views(0.0)[0].last_seen_ms == T0_MS


def test_a_clone_is_shown_for_an_hour_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    gateways = Gateways(lambda _: 0)
    for n in range(6):
        item = incoming(n + 1, log=(LOG, OTHER_LOG)[n % 2], cut_ms=T0_MS + n)
        gateways.taken(item, Verdict.NEW, float(n))
    view = gateways.views(5.0)[0]
    assert (view.clone, view.counts) == (True, {"new": 6})
    assert not gateways.views(6.0 + CLONE_SHOWN_S)[0].clone
    assert [r.getMessage().split()[0] for r in caplog.records] == ["event=new_log", "event=clone"]


def test_a_refusal_is_counted_each_time_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    gateways = Gateways(lambda _: 0)
    for _ in range(3):
        gateways.refused(Refused("gw1", "", None, "ab", Reject.BOMB, "x\ny"))
    assert gateways.views(0.0)[0].counts == {"refused_bomb": 3}
    (record,) = caplog.records
    assert "'x\\ny'" in record.getMessage()


@dataclass
class Message:
    topic: str
    payload: bytes
    retain: bool = False


async def test_the_inbox_is_bounded_and_backlog_gives_way_first() -> None:
    inbox = Inbox(10 * (1000 + ITEM_B))
    for _ in range(20):
        inbox.put_nowait(Message("egret/v1/gw1/backlog", b"x" * 1000))
    assert (inbox.held_b, inbox.dropped) == (5 * (1000 + ITEM_B), 15)
    for _ in range(20):
        inbox.put_nowait(Message("egret/v1/gw1/data", b"x" * 1000))
    assert (inbox.held_b, inbox.dropped) == (10 * (1000 + ITEM_B), 30)
    taken = await inbox.take(3, 10**9)
    assert [message.topic[-7:] for message in taken] == ["backlog"] * 3
    # What is being committed still counts.
    inbox.put_nowait(Message("egret/v1/gw1/data", b"x" * 1000))
    assert inbox.dropped == 31
    inbox.release(sum(message.cost_b for message in taken))
    inbox.put_nowait(Message("egret/v1/gw1/data", b"x" * 1000))
    assert inbox.dropped == 31
    assert len(await inbox.take(99, 10**9)) == 8


async def test_an_empty_inbox_waits() -> None:
    inbox = Inbox()
    waiting = asyncio.create_task(inbox.take(1, 1))
    await asyncio.sleep(0)
    assert not waiting.done()
    inbox.put_nowait(Message("egret/v1/gw1/status", b"{}", retain=True))
    assert (await asyncio.wait_for(waiting, 30))[0].retained
