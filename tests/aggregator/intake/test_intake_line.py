"""Gateway to store through a real broker: what is acknowledged is there, else it comes again."""

from __future__ import annotations

import shutil
import zlib
from typing import TYPE_CHECKING

import pytest
from rig import batches
from rig.centre_half import CentreHalf, broker, joined, until
from rig.gatewaylike import GatewayLike

from egret_core.codec import payload_hash
from egret_core.messages import Kind, Taking
from egret_core.reading import Reading
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system


async def test_a_batch_is_settled_and_stored(tmp_path: Path) -> None:
    async with joined(tmp_path) as (centre, gateway):
        gateway.cut(1, batches.series(5))
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
        await centre.recorded()
        page = await centre.store.range("st1", "wl", batches.T0_MS, batches.T0_MS + 10_000, 100)
        assert [row.value for row in page.rows] == [0.0, 0.125, 0.25, 0.375, 0.5]
        assert gateway.acks[0].run == centre.intake.run_id


async def test_a_lost_ack_is_cured_by_the_resend_which_is_stored_once(tmp_path: Path) -> None:
    async with joined(tmp_path) as (centre, gateway):
        gateway.cut(1)
        await gateway.send(1, 1, 1)
        await gateway.until(lambda: sum(len(ack.got) for ack in gateway.acks) == 3)
        await centre.recorded()
        assert centre.recorder.recorded == 3
        assert centre.intake.gateways()[0].counts == {"new": 1, "duplicate": 2}


async def test_the_centre_says_that_it_takes_all_and_at_its_end_that_it_takes_none(
    tmp_path: Path,
) -> None:
    async with broker(tmp_path / "broker") as port, GatewayLike(port) as gateway:
        async with CentreHalf(tmp_path, port).running() as centre:
            await gateway.until(lambda: gateway.centre is not None)
            assert gateway.centre is not None
            assert gateway.centre.taking == Taking.ALL
            assert gateway.centre.run == centre.intake.run_id
        await gateway.until(
            lambda: gateway.centre is not None and gateway.centre.taking == Taking.NONE
        )


async def test_bad_bodies_are_refused_by_name_at_every_resend_and_cost_nothing_else(
    tmp_path: Path,
) -> None:
    bomb = zlib.compress(b'{"v":1,' + b" " * 5_000_000 + b"}")
    bad = {
        b"\x00nonsense": "unreadable",
        b'{"v":1}': "malformed",
        b'{"v":9,"gw":"gw1"}': "version",
        b"{" + b" " * 200_000 + b"}": "too_large",
        bomb: "bomb",
        batches.payload(7, batches.series(1), gateway="gw2"): "foreign",
        batches.payload(8, batches.series(1)).replace(b'"gw1"', b'"g/1"'): "malformed",
        batches.payload(9, batches.series(1)).replace(b'"gw1"', b'"g+1"'): "malformed",
    }
    async with joined(tmp_path) as (centre, gateway):
        gateway.cut(1)
        gateway.cut(2)
        await gateway.send(1)
        for _ in range(2):
            for body in bad:
                await gateway.raw(body)
        await gateway.send(2)
        await gateway.until(lambda: gateway.settled == {1, 2})
        await gateway.until(lambda: len(gateway.rejected) == 2 * len(bad))
        expected = sorted((payload_hash(body), why) for body, why in bad.items())
        assert sorted(gateway.rejected) == sorted(expected * 2)
        await centre.recorded()
        assert centre.recorder.recorded == 6


async def test_bad_entries_are_set_aside_and_their_neighbours_stored(tmp_path: Path) -> None:
    entries = [
        {"s": "st1", "c": "wl", "t": 0, "v": 1.0},
        {"s": "st/1", "c": "wl", "t": 1, "v": 1.0},
        {"s": "st1", "c": "w+l", "t": 2, "v": 1.0},
        {"s": "st1", "c": "wl", "t": 3, "v": "NaN"},
        {"s": "st1", "c": "wl", "v": 7.0},
        {"s": "st1", "c": "wl", "t": 5, "v": 2.0},
    ]
    body = batches.payload(1, entries=entries).replace(b'"NaN"', b"NaN")
    async with joined(tmp_path) as (centre, gateway):
        gateway.outbox[1] = body
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
        await centre.recorded()
        kept = await centre.store.asides(10)
        assert [(item.aside.at, item.aside.why) for item in reversed(kept)] == [
            (4, "undated"),
            (1, "bad_entry: s or c is not an id"),
            (2, "bad_entry: s or c is not an id"),
            (3, "bad_entry: t, v or r is not a number"),
        ]
        page = await centre.store.range("st1", "wl", 0, 2**50, 10)
        assert [row.value for row in page.rows] == [1.0, 2.0]


