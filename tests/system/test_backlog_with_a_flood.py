"""A gateway comes back after fourteen hours: fresh readings first, then the backlog, with a flood.

On a clock that runs sixty times as fast. What nobody saw is shown as of the past, the rain that
fell meanwhile stands in the sums of now, and a person closes what is over, for good.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import BLUE, RED, level_rule, rain_rule
from rig.centre_half import free_port
from rig.centre_process import PATIENCE_S, CentreProcess, settings_file
from rig.gatewaylike import GatewayLike

from egret_aggregator.api.times import parsed
from egret_core.reading import Reading
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.system
SCALE = 60
HOUR_MS = 3_600_000
AWAY_MS = 14 * HOUR_MS
GATEWAY = "XM-TA-0042"
RULES = f"""{level_rule(BLUE, RED)}hold_s = 0
{rain_rule("st0007/rain")}[[rule]]
id = "silent"
pack = "absence"
channels = ["st0007/wl"]
"""


class Outage:
    """The centre, the gateway that was away, and what the gateway has to say."""

    def __init__(self, centre: CentreProcess, gateway: GatewayLike) -> None:
        self.centre, self.gateway = centre, gateway
        self._seq = 0
        self._total_mm = 100.0

    async def now_ms(self) -> int:
        return parsed((await self.centre.get("/api/v1/warnings"))["as_of"])

    async def pass_by(self, span_ms: int) -> None:
        """Return when so much of the centre's own time has gone by."""
        end_ms = await self.now_ms() + span_ms
        while await self.now_ms() < end_ms:
            await asyncio.sleep(0.1)

    async def send(self, readings: list[Reading], lane: Leaf = Leaf.DATA) -> None:
        for start in range(0, len(readings), 100):
            self._seq += 1
            self.gateway.cut(self._seq, readings[start : start + 100])
            await self.gateway.send(self._seq, lane=lane)
        await self.gateway.until(lambda: self._seq in self.gateway.settled)

    @asynccontextmanager
    async def live(self, total_mm: float) -> AsyncIterator[None]:
        """Send fresh readings, one a second, for the time of a block."""

        async def going_on() -> None:
            while True:
                now_ms = await self.now_ms()
                calm = Reading("st0007", "wl", now_ms, 1.0)
                await self.send([calm, Reading("st0007", "rain", now_ms, total_mm)])
                await asyncio.sleep(0.5)

        task = asyncio.create_task(going_on())
        try:
            yield
            assert not task.done(), task.exception()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def warnings(self, rule: str) -> list[dict[str, Any]]:
        items = (await self.centre.get("/api/v1/warnings"))["items"]
        return [item for item in items if item["rule"] == rule]

    async def until(self, rule: str, true: Callable[[list[dict[str, Any]]], bool]) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            while not true(found := await self.warnings(rule)):
                await asyncio.sleep(0.1)
        return found

    async def events(self, warning: str) -> list[dict[str, Any]]:
        lines = (await self.centre.get(f"/api/v1/warnings/{warning}"))["history"]
        return [line["event"] for line in lines if line["kind"] == "event"]


def missed(back_ms: int) -> list[Reading]:
    """Return what was read meanwhile: a flood ten hours ago, 60 mm in the last two hours."""
    flood = [2.0, 3.4, 5.6, 4.0, 2.0]
    levels = [
        Reading("st0007", "wl", back_ms - 10 * HOUR_MS + n * 600_000, value)
        for n, value in enumerate(flood)
    ]
    rain = [
        Reading("st0007", "rain", back_ms - 2 * HOUR_MS + n * 60_000, round(100 + n / 2, 1))
        for n in range(1, 120)
    ]
    dry = [Reading("st0007", "rain", back_ms - 2 * HOUR_MS, 100.0)]
    return [*levels, *dry, *rain]


def scaled_settings(folder: Path, port: int) -> Path:
    path = settings_file(folder, broker_port=port)
    (folder / "catalogue" / "rules.toml").write_text(RULES)
    path.write_text(
        path.read_text().replace("[broker]\n", '[broker]\nhost = "127.0.0.1"\n')
        + f"[clock.scaled]\nscale = {SCALE}\nfrom_ms = 1700000000000\nto_ms = 1700000000000\n"
    )
    return path


