"""What a chain of rain and flood rests on, where some of the rain was forecast and some fell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.packbook import GAUGE, RIVER, bound_to
from rig.rulebook import at, fold_of, killed, play, prompt, reading, timeline

from egret_core.reading import Reading
from egret_core.rules.event import Phase
from egret_core.rules.model import ChannelPlace

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.step import Item

FORECAST = ChannelPlace("st1", "fc", "rain_forecast", "mm", "", "GW-1", 30.0)
PLACES = (GAUGE, RIVER, FORECAST)
RULES = bound_to(
    """
[[rule]]
id = "rain"
pack = "cn-rain-signals"
channels = ["st1/rn"]
[[rule]]
id = "coming"
pack = "generic-rain-forecast"
channels = ["st1/fc"]
[rule.parameters]
ahead_s = 3600
hold_s = 0
levels = [{ level = "yellow", raise = 30 }]
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl"]
[rule.parameters]
unit = "m"
datum = "Local"
levels = [{ level = "blue", raise = 3.0 }]
[[rule]]
id = "flood"
pack = "rain-to-flood"
station = "st1"
inputs = [
  { rule = "rain", name = "rain" }, { rule = "coming", name = "rain" },
  { rule = "river", name = "river" },
]
[rule.parameters]
stages = [
  { input = "rain", level = "yellow" }, { input = "river", level = "blue", within_s = 43200 },
]
""",
    *PLACES,
)
HOURS = 13
NEVER = (99, 99)


def items(fell_h: tuple[int, int], forecast_h: tuple[int, int], flood_h: int = 10) -> list[Item]:
    """Rain of a millimetre a minute, forecasts of 40 mm, each from an hour to another; a flood."""
    rows, total = [], 100.0
    for n in range(HOURS * 60):
        total += fell_h[0] * 60 <= n < fell_h[1] * 60
        coming = 40.0 if forecast_h[0] * 60 <= n < forecast_h[1] * 60 else 0.0
        rows += [
            reading(60 * n, total, GAUGE),
            reading(60 * n + 1, 4.0 if n > flood_h * 60 else 1.0),
        ]
        rows.append(Reading("st1", "fc", at(60 * n + 2), coming))
    return timeline(prompt(rows))


def told(events: list[ConditionEvent]) -> list[tuple[str, str, str]]:
    """Return change, level and basis of what the chain said."""
    return [
        (str(e.change), e.level, e.evidence.get("basis", "observed"))
        for e in events
        if e.rule.startswith("flood@") and e.phase is Phase.SETTLED
    ]


CASES = {
    "rain fell, and more is forecast": ((0, 1), (5, 13), "observed", "observed"),
    "rain fell, and none was forecast": ((0, 1), NEVER, "observed", "observed"),
    "rain was only forecast, and still is": (NEVER, (1, 13), "forecast", "forecast"),
    "rain was only forecast, hours ago": (NEVER, (1, 3), "forecast", "forecast"),
    "rain was forecast, and then it fell": ((4, 5), (1, 13), "forecast", "observed"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_flood_is_marked_where_its_rain_was_only_forecast(case: str) -> None:
    fell_h, forecast_h, first, second = CASES[case]
    said = told(play(fold_of(PLACES, RULES), items(fell_h, forecast_h)))
    assert said == [("raised", "yellow", first), ("upgraded", "orange", second)]


@pytest.mark.parametrize("case", CASES)
def test_a_restart_in_between_changes_no_mark(case: str) -> None:
    fell_h, forecast_h, first, second = CASES[case]
    whole = items(fell_h, forecast_h)
    cuts = set(range(0, len(whole), 601))
    said = told(killed(PLACES, RULES, whole, cuts))
    assert said == [("raised", "yellow", first), ("upgraded", "orange", second)]
    assert len(cuts) > 5
