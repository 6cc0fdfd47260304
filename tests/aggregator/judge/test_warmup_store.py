"""A change of rules over a real journal, a real recorder and a real store."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import STATIONS, catalogue_in
from rig.judging import fill, journal_in
from rig.paperjournal import PaperLedger
from rig.rulebook import at, prompt, reading, shuffled, timeline
from rig.rulebook import place as channel_place

import egret_aggregator.warmup as module
from egret_aggregator.errors import StoreError
from egret_aggregator.judge import Judge
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import MetaFact, Note, SqliteStore, StoredReading
from egret_aggregator.warmup import StoredPast
from egret_core.messages import ChannelMeta
from egret_core.rules.event import Phase, settled_hash
from egret_core.rules.step import Receipt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.journal import Journal
    from egret_aggregator.warmup import Past
    from egret_core.reading import Reading

LIMIT_S = 60
GAUGE = channel_place("rn", "rain_total")
OLD_RULES = '[[rule]]\nid = "silent"\npack = "absence"\nchannels = ["st1/*"]\n'
NEW_RULES = """
[[rule]]
id = "storm"
pack = "cn-rain-signals"
channels = ["st1/rn"]
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl"]
parameters = { unit = "m", datum = "Local", hold_s = 0, levels = [
  { level = "blue", raise = 3.0, clear = 2.8 }, { level = "red", raise = 5.0, clear = 4.8 },
] }
"""
HOURS = 13
CHANGE_S = HOURS * 3600 + 20
STORM: list[Reading] = [
    one
    for n in range(HOURS * 12)
    for one in (
        reading(300 * n, 2.0 + 0.01 * n),  # over 3.0 from n = 100 on
        reading(300 * n + 7, 100 + 0.5 * n, GAUGE),  # 6 mm an hour
    )
]


class Sink(PaperLedger):
    def __init__(self) -> None:
        super().__init__(lambda event: event.rule.startswith("river"))

    def said(self, rule: str) -> list[tuple[str, str, int]]:
        return [
            (str(e.change), e.level, e.time_ms)
            for e in self.events.values()
            if e.rule.startswith(rule) and e.phase is Phase.SETTLED
        ]


class House:
    """A centre's journal, recorder and store, and the catalogues before and after a change."""

    def __init__(self, folder: Path, journal: Journal, store: SqliteStore) -> None:
        self.journal, self.store, self.sink = journal, store, Sink()
        self.recorder = Recorder(journal, store, owner=lambda *_: "GW-1", known=())
        self.past: Past | None = StoredPast(store, lambda: self.recorder.position)
        self.old = self.catalogue(folder / "old", OLD_RULES)
        self.new = self.catalogue(folder / "new", OLD_RULES + NEW_RULES)

    def catalogue(self, folder: Path, rules: str) -> Catalogue:
        folder.mkdir()
        return catalogue_in(folder, STATIONS, rules)

    def judge(self, catalogue: Catalogue) -> Judge:
        return Judge(self.journal, self.sink.take, catalogue, lambda: 0, past=self.past)

    async def record(self) -> None:
        task = asyncio.create_task(self.recorder.run())
        await self._until(lambda: self.recorder.position >= self.journal.head, task)

    async def judged(self, catalogue: Catalogue, *, flush: bool = True) -> Judge:
        judge = self.judge(catalogue)
        task = asyncio.create_task(judge.run())
        await self._until(lambda: judge.health()["position"] >= self.journal.head, task)
        if flush:
            await judge.flush()
        return judge

    async def _until(self, done: Any, task: asyncio.Task[None]) -> None:
        try:
            async with asyncio.timeout(LIMIT_S):
                while not done():
                    assert not task.done(), task.exception()
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def half_a_day(self, rows: Sequence[Any] | None = None) -> None:
        """Half a day of rain under the old rules, then the change."""
        await self.journal.change(self.old.payload(), at(0))
        items = timeline(rows if rows is not None else prompt(STORM), tail_s=600)
        # A tick costs a commit: those of the last quarter of an hour are enough here.
        kept = [i for i in items if isinstance(i, Receipt) or _when(i) > at(CHANGE_S - 900)]
        await fill(self.journal, [item for item in kept if _when(item) < at(CHANGE_S)])
        await self.record()
        await self.judged(self.old)
        await self.journal.change(self.new.payload(), at(CHANGE_S))
        await self.record()

    async def without_journal(self, datum: str) -> Judge:
        """Judge the new rules where the store holds the storm and the journal nothing of it."""
        rows = [StoredReading(*one, 0, 500) for one in STORM]
        meta = ChannelMeta("st1", "wl", "water_level", "m", datum=datum)
        await self.store.write(rows, metas=[MetaFact(meta, "GW-1", "v", at(0))])
        await self.journal.change(self.new.payload(), at(CHANGE_S))
        await self.record()
        await self.tick()
        return await self.judged(self.new)

    async def tick(self, second: float = CHANGE_S + 10) -> None:
        await self.journal.tick(at(second))


