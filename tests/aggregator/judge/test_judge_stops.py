"""A stop ends the judge at whatever moment it comes, and nothing is told twice after it."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from rig.api_centre import catalogue_folder
from rig.batches import T0_MS, incoming

from egret_aggregator import judge as module
from egret_aggregator.catalogue import load
from egret_aggregator.errors import JournalError
from egret_aggregator.journal import Journal
from egret_aggregator.judge import Judge
from egret_core.reading import Reading
from egret_core.rules.event import settled_hash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egret_core.rules.event import ConditionEvent

GATEWAY = "XM-TA-0042"
PATIENCE_S = 30.0


class Record:
    """What was told; an event known by its id is ignored, as the ledger does."""

    def __init__(self) -> None:
        self.events: dict[str, ConditionEvent] = {}
        self.told = 0

    async def take(self, events: Sequence[ConditionEvent]) -> None:
        await asyncio.sleep(0)
        self.told += len(events)
        for event in events:
            self.events.setdefault(event.id, event)


async def opened(folder: Path) -> Journal:
    journal = Journal(folder / "journal.db", keep_ms=10**12, max_bytes=2**26)
    await journal.open()
    return journal


def made(folder: Path, journal: Journal, record: Record) -> Judge:
    catalogue = load(catalogue_folder(folder / "catalogue"))
    return Judge(journal, record.take, catalogue, lambda: T0_MS)


async def river(journal: Journal, first: int, count: int) -> None:
    """A level that goes up and down through blue and red, a minute apart."""
    for seq in range(first, first + count):
        now_ms = T0_MS + 60_000 * seq
        value = 2.0 + (seq % 7) * 0.5
        batch = incoming(seq, [Reading("st0007", "wl", now_ms - 50, value)], gateway=GATEWAY)
        await journal.append([batch], now_ms)
        await journal.tick(now_ms)


async def caught_up(judge: Judge, journal: Journal) -> None:
    """Wait until it has judged all there is, and by its catalogue: what comes then is judged."""
    async with asyncio.timeout(PATIENCE_S):
        while judge.health()["position"] < journal.head or not judge.catalogue:
            await asyncio.sleep(0)


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=PATIENCE_S)
    assert done, "one cancellation ends it"


@pytest.mark.parametrize("turns", range(6))
async def test_a_stop_that_meets_an_entry_ends_it(tmp_path: Path, turns: int) -> None:
    journal = await opened(tmp_path)
    judge = made(tmp_path, journal, Record())
    task = asyncio.create_task(judge.run())
    await river(journal, 1, 2)
    await caught_up(judge, journal)
    for seq in range(3, 8):
        # The entry is committed, its waiter is done, and the stop comes before it runs.
        await river(journal, seq, 1)
        for _ in range(turns):
            await asyncio.sleep(0)
        await stopped(task)
        task = asyncio.create_task(judge.run())
        await asyncio.sleep(0)
    await stopped(task)
    await judge.flush()
    await journal.close()


async def test_stopped_at_random_it_tells_what_one_run_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.0)
    chance = random.Random(7)
    plain, torn = tmp_path / "plain", tmp_path / "torn"
    whole, parts = Record(), Record()
    for folder in (plain, torn):
        folder.mkdir()
        journal = await opened(folder)
        await journal.change(load(catalogue_folder(folder / "catalogue")).payload(), T0_MS)
        await river(journal, 1, 60)
        await journal.close()

    journal = await opened(plain)
    judge = made(plain, journal, whole)
    task = asyncio.create_task(judge.run())
    await caught_up(judge, journal)
    await stopped(task)
    await journal.close()

    for _ in range(40):
        journal = await opened(torn)
        judge = made(torn, journal, parts)
        task = asyncio.create_task(judge.run())
        for _ in range(chance.randrange(60)):
            await asyncio.sleep(0)
        await stopped(task)
        if chance.random() < 0.5:
            await judge.flush()  # an orderly end; else it is as after a kill
        await journal.close()
    journal = await opened(torn)
    judge = made(torn, journal, parts)
    task = asyncio.create_task(judge.run())
    await caught_up(judge, journal)
    await stopped(task)
    await journal.close()
    assert settled_hash(parts.events.values()) == settled_hash(whole.events.values())
    assert set(parts.events) == set(whole.events)
    assert len(whole.events) > 20


async def test_its_instant_is_the_newest_entrys_receipt(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    judge = made(tmp_path, journal, Record())
    assert judge.judged_to_ms == 0
    task = asyncio.create_task(judge.run())
    await river(journal, 1, 3)
    await caught_up(judge, journal)
    assert judge.judged_to_ms == T0_MS + 180_000 == judge.health()["judged_to_ms"]
    # The centre's clock is set back: the newest entry counts, not the latest instant.
    await journal.tick(T0_MS - 10_000_000)
    await caught_up(judge, journal)
    assert judge.judged_to_ms == T0_MS - 10_000_000
    await stopped(task)
    await journal.close()


async def test_a_journal_that_is_closed_under_it_ends_it_loudly(tmp_path: Path) -> None:
    journal = await opened(tmp_path)
    judge = made(tmp_path, journal, Record())
    task = asyncio.create_task(judge.run())
    await river(journal, 1, 1)
    await caught_up(judge, journal)
    await stopped(task)
    await journal.close()
    with pytest.raises(JournalError, match="closed"):
        await judge.flush()


class Slow(Record):
    """A record that answers when it is let to; it counts its commits."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0
        self.let = asyncio.Event()
        self.asked = asyncio.Event()

    async def take(self, events: Sequence[ConditionEvent]) -> None:
        self.commits += 1
        self.asked.set()
        await self.let.wait()
        await super().take(events)


