"""kill -9 in the middle of writing: whatever was acknowledged is there."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from rig.batches import LOG, T0_MS, incoming

from egret_aggregator.journal import Journal, Verdict

ROUNDS = 6
WRITER = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from rig.batches import T0_MS, incoming
from egret_aggregator.journal import Journal

async def main():
    journal = Journal(Path(sys.argv[1]), keep_ms=10**9, max_bytes=2**30)
    await journal.open()
    first = journal.known("gw1", incoming(1).log)
    seq = first[-1][1] if first else 0
    async def one(n):
        await journal.append([incoming(n)], T0_MS)
        await journal.save("judge", {0: n}, {"n": str(n).encode()})
        sys.stdout.write(f"{n}\\n")
        sys.stdout.flush()
    while True:
        await asyncio.gather(*(one(seq + 1 + k) for k in range(8)))
        seq += 8

asyncio.run(main())
"""


@pytest.mark.system
async def test_nothing_acknowledged_is_missing_after_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    tests = str(Path(__file__).parents[2])
    acknowledged: set[int] = set()
    for round_ in range(ROUNDS):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, str(path), tests, stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        for _ in range(20 + 13 * round_):
            acknowledged.add(int(await asyncio.wait_for(child.stdout.readline(), 60)))
        child.send_signal(signal.SIGKILL)
        acknowledged |= {int(line) for line in (await child.stdout.read()).split(b"\n")[:-1]}
        await child.wait()
        with sqlite3.connect(path) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            seqs = [row[0] for row in db.execute("SELECT seq FROM entry ORDER BY id")]
            received = json.loads(db.execute("SELECT received FROM log").fetchone()[0])
        db.close()
        assert acknowledged <= set(seqs)
        assert len(seqs) == len(set(seqs))
        assert received == [[1, len(seqs)]]
    journal = Journal(path, keep_ms=10**9, max_bytes=2**30)
    await journal.open()
    try:
        assert journal.known("gw1", LOG)[0][1] >= max(acknowledged)
        assert await journal.append([incoming(1)], T0_MS) == [Verdict.DUPLICATE]
        positions, state = await journal.load("judge")
        assert str(positions[0]).encode() == state["n"]
    finally:
        await journal.close()
