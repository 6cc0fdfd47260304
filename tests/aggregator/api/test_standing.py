"""What every answer says of itself: how far judging and recording are, never green by silence."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import NOW_MS, ApiCentre, api_centre
from rig.sse import StreamClient

if TYPE_CHECKING:
    from pathlib import Path

HOURS_3_MS = 3 * 3_600_000
STALE_MS = 61_000


async def said(centre: ApiCentre, path: str = "/api/v1/warnings") -> dict[str, Any]:
    answer = await centre.get(path)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


async def readyz(centre: ApiCentre) -> tuple[int, dict[str, Any]]:
    answer = await centre.ask("GET", "/readyz")
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("judged_ms", "state", "code"),
    [
        (NOW_MS, "current", 200),
        (NOW_MS - STALE_MS, "stale", 503),
        (NOW_MS + HOURS_3_MS, "stale", 503),
        (None, "never", 503),
    ],
    ids=["now", "a minute ago", "before the clock was set back", "never"],
)
async def test_judgement_is_green_only_by_proof(
    tmp_path: Path, judged_ms: int | None, state: str, code: int
) -> None:
    async with api_centre(tmp_path) as centre:
        centre.line.judged = judged_ms
        status, body = await readyz(centre)
        assert (status, body["judgement"]["state"]) == (code, state)
        assert body["status"] == ("ready" if code == 200 else "not_ready")
        assert (await said(centre))["judgement"]["state"] == state
        figures = (await centre.ask("GET", "/metrics")).text
        assert f"egret_judgement_current {int(state == 'current')}\n" in figures


async def test_an_age_is_a_distance_whichever_way_the_clock_was_set(tmp_path: Path) -> None:
    async with api_centre(tmp_path) as centre:
        for judged_ms in (NOW_MS - HOURS_3_MS, NOW_MS + HOURS_3_MS):
            centre.line.judged = judged_ms
            age_s = (await said(centre))["judgement"]["age_s"]
            assert abs(age_s - HOURS_3_MS / 1000) < 60


@pytest.mark.parametrize(
    ("recorded_ms", "state"),
    [(NOW_MS, "current"), (NOW_MS - STALE_MS, "stale"), (None, "never")],
)
async def test_a_store_that_is_behind_shows_in_every_list_and_delays_no_readiness(
    tmp_path: Path, recorded_ms: int | None, state: str
) -> None:
    async with api_centre(tmp_path) as centre:
        centre.line.recorded = recorded_ms
        for path in ("/api/v1/latest", "/api/v1/warnings", "/api/v1/gateways", "/api/v1/asides"):
            recording = (await said(centre, path))["recording"]
            assert recording["state"] == state
            assert (recording["recorded_to"] is None) is (recorded_ms is None)
        # Warnings do not wait for the store: the centre is ready all the same.
        status, body = await readyz(centre)
        assert (status, body["recording"]["state"]) == (200, state)
        figures = (await centre.ask("GET", "/metrics")).text
        assert f"egret_recording_current {int(state == 'current')}\n" in figures
        assert ("egret_recording_age_seconds" in figures) is (recorded_ms is not None)


async def test_the_heartbeat_of_the_stream_says_it_too(tmp_path: Path) -> None:
    from egret_aggregator.api.envelope import standing  # noqa: PLC0415

    async with api_centre(tmp_path) as centre:
        centre.line.recorded = None
        centre.line.judged = NOW_MS + HOURS_3_MS
        async with StreamClient(centre.url, centre.bearer("viewer")) as seat:
            centre.context.hub.heartbeat(standing(centre.context))
            async with asyncio.timeout(30):
                event = await seat.next()
                while event is not None and event.name != "heartbeat":
                    event = await seat.next()
        assert event is not None
        assert event.body["judgement"]["state"] == "stale"
        assert event.body["recording"] == {"state": "never", "recorded_to": None, "age_s": None}
        json.dumps(event.body)
