"""InfluxDB stopped under load (`./dev bench outage`): 0 lost, 0 twice; the bars in the long run."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rig.influxd import why_no_influxd

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(why_no_influxd()), reason=why_no_influxd() or "complete"),
]
BENCH = Path(__file__).parents[2] / "bench" / "outage.py"
PATIENCE_S = 3600.0


async def drill(*arguments: str) -> dict[str, Any]:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(BENCH),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, told = await asyncio.wait_for(child.communicate(), PATIENCE_S)
    finally:
        if child.returncode is None:
            child.kill()
    assert child.returncode == 0, told.decode()[-4000:]
    figures: dict[str, Any] = json.loads(out.splitlines()[-1])
    return figures


async def test_seconds_without_the_server_lose_nothing() -> None:
    figures = await drill("--rate", "400", "--calm", "3", "--outage", "6", "--probes", "10")
    assert (figures["lost"], figures["twice"]) == (0, 0)
    assert figures["readings"] > 400 * 6
    assert figures["warnings_timed"] == 10


@pytest.mark.long
@pytest.mark.alone
async def test_six_minutes_without_the_server_at_full_rate() -> None:
    figures = await drill()
    assert (figures["lost"], figures["twice"]) == (0, 0)
    assert figures["warning_latency_ratio"] <= 1.2, figures
    assert figures["drain_to_live_ratio"] >= 10, figures