async def test_a_reading_of_1970_and_one_of_2100_are_stored_and_named(tmp_path: Path) -> None:
    far = 4_102_444_800_000
    async with joined(tmp_path) as (centre, gateway):
        gateway.cut(1, [Reading("st1", "wl", 0, 1.0), Reading("st1", "wl", far, 2.0)])
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
        await centre.recorded()
        rows = (await centre.store.range("st1", "wl", 0, 2**52, 10)).rows
        assert [(row.time_ms, row.notes) for row in rows] == [(0, 0), (far, 1)]


async def test_the_same_identity_with_other_content_is_kept_aside_and_rejected(
    tmp_path: Path,
) -> None:
    async with joined(tmp_path) as (centre, gateway):
        gateway.cut(1, [Reading("st1", "wl", batches.T0_MS, 1.0)])
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
        other = gateway.cut(1, [Reading("st1", "wl", batches.T0_MS, 9.0)])
        await gateway.send(1, 1)
        await gateway.until(lambda: len(gateway.rejected) == 2)
        assert gateway.rejected == [(payload_hash(other), "conflict")] * 2
        await centre.recorded()
        kept = await centre.store.asides(10)
        assert [(item.aside.why, item.aside.body) for item in kept] == [("conflict", other)]
        assert (await centre.store.latest())[0].value == 1.0


async def test_a_centre_that_starts_from_nothing_gets_everything_back(tmp_path: Path) -> None:
    async with broker(tmp_path / "broker") as port, GatewayLike(port) as gateway:
        seqs = range(1, 501)
        for seq in seqs:
            gateway.cut(seq)
        async with CentreHalf(tmp_path / "data", port).running():
            await gateway.send(*seqs)
            await gateway.until(lambda: gateway.settled == set(seqs))
        shutil.rmtree(tmp_path / "data")
        async with CentreHalf(tmp_path / "data", port).running() as centre:
            await gateway.status()
            await until(lambda: centre.journal.known("gw1", batches.LOG) == ((1, 500),))
            await centre.recorded()
            page = await centre.store.range("st1", "wl", 0, 2**50, 2000)
            assert len(page.rows) == 1500
            assert centre.intake.gateways()[0].missing == 0
            assert len(gateway.commands) >= 3


async def test_an_older_copy_put_back_heals_and_no_entry_is_skipped(tmp_path: Path) -> None:
    async with broker(tmp_path / "broker") as port, GatewayLike(port) as gateway:
        for seq in range(1, 61):
            gateway.cut(seq)
        data, copy = tmp_path / "data", tmp_path / "copy"
        async with CentreHalf(data, port).running() as centre:
            await gateway.send(*range(1, 21))
            await gateway.until(lambda: len(gateway.settled) == 20)
            await centre.recorded()
        shutil.copytree(data, copy)
        async with CentreHalf(data, port).running() as centre:
            await gateway.send(*range(21, 51))
            await gateway.until(lambda: len(gateway.settled) == 50)
            await centre.recorded()
        # Only the journal is put back: the store's position is then ahead of its ids.
        for old in data.glob("journal.db*"):
            old.unlink()
        shutil.copy(copy / "journal.db", data / "journal.db")
        async with CentreHalf(data, port).running() as centre:
            await gateway.send(*range(51, 61))
            await gateway.status()
            await until(lambda: centre.journal.known("gw1", batches.LOG) == ((1, 60),))
            await centre.recorded()
            assert len((await centre.store.range("st1", "wl", 0, 2**50, 999)).rows) == 180


