"""Random days of a ledger: events, repeats, acts and restarts; audit and table agree after each."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from rig.events import event
from rig.ledgers import Hands, opened

from egret_aggregator.database.warning_rows import Query
from egret_aggregator.warnings import audit
from egret_aggregator.warnings.acts import Act, ActRefusedError
from egret_aggregator.warnings.record import Kind
from egret_aggregator.warnings.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.warnings import Ledger
    from egret_core.rules.event import ConditionEvent

STEPS = 60
RESTARTS = 4
ACTS = (Kind.ACKNOWLEDGED, Kind.LOWERED, Kind.CLOSED)


class Day:
    """One random day: what was said so far, and what may be said next."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.said: list[ConditionEvent] = []
        self.minute = 0

    def events(self) -> list[ConditionEvent]:
        self.minute += 1
        dice = self.dice
        if self.said and dice.random() < 0.2:
            return dice.choices(self.said, k=3)  # a judge that runs again repeats itself
        news: list[ConditionEvent] = []
        for _ in range(dice.randrange(1, 4)):
            subject = dice.choice(("st1/wl", "st2/wl", "gateway/gw1"))
            change = dice.choice(("raised", "upgraded", "upgraded", "eased", "returned"))
            rank = 0 if change == "returned" else dice.randrange(1, 5)
            phase = dice.choice(("settled", "provisional"))
            names = None
            guesses = [e for e in self.said if e.phase == "provisional" and e.subject == subject]
            if guesses and dice.random() < 0.5:
                names = dice.choice(guesses)
                phase = dice.choice(("settled", "refuted"))
                change, rank = "raised", names.rank
            news.append(event(change, rank, self.minute, phase=phase, names=names, subject=subject))
        self.said += news
        return news

    async def act(self, ledger: Ledger) -> None:
        found = await ledger.find(Query())
        if not found:
            return
        warning = self.dice.choice(found)
        level = min(warning.levels, key=lambda label: warning.levels[label])
        act = Act(
            self.dice.choice(ACTS),
            warning.id,
            f"officer:seat{self.dice.randrange(3)}",
            note=self.dice.choice(("", "seen on site")),
            level=level,
            despite_condition=self.dice.random() < 0.5,
            key=self.dice.choice(("", f"k{self.dice.randrange(5)}")),
        )
        try:
            acted = await ledger.act(act)
        except ActRefusedError:
            assert await ledger.get(warning.id) == warning
            return
        assert acted.state.peak_rank == warning.peak_rank


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_the_day_brings(tmp_path: Path, seed: int) -> None:
    path, day, hands = tmp_path / "egret.db", Day(seed), Hands()
    lines = 0
    for _ in range(RESTARTS):
        async with opened(path, hands) as (ledger, database):
            assert ledger.head.seq == lines
            for _ in range(STEPS // RESTARTS):
                before = {w.id: w for w in await ledger.find(Query())}
                await ledger.take(day.events())
                after = {w.id: w for w in await ledger.find(Query())}
                for id_, warning in before.items():
                    assert after[id_].rank >= warning.rank, "a level fell without a person"
                    closed = (after[id_].state is State.CLOSED, warning.state is State.CLOSED)
                    assert closed[0] == closed[1]
                await day.act(ledger)
            standing = [w for w in await ledger.find(Query()) if w.state is not State.CLOSED]
            assert len({(w.rule, w.subject) for w in standing}) == len(standing)
            report = await audit.verify(database)
            assert report.findings == []
            lines = ledger.head.seq
    unique = len({item.id for item in day.said})
    async with opened(path) as (ledger, database):
        told = [line for line in await ledger.after(0, 10_000) if line.kind == Kind.EVENT]
        assert len(told) == unique  # each once, none lost
        before = await ledger.find(Query())
        assert await audit.rebuild(database) == len(before)
        assert await ledger.find(Query()) == before