async def begun(folder: Path, journal: Journal, judge: Judge) -> asyncio.Task[None]:
    """Have half an hour of the river in the journal before the judge starts."""
    await journal.change(load(catalogue_folder(folder / "catalogue")).payload(), T0_MS)
    await river(journal, 1, 28)
    return asyncio.create_task(judge.run())


async def test_events_of_one_read_share_a_commit_and_show_as_judged_after_it(
    tmp_path: Path,
) -> None:
    journal, record = await opened(tmp_path), Slow()
    judge = made(tmp_path, journal, record)
    task = await begun(tmp_path, journal, judge)
    async with asyncio.timeout(PATIENCE_S):
        await record.asked.wait()
    # It is judged, and not on record yet: then it is not shown as judged, nor may it be saved.
    assert judge.health()["events"] == 0
    assert judge.judged_to_ms == 0
    assert judge.health()["position"] <= 1
    record.let.set()
    await caught_up(judge, journal)
    assert record.told == judge.health()["events"] > 10
    assert record.commits < record.told / 2, "a commit for many"
    assert judge.judged_to_ms == T0_MS + 28 * 60_000
    await stopped(task)
    await journal.close()


async def test_while_more_is_there_to_judge_events_of_many_reads_share_a_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENTRIES_MAX", 2)
    monkeypatch.setattr(module, "TELL_WITHIN_S", 9 * PATIENCE_S)
    monkeypatch.setattr(module, "SAVE_EVERY_S", 9 * PATIENCE_S)
    journal, record = await opened(tmp_path), Slow()
    record.let.set()
    judge = made(tmp_path, journal, record)
    task = await begun(tmp_path, journal, judge)
    await caught_up(judge, journal)
    assert record.told == judge.health()["events"] > 10
    assert record.commits == 1
    # And where nothing else is there, nobody waits for company.
    await river(journal, 29, 3)
    await caught_up(judge, journal)
    assert record.commits > 1
    await stopped(task)
    await journal.close()


async def test_a_save_that_is_due_waits_for_no_company_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENTRIES_MAX", 2)
    monkeypatch.setattr(module, "TELL_WITHIN_S", 9 * PATIENCE_S)
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.0)
    journal, record = await opened(tmp_path), Slow()
    record.let.set()
    judge = made(tmp_path, journal, record)
    task = await begun(tmp_path, journal, judge)
    await caught_up(judge, journal)
    assert record.commits > 3
    await stopped(task)
    await journal.close()


