"""A detector that was fed and goes back to the blank state is as cold as one that never was.

An abandoned warm-up does so (`Channel.forget`): what it had heard must not be judged with what
comes after.
"""

from __future__ import annotations

import json
import random

import pytest
from rig.packbook import of_pack
from rig.rulebook import GATEWAY, START_MS, at, fold_of, place, play, prompt, reading, timeline

from egret_core.rules.model import ChannelPlace
from egret_core.rules.step import detectors_of

RIVER, GAUGE = place(), place("rn", "rain_total")
SLOPE = ChannelPlace("st1", "dp", "displacement", "mm", "", GATEWAY, 30.0)
TALUS = 'sigma_mm = 0.5\nlevels = [{ level = "yellow", raise = 5.0 }]\nv0_mm_per_day = 1\n'
HOURS = """levels = [
  { level = "yellow", window_h = 3, sum = 15, and = [{ window_h = 1, sum = 10 }] },
]"""
CASES = {
    "generic-level": (RIVER, 'unit = "m"\ndatum = "Local"\nlevels = [{ level = "b", raise = 12 }]'),
    "generic-rate-of-rise": (RIVER, 'levels = [{ level = "a", raise = 0.5 }]\nunit = "m/h"'),
    "cn-rain-signals": (GAUGE, ""),
    "cn-rain-grades": (GAUGE, 'utc_offset = "+08:00"\nstarts_at = "00:00"'),
    "generic-rain": (GAUGE, HOURS),
    "caine-1980": (GAUGE, ""),
    "usgs-seattle-intensity-duration": (GAUGE, ""),
    "usgs-seattle-p3-p15": (GAUGE, ""),
    "usgs-seattle-wetness": (GAUGE, "utc_offset_h = 8"),
    "jma-soil-water": (GAUGE, 'levels = [{ level = "y", raise = 60 }]'),
    "jma-effective-rainfall": (GAUGE, 'levels = [{ level = "y", raise = 60 }]'),
    "generic-api": (GAUGE, 'levels = [{ level = "y", raise = 60 }]\nk_day = 0.9'),
    "generic-velocity": (SLOPE, TALUS),
}  # fmt: skip


@pytest.mark.parametrize("pack", CASES)
def test_restored_to_blank_it_knows_nothing_of_what_it_was_fed(pack: str) -> None:
    on, parameters = CASES[pack]
    rule = of_pack(pack, on, parameters)
    (fed,), (cold,) = detectors_of([rule], on.name), detectors_of([rule], on.name)
    blank = json.dumps(fed.dump())
    dice, value, said = random.Random(3), 10.0, []
    for n in range(900):
        value = round(value + dice.choice((0.0, 0.0, 0.2, 2.0)), 3)
        fed.settle(START_MS + n * 600_000, value, said)
    fed.restore(json.loads(blank))
    assert fed.alert_at == cold.alert_at
    assert getattr(fed, "standing", None) == getattr(cold, "standing", None)
    told, expected = [], []
    for n in range(900, 1800):
        fed.settle(START_MS + n * 600_000, value, told)  # at first the very value it heard last
        cold.settle(START_MS + n * 600_000, value, expected)
        assert (json.dumps(fed.dump()), told) == (json.dumps(cold.dump()), expected)
        value = round(value + dice.choice((0.0, 0.0, 0.2, 2.0)), 3)


def test_rain_of_an_abandoned_warm_up_is_in_no_sum() -> None:
    rule = of_pack("generic-rain", GAUGE, 'levels = [{ level = "b", window_h = 1, sum = 30 }]')
    live = [reading(3600 + 60 * n, 45.0 if n < 2 else 46 + n * 0.5, GAUGE) for n in range(14)]
    found = []
    for past in ([], [reading(60 * n, 45.0, GAUGE) for n in range(50)]):
        fold = fold_of([GAUGE], [rule], at(3600))
        (warmup,) = fold.cold
        warmup.begin()
        warmup.feed(past)
        warmup.abandon()
        fold.warmed(at(3600))
        found.append(play(fold, timeline(prompt(live), head_s=-3600)))
    assert found == [[], []]
