"""Skill of the slope rule on seeded failures, beside the plain gate over numbers of readings.

Recipe: daily t = 0..117, failure at 120, u = 0.5 t + [t > 60] (-B ln((120 - t) / 60)) + N(0, 1 mm),
B uniform 20-80, v_eq = 0.5 mm/d. Drawn by Python's own generator, so that the series differ from
those of numpy's `default_rng(7)`, and so may a figure in its last digit. Seasonal slopes speed up
every wet season and never fall: every red there is false.
"""

from __future__ import annotations

import random
import statistics
import tomllib
from math import atan, degrees, log, pi, sin
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rig.slopes import DATA, published

from egret_core.rules.movement import MS_PER_DAY
from egret_core.rules.slope import CRITICAL, Slope

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PACK = Path(__file__).parents[1] / "core" / "egret_core" / "packs" / "inverse-velocity.toml"
FAILURES, SEED = 200, 7
ONSET_D, FAILURE_D, LAST_D = 60, 120, 117
V_EQ = 0.5  # mm/d
SEASONAL, SEASONAL_D = 8, 1461  # slopes, days
RED_DEG = 85.0
# Intervals of the plain gate's velocity and velocities of its fit, as the reference has them.
GATES = {"daily": (5, 10, 0.9), "6 h": (16, 24, 0.8), "1 h": (72, 144, 0.9)}
LEARN_D = 40

Series = list[tuple[float, float]]  # days, mm


class Red(NamedTuple):
    """One day of red: when it was said, what time of failure it named, and how surely, days."""

    day: float
    failure_d: float
    interval_d: tuple[float, float]  # of several windows
    band_d: tuple[float, float]  # of several alphas as well


class Outcome(NamedTuple):
    """What one series came to: its reds, and the days on which the angle alone was 85 degrees."""

    reds: list[Red]
    steep_days: list[float]


def failures(count: int = FAILURES, seed: int = SEED, every_d: float = 1.0) -> Iterator[Series]:
    """Yield series that fail at day 120, the last reading three days before."""
    dice = random.Random(seed)  # noqa: S311  (a recipe, no secret)
    for _ in range(count):
        factor = dice.uniform(20, 80)
        days = [n * every_d for n in range(round(LAST_D / every_d) + 1)]
        yield [(t, true_mm(t, factor) + dice.gauss(0, 1)) for t in days]


def holed(series: Sequence[Series], seed: int = SEED) -> Iterator[Series]:
    """Yield the series with every tenth reading missing, the others up to 15 min early or late."""
    dice = random.Random(seed)  # noqa: S311  (a recipe, no secret)
    for one in series:
        kept = [row for row in one if dice.random() >= 0.1]
        yield [(max(day + dice.uniform(-0.01, 0.01), 0.0), mm) for day, mm in kept]


def true_mm(day: float, factor: float) -> float:
    left = -factor * log((FAILURE_D - day) / (FAILURE_D - ONSET_D)) if day > ONSET_D else 0.0
    return V_EQ * day + left


def seasonal(count: int = SEASONAL, seed: int = SEED) -> Iterator[Series]:
    """Yield slopes of four years: 0.1 mm/d, up to 1.5 to 15 in wet weeks, 1 mm of noise."""
    dice = random.Random(seed)  # noqa: S311  (a recipe, no secret)
    for _ in range(count):
        moved, series = 0.0, []
        burst = dice.uniform(10, 100)
        for day in range(SEASONAL_D):
            moved += 0.1 + burst * max(sin(2 * pi * (day - 120) / 365.25) - 0.85, 0)
            series.append((float(day), moved + dice.gauss(0, 1)))
        yield series


def parameters(**given: object) -> dict[str, object]:
    """Return the pack's parameters, with these instead of its defaults."""
    known = tomllib.loads(PACK.read_text())["parameters"]
    return {name: row.get("default") for name, row in known.items()} | given


def by_rule(series: Series, **given: object) -> Outcome:
    """Judge a series by the rule, with the pack's defaults."""
    index = Slope(parameters(**{"sigma_mm": 1.0, "v_eq_mm_per_day": V_EQ, **given}))
    reds, steep = [], []
    for day, moved_mm in series:
        stage = index.take(round(day * MS_PER_DAY), moved_mm)
        said = index.evidence()
        if stage is not None and said["angle_deg"] >= RED_DEG:
            steep.append(day)
        if stage == CRITICAL:
            reds.append(named(day, said))
    return Outcome(reds, steep)


def named(day: float, said: Mapping[str, Any]) -> Red:
    """Return a red and the times that its evidence names."""
    windows = (said["failure_from_ms"] / MS_PER_DAY, said["failure_to_ms"] / MS_PER_DAY)
    alphas = (said["failure_alpha_2_2_ms"], said["failure_alpha_1_5_ms"])
    every = [*windows, *(found / MS_PER_DAY for found in alphas if found is not None)]
    return Red(day, said["failure_ms"] / MS_PER_DAY, windows, (min(every), max(every)))