async def test_a_flood_in_the_backlog_is_of_the_past_and_its_rain_counts_now(
    tmp_path: Path,
) -> None:
    port = free_port()
    path = scaled_settings(tmp_path, port)
    async with (
        CentreProcess(path) as centre,
        GatewayLike(port, gateway=GATEWAY) as gateway,
    ):
        story = Outage(centre, gateway)
        gone_ms = await story.now_ms() - AWAY_MS
        before = [
            Reading("st0007", channel, gone_ms - 60_000 * n, value)
            for n in range(5, -1, -1)
            for channel, value in (("wl", 1.0), ("rain", 100.0))
        ]
        await story.send(before)
        async with story.live(160.0):
            back_ms = await story.now_ms()
            await the_jump_proves_nothing(story)
            await story.send(missed(back_ms - 30_000), Leaf.BACKLOG)
            old = await the_flood_is_of_the_past(story, back_ms)
            storm = await the_rain_stands_in_the_sums(story, back_ms)
            await a_person_closes_it_and_a_copy_opens_nothing(story, old, back_ms)
        figures = await centre.text("/metrics")
        assert 'egret_warnings{state="open"' in figures
        assert (await centre.ended(signal.SIGKILL))[0] != 0
    async with CentreProcess(path) as centre:
        items = (await centre.get("/api/v1/warnings"))["items"]
        shown = {item["id"]: (item["state"], item["retrospective"]) for item in items}
        assert shown[old] == ("closed", True)
        assert shown[storm] == ("open", False)


async def the_jump_proves_nothing(story: Outage) -> None:
    await story.pass_by(120_000)  # the first fresh ones are settled
    assert await story.warnings("storm") == []
    assert await story.warnings("river-level") == []


async def the_flood_is_of_the_past(story: Outage, back_ms: int) -> str:
    (old,) = await story.until("river-level", bool)
    assert old["retrospective"] is True
    assert (old["level"], old["state"], old["condition"]) == ("red", "open", "returned")
    assert (old["holding_level"], old["holding_rank"]) == ("", 0)
    onset_h = (back_ms - parsed(old["onset"])) / HOUR_MS
    assert 9.5 < onset_h < 10.1
    events = await story.events(old["id"])
    assert [event["change"] for event in events] == ["raised", "upgraded", "eased", "returned"]
    assert all(event["evidence"]["retrospective"] is True for event in events)
    assert {"gap_from", "gap_to"} <= set(events[0]["evidence"])
    return str(old["id"])


async def the_rain_stands_in_the_sums(story: Outage, back_ms: int) -> str:
    found = await story.until("storm", bool)
    (now,) = [item for item in found if not item["retrospective"]]
    assert (now["level"], now["state"], now["condition"]) == ("orange", "open", "active")
    event = (await story.events(now["id"]))[0]
    assert (event["evidence"]["value"], event["evidence"]["window_h"]) == (50.0, 3.0)
    # 50 mm were reached twenty minutes before anybody heard of it.
    assert 0.3 < (back_ms - parsed(now["onset"])) / HOUR_MS < 0.4
    assert event["time"] == now["onset"]
    return str(now["id"])


async def a_person_closes_it_and_a_copy_opens_nothing(
    story: Outage, old: str, back_ms: int
) -> None:
    path = f"/api/v1/warnings/{old}/close"
    closed = await story.centre.post(path, {"note": "over since ten hours"})
    assert closed.status_code == 200, closed.text
    await story.send(missed(back_ms - 30_000), Leaf.BACKLOG)
    looked = "egret_judge_looked_back_total"
    async with asyncio.timeout(PATIENCE_S):
        while f"{looked} 4\n" not in await story.centre.text("/metrics"):
            await asyncio.sleep(0.1)
    await story.pass_by(60_000)  # six ticks
    assert [item["state"] for item in await story.warnings("river-level")] == ["closed"]
    assert len(await story.warnings("storm")) == 1
