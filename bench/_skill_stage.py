"""Skill on a real flashy stream: nowcast, trends and rate of rise at Plumtree, 2016 and 2017.

Persistence index (PI) on rising samples (more than 0.15 ft in 30 min): 1 is perfect, 0 is as good
as saying that nothing changes. Crossing alarms against the 13 crossings of 3.0 ft and 2 of 4.0 ft,
as in `reference/detection.md` 8.2: events 3 h apart, a hit is an alarm at most 3 h ahead, alarms
at most 3 h apart are one episode, an episode without a crossing in it or within 3 h is false.
Where a figure is bad it is printed as it is.
"""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.rules.nowcast import FT, RIDGE, SPAN, STEP_MS, TERMS, Nowcast, Setting, terms
from egret_core.rules.rls import RecursiveLeastSquares
from egret_core.rules.skill import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

DATA = Path(__file__).parents[2] / "shared" / "data" / "stream_plumtree_2016_2017"
BASE_FT = 1.1
RISING_FT = 0.15
LEADS = {"15min": 3, "30min": 6, "60min": 12}
THREE_H_MS = 3 * 3_600_000
YEAR_MS = round(datetime(2017, 1, 1, tzinfo=UTC).timestamp() * 1000)
DAMPING = 0.8
MIDDLE = 0.5
QUANTILES = (MIDDLE, 0.75, 0.9)
STEEP_FT = 1.0  # in 30 min: the rises that drown people

Forecast = dict[int, float]  # sample -> change by the lead, ft


class Stage(NamedTuple):
    """Times, levels in ft, and the first sample of 2017."""

    times_ms: list[int]
    levels_ft: list[float]
    second_year: int


