"""Readiness: green only while readings come in and are judged; each reason has a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import NOW_MS

from egret_aggregator.api.context import JUDGED_STALE_S

if TYPE_CHECKING:
    from rig.api_centre import ApiCentre

HOUR_MS = 3_600_000


async def ready(centre: ApiCentre) -> tuple[int, dict[str, Any]]:
    answer = await centre.ask("GET", "/readyz")
    body: dict[str, Any] = answer.json()
    assert body["status"] == ("ready" if answer.status_code == 200 else "not_ready")
    return answer.status_code, body


async def test_it_is_ready_when_all_is_well(centre: ApiCentre) -> None:
    code, body = await ready(centre)
    assert (code, body["why"]) == (200, [])
    assert body["judgement"]["state"] == "current"


@pytest.mark.parametrize(
    ("judged", "why"),
    [
        (None, "judgement_never"),
        (NOW_MS - int(JUDGED_STALE_S * 1000) - 1, "judgement_stale"),
        (NOW_MS - 24 * HOUR_MS, "judgement_stale"),
        (0, "judgement_stale"),
        # The clock was set back: what was judged "in an hour" says nothing of now.
        (NOW_MS + HOUR_MS, "judgement_stale"),
    ],
)
async def test_it_is_never_ready_without_a_judgement_of_now(
    centre: ApiCentre, judged: int | None, why: str
) -> None:
    centre.line.judged = judged
    code, body = await ready(centre)
    assert (code, body["why"]) == (503, [why])
    assert body["judgement"]["state"] == why.removeprefix("judgement_")


async def test_a_small_step_of_the_clock_is_no_alarm(centre: ApiCentre) -> None:
    centre.line.judged = NOW_MS + 30_000
    code, body = await ready(centre)
    assert (code, body["judgement"]["state"]) == (200, "current")


@pytest.mark.parametrize("wrong", ["intake_disconnected", "journal_full", "journal_failing"])
async def test_it_is_not_ready_while_readings_do_not_come_in(centre: ApiCentre, wrong: str) -> None:
    centre.line.wrong = (wrong,)
    code, body = await ready(centre)
    assert (code, body["why"]) == (503, [wrong])
    # Judgement is still of now, and the warnings that stand are served.
    assert body["judgement"]["state"] == "current"
    assert (await centre.get("/api/v1/warnings")).status_code == 200
    assert (await centre.ask("GET", "/healthz")).status_code == 200


async def test_every_reason_is_named(centre: ApiCentre) -> None:
    centre.line.judged, centre.line.wrong = None, ("intake_disconnected", "journal_full")
    code, body = await ready(centre)
    assert code == 503
    assert body["why"] == ["judgement_never", "intake_disconnected", "journal_full"]
