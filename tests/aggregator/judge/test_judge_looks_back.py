"""The judge and late readings: taken up at a tick, read beside it, handed over at a tick."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import LEVEL, RIVER, STATION, STORM, catalogue_in
from rig.lookback import Watch, backlog, falls, live, past
from rig.paperjournal import PaperJournal, PaperLedger
from rig.rulebook import START_MS, at, prompt, reading, timeline

import egret_aggregator.retrospect as module
from egret_aggregator import warmup
from egret_aggregator.errors import StoreError
from egret_aggregator.judge import CONSUMER, Judge
from egret_aggregator.store.memory import MemoryStore
from egret_aggregator.store.model import Note, StoredReading
from egret_aggregator.warmup import StoredPast
from egret_core.rules.event import ConditionEvent, settled_hash
from egret_core.rules.step import Receipt, Tick

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.store import Page
    from egret_core.rules.step import Item

LIMIT_S = 30
STATIONS = f"{STATION}{LEVEL}late_s = 30\n"
GAUGE = (
    STATIONS.replace("wl", "rn").replace("water_level", "rain_total").replace('datum = "Local"', "")
)
RULES = f"""{RIVER}
[[rule]]
id = "silent"
pack = "absence"
channels = ["st1/wl", "gateway/GW-1"]
"""
CALM = prompt(reading(60 * n, 1.0) for n in range(30))
AFTER = prompt(reading(9000 + 60 * n, 1.0) for n in range(10))
FLOOD = [reading(5000 + 300 * n, value) for n, value in enumerate((2.0, 3.6, 5.2, 4.0, 2.0))]
LATE = backlog(FLOOD, 9100)
ROWS = sorted([*CALM, *AFTER, *LATE], key=lambda one: one.received_ms)
FOUND = [("raised", "blue"), ("upgraded", "red"), ("eased", "blue"), ("returned", "")]


class Sink(PaperLedger):
    def __init__(self) -> None:
        super().__init__(lambda event: event.retrospective)

    def past(self) -> list[tuple[str, str]]:
        return [(str(event.change), event.level) for event in past(self.events.values())]


class House:
    """A journal on paper, a store in memory that may be away, and one judge after the other."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.journal, self.sink, self.store = PaperJournal(), Sink(), AwayStore()
        self.recorded_to = 10**9
        self.judge = self.fresh()

    def fresh(self) -> Judge:
        past_ = StoredPast(self.store, lambda: self.recorded_to)
        return Judge(self.journal, self.sink.take, self.catalogue, lambda: START_MS, past=past_)

    async def begin(self) -> None:
        """Put the catalogue in force, which may look into the store too."""
        await self.journal.change(self.catalogue.payload(), START_MS)
        await self.judged()
        await self.judge.flush()
        self.store.reads = 0

    async def write(self, items: Sequence[Item], notes: int = 0) -> None:
        for item in items:
            if isinstance(item, Tick):
                await self.journal.tick(item.now_ms)
            elif isinstance(item, Receipt):
                await self.journal.readings(item.gateway, item.received_ms, item.readings)
                lags = [item.received_ms - one.time_ms for one in item.readings]
                await self.store.write(
                    [
                        StoredReading(*one, notes, lag_ms)
                        for one, lag_ms in zip(item.readings, lags, strict=True)
                    ]
                )

    async def judged(self, *, until_killed: bool = False) -> None:
        """Run until every entry is judged, then end it as a kill would."""
        task = asyncio.create_task(self.judge.run())
        try:
            async with asyncio.timeout(LIMIT_S):
                while self.judge.position < len(self.journal.entries):
                    if task.done():
                        assert until_killed, task.exception()
                        return
                    await asyncio.sleep(0)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def ticks(self, from_s: int, to_s: int) -> None:
        await self.write([Tick(at(second)) for second in range(from_s, to_s, 10)])


