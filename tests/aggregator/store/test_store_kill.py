"""kill -9 in the middle of a write: rows and position are both there, or neither."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 5
ROWS = 700
WRITER = """
import asyncio, sys
from pathlib import Path
from egret_aggregator.store import SqliteStore, StoredReading

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.open()
    at = (await store.position()).get(0, 0)
    while True:
        at += 1
        rows = [StoredReading("st1", f"c{n}", at, 1.0, None, 1, 0, 0, 0) for n in range(700)]
        await store.write(rows, positions={0: at})
        sys.stdout.write(f"{at}\\n")
        sys.stdout.flush()

asyncio.run(main())
"""


@pytest.mark.system
async def test_rows_and_position_survive_together(tmp_path: Path) -> None:
    path = tmp_path / "series.db"
    for round_ in range(ROUNDS):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        written = 0
        for _ in range(5 + 3 * round_):
            written = int(await asyncio.wait_for(child.stdout.readline(), 60))
        child.send_signal(signal.SIGKILL)
        await child.communicate()
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            position = db.execute("SELECT position FROM position").fetchone()[0]
            count, newest = db.execute("SELECT count(*), max(time) FROM reading").fetchone()
        db.close()
        assert position >= written
        assert (count, newest) == (position * ROWS, position)
