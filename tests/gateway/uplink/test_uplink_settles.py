"""What settles a batch and what does not; refusals; orders of the centre. Real broker."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from rig.broker import running_broker
from rig.centre import running_centre
from rig.field_box import GATEWAY, running_box

from egret_core.codec import decode_batch
from egret_core.messages import Command, Kind, Outcome, Taking
from egret_core.topics import Leaf
from egret_gateway.clock import Clock, Hands, system_hands
from egret_gateway.uplink import window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from rig.centre import Centre
    from rig.field_box import Box

pytestmark = pytest.mark.system


@asynccontextmanager
async def line(folder: Path) -> AsyncIterator[tuple[Centre, Box]]:
    async with (
        running_broker(folder / "broker") as broker,
        running_centre(broker.host, broker.port, GATEWAY) as centre,
        running_box(folder / "box", broker.host, broker.port) as box,
    ):
        yield centre, box


def states(folder: Path) -> dict[int, int]:
    db = sqlite3.connect(folder / "box" / "outbox.db")
    try:
        return dict(db.execute("SELECT seq, state FROM batch"))
    finally:
        db.close()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resends, probes and patience of a test: tenths of a second instead of tens."""
    monkeypatch.setattr(window, "RESEND_MIN_MS", 200)
    monkeypatch.setattr(window, "RESEND_MAX_MS", 400)
    monkeypatch.setattr(window, "PROBE_MS", 200)
    monkeypatch.setattr(window, "VERSION_WAIT_MS", 300)


async def test_a_lost_ack_is_cured_by_a_resend_of_the_same_bytes(
    tmp_path: Path, hasty: None
) -> None:
    async with line(tmp_path) as (centre, box):
        await box.settled()
        centre.lose_acks = 2
        box.feed(1)
        await box.settled()
        mine = [digest for digest, _, batch in centre.came if batch.kind == Kind.READINGS]
        assert len(mine) >= 3
        assert len(set(mine)) == 1
        assert centre.values() == [0.0]


async def test_an_ack_with_another_hash_settles_nothing(tmp_path: Path, hasty: None) -> None:
    async with line(tmp_path) as (centre, box):
        await box.settled()
        centre.wrong_hash = True
        box.feed(1)
        await centre.until(lambda: len(centre.came) >= 4)
        assert box.outbox.stats()["unsettled"] == 1
        centre.wrong_hash = False
        await box.settled()
    assert states(tmp_path) == {1: 1, 2: 1}


async def test_puback_alone_settles_nothing(tmp_path: Path, hasty: None) -> None:
    async with line(tmp_path) as (centre, box):
        await box.settled()
        centre.mute = True
        box.feed(1)
        await centre.until(lambda: len(centre.came) >= 3)
    assert states(tmp_path) == {1: 1, 2: 0}


async def test_what_can_never_be_valid_is_set_aside_and_its_loss_sent(tmp_path: Path) -> None:
    async with line(tmp_path) as (centre, box):
        await box.settled()
        centre.refuse[2] = "malformed"
        box.feed(3)
        await centre.until(lambda: bool(centre.losses()))
        await box.settled()
        (loss,) = centre.losses()
        assert (loss.seqs, loss.why, loss.count) == (((2, 2),), "quarantined", 3)
        refused = next(digest for digest, _, batch in centre.came if batch.seq == 2)
        assert loss.hashes == (refused,)
    assert states(tmp_path) == {1: 1, 2: 2, 3: 1}


async def test_a_centre_too_old_for_a_batch_gets_it_again_later(
    tmp_path: Path, hasty: None
) -> None:
    async with line(tmp_path) as (centre, box):
        await box.settled()
        centre.refuse[2] = "version"
        box.feed(1)
        await centre.until(lambda: sum(b.seq == 2 for _, _, b in centre.came) >= 2)
        box.feed(1)
        await centre.until(lambda: centre.values() == [1.0])
        assert states(tmp_path)[2] == 0
        centre.refuse.clear()
        await centre.until(lambda: centre.values() == [0.0, 1.0])
        await box.settled()