@lru_cache(maxsize=1)
def stage() -> Stage:
    times, levels = [], []
    with gzip.open(DATA / "stage_5min.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            times.append(round(datetime.fromisoformat(row["time_utc"]).timestamp() * 1000))
            levels.append(float(row["stage_ft"]))
    return Stage(times, levels, next(at for at, ms in enumerate(times) if ms >= YEAR_MS))


@lru_cache(maxsize=1)
def rising() -> list[int]:
    """Samples that gained enough in 30 min and have an hour before and after them."""
    levels = stage().levels_ft
    last = len(levels) - max(LEADS.values())
    return [n for n in range(SPAN - 1, last) if levels[n] - levels[n - 6] > RISING_FT]


def slope(at: int, points: int = 3) -> float:
    """OLS slope of the newest samples, ft a step."""
    levels = stage().levels_ft[at - points + 1 : at + 1]
    middle = (points - 1) / 2
    spread = sum((n - middle) ** 2 for n in range(points))
    return sum((n - middle) * level for n, level in enumerate(levels)) / spread


def linear(at: int, lead: int) -> float:
    return slope(at) * lead


def damped(at: int, lead: int) -> float:
    return slope(at) * DAMPING * (1 - DAMPING**lead) / (1 - DAMPING)


def trend(law: Callable[[int, int], float], lead: int) -> Forecast:
    return {at: law(at, lead) for at in rising()}


def fixed(lead: int, *, fit_first: bool) -> Forecast:
    """Forecasts of one year by weights fitted to the other, all samples alike."""
    levels, half = stage().levels_ft, stage().second_year
    model = RecursiveLeastSquares(TERMS, RIDGE, 1.0)
    out: Forecast = {}

    def of(at: int) -> list[float]:
        return terms([level * FT for level in levels[at - SPAN + 1 : at + 1]], BASE_FT * FT)

    for at in rising():
        if (at < half) == fit_first:
            model.learn(of(at), levels[at + lead] - levels[at])
    for at in rising():
        if (at < half) != fit_first:
            out[at] = model.estimate(of(at))
    return out


class Run(NamedTuple):
    """A nowcast as it runs from the first day.

    `made` are changes forecast, spoken or not, and `told` levels spoken (both ft, by sample);
    `inside` says of each rising sample spoken whether what came lay in the band.
    """

    made: Forecast
    told: Forecast
    inside: dict[int, bool]


@lru_cache(maxsize=len(LEADS) * len(QUANTILES))
def running(lead: int, quantile: float) -> Run:
    nowcast = Nowcast(Setting(lead, BASE_FT * FT, quantile=quantile))
    made, told, inside = {}, {}, {}
    levels = stage().levels_ft
    for at, (time_ms, level) in enumerate(zip(stage().times_ms, levels, strict=True)):
        spoken = nowcast.take(time_ms, level * FT)
        if spoken is not None:
            told[at] = spoken / FT
        if nowcast.change_m is None or at + lead >= len(levels):
            continue
        made[at] = nowcast.change_m / FT
        if spoken is not None and quantile == MIDDLE:
            said = nowcast.evidence()
            low, high = said["band_low_m"] / FT, said["band_high_m"] / FT
            inside[at] = low <= levels[at + lead] <= high
    return Run(made, told, inside)


def squares(forecast: Forecast, lead: int, chosen: Iterable[int]) -> tuple[int, float, float]:
    """Return samples, squared errors of the forecast and of persistence."""
    levels, count, error, still = stage().levels_ft, 0, 0.0, 0.0
    for at in chosen:
        change = levels[at + lead] - levels[at]
        count += 1
        error += (change - forecast[at]) ** 2
        still += change**2
    return count, error, still


def persistence_index(forecast: Forecast, lead: int, year: int | None = None) -> float:
    """PI over the samples that were forecast, of one year or both."""
    half, last = stage().second_year, len(stage().levels_ft) - lead
    at = [n for n in forecast if n < last]
    if year is not None:
        at = [n for n in at if (n >= half) == (year == 2017)]
    _, error, still = squares(forecast, lead, at)
    return 1 - error / still


def of_forecasts() -> dict[str, float]:
    out: dict[str, float] = {"plumtree_rising_samples": len(rising())}
    levels = stage().levels_ft
    for name, lead in LEADS.items():
        none = dict.fromkeys(rising(), 0.0)
        count, _, still = squares(none, lead, rising())
        run = running(lead, MIDDLE)
        spoken = {at: run.made[at] for at in run.inside}
        steep = [ok for at, ok in run.inside.items() if levels[at] - levels[at - 6] > STEEP_FT]
        figures = {
            "persistence_rmse_ft": (still / count) ** 0.5,
            "linear_pi": persistence_index(trend(linear, lead), lead),
            "damped_pi": persistence_index(trend(damped, lead), lead),
            "nowcast_fit_2016_pi_2017": persistence_index(fixed(lead, fit_first=True), lead),
            "nowcast_fit_2017_pi_2016": persistence_index(fixed(lead, fit_first=False), lead),
            "nowcast_running_pi": persistence_index(run.made, lead),
            "nowcast_running_pi_2017": persistence_index(run.made, lead, 2017),
            "nowcast_told_share": len(spoken) / len(run.made),
            "nowcast_told_pi": persistence_index(spoken, lead),
            "nowcast_band_share": sum(run.inside.values()) / len(run.inside),
            "nowcast_band_share_steep": sum(steep) / len(steep),
        }
        out |= {f"plumtree_{key}_{name}": round(value, 3) for key, value in figures.items()}
    return out


def crossings(threshold_ft: float) -> list[int]:
    with (DATA / "crossings.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if float(row["threshold_ft"]) == threshold_ft]
    return [round(datetime.fromisoformat(r["crossed_at_utc"]).timestamp() * 1000) for r in rows]


def alarms(rule: str, threshold_ft: float) -> list[int]:
    """Return the samples at which a rule says that the threshold is coming."""
    levels = stage().levels_ft
    every = range(SPAN, len(levels))
    if rule == "rise_half_ft_in_15min":
        return [at for at in every if levels[at] - levels[at - 3] >= 0.5]
    law, lead = {"linear_30min": (linear, 6), "damped_60min": (damped, 12)}[rule]
    return [at for at in every if slope(at) > 0 and levels[at] + law(at, lead) >= threshold_ft]


TRENDS = ("rise_half_ft_in_15min", "linear_30min", "damped_60min")


def of_crossings() -> dict[str, Any]:
    """Trends over both years; in 2017, when the nowcast had learned, it beside them."""
    out: dict[str, Any] = {}
    for threshold in (3.0, 4.0):
        end = f"{threshold:g}ft"
        for rule in TRENDS:
            up = alarms(rule, threshold)
            out |= scored(f"plumtree_{rule}_{end}", up, threshold, since=0)
            out |= scored(f"plumtree_{rule}_{end}_2017", up, threshold, since=YEAR_MS)
        for lead, quantile in product(LEADS, QUANTILES):
            told = running(LEADS[lead], quantile).told
            up = [at for at, level in told.items() if level >= threshold]
            name = f"plumtree_nowcast_{lead}_q{quantile * 100:.0f}_{end}_2017"
            out |= scored(name, up, threshold, since=YEAR_MS)
    return out


def scored(name: str, alarmed: Sequence[int], threshold_ft: float, since: int) -> dict[str, Any]:
    events = [ms for ms in crossings(threshold_ft) if ms >= since]
    at = [ms for ms in (stage().times_ms[n] for n in alarmed) if ms >= since]
    found = outcome(at, events, before=THREE_H_MS, apart=THREE_H_MS)
    lead = found.median_lead
    return {
        f"{name}_events": len(events),
        f"{name}_hits": found.hits,
        f"{name}_pod": None if found.pod is None else round(found.pod, 3),
        f"{name}_far": None if found.far is None else round(found.far, 3),
        f"{name}_lead_min": None if lead is None else lead / 60_000,
    }


def figures() -> dict[str, Any]:
    """Return every figure by name; nothing where the data is not beside the project."""
    if not DATA.exists():
        return {}
    assert STEP_MS == 300_000  # the record's own step
    return {**of_forecasts(), **of_crossings()}


if __name__ == "__main__":
    print(json.dumps(figures()))