def by_gate(
    series: Series, v_eq: float = V_EQ, window: int = 5, fit: int = 10, r2_min: float = 0.9
) -> Outcome:
    """Judge a series by the plain gate: numbers of intervals, velocities at the window's end."""
    reds, steep, speeds = [], [], []
    for at in range(window, len(series)):
        day = series[at][0]
        slope, _, _ = fitted(series[at - window : at + 1])
        speeds.append((day, slope))
        steep += [day] if degrees(atan(slope / v_eq)) >= RED_DEG else []
        newest = speeds[-fit:]
        if len(newest) < fit or min(v for _, v in newest) <= 0 or slope < 5 * v_eq:
            continue
        falls, rest, r2 = fitted([(t, 1 / v) for t, v in newest])
        failure_d = -rest / falls if falls < 0 else -1.0
        if r2 >= r2_min and 0 < failure_d - day <= 10:
            reds.append(Red(day, failure_d, (failure_d, failure_d), (failure_d, failure_d)))
    return Outcome(reds, steep)


def fitted(points: Sequence[tuple[float, float]]) -> tuple[float, float, float]:
    """Return slope, value at 0 and r2 of the line through points."""
    line = statistics.linear_regression(*zip(*points, strict=True))
    try:
        r = statistics.correlation(*zip(*points, strict=True))
    except statistics.StatisticsError:
        r = 0.0
    return line.slope, line.intercept, r * r


def scored(outcomes: Sequence[Outcome], name: str) -> dict[str, float]:
    """Return the figures of the seeded failures, days."""
    found = [one.reds for one in outcomes if one.reds]
    leads = sorted(FAILURE_D - reds[0].day for reds in found)
    first = [reds[0].failure_d - FAILURE_D for reds in found]
    last = [reds[-1].failure_d - FAILURE_D for reds in found]
    quarters = statistics.quantiles(last, n=4)
    interval = [reds[-1].interval_d[0] <= FAILURE_D <= reds[-1].interval_d[1] for reds in found]
    band = [reds[-1].band_d[0] <= FAILURE_D <= reds[-1].band_d[1] for reds in found]
    return {
        f"{name}_detected": len(found) / len(outcomes),
        f"{name}_before_onset": float(sum(reds[0].day <= ONSET_D for reds in found)),
        f"{name}_lead_d": statistics.median(leads),
        f"{name}_lead_5pct_d": leads[len(leads) // 20],
        f"{name}_lead_95pct_d": leads[len(leads) * 19 // 20],
        f"{name}_first_error_d": round(statistics.median(first), 3),
        f"{name}_last_error_d": round(statistics.median(last), 3),
        f"{name}_last_error_iqr_d": round(quarters[2] - quarters[0], 3),
        f"{name}_last_interval_holds": round(sum(interval) / len(found), 3),
        f"{name}_last_band_holds": round(sum(band) / len(found), 3),
    }


def synthetic() -> dict[str, float]:
    """Return the reds of the published series that fails at day 99, at its three paces, days."""
    out: dict[str, float] = {}
    for name, (window, fit, r2_min) in GATES.items():
        series = published(name)
        begin = [row for row in series if row[0] <= LEARN_D]
        plain = by_gate(series, fitted(begin)[0], window, fit, r2_min)
        ruled = by_rule(series, v_eq_mm_per_day=0)
        for who, found in (("rule", ruled), ("plain_gate", plain)):
            for which, red in (("first", found.reds[0]), ("last", found.reds[-1])):
                word = f"slope_{who}_{name.replace(' ', '')}_{which}_red"
                out[f"{word}_d"] = round(red.day, 3)
                out[f"{word}_names_d"] = round(red.failure_d, 3)
    return out


def figures() -> dict[str, float]:
    """Return all figures of the slope part, the bad ones too."""
    series = list(failures())
    steady = list(seasonal())
    ruled = [by_rule(one, v_eq_mm_per_day=0.2) for one in steady]
    plain = [by_gate(one, v_eq=0.2) for one in steady]
    return {
        **(synthetic() if DATA.exists() else {}),
        **scored([by_rule(one) for one in series], "slope_rule"),
        **scored([by_gate(one) for one in series], "slope_plain_gate"),
        "slope_rule_holed_detected": scored([by_rule(one) for one in holed(series)], "x")[
            "x_detected"
        ],
        "slope_never_fell_angle_red_days": sum(len(one.steep_days) for one in ruled) / SEASONAL,
        "slope_never_fell_rule_red_days": sum(len(one.reds) for one in ruled) / SEASONAL,
        "slope_never_fell_plain_gate_red_days": sum(len(one.reds) for one in plain) / SEASONAL,
    }