async def test_a_stop_before_the_record_answers_saves_nothing_of_it(tmp_path: Path) -> None:
    journal, stuck, record = await opened(tmp_path), Slow(), Record()
    judge = made(tmp_path, journal, stuck)
    task = asyncio.create_task(judge.run())
    await caught_up(judge, journal)
    await river(journal, 1, 8)
    async with asyncio.timeout(PATIENCE_S):
        await stuck.asked.wait()
    await stopped(task)
    await judge.flush()
    again = made(tmp_path, journal, record)
    task = asyncio.create_task(again.run())
    await caught_up(again, journal)
    assert {event.level for event in record.events.values()} >= {"blue", "red"}
    await stopped(task)
    await journal.close()


async def broken(journal: Journal, when: str = "ON position") -> None:
    """Let the journal's commits fail that touch these rows, as a disk without room would."""
    text = f"CREATE TRIGGER broken BEFORE INSERT {when} BEGIN SELECT RAISE(ABORT, 'no room'); END"
    await journal._writer.submit(lambda desk: desk._db.execute(text))


async def mended(journal: Journal) -> None:
    await journal._writer.submit(lambda desk: desk._db.execute("DROP TRIGGER broken"))


async def test_a_journal_that_cannot_commit_stops_no_judgement_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.0)
    journal, record = await opened(tmp_path), Record()
    judge = made(tmp_path, journal, record)
    task = asyncio.create_task(judge.run())
    await river(journal, 1, 10)
    await caught_up(judge, journal)
    before = len(record.events)
    await broken(journal)
    await river(journal, 11, 20)
    await caught_up(judge, journal)
    assert not task.done()
    assert judge.failures > 0
    assert len(record.events) > before > 0
    assert record.told == len(record.events)
    assert caplog.text.count("event=judge_not_saved") == 1
    # An orderly end with such a disk is orderly; what is unsaved is judged again, to the same ids.
    await stopped(task)
    await judge.flush()
    again = made(tmp_path, journal, record)
    task = asyncio.create_task(again.run())
    await caught_up(again, journal)
    told, known = record.told, len(record.events)
    assert told > known
    await mended(journal)
    await river(journal, 31, 3)
    await caught_up(again, journal)
    await stopped(task)
    await again.flush()
    # Saved now: a third one says nothing of it anew.
    told = record.told
    third = made(tmp_path, journal, record)
    task = asyncio.create_task(third.run())
    await caught_up(third, journal)
    await stopped(task)
    assert record.told == told
    await journal.close()


async def test_rules_in_force_go_on_while_new_ones_cannot_be_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY_S", 0.01)
    journal, record = await opened(tmp_path), Record()
    judge = made(tmp_path, journal, record)
    task = asyncio.create_task(judge.run())
    await river(journal, 1, 2)
    await caught_up(judge, journal)
    await stopped(task)
    await judge.flush()
    rules = tmp_path / "catalogue" / "rules.toml"
    await asyncio.to_thread(rules.write_text, rules.read_text() + "# edited\n")
    catalogue = load(tmp_path / "catalogue")
    assert catalogue.version != judge.health()["catalogue"]
    await broken(journal, "ON entry WHEN new.kind = 'change'")
    again = Judge(journal, record.take, catalogue, lambda: T0_MS)
    task = asyncio.create_task(again.run())
    await river(journal, 3, 6)
    await caught_up(again, journal)
    assert record.events
    assert again.health()["catalogue"] == judge.health()["catalogue"]
    assert again.catalogue == judge.catalogue != catalogue.version
    await mended(journal)
    async with asyncio.timeout(PATIENCE_S):
        while again.health()["catalogue"] != catalogue.version:  # though nothing else comes
            await asyncio.sleep(0.01)
    await stopped(task)
    await journal.close()
