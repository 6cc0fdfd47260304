"""A rule that is added while it rains knows what has fallen: the whole centre, started anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import rain_rule
from rig.centre_half import free_port
from rig.centre_process import PATIENCE_S, CentreProcess, settings_file
from rig.gatewaylike import GatewayLike

from egret_aggregator.api.times import parsed
from egret_core.reading import Reading

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

STEP_MS = 600_000
STEPS = 6 * 13  # thirteen hours
FALL_MM = 4.5  # a step: 81 mm in three hours, over the 50 mm of orange and under the 100 mm of red


async def rained(port: int, centre: CentreProcess) -> None:
    """Have thirteen hours of rain recorded, their last reading just now."""
    now_ms = parsed((await centre.get("/api/v1/warnings"))["as_of"])
    fallen = [
        Reading("st0007", "rain", now_ms - STEP_MS * (STEPS - n), 100 + FALL_MM * n)
        for n in range(STEPS + 1)
    ]
    async with GatewayLike(port, gateway="XM-TA-0042") as gateway:
        gateway.cut(1, fallen)
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})
    async with asyncio.timeout(PATIENCE_S):
        while not (await centre.get("/api/v1/latest?station=st0007"))["items"][0]["reading"]:
            await asyncio.sleep(0.05)


async def standing(centre: CentreProcess) -> list[dict[str, Any]]:
    return list((await centre.get("/api/v1/warnings"))["items"])


async def test_a_rain_rule_added_in_a_storm_counts_what_has_fallen(tmp_path: Path) -> None:
    port = free_port()
    path = settings_file(tmp_path, broker_port=port)
    async with CentreProcess(path) as centre:
        await rained(port, centre)
        assert await standing(centre) == []
        assert (await centre.ended())[0] == 0
    rules = tmp_path / "catalogue" / "rules.toml"
    rules.write_text(rules.read_text() + rain_rule("st0007/rain"))
    async with CentreProcess(path) as centre:
        async with asyncio.timeout(PATIENCE_S):  # its word comes with the next tick
            while not (found := await standing(centre)):
                await asyncio.sleep(0.1)
        figures = await centre.text("/metrics")
        assert "egret_judge_warm_channels_total 1\n" in figures
        assert "egret_judge_cold_channels_total 0\n" in figures
        assert [(item["subject"], item["level"]) for item in found] == [("st0007/rain", "orange")]
        assert (await centre.ended())[0] == 0
    async with CentreProcess(path) as centre:  # nothing is said a second time
        assert [item["id"] for item in await standing(centre)] == [found[0]["id"]]
        figures = await centre.text("/metrics")
        assert "egret_judge_warm_channels_total 0\n" in figures
