"""A judge in a process of its own, over a real journal, made to be killed.

    python -m rig.judging FOLDER      FOLDER holds the catalogue and journal.db, and may hold
                                      series.db with all of it recorded

Events go to FOLDER/events.jsonl, each line forced to disk before the judge goes on; the position
is printed after every read, so that whoever watches can choose when to kill.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import egret_aggregator.judge as module
from egret_aggregator.catalogue import load
from egret_aggregator.journal import Incoming, Journal
from egret_aggregator.judge import Judge
from egret_aggregator.store import SqliteStore
from egret_aggregator.warmup import StoredPast
from egret_core.codec import encode_batch, payload_hash
from egret_core.entries import entries_of
from egret_core.messages import Batch, ClockStamp, Kind
from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.step import Receipt, Tick
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.step import Item

TESTS = Path(__file__).parents[1]
LOG = "1" * 32
MB = 2**20


def journal_in(folder: Path) -> Journal:
    return Journal(folder / "journal.db", keep_ms=10**12, max_bytes=64 * MB)


async def fill(journal: Journal, items: Sequence[Item], first: int | None = None) -> None:
    """Commit readings and ticks as the intake would; seqs go on from the journal's own."""
    for seq, item in enumerate(items, journal.head + 1 if first is None else first):
        if isinstance(item, Tick):
            await journal.tick(item.now_ms)
        elif isinstance(item, Receipt):
            rows, base_ms = item.readings, item.readings[0].time_ms
            entries = entries_of(rows, base_ms)
            clock = ClockStamp("ntp", 0)
            batch = Batch(
                item.gateway, LOG, seq, Kind.READINGS, "", item.received_ms, base_ms, clock, entries
            )
            body = encode_batch(batch)
            digest = payload_hash(body)
            one = Incoming(item.gateway, LOG, seq, digest, body, Leaf.DATA, batch, {})
            await journal.append([one], item.received_ms)


def events_in(folder: Path) -> dict[str, ConditionEvent]:
    """Return what was taken, inserted or ignored by id as a ledger does."""
    path = folder / "events.jsonl"
    out: dict[str, ConditionEvent] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        row: dict[str, Any] = json.loads(line)
        row |= {"change": Change(row["change"]), "phase": Phase(row["phase"])}
        event = ConditionEvent(**row)
        out.setdefault(event.id, event)
    return out


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


async def main(folder: Path) -> None:
    module.SAVE_EVERY_S = 0.0  # type: ignore[misc]  # save after every read: many places to die
    module.ENTRIES_MAX = 16  # type: ignore[misc]
    journal = journal_in(folder)
    await journal.open()

    async def take(events: Sequence[ConditionEvent]) -> None:
        with (folder / "events.jsonl").open("a") as file:
            for event in events:
                file.write(json.dumps(dataclasses.asdict(event)) + "\n")
            file.flush()
            os.fsync(file.fileno())

    store = SqliteStore(folder / "series.db") if (folder / "series.db").exists() else None
    if store is not None:
        await store.open()

    class Watched:
        """The journal, telling its reader's position before every read.

        A journal that is read as fast as it goes would end before the second fold has read.
        """

        load, save = journal.load, journal.save
        wait, change = journal.wait, journal.change

        async def read(self, positions: Mapping[int, int], limit: int) -> Any:
            sys.stdout.write(f"{max(positions.values(), default=0)}\n")
            sys.stdout.flush()
            while judge.health()["looking_back"]:
                await asyncio.sleep(0.001)
            return await journal.read(positions, limit)

    judge = Judge(
        Watched(),
        take,
        load(folder),
        lambda: 0,
        past=None if store is None else StoredPast(store, lambda: journal.head),
        decoded=journal.decoded,
        readings=journal.readings,
    )
    await judge.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