async def test_what_a_gateway_no_longer_has_is_recorded_as_lost(tmp_path: Path) -> None:
    async with joined(tmp_path) as (centre, gateway):
        gateway.obey = False
        gateway.cut(1)
        gateway.cut(2)
        await gateway.status()
        await gateway.until(lambda: len(gateway.commands) == 1)
        del gateway.outbox[2]
        gateway.obey = True
        await gateway._resend(gateway.commands[0])
        await until(lambda: centre.journal.known("gw1", batches.LOG) == ((1, 2),))
        assert gateway.settled <= {1}
        await gateway.until(lambda: gateway.settled == {1})


async def test_a_loss_record_closes_the_gap_in_the_same_commit(tmp_path: Path) -> None:
    loss = {
        "log": batches.LOG,
        "seqs": [[1, 9]],
        "from_ms": 1,
        "to_ms": 2,
        "channels": ["st1/wl"],
        "count": 9,
        "why": "space",
    }
    async with joined(tmp_path) as (centre, gateway):
        gateway.outbox[10] = batches.payload(10, kind=Kind.LOSS, entries=[loss])
        await gateway.send(10)
        await gateway.until(lambda: gateway.settled == {10})
        assert centre.journal.known("gw1", batches.LOG) == ((1, 10),)
        await centre.recorded()
        assert [item.aside.why for item in await centre.store.asides(5)] == ["loss: space"]


async def test_a_kind_of_a_later_version_is_acknowledged_and_shown(tmp_path: Path) -> None:
    async with joined(tmp_path) as (centre, gateway):
        gateway.cut(1, kind="pictures", entries=[{"anything": 1}])
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
        await centre.recorded()
        assert [item.aside.why for item in await centre.store.asides(5)] == ["unknown_kind"]


async def test_a_second_gateway_on_an_owned_channel_is_set_aside(tmp_path: Path) -> None:
    async with (
        broker(tmp_path / "broker") as port,
        CentreHalf(tmp_path, port).running() as centre,
        GatewayLike(port, gateway="gw2") as stranger,
    ):
        stranger.cut(1, batches.series(3))
        stranger.cut(2, batches.series(2, channel="temp"))
        await stranger.send(1, 2)
        await stranger.until(lambda: stranger.settled == {1, 2})
        await centre.recorded()
        assert [item.aside.why for item in await centre.store.asides(5)] == ["foreign"]
        rows = await centre.store.latest()
        assert [(row.channel, row.notes) for row in rows] == [("temp", 2)]


async def test_a_clone_is_named(tmp_path: Path) -> None:
    async with (
        broker(tmp_path / "broker") as port,
        CentreHalf(tmp_path, port).running() as centre,
        GatewayLike(port) as one,
        GatewayLike(port, log=batches.OTHER_LOG) as two,
    ):
        for seq in (1, 2):
            one.cut(seq, cut_ms=batches.T0_MS + 2000 * seq)
            two.cut(seq, cut_ms=batches.T0_MS + 2000 * seq + 1000, extra={"older": [batches.LOG]})
            await one.send(seq)
            await one.until(lambda seq=seq: seq in one.settled)
            assert centre.intake.gateways()[0].clone is (seq == 2)
            await two.send(seq)
            await two.until(lambda seq=seq: seq in two.settled)


async def test_the_broker_dies_and_everything_goes_on(tmp_path: Path) -> None:
    from rig.centre_half import free_port  # noqa: PLC0415

    from egret_aggregator.intake import BrokerChild  # noqa: PLC0415

    port = free_port()
    child = BrokerChild(tmp_path / "broker", "127.0.0.1", port)
    await child.start()
    try:
        async with (
            CentreHalf(tmp_path, port).running() as centre,
            GatewayLike(port) as gateway,
        ):
            gateway.cut(1)
            await gateway.send(1)
            await gateway.until(lambda: gateway.settled == {1})
            run = gateway.centre
            assert child._child is not None
            child._child.kill()
            await until(lambda: centre.intake.health()["connections"] == 2)
            await gateway.until(lambda: gateway.centre is not run)
            gateway.cut(2)
            await gateway.send(2, lane=Leaf.BACKLOG)
            await gateway.until(lambda: gateway.settled == {1, 2})
            assert child.restarts == 1
    finally:
        await child.stop()
