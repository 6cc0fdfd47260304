"""Thirty days of a valley with a rule of every family: rivers, rain, tide, a face that fails."""

from __future__ import annotations

import random
from dataclasses import replace
from math import cos, log, radians, sin
from typing import TYPE_CHECKING

from rig.packbook import PACKS
from rig.rulebook import GATEWAY, reading

from egret_core.rules.binding import bind
from egret_core.rules.model import ChannelPlace
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import NeighbourLaw, ScreeningLaw
from egret_core.screening.range import Span
from egret_core.screening.spike import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from egret_core.reading import Reading

SEED = 20260718
LATE_MS = 900_000  # longer than the time between two readings, so that a channel's order is mixed
DAY = 144  # steps of ten minutes in a day
STORMS = (300, 1000, 2090, 3148, 4000)  # first steps of five hours of rain
STORM_STEPS = 30
STUCK = (2098, 2116)  # the first river's sensor, in a storm: somebody has reason to expect movement
SPIKES, NONSENSE = (400, 1700, 3300), (640, 2500, 4100)
SPELLS = {  # steps in which a station says nothing
    "st1": ((500, 560), (3100, 3112)),
    "st2": ((1005, 1030),),
    "st3": ((2600, 2640),),
    "st4": ((2000, 2010),),
    "st6": ((1500, 1505),),
}


def _level(station: str) -> ChannelPlace:
    return ChannelPlace(station, "wl", "water_level", "m", "Local", GATEWAY, LATE_MS / 1000)


def _of(station: str, channel: str, quantity: str, unit: str) -> ChannelPlace:
    return ChannelPlace(station, channel, quantity, unit, "", GATEWAY, LATE_MS / 1000)


SCREENED = ScreeningLaw(
    sensor=Span(0.0, 9.0),
    operator=Span(0.1, 4.6),
    spike=Limits(0.7, 3.0),
    rate=Limits(0.0025),
    flat=Stillness(0.004, 3_600_000, 7_200_000),
    movement=(("st1", "rn"),),
    neighbours=NeighbourLaw((("st2", "wl"),), 1.9, 1),
    gap_ms=7_200_000,
)
RIVERS = [_level(f"st{n}") for n in (1, 2, 3)]
RIVERS[0] = replace(RIVERS[0], screening=SCREENED)
GAUGE = _of("st1", "rn", "rain_total", "mm")
FORECAST = _of("st1", "rf", "rain_forecast", "mm")
FLOW = _of("st1", "qq", "discharge", "m3/s")
FACE = _of("st4", "dx", "displacement", "mm")
SEA, BROOK = _level("st5"), _level("st6")
PLACES = [*RIVERS, GAUGE, FORECAST, FLOW, FACE, SEA, BROOK]