async def test_a_conflict_opens_a_new_log_and_nothing_is_lost(tmp_path: Path) -> None:
    async with line(tmp_path) as (centre, box):
        await box.settled()
        first = box.outbox.current_log
        payload = next(iter(centre.got.values()))
        centre.got[first, 2] = payload
        centre.got[first, 3] = payload
        box.feed(3)
        await centre.until(lambda: centre.values() == [0.0, 1.0, 2.0])
        await box.settled()
        second = box.outbox.current_log
        assert second != first
        assert centre.got[first, 2] == payload
        meta = decode_batch(centre.got[second, 1])
        assert (meta.kind, meta.extra) == (Kind.META, {"older": [first]})
        await centre.until(lambda: any(s.current_log == second for s in centre.statuses))


async def test_clones_part_and_both_keep_everything(tmp_path: Path) -> None:
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_centre(broker.host, broker.port, GATEWAY) as centre,
    ):
        async with running_box(tmp_path / "one", broker.host, broker.port) as box:
            box.feed(5)
            await box.settled()
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        async with (
            running_box(tmp_path / "one", broker.host, broker.port) as one,
            running_box(tmp_path / "two", broker.host, broker.port) as two,
        ):
            one.fed, two.fed = 100, 200
            for _ in range(20):
                one.feed(1)
                two.feed(1)
                await asyncio.sleep(0.03)
            wanted = [*range(5), *range(100, 120), *range(200, 220)]
            await centre.until(lambda: centre.values() == [float(i) for i in wanted])
            await one.settled()
            await two.settled()
            assert one.outbox.current_log != two.outbox.current_log
            assert centre.conflicts > 0


async def test_the_centre_may_ask_for_everything_again(tmp_path: Path) -> None:
    async with line(tmp_path) as (centre, box):
        box.feed(500)
        await box.settled()
        before = dict(centre.got)
        centre.got.clear()
        log = box.outbox.current_log
        last = max(seq for _, seq in before)
        now = centre.now_ms()
        command = Command("c1", now + 60_000, "resend", {"log": log, "seqs": [[1, last + 5]]}, now)
        await centre.order(command)
        await centre.until(lambda: bool(centre.answers))
        (answer,) = centre.answers
        assert (answer.outcome, answer.log) == (Outcome.QUEUED, log)
        assert (answer.queued, answer.gone) == (((1, last),), ((last + 1, last + 5),))
        await centre.until(lambda: centre.got == before)
        await box.settled()


async def test_a_repeated_order_is_answered_again_and_carried_out_once(tmp_path: Path) -> None:
    async with line(tmp_path) as (centre, box):
        box.feed(1)
        await box.settled()
        count = len(centre.came)
        now = centre.now_ms()
        args = {"log": box.outbox.current_log, "seqs": [[2, 2]]}
        command = Command("c1", now + 60_000, "resend", args, now)
        for times in (1, 2, 3):
            await centre.order(command)
            await centre.until(lambda wanted=times: len(centre.answers) >= wanted)
            await box.settled()
        assert len({repr(answer) for answer in centre.answers}) == 1
        await centre.until(lambda: len(centre.came) == count + 1)


async def test_expired_unknown_and_senseless_orders_are_answered(tmp_path: Path) -> None:
    async with line(tmp_path) as (centre, box):
        await box.settled()
        now, log = centre.now_ms(), box.outbox.current_log
        orders = [
            Command("late", now - 1, "resend", {"log": log, "seqs": [[1, 1]]}, now),
            Command("odd", now + 60_000, "dance", {}, now),
            Command("no-log", now + 60_000, "resend", {"log": "x", "seqs": [[1, 1]]}, now),
            Command("back", now + 60_000, "resend", {"log": log, "seqs": [[9, 1]]}, now),
            Command("huge", now + 60_000, "resend", {"log": log, "seqs": [[1, 10**30]]}, now),
            Command("gone", now + 60_000, "resend", {"log": "e" * 32, "seqs": [[1, 9]]}, now),
        ]
        for order in orders:
            await centre.order(order)
        await centre.until(lambda: len(centre.answers) == len(orders))
        assert {answer.id: answer.outcome for answer in centre.answers} == {
            "late": Outcome.EXPIRED,
            "odd": Outcome.REFUSED,
            "no-log": Outcome.REFUSED,
            "back": Outcome.REFUSED,
            "huge": Outcome.REFUSED,
            "gone": Outcome.GONE,
        }


