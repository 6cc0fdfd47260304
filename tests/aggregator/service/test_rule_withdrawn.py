"""A rule is taken out of `rules.toml` while its warning stands: the whole centre, started anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import RULES
from rig.catalogues import level_rule, rung
from rig.centre_half import free_port
from rig.centre_process import PATIENCE_S, CentreProcess, settings_file
from rig.gatewaylike import GatewayLike

from egret_aggregator.api.times import parsed
from egret_core.reading import Reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.system

DAM = level_rule(
    rung("blue", 3.0, 2.8),
    rung("red", 4.0, 3.8),
    name="dam-level",
    channel="st0008/wl",
    datum="Dam",
)
BOTH = """
[[rule]]
id = "both"
pack = "generic-vote"
inputs = [{ rule = "river-level" }, { rule = "dam-level" }]
parameters = { need = 1 }
"""


async def risen(port: int, centre: CentreProcess) -> None:
    """Have a river at red for two minutes; what is older than the lateness has settled."""
    now_ms = parsed((await centre.get("/api/v1/warnings"))["as_of"])
    rows = [Reading("st0007", "wl", now_ms - 120_000 + 10_000 * n, 4.5) for n in range(12)]
    async with GatewayLike(port, gateway="XM-TA-0042") as gateway:
        gateway.cut(1, rows)
        await gateway.send(1)
        await gateway.until(lambda: gateway.settled == {1})


async def warning(
    centre: CentreProcess, rule: str, fits: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """Return the warning of a rule once it is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for item in (await centre.get("/api/v1/warnings"))["items"]:
                if item["rule"] == rule and fits(item):
                    return dict(item)
            await asyncio.sleep(0.1)


def words(body: Any, channel: str = "wl") -> dict[str, str]:
    (row,) = (one for one in body["station"]["channels"] if one["id"] == channel)
    return {rule.partition("@")[0]: word for rule, word in row["standings"].items()}


async def test_its_warning_is_told_as_returned_and_a_person_may_close_it(tmp_path: Path) -> None:
    port = free_port()
    path = settings_file(tmp_path, broker_port=port)
    rules = tmp_path / "catalogue" / "rules.toml"
    rules.write_text(RULES + DAM + BOTH)
    async with CentreProcess(path) as centre:
        await risen(port, centre)
        found = await warning(centre, "river-level", lambda item: item["phase"] == "settled")
        assert (found["level"], found["condition"]) == ("red", "active")
        refused = await centre.post(f"/api/v1/warnings/{found['id']}/close", {"note": "why not"})
        assert (refused.status_code, refused.json()["code"]) == (409, "condition_holds")
        # The dam was never heard: the vote over both may raise, and its silence says nothing.
        assert words(await centre.get("/api/v1/stations/st0007")) == {
            "river-level": "ok",
            "both": "inputs_missing",
        }
        assert words(await centre.get("/api/v1/stations/st0008"))["both"] == "inputs_missing"
        (service,) = await centre.get("/api/v1/grafana/service")
        assert (service["standing_ok"], service["standing_inputs_missing"]) == (2, 2)
        figures = await centre.text("/metrics")
        assert 'egret_judge_rules_standing{standing="inputs_missing"} 2\n' in figures
        assert (await centre.ended())[0] == 0
    rules.write_text(DAM)
    async with CentreProcess(path) as centre:
        gone = await warning(centre, "river-level", lambda item: item["condition"] == "returned")
        assert (gone["id"], gone["state"], gone["level"]) == (found["id"], "open", "red")
        assert gone["holding_level"] == ""
        body = await centre.get(f"/api/v1/warnings/{found['id']}")
        told = body["history"][-1]["event"]
        assert (told["change"], told["reason"]) == ("returned", "rule_withdrawn")
        assert told["evidence"] == {"held_level": "red"}
        assert "no value was judged to be below it" in told["sentence"]["en"]
        assert "这不是解除" in told["sentence"]["zh"]
        assert words(await centre.get("/api/v1/stations/st0007")) == {}
        assert (await centre.ended())[0] == 0
    async with CentreProcess(path) as centre:
        body = await centre.get(f"/api/v1/warnings/{found['id']}")
        said = [line["event"]["reason"] for line in body["history"] if line["kind"] == "event"]
        assert said.count("rule_withdrawn") == 1, "and nothing is said a second time"
        closed = await centre.post(
            f"/api/v1/warnings/{found['id']}/close", {"note": "the gauge is gone"}
        )
        assert closed.status_code == 200
        assert closed.json()["warning"]["state"] == "closed"
        assert (await centre.ended())[0] == 0
