"""A ledger that is lost or older than the journal knows: what stands is on record again."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from rig.batches import T0_MS, incoming
from rig.centre_half import until
from rig.centre_process import CentreProcess, settings_file
from rig.gatewaylike import GatewayLike
from rig.small_centre import GATEWAY, SmallCentre

from egret_aggregator import witness as module
from egret_aggregator.database import Database
from egret_aggregator.journal import Journal
from egret_aggregator.judge import CONSUMER
from egret_aggregator.supervision import ended
from egret_aggregator.warnings import Ledger
from egret_aggregator.warnings.record import Kind
from egret_aggregator.witness import Witness
from egret_core.reading import Reading

if TYPE_CHECKING:
    from pathlib import Path


def lose_ledger(centre: SmallCentre) -> None:
    for file in centre.data.glob("egret.db*"):
        file.unlink()


async def test_a_ledger_that_is_gone_has_what_stands_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 2.0, 4.5, 4.6)
        (before,) = await centre.standing()
    lose_ledger(centre)
    async with centre.running():
        assert centre.behind
        assert "event=ledger_behind_journal" in caplog.text
        (after,) = await centre.standing()
        assert (after.rule, after.subject, after.level, after.onset_ms) == (
            before.rule,
            before.subject,
            "red",
            before.onset_ms,
        )
    caplog.clear()
    async with centre.running():
        assert not centre.behind
        assert "ledger_behind" not in caplog.text


async def test_an_older_ledger_gets_what_followed_and_nothing_twice(tmp_path: Path) -> None:
    centre, copy = SmallCentre(tmp_path), tmp_path.with_name("copy.db")
    async with centre.running():
        await centre.levels(1, 2.0, 3.5, 3.6)
    shutil.copy(centre.data / "egret.db", copy)
    async with centre.running():
        await centre.levels(4, 4.5, 2.0, 2.0)
        (whole,) = await centre.standing()
        lines = centre.ledger.head.seq
        assert (whole.level, whole.condition) == ("red", "returned")
    lose_ledger(centre)
    shutil.copy(copy, centre.data / "egret.db")
    async with centre.running():
        assert centre.behind
        (again,) = await centre.standing()
        assert again == whole
        assert centre.ledger.head.seq == lines


async def test_what_still_stands_is_raised_anew_where_its_rise_is_trimmed(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 2.0, 4.5)
        await centre.standing()
    lose_ledger(centre)
    raw = sqlite3.connect(centre.data / "journal.db")
    with raw:
        raw.execute("DELETE FROM entry")
    raw.close()
    async with centre.running():
        assert centre.behind
        await centre.levels(10, 4.4)
        (again,) = await centre.standing()
        assert (again.level, again.subject) == ("red", "st0007/wl")


async def test_a_ledger_that_is_ahead_or_as_noted_leaves_the_judge_alone(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 4.5)
        await centre.standing()
        _, state = await centre.journal.load(CONSUMER)
    async with centre.running():
        await centre.ledger.note("li", Kind.TOKEN_ADDED, {"id": "not noted by the journal"})
        assert not centre.behind
    async with centre.running():
        assert not centre.behind
        _, kept = await centre.journal.load(CONSUMER)
        assert kept.keys() >= state.keys() - {"centre"}


async def test_another_ledger_of_the_same_length_is_no_proof(tmp_path: Path) -> None:
    centre = SmallCentre(tmp_path)
    async with centre.running():
        await centre.levels(1, 4.5, 4.5)
        await centre.standing()
        lines = centre.ledger.head.seq
    lose_ledger(centre)
    database = Database(centre.data / "egret.db")
    await database.open()
    other = Ledger(database, lambda: T0_MS)
    await other.open()
    for _ in range(lines + 3):
        await other.note("li", Kind.TOKEN_ADDED, {"id": "a token"})
    await database.close()
    async with centre.running():
        assert centre.behind
        assert [warning.level for warning in await centre.standing()] == ["red"]


async def test_a_restart_drops_state_and_place_of_one_consumer_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", keep_ms=10**9, max_bytes=2**24)
    await journal.open()
    await journal.append([incoming(seq) for seq in range(1, 4)], T0_MS)
    for consumer in ("judge", "recorder"):
        await journal.save(consumer, {3: 2, -1: 1}, {"a": b"1"})
    await journal.restart("judge")
    assert await journal.load("judge") == ({3: 0, -1: 0}, {})
    assert await journal.load("recorder") == ({3: 2, -1: 1}, {"a": b"1"})
    await journal.close()


async def test_the_head_is_noted_as_it_moves_and_a_failure_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    centre = SmallCentre(tmp_path)
    async with centre.running():
        while not (await centre.journal.load(CONSUMER))[0]:  # the judge's own first save
            await asyncio.sleep(0)
        watching = asyncio.create_task(Witness(centre.journal, centre.ledger).run())
        centre.journal._db.execute("PRAGMA query_only=ON")
        await until(lambda: "event=ledger_head_not_noted" in caplog.text)
        centre.journal._db.execute("PRAGMA query_only=OFF")
        await centre.levels(1, 4.5)
        await centre.standing()
        head = centre.ledger.head.seq
        assert head > 0

        async def noted() -> int:
            kept = (await centre.journal.load(module.NAME))[1].get("head")
            return json.loads(kept)[0] if kept else 0

        while await noted() != head:
            await asyncio.sleep(0)
        await ended([watching])


def noted_in(raw: sqlite3.Connection) -> int | None:
    """Return the line that the journal remembers; the first is the token's."""
    row = raw.execute("SELECT value FROM state WHERE consumer = 'ledger'").fetchone()
    return row and json.loads(row[0])[0]


@pytest.mark.system
async def test_the_service_heals_a_deleted_ledger_by_itself(tmp_path: Path) -> None:
    from egret_aggregator.api.times import parsed  # noqa: PLC0415

    path = settings_file(tmp_path)
    port = int(path.read_text().split("port = ")[1].split("\n")[0])
    async with CentreProcess(path) as centre:
        start_ms = parsed((await centre.get("/api/v1/warnings"))["as_of"])
        async with GatewayLike(port, gateway=GATEWAY) as gateway:
            gateway.cut(1, [Reading("st0007", "wl", start_ms, 9.0)])
            async with asyncio.timeout(60):
                while gateway.settled != {1}:  # sent again, as a gateway does what nobody heard
                    await gateway.send(1)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(1):
                            await gateway.until(lambda: gateway.settled == {1})
        async with asyncio.timeout(60):
            while not (await centre.get("/api/v1/warnings"))["items"]:
                await asyncio.sleep(0.05)
            raw = sqlite3.connect(f"file:{tmp_path}/data/journal.db?mode=ro", uri=True)
            while (noted_in(raw) or 0) < 2:
                await asyncio.sleep(0.05)
            raw.close()
        await centre.ended(signal.SIGKILL)
    for file in (tmp_path / "data").glob("egret.db*"):
        file.unlink()
    async with CentreProcess(path) as centre:
        async with asyncio.timeout(60):
            while not (items := (await centre.get("/api/v1/warnings"))["items"]):
                await asyncio.sleep(0.05)
        assert [(item["subject"], item["level"]) for item in items] == [("st0007/wl", "red")]
        assert "event=ledger_behind_journal" in centre.log()
