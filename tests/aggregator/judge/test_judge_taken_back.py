"""Rules that the operator took back are in force no longer than until the journal is read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rig.catalogues import RIVER, STATIONS
from rig.paperjournal import PaperJournal
from rig.rulebook import GATEWAY, at

from egret_aggregator.catalogue import Catalogue, of_texts
from egret_aggregator.judge import Judge
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.event import ConditionEvent

LIMIT_S = 30  # generous: nothing here takes a second
KEPT = of_texts(STATIONS, RIVER, "kept")
TAKEN_BACK = of_texts(STATIONS, RIVER.replace("raise = 3.0, clear = 2.8", "raise = 4.5"), "back")


async def in_force(journal: PaperJournal, catalogue: Catalogue) -> tuple[Judge, list[str]]:
    """Start a judge with a catalogue and kill it once that is in force; its events' levels."""
    said: list[str] = []

    async def take(events: Sequence[ConditionEvent]) -> None:
        said.extend(event.level for event in events)

    judge = Judge(journal, take, catalogue, lambda: at(0))
    task = asyncio.create_task(judge.run())
    async with asyncio.timeout(LIMIT_S):
        while (
            judge.health()["catalogue"] != catalogue.version
            or judge.position < journal.entries[-1].id
        ):
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return judge, said


async def test_a_change_that_was_taken_back_is_followed_by_one_that_says_so() -> None:
    journal = PaperJournal()
    judge, _ = await in_force(journal, KEPT)
    await judge.flush()
    # Another start announces other rules and is killed before it saves a thing.
    await journal.change(TAKEN_BACK.payload(), at(10))
    judge, _ = await in_force(journal, KEPT)
    await judge.flush()
    assert [str(entry.kind) for entry in journal.entries] == ["change"] * 3
    await journal.readings(GATEWAY, at(60), [Reading("st1", "wl", at(60), 3.5)])
    await journal.tick(at(200))
    judge, said = await in_force(journal, KEPT)
    assert said == ["blue"]
    assert len(journal.entries) == 5, "and then it is told no more"
