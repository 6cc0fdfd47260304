from __future__ import annotations

import asyncio
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import LIMIT, RIVER, SILENT, STATIONS, STORM, catalogue_in
from rig.history import river
from rig.paperjournal import PaperJournal, run_to_end, written
from rig.rulebook import GATEWAY, START_MS, at, prompt, shuffled, timeline

from egret_aggregator.judge import CONSUMER, Judge
from egret_core.messages import ChannelMeta
from egret_core.partition import ALL
from egret_core.reading import Reading
from egret_core.rules.event import ConditionEvent, Phase, settled_hash

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.catalogue import Catalogue

LIMIT_S = 30  # generous: nothing here takes a second

RULES = f"{RIVER}flap_s = 0\n{STORM}{SILENT}{LIMIT}"


class Sink:
    """Takes events as the ledger does: durable, inserted or ignored by id."""

    def __init__(self) -> None:
        self.events = {}
        self.calls = 0
        self.heard = asyncio.Event()
        self.fail = False

    async def take(self, events: Any) -> None:
        self.calls += 1
        if self.fail:
            raise ConnectionError("the ledger is gone")
        for event in events:
            self.events.setdefault(event.id, event)
        self.heard.set()

    def settled(self) -> list[ConditionEvent]:
        return [e for e in self.events.values() if e.phase is Phase.SETTLED]


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return catalogue_in(tmp_path, STATIONS, RULES)


def judge_of(journal: PaperJournal, sink: Sink, catalogue: Catalogue) -> Judge:
    return Judge(journal, sink.take, catalogue, lambda: START_MS)


async def judged(catalogue: Catalogue, items: Any) -> Any:
    journal, sink = PaperJournal(), Sink()
    first = judge_of(journal, sink, catalogue)
    await run_to_end(first, journal)
    await written(journal, items)
    await run_to_end(first, journal)
    return sink


async def test_readings_become_events_that_name_rule_and_subject(catalogue: Catalogue) -> None:
    sink = await judged(catalogue, timeline(prompt(river())))
    kinds = {(e.hazard, e.subject) for e in sink.settled()}
    assert {("level", "st1/wl"), ("rain", "st1/rn"), ("absence", "gateway/GW-1")} <= kinds
    names = {rule.name for rule in catalogue.rules}
    assert {e.rule for e in sink.settled()} <= names


