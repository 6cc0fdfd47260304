"""The judge screens before it judges, keeps what it flagged over a restart, and shows it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rig.paperjournal import PaperJournal
from rig.rulebook import START_MS, at, prompt, timeline

from egret_aggregator.catalogue import load
from egret_aggregator.judge import Judge
from egret_aggregator.metrics import stages
from egret_core.quality import Flag, Reason
from egret_core.reading import Reading
from egret_core.rules.event import Phase

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.catalogue import Catalogue
    from egret_core.rules.event import ConditionEvent

LIMIT_S = 30
STATIONS = """
[[station]]
id = "st1"
name = "A"
latitude = 1
longitude = 2
[[station.channel]]
id = "wl"
quantity = "water_level"
datum = "Local"
gateway = "GW-1"
[station.channel.screening]
unit = "m"
range = { fail = [0.0, 12.0], suspect = [0.5, 4.0] }
spike = { suspect = 0.5, fail = 2.0 }
"""
RULES = """
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl"]
[rule.parameters]
unit = "m"
datum = "Local"
hold_s = 0
levels = [{ level = "blue", raise = 3.0, clear = 2.8 }]
"""
VALUES = (1.0, 1.0, 99.0, 1.0, 4.0, 4.5, 4.5, 1.0, 3.9, 1.0, -7.0, 1.0)


def catalogue_in(folder: Path) -> Catalogue:
    (folder / "stations.toml").write_text(STATIONS)
    (folder / "rules.toml").write_text(RULES)
    return load(folder)


async def run_to_end(judge: Judge, journal: PaperJournal) -> None:
    async with asyncio.timeout(LIMIT_S):
        task = asyncio.create_task(judge.run())
        while judge.health()["position"] < len(journal.entries) or not journal.entries:
            await asyncio.sleep(0)
            assert not task.done(), task.exception()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_the_judge_screens_and_remembers_what_it_flagged(tmp_path: Path) -> None:
    events: dict[str, ConditionEvent] = {}

    async def take(said: Any) -> None:
        events.update({event.id: event for event in said})

    journal, catalogue = PaperJournal(), catalogue_in(tmp_path)
    judge = Judge(journal, take, catalogue, lambda: START_MS)
    await run_to_end(judge, journal)
    items = timeline(prompt(Reading("st1", "wl", at(60 * n), v) for n, v in enumerate(VALUES)))
    for item in items:
        if hasattr(item, "readings"):
            await journal.readings(item.gateway, item.received_ms, item.readings)
        else:
            await journal.tick(item.now_ms)
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
