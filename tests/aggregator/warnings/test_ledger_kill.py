"""kill -9 in the middle of transitions: what was acknowledged is there, and the chain is whole."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from rig.ledgers import opened

from egret_aggregator.warnings import audit

if TYPE_CHECKING:
    from pathlib import Path

KILLS = 5
LINES_BEFORE_KILL = 40  # transitions acknowledged before each kill
TIME_LIMIT_S = 60

CHILD = """
import asyncio, sys
from pathlib import Path
from egret_aggregator.database import Database
from egret_aggregator.warnings import Ledger
from egret_aggregator.warnings.acts import Act
from egret_aggregator.warnings.record import Kind
from egret_core.rules.event import Change, ConditionEvent, Phase

async def main(path, start):
    database = Database(Path(path))
    await database.open()
    ledger = Ledger(database, lambda: 1)
    await ledger.open()
    for n in range(start, 1_000_000):
        event = ConditionEvent("r@1", f"s{n}/c", "level", Change.RAISED, Phase.SETTLED,
                               "red", 4, n, "at_or_above", {})
        await ledger.take([event])
        sys.stdout.write(f"{event.id} open\\n")
        await ledger.act(Act(Kind.ACKNOWLEDGED, event.id, "officer:li"))
        sys.stdout.write(f"{event.id} acknowledged\\n")
        sys.stdout.flush()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.mark.system
async def test_kill_minus_nine_loses_no_acknowledged_transition(tmp_path: Path) -> None:
    path = tmp_path / "egret.db"
    promised: dict[str, str] = {}
    for kill in range(KILLS):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            CHILD,
            str(path),
            str(kill * 100_000),
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout is not None
        async with asyncio.timeout(TIME_LIMIT_S):
            for _ in range(LINES_BEFORE_KILL + kill):
                id_, state = (await child.stdout.readline()).decode().split()
                promised[id_] = state
            os.kill(child.pid, signal.SIGKILL)
            rest = (await child.stdout.read()).decode().splitlines(keepends=True)
            await child.wait()
        # What it had said before it died counts too.
        promised.update(line.split() for line in rest if line.endswith("\n"))
    async with opened(path) as (ledger, database):
        report = await audit.verify(database)
        assert report.findings == []
        assert report.lines >= len(promised)
        for id_, state in promised.items():
            warning = await ledger.get(id_)
            assert warning is not None
            assert warning.state in (state, "acknowledged")
