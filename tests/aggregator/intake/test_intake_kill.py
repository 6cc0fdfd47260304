"""kill -9 of the centre under load: nothing acknowledged is missing, nothing is counted twice."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from pathlib import Path

import pytest
from rig.centre_half import CentreHalf, broker, until
from rig.gatewaylike import GatewayLike

from egret_aggregator.journal import EntryKind
from egret_core.timescale import Timescale

pytestmark = pytest.mark.system

ROUNDS = 4
CENTRE = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from rig.centre_half import CentreHalf

async def main():
    async with CentreHalf(Path(sys.argv[1]), int(sys.argv[2])).running():
        sys.stdout.write("up\\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def start(data: Path, port: int) -> asyncio.subprocess.Process:
    tests = str(Path(__file__).parents[2])
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CENTRE, str(data), str(port), tests, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert await asyncio.wait_for(child.stdout.readline(), 60) == b"up\n"
    return child


async def test_a_killed_centre_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with broker(tmp_path / "broker") as port, GatewayLike(port) as gateway:
        seq = 0
        for round_ in range(ROUNDS):
            child = await start(data, port)
            goal = len(gateway.settled) + 30 + 7 * round_
            while len(gateway.settled) < goal:
                for _ in range(20):
                    seq += 1
                    gateway.cut(seq)
                unsettled = sorted(gateway.outbox.keys() - gateway.settled)
                before = len(gateway.acks)
                await gateway.send(*unsettled)
                await gateway.until(lambda before=before: len(gateway.acks) > before)
            child.send_signal(signal.SIGKILL)
            await child.wait()
        settled = set(gateway.settled)
        async with CentreHalf(data, port).running() as centre:
            known = centre.journal.known(gateway.id, gateway.log)
            assert settled <= {n for lo, hi in known for n in range(lo, hi + 1)}
            await gateway.status()
            await until(lambda: centre.journal.known(gateway.id, gateway.log) == ((1, seq),))
            await centre.recorded()
            rows = (await centre.store.range("st1", "wl", 0, 2**50, 10**6)).rows
            assert len(rows) == 3 * seq
            assert (await centre.store.health()).conflicts == 0
            entries = await centre.journal.read({}, 10**6)
            seqs = [entry.seq for entry in entries if entry.kind is EntryKind.BATCH]
            assert sorted(seqs) == list(range(1, seq + 1))


async def test_ticks_come_every_ten_seconds_of_the_scaled_clock_while_subscribed(
    tmp_path: Path,
) -> None:
    async with (
        broker(tmp_path / "broker") as port,
        CentreHalf(tmp_path / "data", port, scale=Timescale(120.0, 0, 0)).running() as centre,
    ):
        await until(lambda: centre.journal.head >= 5)
        ticks = [e.received_ms for e in await centre.journal.read({}, 5)]
        assert all(later - earlier >= 10_000 for earlier, later in itertools.pairwise(ticks))


async def test_without_a_broker_there_is_no_tick_and_nothing_falls_over(tmp_path: Path) -> None:
    centre = CentreHalf(tmp_path / "data", 1, scale=Timescale(120.0, 0, 0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.7), centre.running():
            pass
    await centre.journal.open()
    try:
        assert centre.journal.head == 0
        assert "refused" in centre.intake.health()["error"]
    finally:
        await centre.journal.close()
