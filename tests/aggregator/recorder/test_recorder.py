"""Journal to store: every entry becomes a row or is set aside by name, once, in spite of faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from rig.batches import LOG, OTHER_LOG, T0_MS, incoming, series
from rig.centre_half import until

from egret_aggregator import recorder as module
from egret_aggregator.journal import Journal
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import Note, SqliteStore
from egret_core.messages import Kind
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import pytest

    from egret_aggregator.journal import Incoming

NOW = T0_MS + 10**8
OWNED = {("st1", "wl"): "gw1", ("st1", "rain"): "gw1"}


class Bench:
    def __init__(self, path: Path) -> None:
        self.journal = Journal(path / "journal.db", keep_ms=10**9, max_bytes=2**26)
        self.store = SqliteStore(path / "series.db")
        self.recorder = Recorder(
            self.journal, self.store, owner=lambda s, c: OWNED.get((s, c)), known=OWNED
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Bench]:
        await self.journal.open()
        await self.store.open()
        await self.recorder.open()
        task = asyncio.create_task(self.recorder.run())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await self.journal.close()
            await self.store.close()

    async def take(self, *items: Incoming, now_ms: int = NOW) -> None:
        await self.journal.append(items, now_ms)
        await until(lambda: self.recorder.position >= self.journal.head)

    async def whys(self) -> list[str]:
        return [kept.aside.why for kept in reversed(await self.store.asides(100))]


async def test_rows_carry_the_gateways_word_the_centres_notes_and_a_frozen_lag(
    tmp_path: Path,
) -> None:
    readings = [
        Reading("st1", "wl", NOW - 40, 1.5, 1024.0, 3, 8),
        Reading("st1", "wl", NOW + 60_000, 2.0),
        Reading("st1", "wl", NOW + 60_001, 3.0),
        Reading("st9", "temp", NOW, None, None, 9, 128),
    ]
    async with Bench(tmp_path).running() as bench:
        await bench.take(incoming(1, readings))
        rows = (await bench.store.range("st1", "wl", 0, 2**50, 10)).rows
        assert [tuple(row[2:]) for row in rows] == [
            (NOW - 40, 1.5, 1024.0, 3, 8, Note.NONE, 40),
            (NOW + 60_000, 2.0, None, 1, 0, Note.NONE, -60_000),
            (NOW + 60_001, 3.0, None, 1, 0, Note.CLOCK_AHEAD, -60_001),
        ]
        assert (await bench.store.latest([("st9", "temp")]))[0].notes == Note.UNKNOWN_CHANNEL


async def test_foreign_readings_meta_and_undated_ones_are_set_aside(tmp_path: Path) -> None:
    meta = {"station": "st1", "channel": "wl", "quantity": "water_level", "unit": "m"}
    undated = [{"s": "st1", "c": "wl", "v": 1.0}]
    async with Bench(tmp_path).running() as bench:
        await bench.take(
            incoming(1, series(3), gateway="gw2"),
            incoming(2, kind=Kind.META, entries=[meta], gateway="gw2"),
            incoming(3, entries=undated, gateway="gw2"),
            incoming(4, entries=undated, gateway="gw1"),
            incoming(5, kind=Kind.META, entries=[meta, {**meta, "unit": "ft"}], gateway="gw1"),
        )
        assert await bench.whys() == [
            "foreign",
            "foreign",
            "foreign",
            "undated",
            "bad_entry: unit is not m",
        ]
        kept = (await bench.store.asides(100))[-1].aside
        assert [row["time_ms"] for row in json.loads(kept.body)] == [
            row.time_ms for row in series(3)
        ]
        assert await bench.store.latest() == []
        assert [fact.gateway for fact in await bench.store.metas()] == ["gw1"]


async def test_facts_of_a_clock_ahead_do_not_stay_the_newest(tmp_path: Path) -> None:
    def meta(seq: int, datum: str, cut_ms: int) -> Incoming:
        entry = {
            "station": "st1",
            "channel": "wl",
            "quantity": "water_level",
            "unit": "m",
            "datum": datum,
        }
        return incoming(seq, kind=Kind.META, entries=[entry], cut_ms=cut_ms)

    async with Bench(tmp_path).running() as bench:
        await bench.take(meta(1, "Old", 4_102_444_800_000), now_ms=NOW)
        store = bench.store
        assert (await store.metas())[0].since_ms == NOW


async def test_the_same_readings_under_a_new_log_are_stored_once(tmp_path: Path) -> None:
    async with Bench(tmp_path).running() as bench:
        await bench.take(incoming(1, series(5)), incoming(1, series(5), log=OTHER_LOG))
        assert (bench.recorder.recorded, bench.recorder.conflicts) == (5, 0)
        changed = [row._replace(value=9.0) for row in series(5)]
        await bench.take(incoming(2, changed, log=OTHER_LOG))
        assert (bench.recorder.recorded, bench.recorder.conflicts) == (5, 5)
        assert await bench.whys() == ["value_conflict"] * 5
        asides = [kept.aside for kept in await bench.store.asides(9)]
        assert {(a.gateway, a.log, a.seq) for a in asides} == {("gw1", OTHER_LOG, 2)}


async def test_a_store_that_is_full_for_a_while_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_S", (0.01,))
    async with Bench(tmp_path).running() as bench:
        await bench.take(incoming(1))
        bench.store._db.execute("PRAGMA max_page_count=1")
        many = [incoming(seq, series(150, start_ms=T0_MS + 10**6 * seq)) for seq in range(2, 40)]
        await bench.journal.append(many, NOW)
        await until(lambda: bench.recorder.failures > 2)
        assert "full" in (await bench.store.health()).last_error
        bench.store._db.execute("PRAGMA max_page_count=1000000")
        await until(lambda: bench.recorder.position >= bench.journal.head)
        assert bench.recorder.recorded == 2 + 150 * 38
        assert "event=store_write_failed" in caplog.text


async def test_it_resumes_at_the_stores_position_and_lets_the_journal_trim(tmp_path: Path) -> None:
    async with Bench(tmp_path).running() as bench:
        await bench.take(*(incoming(seq) for seq in range(1, 21)))
    again = Bench(tmp_path)
    async with again.running():
        await again.take(incoming(21))
        assert again.recorder.recorded == 2
        await until(lambda: not again.recorder._unsaved)
        positions, _ = await again.journal.load("recorder")
        assert positions == await again.store.position()


async def test_a_journal_that_cannot_commit_stops_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Positions in the journal are hints: the store has the truth, in one commit with its rows."""
    monkeypatch.setattr(module, "SAVE_EVERY", 1)
    monkeypatch.setattr(module, "TELL_AGAIN_S", 0.0)
    text = (
        "CREATE TRIGGER broken BEFORE INSERT ON position BEGIN SELECT RAISE(ABORT, 'no room'); END"
    )
    async with Bench(tmp_path).running() as bench:
        await bench.take(incoming(1))
        await bench.journal._writer.submit(lambda desk: desk._db.execute(text))
        await bench.take(*(incoming(seq) for seq in range(2, 9)))
        await bench.take(incoming(9))
        assert bench.recorder._unsaved
        assert bench.recorder.recorded == 2 * 9
    again = Bench(tmp_path)
    async with again.running():  # a start on a full disk too
        await again.take(incoming(10))
        assert again.recorder.recorded == 2
        await again.journal._writer.submit(lambda desk: desk._db.execute("DROP TRIGGER broken"))
        await again.take(incoming(11))
        await until(lambda: not again.recorder._unsaved)
        positions, _ = await again.journal.load("recorder")
        assert positions == await again.store.position()
        page = await again.store.range("st1", "wl", 0, 2**50, 1000)
        assert (len(page.rows), again.recorder.conflicts) == (len({r[2] for r in page.rows}), 0)
    assert caplog.text.count("event=recorder_position_not_noted") == 2  # once a run


async def test_a_new_journal_beside_an_old_store_is_recorded_from_its_first_entry(
    tmp_path: Path,
) -> None:
    async with Bench(tmp_path).running() as bench:
        await bench.take(*(incoming(seq) for seq in range(1, 21)))
    for old in tmp_path.glob("journal.db*"):  # noqa: ASYNC240  (a test)
        old.unlink()
    again = Bench(tmp_path)
    async with again.running():
        await again.take(incoming(21, log=LOG))
        assert again.recorder.recorded == 2


async def test_an_entry_of_a_later_kind_and_a_conflict_are_kept_whole(tmp_path: Path) -> None:
    def bodies(kept: Sequence[object]) -> list[object]:
        return [item.aside.body for item in kept]  # type: ignore[attr-defined]

    later, first = incoming(1, kind="photo", entries=[1, 2]), incoming(2)
    other = incoming(2, series(1))
    async with Bench(tmp_path).running() as bench:
        await bench.take(later, first, other)
        assert await bench.whys() == ["unknown_kind", "conflict"]
        assert bodies(await bench.store.asides(9)) == [other.payload, later.payload]
