"""A station is green only where all that rules judge of it was heard; rows say what they are of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rig.catalogues import STATIONS
from rig.events import STORM_MS, event, forecast

from egret_aggregator import catalogue
from egret_aggregator.api import grafana_rows as rows
from egret_aggregator.store.model import StoredReading
from egret_aggregator.warnings import fold

PLACES = catalogue.of_texts(STATIONS, "", "f")
STATION = PLACES.stations["st1"]
NOW_MS = STORM_MS
MONTH_MS = 30 * 86_400_000
LEVEL, RAIN = ("st1", "wl"), ("st1", "rn")


def heard(level_age_ms: int) -> dict[tuple[str, str], StoredReading]:
    ages = {LEVEL: level_age_ms, RAIN: 60_000}
    return {
        key: StoredReading(*key, NOW_MS - age_ms, 2.0, None, 1, 0, 0, 500)
        for key, age_ms in ages.items()
    }


@pytest.mark.parametrize(
    ("age_ms", "ruled", "level"),
    [
        (MONTH_MS, {LEVEL, RAIN}, "unknown"),
        (MONTH_MS, {LEVEL}, "unknown"),
        (MONTH_MS, {RAIN}, "none"),  # no rule asks for the silent one
        (MONTH_MS, set(), "unknown"),
        (60_000, {LEVEL, RAIN}, "none"),
    ],
)
def test_one_silent_channel_that_is_judged_leaves_a_station_unknown(
    age_ms: int, ruled: set[tuple[str, str]], level: str
) -> None:
    row = rows.station(STATION, (), heard(age_ms), NOW_MS, judged=True, ruled=ruled)
    assert (row["level"], row["channels_heard"]) == (level, 2)


def test_a_row_says_what_its_warning_rests_on_and_whether_it_is_of_the_past() -> None:
    def row(state: Any) -> tuple[str, bool]:
        told = rows.warning(state, PLACES, NOW_MS)
        return told["basis"], told["retrospective"]

    gap = {"retrospective": True, "gap_from_ms": STORM_MS, "gap_to_ms": STORM_MS + 60_000}
    past = replace(event("raised", 4), evidence=gap)
    assert row(fold.opened(past, 1, NOW_MS)) == ("observed", True)
    assert row(fold.opened(forecast("raised", 4), 1, NOW_MS)) == ("forecast", False)
