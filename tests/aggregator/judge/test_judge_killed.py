"""kill -9 of the judge over a real journal: no event lost, none that was not there."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from rig.judging import events_in, fill, journal_in, until_killed
from rig.rulebook import START_MS, river_and_storm, shuffled, timeline

from egret_aggregator.catalogue import load
from egret_core.rules.event import settled_hash
from egret_core.rules.step import Change, Fold, step

pytestmark = pytest.mark.system

TESTS = Path(__file__).parents[2]
CASE = TESTS / "scenarios" / "flood_wave"
LIMIT_S = 120
KILLS = 8


async def test_killed_again_and_again_it_says_what_an_unbroken_one_says(tmp_path: Path) -> None:
    (tmp_path / "stations.toml").write_text((CASE / "stations.toml").read_text())
    silent = '[[rule]]\nid="silent"\npack="absence"\nchannels=["st1/*"]\n'
    storm = '[[rule]]\nid="storm"\npack="cn-rain-signals"\nchannels=["st1/rn"]\n'
    joint = '[[rule]]\nid="flood"\npack="rain-to-flood"\ninputs=[{rule="storm"},{rule="river"}]\n'
    joint += '[rule.parameters]\nstages=[{input="storm",level="blue"},'
    joint += '{input="river",level="blue",within_s=3600}]\n'
    (tmp_path / "rules.toml").write_text((CASE / "rules.toml").read_text() + silent + storm + joint)
    catalogue = load(tmp_path)
    rows = river_and_storm(5, 240, [(90, 130)])
    items = timeline(shuffled(rows, 5), tail_s=60)
    journal = journal_in(tmp_path)
    await journal.open()
    await journal.change(catalogue.payload(), START_MS)
    await fill(journal, items)
    last = journal.head
    await journal.close()
    dice = random.Random(5)
    async with asyncio.timeout(LIMIT_S):
        for _ in range(KILLS):
            if await until_killed(tmp_path, dice.randrange(1, 14), last):
                break
        assert await until_killed(tmp_path, 10**6, last)
    whole, expected = Fold(), []
    step(whole, Change(catalogue.places(), catalogue.rules, START_MS))
    for item in items:
        expected += step(whole, item)[1]
    said = events_in(tmp_path)
    assert settled_hash(said.values()) == settled_hash(expected)
    assert {event.id for event in expected} == set(said)
    assert len(expected) > 20
    assert any(event.rule.startswith("flood@") for event in expected)
