"""A rule is taken out of `rules.toml` while its level holds: told once, cut where it may be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import RIVER, STATIONS
from rig.paperjournal import PaperJournal
from rig.rulebook import GATEWAY, at

from egret_aggregator.catalogue import Catalogue, of_texts
from egret_aggregator.judge import Judge
from egret_aggregator.store import Page, StoredReading
from egret_core.reading import Reading
from egret_core.rules.event import ConditionEvent, Phase

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.journal.entry import Entry

LIMIT_S = 60
CUTS_MAX = 60  # more places to fail than a change has
VOTE = """
[[rule]]
id = "agreed"
pack = "generic-vote"
inputs = [{ rule = "river" }]
parameters = { need = 1 }
"""
BEFORE = of_texts(STATIONS, RIVER + VOTE, "before")
HIGHER = RIVER.replace("raise = 3.0, clear = 2.8", "raise = 4.9, clear = 4.7")
LOWER = RIVER.replace("raise = 3.0, clear = 2.8", "raise = 3.1, clear = 2.9")
ROWS = [Reading("st1", "wl", at(60 * n), 3.5) for n in range(6)]
CHANGE_S = 400


class PowerCutError(Exception):
    """The power is gone."""


class Fuse:
    """Counts down; at its end the power is cut, once."""

    def __init__(self, left: int) -> None:
        self.left = left

    @property
    def blown(self) -> bool:
        return self.left < 0

    def burn(self) -> None:
        if self.left == 0:
            self.left = -1
            raise PowerCutError
        self.left -= self.left > 0


class Fused(PaperJournal):
    """A journal before and after each of whose doings the power may fail."""

    def __init__(self) -> None:
        super().__init__()
        self.fuse = Fuse(10**9)

    async def read(self, positions: Mapping[int, int], limit: int) -> list[Entry]:
        self.fuse.burn()
        return await super().read(positions, limit)

    async def save(
        self, consumer: str, positions: Mapping[int, int], changed: Mapping[str, bytes | None]
    ) -> None:
        self.fuse.burn()
        await super().save(consumer, positions, changed)
        self.fuse.burn()

    async def change(self, payload: bytes, now_ms: int) -> int:
        self.fuse.burn()
        id_ = await super().change(payload, now_ms)
        self.fuse.burn()
        return id_


class PaperPast:
    """What was recorded, on paper."""

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self._rows = [StoredReading(*row, 0, 500) for row in ROWS]

    async def recorded(self, entry: int) -> bool:
        self._fuse.burn()
        return entry > 0

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        self._fuse.burn()
        rows = [row for row in self._rows if from_ms <= row.time_ms < to_ms]
        return Page(rows[:limit] if (station, channel) == ("st1", "wl") else [], truncated=False)

    async def latest(self) -> list[StoredReading]:
        return self._rows[-1:]

    async def metas(self) -> list[Any]:
        return []


class Centre:
    """A judge that is started anew after every power cut, and what the ledger has of it."""

    def __init__(self, fuse: Fuse) -> None:
        self.journal, self.fuse = Fused(), fuse
        self.events: dict[str, ConditionEvent] = {}
        self.repeats = 0
        self.now_ms = at(CHANGE_S)

    async def _take(self, events: Sequence[ConditionEvent]) -> None:
        self.journal.fuse.burn()
        for event in events:
            self.repeats += event.id in self.events
            self.events.setdefault(event.id, event)
        self.journal.fuse.burn()

    async def judged(self, catalogue: Catalogue) -> None:
        """Judge all there is under a catalogue, however often the power fails."""
        while True:
            past = PaperPast(self.journal.fuse)
            judge = Judge(self.journal, self._take, catalogue, lambda: self.now_ms, past=past)
            task = asyncio.create_task(judge.run())
            try:
                async with asyncio.timeout(LIMIT_S):
                    while not task.done() and not self._over(judge, catalogue):
                        await asyncio.sleep(0)
                if not task.done():
                    await judge.flush()
                    return
            except PowerCutError:
                continue
            finally:
                task.cancel()
                (gone,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(gone, PowerCutError), gone

    def _over(self, judge: Judge, catalogue: Catalogue) -> bool:
        in_force = judge.health()["catalogue"] == catalogue.version
        return in_force and judge.position >= self.journal.entries[-1].id

    def said(self) -> list[tuple[str, str, str, str]]:
        return [
            (one.rule.partition("@")[0], str(one.change), one.level, one.reason)
            for one in self.events.values()
            if one.phase is Phase.SETTLED
        ]


async def lived(after: str, left: int) -> Centre:
    """Live through a change of rules; the power fails at its doing number `left`."""
    centre = Centre(Fuse(left))
    journal = centre.journal
    await centre.judged(BEFORE)
    for row in ROWS:
        await journal.readings(GATEWAY, row.time_ms + 500, [row])
    for second in range(310, CHANGE_S, 10):
        await journal.tick(at(second))
    await centre.judged(BEFORE)
    journal.fuse = centre.fuse
    catalogue = of_texts(STATIONS, after, "after")
    await centre.judged(catalogue)
    for second in range(CHANGE_S + 10, CHANGE_S + 300, 10):
        await journal.tick(at(second))
    await centre.judged(catalogue)
    return centre


HELD = [("river", "raised", "blue", "at_or_above"), ("agreed", "raised", "blue", "inputs_hold")]
ENDED = [("river", "returned", "", "rule_withdrawn"), ("agreed", "returned", "", "rule_withdrawn")]
CASES = {
    "both withdrawn": ("", ENDED),
    "the vote withdrawn": (RIVER, ENDED[1:]),
    "nothing reached any more": (HIGHER + VOTE, ENDED),
    "still reached": (LOWER + VOTE, HELD),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_holds_ends_with_its_rule(case: str) -> None:
    rules, expected = CASES[case]
    centre = await lived(rules, 10**9)
    assert centre.said() == [*HELD, *expected]
    assert centre.repeats == 0


@pytest.mark.parametrize("case", CASES)
async def test_a_power_cut_at_any_doing_of_the_change_says_the_same_once(case: str) -> None:
    rules, _ = CASES[case]
    whole = await lived(rules, 10**9)
    repeats = 0
    for left in range(CUTS_MAX):
        centre = await lived(rules, left)
        assert centre.events == whole.events, left
        repeats += centre.repeats
        if not centre.fuse.blown:
            assert left > 8, "the power was cut at every doing"
            break
    else:
        pytest.fail(f"raise CUTS_MAX: a change has more than {CUTS_MAX} doings")
    assert repeats, "a cut between ledger and journal has events told twice, to the same ids"


async def test_rules_put_back_judge_anew_and_the_level_is_raised_again() -> None:
    centre = await lived("", 10**9)
    centre.now_ms = at(CHANGE_S + 305)
    await centre.judged(BEFORE)
    for second in range(310, 600, 10):
        await centre.journal.tick(at(CHANGE_S + second))
    await centre.judged(BEFORE)
    assert centre.said() == [*HELD, *ENDED, *HELD]  # the ledger would ignore a known id
