"""Parts of a data folder that outlived others: what comes is rolled, whatever ids were before."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from rig.centre_half import free_port
from rig.centre_process import PATIENCE_S, CentreProcess, settings_file
from rig.gatewaylike import GatewayLike

from egret_aggregator.api.times import parsed
from egret_core.reading import Reading

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system


def marked(rollups: Path) -> int:
    """Return how many buckets are noted or rolled."""
    with closing(sqlite3.connect(rollups)) as db:
        return sum(
            db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  (two names)
            for table in ("mark", "ten_min")
        )


async def test_rollups_that_outlived_journal_and_store_go_on(tmp_path: Path) -> None:
    port = free_port()
    path = settings_file(tmp_path, broker_port=port)
    data = tmp_path / "data"
    async with CentreProcess(path) as centre:
        assert (await centre.ended())[0] == 0
    with closing(sqlite3.connect(data / "rollups.db")) as db, db:
        db.execute("INSERT OR REPLACE INTO position VALUES (-1, 1000000), (7, 999000)")
    for old in [*data.glob("journal.db*"), *data.glob("series.db*")]:
        old.unlink()
    async with CentreProcess(path) as centre:
        now_ms = parsed((await centre.get("/api/v1/warnings"))["as_of"])
        async with GatewayLike(port, gateway="XM-TA-0042") as gateway:
            gateway.cut(1, [Reading("st0007", "wl", now_ms, 1.0)])
            await gateway.send(1)
            await gateway.until(lambda: gateway.settled == {1})
        async with asyncio.timeout(PATIENCE_S):
            while not marked(data / "rollups.db"):
                await asyncio.sleep(0.1)
        assert (await centre.ended())[0] == 0
