"""A real centre, asked everything by each kind of user, over a change of its rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from rig.broker import Broker
from rig.line import Centre, station_toml, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.system

RULE = """
[[rule]]
id = "silence"
pack = "absence"
channels = ["st1/*", "gateway/gw1"]
[rule.parameters]
limit_s = {limit_s}
"""
NEEDED = {  # of a question, where the description says that it must be given
    "from": "2026-01-01T00:00:00Z",
    "to": "2026-01-02T00:00:00%2B08:00",
    "width_s": "3600",
}


async def ask(centre: Centre, method: str, path: str, token: str = "") -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx2.AsyncClient(base_url=centre.url, timeout=20) as client:
        body = {} if method == "POST" else None
        return await client.request(method, path, headers=headers, json=body)


def needed(operation: dict[str, Any]) -> str:
    """Return the query with all that must be given."""
    asked = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
    given = [name for name in asked if name in NEEDED]
    return "?" + "&".join(f"{name}={NEEDED[name]}" for name in given) if given else ""


async def judged(centre: Centre) -> bool:
    """Whether readings come in and are judged."""
    try:
        return (await ask(centre, "GET", "/readyz")).status_code == 200
    except httpx2.TransportError:
        return False


async def test_everyone_gets_what_is_theirs_before_and_after_a_change(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker")
    await broker.start()
    stations = station_toml("st1", {"wl": "water_level"}, "gw1", "gauge")
    rules = RULE.format(limit_s=600)
    centre = Centre(tmp_path, broker.port, embedded=False, stations=stations, rules=rules)
    try:
        await centre.up()
        officer, viewer = centre.token, await centre.make_token("viewer")
        await until(lambda: judged(centre), "the first tick is judged")
        schema = (await ask(centre, "GET", "/api/v1/openapi.json")).json()
        for path, operations in schema["paths"].items():
            real = re.sub(r"\{station\}", "st1", re.sub(r"\{channel\}", "wl", path))
            if "get" in operations and "{" not in real and not real.endswith("/stream"):
                answer = await ask(centre, "GET", real + needed(operations["get"]), viewer)
                assert answer.status_code == 200, (real, answer.text)
            for method in {"post"} & operations.keys() - {"session"}:
                if path.startswith("/api/v1/warnings/"):
                    real = path.replace("{warning}", "0" * 32)
                    denied = await ask(centre, method.upper(), real, viewer)
                    assert denied.json()["code"] == "role_too_low"
                    known = await ask(centre, method.upper(), real, officer)
                    assert known.json()["code"] in ("unknown_warning", "invalid_request")
        before = (await centre.get("/stations"))["catalogue"]
        await centre.stop()
        path = centre.folder / "catalogue" / "rules.toml"
        path.write_text(RULE.format(limit_s=300))
        await centre.start()

        await until(lambda: judged(centre), "the centre judges by its new rules")
        assert (await centre.get("/stations"))["catalogue"] != before
        figures = (await ask(centre, "GET", "/metrics")).text
        assert "\negret_judge_cold_channels_total 0\n" in figures
        assert "catalogue in force" in centre.log.read_text()
    finally:
        await centre.stop()
        broker.stop()
