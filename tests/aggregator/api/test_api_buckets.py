"""Buckets by HTTP: whole, with their extremes' instants, and the same page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from rig.api_centre import ApiCentre, api_centre

from egret_aggregator.config import ApiSettings
from egret_aggregator.roller import fresh
from egret_aggregator.store import StoredReading
from egret_aggregator.store.rollup_rows import Mark
from egret_core.buckets import TEN_MIN_MS

if TYPE_CHECKING:
    from pathlib import Path

WL = "/api/v1/stations/st0007/channels/wl/buckets"
DAY = "from=2017-08-18T00:00:00Z&to=2017-08-19T00:00:00Z"
DAY_MS = 1_503_014_400_000
KEY = ("st0007", "wl")


def row(minute: float, value: float | None = 1.5, flag: int = 1) -> StoredReading:
    return StoredReading(*KEY, DAY_MS + int(minute * 60_000), value, None, flag, 0, 0, 250)


async def rolled(centre: ApiCentre, rows: list[StoredReading]) -> None:
    """Store rows, and roll them as the roller would."""
    await centre.store.write(rows)
    starts = sorted({row.time_ms - row.time_ms % TEN_MIN_MS for row in rows})
    await centre.rollups.roll({KEY: await fresh(centre.store, KEY, starts)}, ())


async def test_a_bucket_keeps_its_extremes_with_their_instants(centre: ApiCentre) -> None:
    await rolled(centre, [row(0, 3.0), row(7, 9.5), row(8, 2.0), row(9, 77.0, 4), row(10, None, 9)])
    body = (await centre.get(f"{WL}?{DAY}&width_s=3600")).json()
    assert (body["tier"], body["unit"], body["datum"]) == ("1h", "m", "Luoling")
    assert (body["rollups"]["state"], body["rollups"]["pending"]) == ("current", 0)
    (item,) = body["items"]
    assert item == {
        "time": "2017-08-18T00:00:00.000Z",
        "count": 5,
        "n": 3,
        "min": 2.0,
        "min_time": "2017-08-18T00:08:00.000Z",
        "max": 9.5,
        "max_time": "2017-08-18T00:07:00.000Z",
        "mean": pytest.approx(14.5 / 3),
        "sum": 14.5,
        "first": 3.0,
        "first_time": "2017-08-18T00:00:00.000Z",
        "last": 2.0,
        "last_time": "2017-08-18T00:08:00.000Z",
        "worst": 4,
        "worst_name": "FAIL",
    }


@pytest.mark.parametrize(
    ("width_s", "tier"), [(600, "10min"), (7200, "1h"), (90, "raw"), (0.5, "raw")]
)
async def test_the_tier_follows_from_the_width(
    centre: ApiCentre, width_s: float, tier: str
) -> None:
    await rolled(centre, [row(n / 2, n) for n in range(300)])
    body = (await centre.get(f"{WL}?{DAY}&width_s={width_s}&limit=1000")).json()
    assert body["tier"] == tier
    assert sum(item["count"] for item in body["items"]) == (300 if width_s > 1 else 17)


async def test_what_is_marked_is_taken_from_the_store_on_the_way(centre: ApiCentre) -> None:
    await rolled(centre, [row(n, 1.0) for n in range(120)])
    await centre.store.write([row(30.5, 8.0), row(125, 4.0)])
    marks = [Mark(*KEY, DAY_MS + 3 * TEN_MIN_MS), Mark(*KEY, DAY_MS + 12 * TEN_MIN_MS)]
    await centre.rollups.mark(marks, {0: 1}, DAY_MS)
    for width_s in (600, 3600):
        items = (await centre.get(f"{WL}?{DAY}&width_s={width_s}")).json()["items"]
        assert max(item["max"] for item in items) == 8.0
        assert sum(item["n"] for item in items) == 122


async def test_more_marks_than_are_taken_on_the_way_are_told(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.charts.FRESH_MAX", 2)
    await centre.store.write([row(10 * n) for n in range(5)])
    await centre.rollups.mark([Mark(*KEY, DAY_MS + n * TEN_MIN_MS) for n in range(5)], {}, 1)
    body = (await centre.get(f"{WL}?{DAY}&width_s=600")).json()
    assert (body["rollups"]["pending"], len(body["items"])) == (3, 2)


@pytest.mark.parametrize("width_s", [60, 600, 3600])
async def test_pages_together_are_the_whole(centre: ApiCentre, width_s: int) -> None:
    await rolled(centre, [row(n, n) for n in range(0, 1440, 7)])
    whole = (await centre.get(f"{WL}?{DAY}&width_s={width_s}&limit=1000")).json()
    items: list[Any] = []
    start = "2017-08-18T00:00:00Z"
    while start is not None:
        path = f"{WL}?from={start}&to=2017-08-19T00:00:00Z&width_s={width_s}&limit=13"
        body = (await centre.get(path)).json()
        items += body["items"]
        assert body["truncated"] is (body["next_from"] is not None)
        start = body["next_from"]
    if width_s > 60:
        assert whole["items"] == items
        assert not whole["truncated"]
    assert sum(item["count"] for item in items) == 206


async def test_raw_rows_of_one_answer_are_bounded_at_whole_buckets(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.charts.RAW_ROWS_MAX", 10)
    await centre.store.write([row(n / 60, n) for n in range(100)])
    found, start, pages = [], "2017-08-18T00:00:00Z", 0
    while start is not None:
        path = f"{WL}?from={start}&to=2017-08-18T00:02:00Z&width_s=7"
        body = (await centre.get(path)).json()
        found += body["items"]
        start, pages = body["next_from"], pages + 1
    assert sum(item["count"] for item in found) == 100
    assert len({item["time"] for item in found}) == len(found)
    assert pages > 3


async def test_one_bucket_of_more_rows_than_a_look_takes_is_whole(
    centre: ApiCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egret_aggregator.charts.RAW_ROWS_MAX", 3)
    await centre.store.write([row(n / 60, n) for n in range(50)])
    body = (await centre.get(f"{WL}?{DAY}&width_s=100")).json()
    assert body["items"][0]["count"] == 50


@pytest.mark.parametrize(
    "width", ["0", "-1", "0.0001", "4000", "600001", "nan", "inf", "1e300", "99999999"]
)
async def test_a_width_that_cannot_be_given_is_refused(centre: ApiCentre, width: str) -> None:
    answer = await centre.get(f"{WL}?{DAY}&width_s={width}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_width")


async def test_rollups_that_are_behind_say_so(tmp_path: Path) -> None:
    async with api_centre(tmp_path, ApiSettings(port=0)) as centre:
        centre.line.rolled, centre.line.behind = None, 7
        body = (await centre.get(f"{WL}?{DAY}&width_s=600")).json()
        assert body["rollups"] == {
            "state": "never",
            "rolled_to": None,
            "age_s": None,
            "pending": 0,
            "unmarked": 7,
        }
        raw = (await centre.get(f"{WL}?{DAY}&width_s=60")).json()
        assert raw["rollups"]["unmarked"] == 0, "raw readings need no rollups"
        assert body["items"] == []
