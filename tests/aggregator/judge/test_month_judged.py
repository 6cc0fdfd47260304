"""A month with a fortnight's backlog, judged over a real journal and killed: the same events."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest
from rig.catalogues import GAUGE, LEVEL, RIVER, SILENT, STATION, STORM, catalogue_in
from rig.judging import events_in, fill, journal_in, until_killed
from rig.lookback import Watch, live, past
from rig.month import DAY, FORTNIGHT, SEED, STEP_S, month
from rig.rulebook import GATEWAY, START_MS, at

from egret_aggregator.recorder import Recorder
from egret_aggregator.store import SqliteStore
from egret_core.rules.event import settled_hash
from egret_core.rules.step import Receipt, Tick

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.catalogue import Catalogue
    from egret_core.rules.step import Item

pytestmark = pytest.mark.system

LIMIT_S = 120
KILLS = 5
DRY_END = (300, 1000, 2090, 4000)  # what is live again must not depend on the pace of a read
BATCH = 200  # readings of one receipt, as a gateway cuts them
LATE = "late_s = 30\n"
STATIONS = f"{STATION}{LEVEL}{LATE}{GAUGE}{LATE}"


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


async def test_killed_five_times_a_month_of_readings_says_the_same(tmp_path: Path) -> None:
    catalogue, said = catalogue_in(tmp_path, STATIONS, RIVER + STORM + SILENT), items()
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