def _when(item: Any) -> int:
    return int(getattr(item, "now_ms", 0) or getattr(item, "received_ms", 0))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[House]:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    journal, store = journal_in(folder), SqliteStore(folder / "series.db")
    await journal.open()
    await store.open()
    try:
        house = House(folder, journal, store)
        await house.recorder.open()
        yield house
    finally:
        await store.close()
        await journal.close()


# The ladder looks back over `gap_s` before the change, 90 minutes: its first reading was over.
RIVER_SAID = [("raised", "blue", at(300 * 139))]
# The rung of 3 h is at 50 mm and never reached; 12 h reaches 50 mm after 100 steps of 0.5 mm.
RAIN_SAID = [("raised", "blue", at(300 * 100 + 7))]


async def test_a_new_rule_says_at_the_next_tick_what_has_held_for_hours(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.half_a_day()
        await house.tick()
        judge = await house.judged(house.new)
        assert house.sink.said("river") == RIVER_SAID
        assert house.sink.said("storm") == RAIN_SAID
        assert (judge.health()["warm"], judge.health()["cold"]) == (2, 0)


async def test_it_does_not_say_it_again_at_the_next_reading(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.half_a_day()
        later = [reading(CHANGE_S + 60 * n, 3.6) for n in range(1, 6)]
        await fill(house.journal, timeline(prompt(later), head_s=-CHANGE_S)[1:])
        await house.judged(house.new)
        assert house.sink.said("river") == RIVER_SAID


async def test_without_a_past_the_new_rule_is_cold(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        house.past = None
        await house.half_a_day()
        await house.tick()
        await house.judged(house.new)
        assert house.sink.said("river") == house.sink.said("storm") == []


async def test_killed_after_its_word_it_says_the_same_though_the_store_has_grown(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as house:
        await house.half_a_day()
        await house.tick()
        house.sink.dies = True
        with pytest.raises(AssertionError, match="killed after"):
            await house.judged(house.new, flush=False)
        house.sink.dies = False
        first = dict(house.sink.events)
        # What was received late lands in the past: read anew, history would be another one.
        early = StoredReading("st1", "wl", at(300 * 145 - 100), 3.3, None, 1, 0, 0, 500)
        await house.store.write([early])
        await house.judged(house.new)
        assert house.sink.events.keys() == first.keys()
        assert house.sink.said("river") == RIVER_SAID


async def test_cut_short_within_the_change_nothing_of_it_is_saved(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.half_a_day()
        reached, forever = asyncio.Event(), asyncio.Event()

        class Stuck(StoredPast):
            async def metas(self) -> list[MetaFact]:
                reached.set()
                await forever.wait()
                return []

        sound, house.past = house.past, Stuck(house.store, lambda: house.recorder.position)
        judge = house.judge(house.new)
        task = asyncio.create_task(judge.run())
        await asyncio.wait_for(reached.wait(), LIMIT_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await judge.flush()
        house.past = sound
        await house.tick()
        await house.judged(house.new)
        assert house.sink.said("river") == RIVER_SAID


async def test_what_came_after_the_change_is_no_history(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        await house.half_a_day()
        await house.store.write(
            [StoredReading("st1", "wl", at(CHANGE_S - 3000), 1.0, None, 1, 0, 0, 3_000_001)]
        )
        ahead = StoredReading("st1", "wl", at(CHANGE_S - 2990), 1.0, None, 1, 0, 0, -90_000)
        await house.store.write([ahead._replace(notes=int(Note.CLOCK_AHEAD))])
        await house.tick()
        await house.judged(house.new)
        assert house.sink.said("river") == RIVER_SAID


async def test_a_channel_without_history_is_not_asked_for(tmp_path: Path) -> None:
    """A new centre of thousands of channels must not stand still at its first start."""
    async with opened(tmp_path) as house:
        await house.journal.change(house.new.payload(), at(CHANGE_S))
        await house.record()
        house.past = Broken(house, "range")
        health = (await house.judged(house.new)).health()
        assert (health["warm"], health["cold"]) == (2, 0)


class Broken(StoredPast):
    """A store that fails at a chosen question."""

    def __init__(self, house: House, at_question: str, good: int = 0) -> None:
        super().__init__(house.store, lambda: house.recorder.position)
        self.at_question, self.good = at_question, good

    async def range(self, *args: Any) -> Any:
        self._fail("range")
        return await super().range(*args)

    async def metas(self) -> list[MetaFact]:
        self._fail("metas")
        return await super().metas()

    def _fail(self, question: str) -> None:
        if question == self.at_question:
            self.good -= 1
            if self.good < 0:
                raise StoreError("the disk is gone")


@pytest.mark.parametrize(
    ("question", "good", "page"),
    [("metas", 0, 20), ("range", 0, 20), ("range", 1, 4), ("range", 2, 20)],
)
async def test_a_store_that_fails_stops_no_judgement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str, good: int, page: int
) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", page)
    async with opened(tmp_path) as house:
        await house.half_a_day()
        house.past = Broken(house, question, good)
        later = [reading(CHANGE_S + 60 * n, 5.6) for n in range(1, 4)]
        await fill(house.journal, timeline(prompt(later), head_s=-CHANGE_S)[1:])
        judge = await house.judged(house.new)
        # In the last case one channel was read whole before the store failed.
        warm = good == 2
        word = "upgraded" if warm else "raised"
        expected = (*RIVER_SAID * warm, (word, "red", at(CHANGE_S + 60)))
        assert tuple(house.sink.said("river")) == expected
        assert (judge.health()["warm"], judge.health()["cold"]) == (int(warm), 2 - warm)


async def test_a_recorder_that_stands_still_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECORDED_MAX_S", 0.05)
    async with opened(tmp_path) as house:
        await house.half_a_day()
        house.past = StoredPast(house.store, lambda: 0)
        await house.tick()
        await house.judged(house.new)
        assert house.sink.said("river") == RIVER_SAID


async def test_a_store_that_hangs_costs_its_budget_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUDGET_S", 0.2)
    async with opened(tmp_path) as house:
        await house.half_a_day()

        class Hangs(StoredPast):
            async def range(self, *args: Any) -> Any:
                if args[1] == "rn":
                    await asyncio.Event().wait()
                return await super().range(*args)

        house.past = Hangs(house.store, lambda: house.recorder.position)
        await house.tick()
        judge = await house.judged(house.new)
        assert house.sink.said("river") == RIVER_SAID
        assert house.sink.said("storm") == []
        assert (judge.health()["warm"], judge.health()["cold"]) == (1, 1)


async def test_a_history_longer_than_its_limit_leaves_the_rule_cold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_MAX", 50)
    async with opened(tmp_path) as house:
        await house.half_a_day()
        await house.tick()
        judge = await house.judged(house.new)
        # The ladder looks back over an hour, the rain rule over a day.
        assert house.sink.said("river") != []
        assert house.sink.said("storm") == []
        assert judge.health()["cold"] == 1


async def test_an_empty_journal_over_an_old_store_warms_up_too(tmp_path: Path) -> None:
    """A centre whose journal was lost: every rule is new, the store is not."""
    async with opened(tmp_path) as house:
        await house.without_journal("Local")
        assert house.sink.said("storm") == RAIN_SAID


async def test_facts_of_another_datum_keep_the_history_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        judge = await house.without_journal("Elsewhere")
        assert house.sink.said("river") == []
        assert "Elsewhere" in judge.health()["misfits"]["st1/wl"]


async def test_shuffled_and_in_order_settle_the_same_over_a_change(tmp_path: Path) -> None:
    hashes = set()
    for number, rows in enumerate((prompt(STORM), shuffled(STORM, 1), shuffled(STORM, 2))):
        async with opened(tmp_path / str(number)) as house:
            await house.half_a_day(rows)
            left = [item for item in timeline(rows, tail_s=900) if _when(item) >= at(CHANGE_S)]
            await fill(house.journal, left)
            await house.judged(house.new)
            hashes.add(settled_hash(house.sink.events.values()))
            assert house.sink.said("storm") == RAIN_SAID
    assert len(hashes) == 1
