"""A centre without room: it says so, acknowledges nothing it does not have, and still looks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from rig import batches
from rig.centre_half import CentreHalf, broker, joined, until
from rig.gatewaylike import GatewayLike

from egret_aggregator.database import sqlite
from egret_aggregator.journal import Level
from egret_core.messages import Taking
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.journal import Entry

pytestmark = pytest.mark.system


class Disk:
    """What the disk has left, for all files of the centre."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.spare_b = 10**12
        monkeypatch.setattr(sqlite, "spare_bytes", lambda _: self.spare_b)


async def looked_at(centre: CentreHalf) -> None:
    """Let the journal look at its disk: it does so every so many commits, or at once when full."""
    for _ in range(60):
        await centre.journal.save("other", {}, {})


async def seen(centre: CentreHalf, positions: dict[int, int]) -> list[Entry]:
    return [entry for entry in await centre.journal.read(positions, 999) if entry.seq]


async def test_a_full_disk_is_told_to_the_gateways_and_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    async with joined(tmp_path) as (centre, gateway):
        gateway.cut(1)
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
        await centre.recorded()
        disk.spare_b = 0
        await looked_at(centre)
        assert centre.journal.fill.level is Level.FULL
        await gateway.until(
            lambda: gateway.centre is not None and gateway.centre.taking == Taking.NONE
        )
        before = {entry.partition: entry.id for entry in await seen(centre, {})}
        gateway.cut(2)
        gateway.cut(3)
        await gateway.send(2)
        await gateway.send(3, lane=Leaf.BACKLOG)
        # The judge's eyes see the fresh one, once; nobody is told that it is taken.
        await until(lambda: centre.intake.gateways()[0].counts.get("held", 0) == 2)
        await gateway.send(2)
        await until(lambda: centre.intake.gateways()[0].counts.get("held", 0) == 3)
        assert [entry.seq for entry in await seen(centre, before)] == [2]
        assert gateway.settled == {1}
        # A known one is acknowledged all the same: its ack was lost.
        acks = len(gateway.acks)
        await gateway.send(1)
        await gateway.until(lambda: len(gateway.acks) > acks)
        assert gateway.acks[-1].got[0][0] == 1
        disk.spare_b = 10**12
        await looked_at(centre)
        await gateway.until(
            lambda: gateway.centre is not None and gateway.centre.taking == Taking.ALL
        )
        await gateway.send(2, 3)
        await gateway.until(lambda: gateway.settled == {1, 2, 3})
        await centre.recorded()
        assert centre.recorder.recorded == 9


async def test_nothing_is_asked_for_while_there_is_no_room_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    async with joined(tmp_path) as (centre, gateway):
        disk.spare_b = 0
        await looked_at(centre)
        await gateway.until(
            lambda: gateway.centre is not None and gateway.centre.taking == Taking.NONE
        )
        for seq in range(1, 4):
            gateway.cut(seq)
        await gateway.status()
        await until(lambda: centre.intake.gateways() and centre.intake.gateways()[0].missing == 3)
        for _ in range(3):
            centre.intake._wake.set()
            await asyncio.sleep(0.05)
        assert gateway.commands == []
        disk.spare_b = 10**12
        await looked_at(centre)
        await until(lambda: centre.journal.known("gw1", batches.LOG) == ((1, 3),))
        assert len(gateway.commands) == 1


async def test_a_journal_that_cannot_write_acknowledges_nobody_until_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with joined(tmp_path) as (centre, gateway):
        centre.journal._db.execute("PRAGMA query_only=ON")
        gateway.cut(1)
        await gateway.send(1)
        await until(lambda: "event=intake_not_journalled" in caplog.text)
        assert centre.intake.taking is Taking.NONE
        await gateway.until(
            lambda: gateway.centre is not None and gateway.centre.taking == Taking.NONE
        )
        # What was refused gives its room back; the centre's own status may be passing through.
        await until(lambda: centre.intake.health()["inbox_b"] == 0)
        assert gateway.acks == []
        centre.journal._db.execute("PRAGMA query_only=OFF")
        # The probe of a paused gateway: its ack ends the pause.
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
        await gateway.until(
            lambda: gateway.centre is not None and gateway.centre.taking == Taking.ALL
        )


async def test_a_status_that_could_not_be_kept_is_kept_when_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with broker(tmp_path / "broker") as port:
        async with (
            CentreHalf(tmp_path, port).running() as centre,
            GatewayLike(port) as gateway,
        ):
            centre.journal._db.execute("PRAGMA query_only=ON")
            gateway.cut(1)
            await gateway.status()
            await until(lambda: "event=gateway_state_not_kept" in caplog.text)
            centre.journal._db.execute("PRAGMA query_only=OFF")
            await gateway.send(1)
            await gateway.until(lambda: gateway.settled == {1})
            await until(lambda: not centre.intake._changed)
        async with CentreHalf(tmp_path, port).running() as centre:
            await until(lambda: len(centre.intake.gateways()) == 1)
            view = centre.intake.gateways()[0]
            assert view.held == {batches.LOG: ((1, 1),)}
