"""A hundred tips poured in maintenance reach the store whole: values, raw counts and their flag."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from rig.batches import T0_MS, incoming
from rig.centre_half import until

from egret_aggregator.journal import Journal
from egret_aggregator.recorder import Recorder
from egret_aggregator.store import SqliteStore
from egret_core.quality import Flag, Reason, counts
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egret_aggregator.store import StoredReading

TIPS, MINUTE_MS = 100, 60_000
WORK = int(Reason.MAINTENANCE)
GOOD = int(Flag.GOOD)


def tip(n: int, reasons: int = WORK) -> Reading:
    """Return the total after n tips of 0.2 mm; raw is the counter of the device."""
    return Reading("st1", "rn", T0_MS + n * MINUTE_MS, round(1000 + 0.2 * n, 1), n, GOOD, reasons)


async def recorded(folder: Path, readings: Sequence[Reading]) -> list[StoredReading]:
    """Return what the store keeps of readings that came through the journal."""
    journal = Journal(folder / "journal.db", keep_ms=10**9, max_bytes=2**26)
    store = SqliteStore(folder / "series.db")
    mine = {("st1", "rn"): "gw1"}
    recorder = Recorder(journal, store, owner=lambda s, c: mine.get((s, c)), known=mine)
    for part in (journal, store, recorder):
        await part.open()
    task = asyncio.create_task(recorder.run())
    try:
        await journal.append([incoming(1, readings)], readings[-1].time_ms + 500)
        await until(lambda: recorder.position >= journal.head)
        return list((await store.range("st1", "rn", 0, 2**50, 1000)).rows)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await store.close()
        await journal.close()


async def test_every_tip_is_kept_as_it_was_read_and_marked(tmp_path: Path) -> None:
    tips = [tip(n) for n in range(1, TIPS + 1)]
    rows = await recorded(tmp_path, tips)
    kept = [(one.time_ms, one.value, one.raw, one.flag, one.reasons) for one in rows]
    assert kept == [one[2:] for one in tips]
    assert [one.raw for one in rows] == list(range(1, TIPS + 1))
    assert not [one for one in rows if counts(one.flag, one.reasons)], "none is in any sum"


async def test_what_came_before_and_after_the_work_is_not_marked(tmp_path: Path) -> None:
    readings = [tip(0, 0), *(tip(n) for n in range(1, TIPS + 1)), tip(TIPS + 1, 0)]
    rows = await recorded(tmp_path, readings)
    assert [one.raw for one in rows if counts(one.flag, one.reasons)] == [0, TIPS + 1]
