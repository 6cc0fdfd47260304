"""What the centre doubts is shown beside what the gateway said, and never instead of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rig.api_centre import NOW_MS, STATIONS, api_centre
from rig.events import event

from egret_aggregator.store import StoredReading
from egret_aggregator.tokens import Role
from egret_core.quality import Reason
from egret_core.rules.screened import Shown
from egret_core.screening.chain import Flagged

if TYPE_CHECKING:
    from pathlib import Path

    from rig.api_centre import ApiCentre

SCREENED = STATIONS.replace(
    'gateway = "XM-TA-0042"\n',
    'gateway = "XM-TA-0042"\n[station.channel.screening]\nunit = "m"\nspike = { suspect = 1 }\n',
    1,
)
PATH = "/api/v1/stations/st0007/channels/wl/screening"


async def test_flags_are_newest_first_with_their_counts(tmp_path: Path) -> None:
    async with api_centre(tmp_path, stations=SCREENED) as centre:
        await centre.admit(Role.VIEWER)
        reasons = int(Reason.SPIKE | Reason.RATE)
        flags = [Flagged(NOW_MS, 4, int(Reason.RANGE)), Flagged(NOW_MS + 1000, 3, reasons, True)]
        counts = {"spike": [2, 1], "range": [0, 9]}
        centre.line.doubts["st0007", "wl"] = Shown(flags, counts)
        body = (await centre.get(PATH)).json()
        assert body["screened"] is True
        assert (body["unit"], body["datum"]) == ("m", "Luoling")
        assert [item["flag_name"] for item in body["items"]] == ["SUSPECT", "FAIL"]
        assert body["items"][0]["reasons"] == ["SPIKE", "RATE"]
        assert [item["provisional"] for item in body["items"]] == [True, False]
        assert body["counts"] == [
            {"reason": "range", "suspect": 0, "fail": 9},
            {"reason": "spike", "suspect": 2, "fail": 1},
        ]


async def test_a_channel_without_a_table_says_that_nothing_is_screened(centre: ApiCentre) -> None:
    body = (await centre.get(PATH)).json()
    assert (body["screened"], body["items"], body["counts"]) == (False, [], [])


async def test_an_unknown_channel_is_a_problem_and_a_stored_one_is_not(centre: ApiCentre) -> None:
    await centre.ledger.take([event("raised", 1)])
    unknown = await centre.get("/api/v1/stations/st9/channels/x/screening")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_channel")
    await centre.store.write([StoredReading("st9", "x", NOW_MS, 1.0, None, 1, 0, 0, 5)], [])
    body = (await centre.get("/api/v1/stations/st9/channels/x/screening")).json()
    assert (body["known"], body["screened"]) == (False, False)