TEXT = """
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl", "st2/wl", "st3/wl"]
[rule.parameters]
unit = "m"
datum = "Local"
persistence_s = 1200
hold_s = 3600
levels = [
  { level = "blue", raise = 3.0, clear = 2.8 }, { level = "yellow", raise = 3.5, clear = 3.3 },
  { level = "orange", raise = 4.0, clear = 3.8 }, { level = "red", raise = 5.0, clear = 4.8 },
]
[[rule]]
id = "flood"
pack = "cn-flood-levels"
channels = ["st2/wl"]
parameters = { unit = "m", datum = "Local", warning = 3.5, guaranteed = 4.5, highest = 5.2 }
[[rule]]
id = "rise"
pack = "generic-rate-of-rise"
channels = ["st2/wl", "st3/wl"]
parameters = { unit = "m/h", levels = [{ level = "yellow", raise = 0.4 }] }
[[rule]]
id = "reach"
pack = "generic-time-to-level"
channels = ["st1/wl"]
parameters = { unit = "m", datum = "Local", levels = [{ level = "watch", raise = 3.5 }] }
[[rule]]
id = "rating"
pack = "generic-rating"
channels = ["st3/wl"]
[rule.parameters]
datum = "Local"
points = [{ stage = 1, flow = 10 }, { stage = 3, flow = 90 }, { stage = 9, flow = 900 }]
levels = [{ level = "yellow", raise = 120 }]
[[rule]]
id = "nowcast"
pack = "river-nowcast"
channels = ["st6/wl"]
parameters = { unit = "m", datum = "Local", base = 1, levels = [{ level = "watch", raise = 2.2 }] }
[[rule]]
id = "surge"
pack = "surge-residual"
channels = ["st5/wl"]
[rule.parameters]
datum = "Local"
epoch = "2017-07-14T02:40:00+00:00"
constituents = [{ name = "M2", amplitude = 2, speed_deg_per_h = 28.98, phase_deg = 40 }]
levels = [{ level = "yellow", raise = 0.5, clear = 0.4 }]
[[rule]]
id = "routed"
pack = "muskingum-flow"
channels = ["st1/qq"]
parameters = { reach = "upper", travel_h = 0.5, levels = [{ level = "yellow", raise = 150 }] }
[[rule]]
id = "rain"
pack = "generic-rain"
channels = ["st1/rn"]
[rule.parameters]
levels = [
  { level = "blue", window_h = 12, sum = 50 }, { level = "yellow", window_h = 6, sum = 60 },
  { level = "red", window_h = 3, sum = 55, and = [{ window_h = 1, over = 15 }] },
]
[[rule]]
id = "grade"
pack = "cn-rain-grades"
channels = ["st1/rn"]
parameters = { starts_at = "08:00", utc_offset = "+08:00" }
[[rule]]
id = "storm"
pack = "generic-intensity-duration"
channels = ["st1/rn"]
[rule.parameters]
source = "a test"
dmin_h = 0.1
dmax_h = 500
curves = [{ level = "yellow", a = 14, b = 0.4 }, { level = "orange", a = 28, b = 0.4 }]
[[rule]]
id = "api"
pack = "generic-api"
channels = ["st1/rn"]
parameters = { k_day = 0.85, levels = [{ level = "yellow", raise = 60 }] }
[[rule]]
id = "soil"
pack = "jma-soil-water"
channels = ["st1/rn"]
parameters = { levels = [{ level = "yellow", raise = 40 }, { level = "orange", raise = 70 }] }
[[rule]]
id = "p3p15"
pack = "usgs-seattle-p3-p15"
channels = ["st1/rn"]
parameters = { levels = [{ level = "orange", raise = 60 }] }
[[rule]]
id = "wet"
pack = "usgs-seattle-wetness"
channels = ["st1/rn"]
parameters = { utc_offset_h = 8, warm_s = 432000, levels = [{ level = "yellow", raise = -0.05 }] }
[[rule]]
id = "expected"
pack = "generic-rain-forecast"
channels = ["st1/rf"]
parameters = { ahead_s = 21600, levels = [{ level = "yellow", raise = 30 }] }
[[rule]]
id = "speed"
pack = "generic-velocity"
channels = ["st4/dx"]
parameters = { v0_mm_per_day = 2, sigma_mm = 0.05, window_s = 43200 }
[[rule]]
id = "angle"
pack = "xu-tangent-angle"
channels = ["st4/dx"]
parameters = { v_eq_mm_per_day = 1.67, sigma_mm = 0.05, window_s = 129600, held_s = 51840 }
[[rule]]
id = "face"
pack = "inverse-velocity"
channels = ["st4/dx"]
[rule.parameters]
v_eq_mm_per_day = 1.67
sigma_mm = 0.05
window_s = 129600
fit_s = 259200
held_s = 51840
horizon_s = 259200
[[rule]]
id = "silence"
pack = "absence"
channels = ["st1/wl", "st2/wl", "st3/wl", "st4/dx", "st6/wl", "gateway/GW-1"]
parameters = { limit_s = 4000 }
[[rule]]
id = "two-of-three"
pack = "generic-vote"
inputs = [{ rule = "river" }]
parameters = { need = 2, skew_s = 3600 }
[[rule]]
id = "basin"
pack = "generic-area"
area = "upper"
inputs = [{ rule = "river" }]
parameters = { share = 0.6, levels = ["yellow", "red"] }
[[rule]]
id = "confirmed"
pack = "two-families-red"
inputs = [{ rule = "river" }, { rule = "rain" }]
[[rule]]
id = "cascade"
pack = "rain-to-flood"
inputs = [{ rule = "rain" }, { rule = "river" }]
[rule.parameters]
stages = [{ input = "rain", level = "yellow" },
          { input = "river", level = "yellow", after_s = 600, within_s = 14400 }]
[[rule]]
id = "worst"
pack = "generic-logic"
inputs = [{ rule = "two-of-three" }, { rule = "cascade" }, { rule = "face" }]
[rule.parameters]
levels = [
  { level = "orange", any = { two-of-three = "yellow", cascade = "orange" } },
  { level = "red", all = { two-of-three = "yellow" }, none = { face = "red" } },
]
"""
RULES = bind(TEXT, "rules.toml", PACKS, {(one.station, one.channel): one for one in PLACES})