async def test_a_centre_that_takes_nothing_gets_probes_and_then_everything(
    tmp_path: Path, hasty: None
) -> None:
    async with line(tmp_path) as (centre, box):
        await box.settled()
        centre.mute = True
        await centre.say(Taking.NONE)
        while box.uplink._window.taking != Taking.NONE:
            await asyncio.sleep(0.01)
        for _ in range(30):
            box.feed(1)
            await asyncio.sleep(0.03)
        await centre.until(lambda: len(centre.came) >= 3)
        newest = max(batch.seq for _, _, batch in centre.came)
        assert len(centre.came) < 15
        box.feed(1, urgent=True)
        await centre.until(lambda: any(b.seq > newest for _, _, b in centre.came))
        centre.mute = False
        await centre.until(lambda: centre.values() == [float(i) for i in range(31)])
        await box.settled()


async def test_backlog_and_fresh_go_their_own_lanes(tmp_path: Path) -> None:
    start = system_hands()
    ahead = 0
    hands = Hands(lambda: start.mono_ms() + ahead, lambda: start.wall_ms() + ahead, start.boot)
    async with running_broker(tmp_path / "broker") as broker:
        async with running_box(tmp_path / "box", broker.host, 1, clock=Clock(hands=hands)) as box:
            box.feed(300)
        ahead = 61_000
        async with (
            running_centre(broker.host, broker.port, GATEWAY) as centre,
            running_box(
                tmp_path / "box", broker.host, broker.port, clock=Clock(hands=hands)
            ) as box,
        ):
            box.fed = 300
            box.feed(1)
            await centre.until(lambda: len(centre.values()) == 301)
            lanes = {batch.seq: leaf for _, leaf, batch in centre.came}
            assert {lanes[2], lanes[3]} == {Leaf.BACKLOG}
            assert lanes[max(lanes)] == Leaf.DATA


async def test_a_gateway_without_time_takes_it_from_the_centres_acks(tmp_path: Path) -> None:
    own = system_hands()
    hands = Hands(own.mono_ms, lambda: 0, own.boot)
    async with running_broker(tmp_path / "broker") as broker:
        clock = Clock("none", hands=hands)
        async with running_box(tmp_path / "box", broker.host, 1, clock=clock) as box:
            box.feed(3)
        async with (
            running_centre(broker.host, broker.port, GATEWAY) as centre,
            running_box(tmp_path / "box", broker.host, broker.port, clock=clock) as box,
        ):
            centre.now_ms = lambda: own.wall_ms() + 86_400_000
            await centre.until(lambda: centre.values() == [0.0, 1.0, 2.0])
            await box.settled()
            (batch,) = centre.batches()
            assert batch.clock.source == "centre"
            assert abs(batch.base_ms - own.wall_ms() - 86_400_000) < 60_000


async def test_with_all_settled_a_gateway_without_time_still_asks_for_it(tmp_path: Path) -> None:
    own = system_hands()
    clock = Clock("none", hands=Hands(own.mono_ms, lambda: 0, own.boot))
    async with (
        running_broker(tmp_path / "broker") as broker,
        running_centre(broker.host, broker.port, GATEWAY) as centre,
    ):
        async with running_box(tmp_path / "box", broker.host, broker.port) as box:
            await box.settled()
        async with running_box(tmp_path / "box", broker.host, broker.port, clock=clock) as box:
            box.feed(1)
            await centre.until(lambda: centre.values() == [0.0])
            await box.settled()
