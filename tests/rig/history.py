"""A centre's folder with a journalled, judged and recorded past, for backtests over it."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, NamedTuple

from rig.catalogues import LIMIT, RIVER, SILENT, STATIONS, STORM
from rig.centre_process import settings_file
from rig.judging import fill, journal_in
from rig.rulebook import START_MS, Arrival, at, shuffled, timeline

from egret_aggregator import catalogue
from egret_aggregator.judge import Judge
from egret_aggregator.recorder import Recorder, Work
from egret_aggregator.store import SqliteStore
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.step import Item

LIMIT_S = 60
TOGETHER = 50  # entries of one commit
RULES = f"{RIVER}{STORM}{SILENT}{LIMIT}"


class Past(NamedTuple):
    """What was lived: the settings' file, and every event as the ledger would have it."""

    config: Path
    live: dict[str, ConditionEvent]


def river(steps: int = 400, seed: int = 3, silent: Sequence[int] = (120, 160)) -> list[Reading]:
    """A flashy river and a steady storm, one reading a minute each, with a silence."""
    dice, level, out = random.Random(seed), 2.5, []
    for n in range(steps):
        level = max(0.5, level + dice.choice((-0.4, 0.0, 0.42)) + 0.02 * (3 - level))
        if not silent[0] <= n < silent[1]:
            out.append(Reading("st1", "wl", at(60 * n), round(level, 3)))
            out.append(Reading("st1", "rn", at(60 * n + 5), round(100 + 0.31 * n, 3)))
    return out


def arrivals(rows: Sequence[Reading], seed: int = 11) -> list[Arrival]:
    """Readings shuffled within the lateness; half an hour of them two hours late."""
    first, last = at(200 * 60), at(230 * 60)
    mixed = [
        one._replace(received_ms=one.received_ms + 7_200_000)
        if first <= one.reading.time_ms < last
        else one
        for one in shuffled(rows, seed)
    ]
    return sorted(mixed, key=lambda one: one.received_ms)


def folder_of(tmp_path: Path, rules: str = RULES) -> Path:
    """Return the settings' file of a centre with this catalogue."""
    config = settings_file(tmp_path)
    (tmp_path / "catalogue/stations.toml").write_text(STATIONS)
    (tmp_path / "catalogue/rules.toml").write_text(rules)
    (tmp_path / "data").mkdir(exist_ok=True)
    return config


async def lived(tmp_path: Path, items: Sequence[Item] | None = None) -> Past:
    """Commit items to a journal, judge and record them, and leave the folder as a centre does."""
    config = folder_of(tmp_path)
    places = catalogue.load(tmp_path / "catalogue")
    live: dict[str, ConditionEvent] = {}

    async def take(events: Sequence[ConditionEvent]) -> None:
        for event in events:
            live.setdefault(event.id, event)

    journal = journal_in(tmp_path / "data")
    await journal.open()
    judge = Judge(journal, take, places, lambda: START_MS, readings=journal.readings)
    judging = asyncio.create_task(judge.run())
    async with asyncio.timeout(LIMIT_S):
        while judge.position == 0:  # the catalogue is in force before the first reading
            await asyncio.sleep(0.01)
        whole = list(items) if items is not None else timeline(arrivals(river()))
        for start in range(0, len(whole), TOGETHER):
            part = enumerate(whole[start : start + TOGETHER], start)
            await asyncio.gather(*(fill(journal, [one], 10 + seq) for seq, one in part))
        while judge.position < journal.head:
            await asyncio.sleep(0.01)
    judging.cancel()
    await asyncio.gather(judging, return_exceptions=True)
    store = SqliteStore(tmp_path / "data/series.db")
    await store.open()
    known = {(place.station, place.channel) for place in places.places()}
    recorder = Recorder(journal, store, owner=places.owner, known=known)
    await recorder.open()
    while entries := await journal.read(await store.position(), 64):
        work = Work([], [], [], [])
        recorder.add(entries, work)
        moved = {entry.partition: entry.id for entry in entries}
        await store.write(work.rows, work.asides, moved, work.metas, work.origins)
    await store.close()
    await journal.close()
    return Past(config, live)
