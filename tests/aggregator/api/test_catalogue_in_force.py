"""Which catalogue is shown, and which one is judged by: a client can tell them apart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from rig.centre_process import CentreProcess, settings_file

from egret_aggregator.catalogue import load

if TYPE_CHECKING:
    from pathlib import Path

    from rig.api_centre import ApiCentre

PATHS = ("/api/v1/stations", "/api/v1/stations/st0007", "/api/v1/grafana/service")


async def versions(centre: ApiCentre, path: str) -> tuple[str, str | None]:
    body: Any = (await centre.get(path)).json()
    told = body[0] if isinstance(body, list) else body
    return told["catalogue"], told["catalogue_in_force"]


@pytest.mark.parametrize("path", PATHS)
async def test_the_one_shown_and_the_one_judged_by_are_told_side_by_side(
    centre: ApiCentre, path: str
) -> None:
    own = centre.context.places.version
    assert await versions(centre, path) == (own, None)  # nothing was judged yet
    centre.line.force = "0123456789abcdef"
    assert await versions(centre, path) == (own, "0123456789abcdef")
    centre.line.force = own
    assert await versions(centre, path) == (own, own)


async def test_a_changed_file_is_in_force_once_the_judge_has_reached_it(tmp_path: Path) -> None:
    path = settings_file(tmp_path)
    rules = tmp_path / "catalogue/rules.toml"
    before = load(tmp_path / "catalogue").version
    async with CentreProcess(path) as centre:
        await told(centre, before)
        await centre.ended()
    rules.write_text(rules.read_text().replace("raise = 3.0", "raise = 3.1"))
    after = load(tmp_path / "catalogue").version
    assert after != before
    async with CentreProcess(path) as centre:
        body = await told(centre, after)
        assert body["catalogue"] == after


async def told(centre: CentreProcess, version: str) -> Any:
    """Wait until a version is judged by; return the answer that says so."""
    async with asyncio.timeout(20):
        while True:
            body = await centre.get("/api/v1/stations")
            if body["catalogue_in_force"] == version:
                return body
            await asyncio.sleep(0.1)