class AwayStore(MemoryStore):
    """Counts reads; fails or hangs when told to."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.broken = ""
        self.gate: asyncio.Event | None = None
        self.reads = 0
        self.from_ms: list[int] = []

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        self.reads += 1
        self.from_ms.append(from_ms)
        if self.away or channel == self.broken:
            raise StoreError("no answer")
        if self.gate is not None:
            await self.gate.wait()
        return await super().range(station, channel, from_ms, to_ms, limit)


@pytest.fixture
async def house(tmp_path: Path) -> House:
    made = House(catalogue_in(tmp_path, STATIONS, RULES))
    await made.begin()
    return made


def pure(catalogue: Catalogue, items: Sequence[Item]) -> list[ConditionEvent]:
    return Watch(catalogue.places(), catalogue.rules).play(items)


async def test_a_flood_in_the_backlog_is_told_as_the_pure_fold_tells_it(house: House) -> None:
    items = timeline(ROWS, tail_s=400)
    await house.write(items)
    await house.judged()
    assert house.sink.past() == FOUND
    assert house.judge.health()["looked_back"] == 1
    expected = pure(house.catalogue, items)
    assert settled_hash(house.sink.events.values()) == settled_hash(expected)
    assert {event.id for event in expected} == set(house.sink.events)
    assert {e.hazard for e in live(house.sink.events.values())} == {"absence"}


async def test_killed_after_the_ledger_had_it_it_says_the_same_again(house: House) -> None:
    await house.write(timeline(ROWS, tail_s=400))
    house.sink.dies = True
    await house.judged(until_killed=True)
    first = dict(house.sink.events)
    assert house.sink.past() == FOUND
    house.sink.dies = False
    house.judge = house.fresh()
    await house.judged()
    assert past(house.sink.events.values()) == past(first.values())
    assert house.store.reads == 1, "it was told from saved state: the store was not asked again"


async def test_what_was_found_is_saved_before_the_next_entry(house: House) -> None:
    await house.write(timeline(ROWS, tail_s=400))
    house.sink.dies = True
    await house.judged(until_killed=True)
    _, state = await house.journal.load(CONSUMER)
    waiting = json.loads(state["channel/st1/wl"])["backlog"][3]
    assert [row["level"] for row in waiting] == [level for _, level in FOUND]


async def test_a_store_that_is_away_costs_no_wait_and_is_asked_again(house: House) -> None:
    house.store.away = True
    await house.write(timeline(ROWS, tail_s=400))
    await house.judged()
    tries = house.store.reads
    assert 1 <= tries <= 14, "once a minute, of 13 minutes of running time"
    assert house.sink.past() == []
    assert house.judge.health()["looked_back"] == 0
    house.store.away = False
    await house.ticks(10_000, 10_200)
    await house.judged()
    assert house.sink.past() == FOUND


async def test_a_channel_that_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    _, _, channel = STATIONS.partition("[[station.channel]]")
    second = "[[station.channel]]" + channel.replace("wl", "w2")
    rules = RULES.partition('[[rule]]\nid = "silent"')[0].replace('"st1/wl"', '"st1/*"')
    house = House(catalogue_in(tmp_path, STATIONS + second, rules))
    await house.begin()
    house.store.broken = "wl"
    both = [
        one._replace(reading=one.reading._replace(channel=name))
        for one in ROWS
        for name in ("wl", "w2")
    ]
    await house.write(timeline(both, tail_s=400))
    await house.judged()
    assert house.sink.past() == FOUND
    assert {event.subject for event in past(house.sink.events.values())} == {"st1/w2"}
    house.store.broken = ""
    await house.ticks(10_000, 10_200)
    await house.judged()
    assert house.sink.past() == FOUND * 2


async def test_a_store_that_is_behind_is_asked_later(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warmup, "RECORDED_MAX_S", 0.0)
    house.recorded_to = 5
    await house.write(timeline(ROWS, tail_s=400))
    await house.judged()
    assert (house.store.reads, house.sink.past()) == (0, [])
    assert house.judge.health()["look_back_failed"] >= 1
    house.recorded_to = 10**9
    await house.ticks(10_000, 10_200)
    await house.judged()
    assert house.sink.past() == FOUND


async def test_a_read_that_hangs_holds_nobody_up(house: House) -> None:
    house.store.gate = asyncio.Event()
    await house.write(timeline(ROWS, tail_s=400))
    await house.judged()
    assert house.judge.position == len(house.journal.entries)
    assert house.sink.past() == []
    house.store.gate.set()
    await house.ticks(10_000, 10_100)
    await house.judged()
    assert house.sink.past() == FOUND, "what was under way ended with the judge, and began anew"


async def test_what_came_after_the_tick_is_left_for_the_next_time(house: House) -> None:
    house.store.gate = asyncio.Event()
    more = backlog([reading(7000, 5.9)], 9500)
    rows = sorted([*ROWS, *more], key=lambda one: one.received_ms)
    await house.write(timeline(rows, tail_s=0))
    task = asyncio.create_task(house.judge.run())
    async with asyncio.timeout(LIMIT_S):
        while house.judge.position < len(house.journal.entries):
            await asyncio.sleep(0)
        house.store.gate.set()
        await asyncio.sleep(0.01)
        await house.ticks(9510, 9530)
        while not house.sink.past():
            await asyncio.sleep(0)
        assert house.sink.past() == FOUND
        await house.ticks(9530, 9700)
        while len(house.sink.past()) == len(FOUND):
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert house.sink.past() == [*FOUND, ("raised", "red")]


async def test_rows_that_were_never_to_be_judged_are_left_out(house: House) -> None:
    for note in (Note.IMPORTED, Note.CLOCK_AHEAD, Note.UNKNOWN_CHANNEL):
        one = StoredReading("st1", "wl", at(6000 + note), 9.0, None, 1, 0, int(note), 3_105_000)
        await house.store.write([one])
    early = StoredReading("st1", "wl", at(7000), 9.0, None, 1, 0, 0, 1000)
    await house.store.write([early])
    await house.write(timeline(ROWS, tail_s=400))
    await house.judged()
    assert house.sink.past() == FOUND


async def test_pages_and_their_limit(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 2)
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    await house.write(timeline(ROWS, tail_s=400))
    await house.judged()
    assert (house.sink.past(), house.store.reads) == (FOUND, 3)
    monkeypatch.setattr(module, "ROWS_MAX", 2)
    again = House(house.catalogue)
    await again.begin()
    await again.write(timeline(ROWS, tail_s=400))
    await again.judged()
    assert again.sink.past() == FOUND[:1], "what was read is told, what follows is a jump"


async def test_a_judge_without_a_past_does_not_look_back(house: House) -> None:
    house.judge = Judge(house.journal, house.sink.take, house.catalogue, lambda: START_MS)
    await house.write(timeline(ROWS, tail_s=400))
    await house.judged()
    assert (house.sink.past(), house.store.reads) == ([], 0)


async def test_an_ended_judge_leaves_no_task_behind(house: House) -> None:
    house.store.gate = asyncio.Event()
    await house.write(timeline(ROWS, tail_s=400))
    before = len(asyncio.all_tasks())
    await house.judged()
    assert len(asyncio.all_tasks()) == before


async def test_an_index_is_brought_up_to_date_from_the_store(tmp_path: Path) -> None:
    rules = (
        '[[rule]]\nid = "ground"\npack = "jma-soil-water"\nchannels = ["st1/rn"]\n'
        '[rule.parameters]\nlevels = [{ level = "red", raise = 60 }]\n'
    )
    house = House(catalogue_in(tmp_path, GAUGE, rules))
    await house.begin()
    rows = falls(*[0] * 5, *[30] * 40, *[0] * 40, step_s=600)
    heard = prompt([*rows[:5], *rows[45:]])
    items = timeline([*heard, *backlog(rows[5:45], 85 * 600)], tail_s=400)
    await house.write(items)
    await house.judged()
    await house.judge.flush()
    _, state = await house.journal.load(CONSUMER)
    watch = Watch(house.catalogue.places(), house.catalogue.rules)
    watch.play(timeline(prompt(rows), tail_s=400))
    (rule,) = watch.fold.channels["st1"]["rn"].detectors
    (said,) = json.loads(state["channel/st1/rn"])["rules"].values()
    assert said == json.loads(json.dumps(rule.dump()))
    assert house.judge.health()["looked_back"] == 1


@pytest.mark.parametrize("minutes", [0, 1, 30])
async def test_a_storms_onset_is_no_matter_of_the_stores_pace(tmp_path: Path, minutes: int) -> None:
    """The store answers so late; the channel goes on meanwhile and is read on with from there."""
    house = House(catalogue_in(tmp_path, GAUGE, STORM))
    await house.begin()
    house.store.gate = asyncio.Event()
    rows = falls(*[0] * 800, *[10] * 100, *[0] * 60)  # away from minute 10 to 880
    late = backlog(rows[10:880], 60 * 880 + 5, 0.01)
    known = sorted([*prompt([*rows[:10], *rows[880:]]), *late], key=lambda one: one.received_ms)
    away = range(at(60 * 12), at(60 * 878))  # no ticks then: nothing would happen
    items = [one for one in timeline(known, tail_s=120) if getattr(one, "now_ms", 0) not in away]
    answers_ms = at(60 * 882 + 60 * minutes)
    task = asyncio.create_task(house.judge.run())
    async with asyncio.timeout(LIMIT_S):
        for item in items:
            if getattr(item, "now_ms", 0) >= answers_ms:
                house.store.gate.set()
            await house.write([item])
            while house.judge.position < len(house.journal.entries):
                await asyncio.sleep(0)
            while house.store.gate.is_set() and house.judge._second.reading:
                await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    (onset, *_) = (e for e in live(house.sink.events.values()) if e.hazard == "rain")
    assert (str(onset.change), onset.level, onset.time_ms) == ("raised", "orange", at(60 * 849))
    assert house.judge.health()["looked_back"] == 1
    gap, after, *on = house.store.from_ms
    assert (gap, after) == (at(60 * 9) + 1, at(60 * 880))
    assert on == ([at(60 * 881) + 1] if minutes else []), "what was read is not read again"


def test_this_stream_has_a_flood_that_nobody_saw_live() -> None:
    values: list[Any] = [one.reading.value for one in (*CALM, *AFTER)]
    assert max(values) < 3 < max(one.value or 0 for one in FLOOD)
