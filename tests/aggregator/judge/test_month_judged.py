"""A month with a fortnight's backlog, judged over a real journal and killed: the same events."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rig.judging import events_in, fill, journal_in
from rig.lookback import Watch, live, past
from rig.month import DAY, FORTNIGHT, SEED, STEP_S, month
from rig.rulebook import GATEWAY, START_MS, at

from egret_aggregator.catalogue import Catalogue, load
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import SqliteStore
from egret_core.rules.event import settled_hash
from egret_core.rules.step import Receipt, Tick

if TYPE_CHECKING:
    from egret_core.rules.step import Item

pytestmark = pytest.mark.system

TESTS = Path(__file__).parents[2]
LIMIT_S = 120
KILLS = 5
DRY_END = (300, 1000, 2090, 4000)  # what is live again must not depend on the pace of a read
BATCH = 200  # readings of one receipt, as a gateway cuts them
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
late_s = 30
[[station.channel]]
id = "rn"
quantity = "rain_total"
gateway = "GW-1"
late_s = 30
"""
RULES = """
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl"]
[rule.parameters]
unit = "m"
datum = "Local"
levels = [{ level = "blue", raise = 3.0, clear = 2.8 }, { level = "red", raise = 5.0, clear = 4.8 }]
[[rule]]
id = "storm"
pack = "cn-rain-signals"
channels = ["st1/rn"]
[[rule]]
id = "silent"
pack = "absence"
channels = ["st1/*", "gateway/GW-1"]
"""


def items() -> list[Item]:
    """Six hours of readings a receipt, ticks every half hour; the backlog after the fortnight."""
    rows: list[tuple[int, int, Item]] = []
    heard = month([FORTNIGHT], DRY_END)
    for first in range(0, 30 * DAY, 36):
        span = at(first * STEP_S), at((first + 36) * STEP_S)
        now_ms = span[1] - 1000
        part = [one for one in heard if span[0] <= one.time_ms < span[1]]
        if part:
            rows.append((now_ms, 1, Receipt(GATEWAY, now_ms, part)))
    known = {(one.channel, one.time_ms) for one in heard}
    missed = [one for one in month((), DRY_END) if (one.channel, one.time_ms) not in known]
    back_ms = at((FORTNIGHT[1] + 36) * STEP_S)
    rows += [
        (back_ms + n, 1, Receipt(GATEWAY, back_ms + n, missed[n : n + BATCH]))
        for n in range(0, len(missed), BATCH)
    ]
    rows += [(now, 0, Tick(now)) for now in range(START_MS, at(30 * DAY * STEP_S), 1_800_000)]
    return [item for *_, item in sorted(rows, key=lambda row: row[:2])]


async def laid(folder: Path, catalogue: Catalogue, said: list[Item]) -> int:
    """Write the journal and record all of it; return its last entry."""
    journal, store = journal_in(folder), SqliteStore(folder / "series.db")
    await journal.open()
    await store.open()
    await journal.change(catalogue.payload(), START_MS)
    await fill(journal, said)
    known = {(place.station, place.channel) for place in catalogue.places()}
    recorder = Recorder(journal, store, owner=lambda *_: GATEWAY, known=known)
    task = asyncio.create_task(recorder.run())
    while recorder.position < journal.head:
        assert not task.done(), task.exception()
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    last = journal.head
    await store.close()
    await journal.close()
    return last


async def until_killed(folder: Path, lines: int, last: int) -> bool:
    """Run a judge, kill it after so many reads; tell whether it had reached the last entry."""
    paths = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": paths.strip(os.pathsep)}
    command = (sys.executable, "-m", "rig.judging", str(folder))
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, env=env)
    assert child.stdout is not None
    try:
        position = 0
        while lines and position < last:
            line = await child.stdout.readline()
            assert line, "the judge ended by itself"
            position, lines = int(line), lines - 1
        return position >= last
    finally:
        child.kill()
        await child.wait()


async def test_killed_five_times_a_month_of_readings_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "stations.toml").write_text(STATIONS)
    (tmp_path / "rules.toml").write_text(RULES)
    catalogue, said = load(tmp_path), items()
    expected = Watch(catalogue.places(), catalogue.rules).play(said)
    assert {event.hazard for event in past(expected)} == {"level", "rain"}
    assert {event.hazard for event in live(expected)} == {"level", "rain", "absence", "ticks"}
    async with asyncio.timeout(LIMIT_S):
        last = await laid(tmp_path, catalogue, said)
        dice = random.Random(SEED)
        cuts = [dice.randrange(1, last // 16 // 3) for _ in range(KILLS)]
        print(f"seed {SEED}, {last} entries, killed after reads {cuts}")  # noqa: T201  (told)
        for lines in cuts:
            await until_killed(tmp_path, lines, last)
        assert await until_killed(tmp_path, 10**6, last)
    told = events_in(tmp_path)
    assert settled_hash(told.values()) == settled_hash(expected)
    assert {event.id for event in expected} == set(told)
