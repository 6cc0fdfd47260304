"""The second stage in the judge: its events are taken as all others, and survive kills."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import catalogue_in
from rig.jointbook import PLACES, RAIN, RIVER, rivers_and_rain
from rig.paperjournal import PaperJournal, PaperLedger, run_to_end, written
from rig.rulebook import GATEWAY, START_MS, at, prompt, reading, shuffled, timeline

from egret_aggregator.catalogue import Catalogue, load
from egret_aggregator.judge import Judge
from egret_core.rules.event import ConditionEvent, Phase, settled_hash

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

JOINT = """
[[rule]]
id = "agreed"
pack = "generic-vote"
area = "valley"
inputs = [{ rule = "river", channels = ["st1/wl", "st2/wl", "st3/wl"] }]
parameters = { need = 2, stale_s = 900 }
[[rule]]
id = "rain-to-flood"
pack = "rain-to-flood"
inputs = [{ rule = "rain" }, { rule = "agreed", name = "river" }]
"""


def stations() -> str:
    out = ""
    for name in sorted({one.station for one in PLACES}):
        out += f'[[station]]\nid = "{name}"\nname = "{name}"\nlatitude = 1\nlongitude = 2\n'
        for one in PLACES:
            if one.station == name:
                out += f'[[station.channel]]\nid = "{one.channel}"\nquantity = "{one.quantity}"\n'
                out += f'datum = "{one.datum}"\ngateway = "{GATEWAY}"\nlate_s = 30\n'
    return out


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return catalogue_in(tmp_path, stations(), RIVER + RAIN + JOINT)


class Centre(PaperLedger):
    """A journal, a judge that can be killed, and what was taken of it."""

    def __init__(self) -> None:
        super().__init__()
        self.journal = PaperJournal()

    def of(self, rule: str) -> list[ConditionEvent]:
        return [e for e in self.events.values() if e.rule.partition("@")[0] == rule]

    async def run(self, catalogue: Catalogue, items: Sequence[Any] = ()) -> Judge:
        """Journal the items, judge to the end, and kill the judge."""
        await written(self.journal, items)
        judge = Judge(self.journal, self.take, catalogue, lambda: START_MS)
        await run_to_end(judge, self.journal)
        return judge


async def test_kills_and_disorder_change_nothing_of_the_second_stage(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.judge.ENTRIES_MAX", 5)
    monkeypatch.setattr("egret_aggregator.judge.SAVE_EVERY_S", 0.0)
    rows = rivers_and_rain(3, 700, {"st2": (200, 420)})
    whole, killed = Centre(), Centre()
    await whole.run(catalogue)
    await whole.run(catalogue, timeline(prompt(rows)))
    await killed.run(catalogue)
    items = timeline(shuffled(rows, 3))
    for start in range(0, len(items), 331):
        await killed.run(catalogue, items[start : start + 331])
    assert settled_hash(killed.events.values()) == settled_hash(whole.events.values())
    assert len(whole.of("agreed")) > 3
    assert {event.subject for event in whole.of("rain-to-flood")} == {"area/rain-to-flood"}


async def test_a_rule_that_comes_later_takes_what_holds_and_is_told_of_what_is_missing(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    (tmp_path / "rules.toml").write_text(RIVER + RAIN)
    centre = Centre()
    await centre.run(load(tmp_path))
    rows = [reading(60 * n, 4.5, PLACES[2 * k]) for n in range(3) for k in (0, 1)]
    await centre.run(load(tmp_path), timeline(prompt(sorted(rows, key=lambda r: r.time_ms))))
    assert centre.of("agreed") == []
    judge = await centre.run(catalogue)  # announced at START_MS: the paper journal's clock
    for second in range(300, 400, 10):
        await centre.journal.tick(at(second))
    judge = await centre.run(catalogue)
    (event,) = centre.of("agreed")
    assert (event.level, event.phase, event.subject) == ("orange", Phase.SETTLED, "area/valley")
    gone = judge.health()["inputs_missing"]
    assert [names for rule, names in gone.items() if rule == event.rule] == [["st3/wl"]]