def _stormy(step: float) -> bool:
    return any(begin <= step < begin + STORM_STEPS for begin in STORMS)


def _water(dice: random.Random) -> Iterator[Reading]:
    """Rain, three rivers that carry it one after another, and the flow of the first."""
    fell, total, carried = [0.0] * 16, 100.0, [0.0, 0.0, 0.0]
    for n in range(30 * DAY):
        fell.append(dice.choice((1.8, 2.6, 4.2)) if _stormy(n) else dice.choice((0, 0, 0, 0.2)))
        total = round(total + fell[-1], 1)
        yield reading(600 * n + 7, total, GAUGE)
        for k, river in enumerate(RIVERS):
            carried[k] = carried[k] * 0.965 + 0.045 * fell[-1 - 5 * k]
            level = round(1.9 + carried[k] + dice.gauss(0, 0.02), 3)
            if k == 0:
                yield reading(600 * n + 11, round(20 * level**1.8, 2), FLOW)
                level = _ailing(n, level)
            yield reading(600 * n + 60 * k, level, river)


def _ailing(n: int, level: float) -> float:
    """What the first river's sensor says instead: stuck, struck, or a number that is none."""
    if STUCK[0] <= n < STUCK[1]:
        return 2.345
    return 99.0 if n in NONSENSE else round(level + 3.6 * (n in SPIKES), 3)


def _rest(dice: random.Random) -> Iterator[Reading]:
    """A forecast every six hours, the face, the sea, and a brook of many small waves."""
    for n in range(0, 30 * DAY, 36):
        ahead = sum(_stormy(step) for step in range(n, n + 36))
        yield reading(600 * n + 20, 2.5 * ahead + 1, FORECAST)
    for n in range(0, 30 * DAY, 3):
        day = n / DAY
        mm = 1.67 * day + (30 * -log((30.3 - day) / 18.3) if day > 12 else 0.0)
        yield reading(600 * n + 31, round(mm + dice.gauss(0, 0.05), 3), FACE)
    for n in range(30 * DAY):
        surge_m = 0.9 * max(0.0, sin(n / 250)) ** 8
        tide_m = 2 * cos(radians((28.98 * (600 * n + 43) / 3600 - 40) % 360))
        yield reading(600 * n + 43, round(tide_m + surge_m, 3), SEA)
    top, height = 0, 1.0
    for n in range(60 * DAY):
        if n % 72 == 0:
            top = dice.choice((6, 12, 24, 24))
        up, down = n % 72, n % 72 - top
        height = 0.06 * up if down < 0 else 0.06 * top * max(0.0, 1 - down / 24)
        yield reading(300 * n + 53, round(1.0 + height, 4), BROOK)


def _heard(one: Reading, spells: Callable[[str], Sequence[tuple[int, int]]]) -> bool:
    step = (one.time_ms - reading(0, 0).time_ms) // 600_000
    return not any(start <= step < end for start, end in spells(one.station))


def valley() -> list[Reading]:
    """Return the month's readings in time order, without those of the silent spells."""
    dice = random.Random(SEED)
    rows = [*_water(dice), *_rest(dice)]
    rows.sort(key=lambda one: one.time_ms)
    return [one for one in rows if _heard(one, lambda station: SPELLS.get(station, ()))]