async def test_kills_anywhere_and_disorder_give_the_same_settled_events(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.judge.ENTRIES_MAX", 5)
    rows = river()
    whole = await judged(catalogue, timeline(prompt(rows)))
    dice = random.Random(11)
    journal, sink = PaperJournal(), Sink()
    await run_to_end(judge_of(journal, sink, catalogue), journal)
    items = timeline(shuffled(rows, 11))
    while items:
        cut = dice.randrange(1, 200)
        part, items = items[:cut], items[cut:]
        await written(journal, part)
        judge = judge_of(journal, sink, catalogue)
        await run_to_end(judge, journal)
        if dice.random() < 0.5:
            await judge.flush()  # else all since the last save is judged again
    assert journal.saves > 3
    assert settled_hash(sink.events.values()) == settled_hash(whole.events.values())


async def test_events_are_durable_before_the_position_is_saved(catalogue: Catalogue) -> None:
    journal, sink = PaperJournal(), Sink()
    judge = judge_of(journal, sink, catalogue)
    await run_to_end(judge, journal)
    await judge.flush()
    saved = (await journal.load(CONSUMER))[0]
    sink.fail = True
    await journal.readings(GATEWAY, START_MS, [Reading("st1", "wl", START_MS, 9.0)])
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(LIMIT_S):
            await judge_of(journal, sink, catalogue).run()
    assert (await journal.load(CONSUMER))[0] == saved
    sink.fail = False
    await run_to_end(judge_of(journal, sink, catalogue), journal)
    assert [e.level for e in sink.events.values()] == ["red"]


async def test_cut_short_within_an_entry_it_saves_nothing_and_loses_no_event(
    catalogue: Catalogue,
) -> None:
    journal, sink = PaperJournal(), Sink()
    judge = judge_of(journal, sink, catalogue)
    await run_to_end(judge, journal)
    await judge.flush()
    reached = asyncio.Event()

    async def never(events: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    stuck = Judge(journal, never, catalogue, lambda: START_MS)
    await journal.tick(START_MS)
    await journal.readings(GATEWAY, START_MS, [Reading("st1", "wl", START_MS, 9.0)])
    task = asyncio.create_task(stuck.run())
    async with asyncio.timeout(LIMIT_S):
        await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await stuck.flush()
    await run_to_end(judge_of(journal, sink, catalogue), journal)
    assert [e.level for e in sink.events.values()] == ["red"]


async def test_a_provisional_event_is_taken_while_the_journal_is_quiet(
    catalogue: Catalogue,
) -> None:
    journal, sink = PaperJournal(), Sink()
    task = asyncio.create_task(judge_of(journal, sink, catalogue).run())
    await journal.wait(0)
    await journal.readings(GATEWAY, START_MS, [Reading("st1", "wl", START_MS, 3.2)])
    async with asyncio.timeout(LIMIT_S):
        await sink.heard.wait()
    assert [str(e.phase) for e in sink.events.values()] == ["provisional"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_saves_when_the_journal_rests(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.judge.SAVE_EVERY_S", 0.05)
    journal, sink = PaperJournal(), Sink()
    task = asyncio.create_task(judge_of(journal, sink, catalogue).run())
    async with asyncio.timeout(LIMIT_S):
        while not journal.saves:
            await asyncio.sleep(0.01)
        await journal.tick(START_MS)
        before = journal.saves
        while journal.saves == before:
            await asyncio.sleep(0.01)
    positions, state = await journal.load(CONSUMER)
    assert positions == {ALL: 2}
    assert json.loads(state["centre"]) == [0, START_MS]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_only_what_changed_is_saved(catalogue: Catalogue) -> None:
    journal, sink = PaperJournal(), Sink()
    judge = judge_of(journal, sink, catalogue)
    await run_to_end(judge, journal)
    await judge.flush()
    await journal.readings(GATEWAY, START_MS, [Reading("st1", "wl", START_MS, 1.0)])
    await run_to_end(judge, journal)
    seen = {}

    async def spy(consumer: str, positions: Any, changed: dict[str, bytes | None]) -> None:
        seen.update(changed)

    journal.save = spy
    await judge.flush()
    assert set(seen) == {"channel/st1/wl", "gateway/GW-1"}


async def test_a_change_takes_effect_at_its_entry(tmp_path: Path, catalogue: Catalogue) -> None:
    journal, sink = PaperJournal(), Sink()
    await run_to_end(judge_of(journal, sink, catalogue), journal)
    for second in (0, 60):
        await journal.readings(GATEWAY, at(second), [Reading("st1", "wl", at(second), 2.5)])
    # The centre stops here, its rules are edited, and it starts again: what was settled under the
    # old rules stays so; the reading at 60 s still waits and is settled under the new ones.
    edit = ("raise = 3.0, clear = 2.8", "raise = 2.0, clear = 1.8")
    edited = catalogue_in(tmp_path, STATIONS, RULES.replace(*edit))
    second = judge_of(journal, sink, edited)
    await run_to_end(second, journal)
    assert sink.events == {}
    await journal.readings(GATEWAY, at(120), [Reading("st1", "wl", at(120), 2.5)])
    await run_to_end(second, journal)
    assert {e.rule for e in sink.events.values()} == {edited.rules[0].name}
    assert [e.time_ms for e in sink.settled()] == [at(60)]


async def test_the_same_catalogue_is_announced_once(catalogue: Catalogue) -> None:
    journal, sink = PaperJournal(), Sink()
    for _ in range(3):
        judge = judge_of(journal, sink, catalogue)
        await run_to_end(judge, journal)
        await judge.flush()
    assert len(journal.entries) == 1


async def test_foreign_unknown_damaged_and_conflicting_entries_cost_no_neighbour(
    catalogue: Catalogue,
) -> None:
    journal, sink = PaperJournal(), Sink()
    judge = judge_of(journal, sink, catalogue)
    await run_to_end(judge, journal)
    await journal.readings("GW-2", at(0), [Reading("st1", "wl", at(0), 9.0)])
    await journal.readings(GATEWAY, at(0), [Reading("st9", "wl", at(0), 9.0)])
    await journal.damaged(GATEWAY, at(0))
    await journal.change(b"{}", at(0))
    await journal.readings(GATEWAY, at(1), [Reading("st1", "wl", at(1), 3.3)])
    await run_to_end(judge, journal)
    assert [(e.level, e.time_ms) for e in sink.events.values()] == [("blue", at(1))]
    health = judge.health()
    assert (health["foreign"], health["unknown"], health["unreadable"]) == (1, 1, 2)


async def test_meta_with_another_datum_stops_judgement_and_is_shown(catalogue: Catalogue) -> None:
    journal, sink = PaperJournal(), Sink()
    judge = judge_of(journal, sink, catalogue)
    await run_to_end(judge, journal)
    meta = ChannelMeta("st1", "wl", "water_level", "m", "Yellow Sea")
    await journal.metas(GATEWAY, at(0), [meta])
    await journal.readings(GATEWAY, at(1), [Reading("st1", "wl", at(1), 9.0)])
    await run_to_end(judge, journal)
    assert sink.events == {}
    assert "Yellow Sea" in judge.health()["misfits"]["st1/wl"]


async def test_it_breathes_within_a_large_batch(catalogue: Catalogue) -> None:
    journal, sink = PaperJournal(), Sink()
    judge = judge_of(journal, sink, catalogue)
    await run_to_end(judge, journal)
    await journal.readings(
        GATEWAY, at(4000), [Reading("st1", "wl", at(n), 1.0) for n in range(2048)]
    )
    task = asyncio.create_task(judge.run())
    steps, seen = 0, set()
    async with asyncio.timeout(LIMIT_S):
        while judge.health()["readings"] < 2048:
            await asyncio.sleep(0)
            seen.add(judge.health()["readings"])
            steps += 1
    assert {256, 512, 1024} <= seen
    assert steps >= 8
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_saved_catalogue_that_is_no_longer_read_gives_way_to_todays(
    catalogue: Catalogue,
) -> None:
    journal, sink = PaperJournal(), Sink()
    await journal.save(CONSUMER, {}, {"catalogue": b'{"texts": {}}'})
    judge = judge_of(journal, sink, catalogue)
    await journal.readings(GATEWAY, at(0), [Reading("st1", "wl", at(0), 9.0)])
    await run_to_end(judge, journal)
    await judge.flush()
    assert [str(entry.kind) for entry in journal.entries] == ["batch", "change"]
    assert sink.events == {}, "today's rules begin at their entry, not in the past"
    assert judge.health()["catalogue"] == catalogue.version
    await journal.readings(GATEWAY, at(60), [Reading("st1", "wl", at(60), 9.0)])
    await run_to_end(judge, journal)
    assert {e.level for e in sink.events.values()} == {"red"}
