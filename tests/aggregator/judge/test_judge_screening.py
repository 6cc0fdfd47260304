"""The judge screens before it judges, keeps what it flagged over a restart, and shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rig.catalogues import BLUE, LEVEL, STATION, catalogue_in, river
from rig.paperjournal import PaperJournal, run_to_end, written
from rig.rulebook import START_MS, at, prompt, timeline

from egret_aggregator.judge import Judge
from egret_aggregator.metrics import stages
from egret_core.quality import Flag, Reason
from egret_core.reading import Reading
from egret_core.rules.event import Phase

if TYPE_CHECKING:
    from pathlib import Path

    from egret_core.rules.event import ConditionEvent

SCREENED = """[station.channel.screening]
unit = "m"
range = { fail = [0.0, 12.0], suspect = [0.5, 4.0] }
spike = { suspect = 0.5, fail = 2.0 }
"""
VALUES = (1.0, 1.0, 99.0, 1.0, 4.0, 4.5, 4.5, 1.0, 3.9, 1.0, -7.0, 1.0)


async def test_the_judge_screens_and_remembers_what_it_flagged(tmp_path: Path) -> None:
    events: dict[str, ConditionEvent] = {}

    async def take(said: Any) -> None:
        events.update({event.id: event for event in said})

    journal = PaperJournal()
    catalogue = catalogue_in(tmp_path, STATION + LEVEL + SCREENED, river(BLUE))
    judge = Judge(journal, take, catalogue, lambda: START_MS)
    await run_to_end(judge, journal)
    items = timeline(prompt(Reading("st1", "wl", at(60 * n), v) for n, v in enumerate(VALUES)))
    await written(journal, items)
    await run_to_end(judge, journal)
    settled = [event for event in events.values() if event.phase is Phase.SETTLED]
    rising = [(event.time_ms, event.evidence["screening"]) for event in settled if event.rank]
    assert rising == [(at(240), ["spike"]), (at(480), ["spike"])]
    counts = {"st1/wl": {"range": [2, 2], "spike": [0, 2]}}  # 3.9, and the dip before it
    assert judge.health()["screened"] == counts
    flags = [(flag.time_ms, flag.flag, flag.reasons) for flag in judge.screened("st1", "wl").flags]
    assert flags[0] == (at(120), Flag.FAIL, Reason.RANGE)
    assert (at(480), Flag.FAIL, Reason.SPIKE) in flags
    assert judge.screened("st1", "wl").counts == counts["st1/wl"]
    assert judge.screened("st1", "rn") == judge.screened("st9", "x") == ((), {})
    figures = stages.judge(judge)
    assert figures['egret_judge_screened_total{reason="range",flag="fail"}'] == 2
    assert figures['egret_judge_screened_total{reason="neighbour",flag="suspect"}'] == 0
    await judge.flush()
    again = Judge(journal, take, catalogue, lambda: START_MS)
    await run_to_end(again, journal)
    assert again.health()["screened"] == counts
    assert again.screened("st1", "wl") == judge.screened("st1", "wl")
