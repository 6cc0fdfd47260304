"""Levels by forecast amounts: said as forecasts, never taken for rain that fell."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from rig.packbook import GAUGE, judged, of_pack, refused
from rig.rulebook import at, brief, fold_of, play, prompt, reading, timeline

from egret_core.rules.index import Standing
from egret_core.rules.rain_forecast import RainForecast
from egret_core.units import canonical

AHEAD = replace(GAUGE, channel="rf", quantity="rain_forecast")
LEVELS = """levels = [{ level = "orange", raise = 30 }, { level = "red", raise = 50 }]
ahead_s = 7200
"""
RULE = of_pack("generic-rain-forecast", AHEAD, LEVELS)


def test_an_expected_amount_raises_and_says_that_it_is_a_forecast() -> None:
    events = judged(RULE, AHEAD, [(0, 10.0), (3600, 35.0), (7200, 60.0)])
    assert brief(events) == [("raised", "orange", 3600), ("upgraded", "red", 7200)]
    assert events[1].evidence == {
        "index": "rain_forecast",
        "value": 60.0,
        "threshold": 50.0,
        "unit": "mm",
        "basis": "forecast",
        "window_h": 2.0,
        "forecast_until_ms": at(7200 + 7200),
    }


def test_a_lower_forecast_lowers_nothing_before_an_hour_of_them() -> None:
    rows = [(0, 60.0), (3600, 0.0), (5400, 0.0), (7199, 0.0)]
    assert [row[:2] for row in brief(judged(RULE, AHEAD, rows))] == [("raised", "red")]
    assert brief(judged(RULE, AHEAD, [*rows, (7200, 0.0)]))[-1] == ("returned", "", 7200)


def test_fuzhou_2023_09_05_observed_orange_and_a_forecast_red_stand_side_by_side() -> None:
    # 88.6 mm in the past hour, 50 to 70 mm expected in the next two: raised to red by the bureau.
    fuzhou = of_pack(
        "fujian-rain-signals",
        GAUGE,
        'place = "inland"\nlevels = [{ level = "orange", window_h = 1, sum = 60 }]',
    )
    ahead = replace(RULE, id="ahead")
    rows = prompt(
        [
            *(reading(600 * n, 100 + round(88.6 / 6 * n, 4), GAUGE) for n in range(7)),
            reading(3601, 50.0, AHEAD),
        ]
    )
    events = play(fold_of([GAUGE, AHEAD], [fuzhou, ahead]), timeline(rows))
    settled = [
        (e.subject, e.level, e.evidence.get("basis")) for e in events if e.phase == "settled"
    ]
    assert settled == [("st1/rn", "orange", None), ("st1/rf", "red", "forecast")]


def test_less_than_nothing_is_invalid_and_judges_nothing() -> None:
    index = RainForecast(3_600_000)
    assert index.standing is Standing.WARMING_UP
    assert index.take(0, -1.0) is None
    assert index.standing is Standing.INVALID
    assert index.take(1, 1e300) == 1e300


def test_it_survives_a_restart() -> None:
    one, two = RainForecast(3_600_000), RainForecast(3_600_000)
    one.take(5, 3.0)
    two.restore(json.loads(json.dumps(one.dump())))
    assert (two.standing, two.evidence()) == (one.standing, one.evidence())
    two.restore(RainForecast(1).dump())
    assert "forecast_until_ms" not in two.evidence()


@pytest.mark.parametrize(
    ("parameters", "key", "says"),
    [
        (LEVELS.replace("ahead_s = 7200", ""), "ahead_s", "needs it"),
        (LEVELS.replace("7200", "30"), "ahead_s", "at least 60"),
        (LEVELS + 'unit = "kPa"', "levels[0].raise", "cannot measure"),
        (LEVELS.replace("50", "20"), "levels[1].raise", "lowest up"),
    ],
)
def test_wrong_parameters_are_refused(parameters: str, key: str, says: str) -> None:
    seen, remedy = refused("generic-rain-forecast", AHEAD, parameters)
    assert (seen, says in remedy) == (key, True), remedy


def test_rain_that_fell_is_no_forecast_and_a_forecast_is_no_rain() -> None:
    assert "rain_forecast" in refused("generic-rain-forecast", GAUGE, LEVELS)[1]
    assert "rain_total" in refused("cn-rain-signals", AHEAD, "")[1]
    assert canonical("rain_forecast") == "mm"
