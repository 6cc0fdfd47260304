"""Rain detectors on 526 days of a real gauge with 11 days of landslides: points of their ROC.

The detectors are those that the packs ship, by the clock, at several thresholds of each:
`kpae_NAME_THRESHOLD_SCORE`. A slide day is hit by an alarm on it or on the day before. Alarm days
at most 3 apart are one episode, false without a slide in it or within 2 days after it; FAR is by
episode. A false day is an alarm day without a slide within 1 day; CSI, POFD and TSS are by day.
Levels were looked for on the same days that they are scored on: compare, do not promise.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rig import kpae

from egret_core.rules.binding import bind
from egret_core.rules.curves import Curve, Terms
from egret_core.rules.model import ChannelPlace, IndexLaw
from egret_core.rules.packs import parse_pack
from egret_core.rules.skill import Contingency, false_times, outcome
from egret_core.rules.storm import Storm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egret_core.rules.index import Index

PACKS = Path(__file__).resolve().parents[1] / "core" / "egret_core" / "packs"
PLACE = ChannelPlace("kpae", "rn", "rain_total", "mm", "", "GW-1")
ANY = "levels = [{ level = 'red', raise = 1 }]"
MM_PER_M = 1000
GUZZETTI_2008 = Curve(2.20, 0.44)  # unread, so no pack: what a curve for the whole world does

# Name, pack and its parameters, unit of the names, thresholds in that unit: the index over one is
# an alarm. Ratios and the line of P3 and P15 are in per cent of the published one.
SHIPPED = (
    ("swi", "jma-soil-water", ANY, 1.0, (20, 30, 35, 40, 45, 50, 60, 70, 80)),
    ("awi_mm", "usgs-seattle-wetness", "utc_offset_h = 0", 1 / MM_PER_M, (0, 10, 20, 30, 40)),
    ("p3p15", "usgs-seattle-p3-p15", "", 0.889, (60, 80, 100, 120, 140)),
    ("seattle_id", "usgs-seattle-intensity-duration", "", 0.01, (50, 75, 100, 125)),
    ("caine", "caine-1980", "", 0.01, (20, 30, 40, 50, 100)),
    ("api_k85", "generic-api", f"k_day = 0.85\n{ANY}", 1.0, (40, 50, 60, 70, 80)),
    ("effective_72h", "jma-effective-rainfall", ANY, 1.0, (30, 40, 50, 60, 70)),
)


def figures() -> dict[str, float | None]:
    """Return every score of every detector at every threshold."""
    out: dict[str, float | None] = {}
    for name, pack, parameters, unit, thresholds in SHIPPED:
        said = indexed(shipped(pack, parameters))
        for threshold in thresholds:
            out |= named(f"kpae_{name}_{threshold}", alarm_days(said, threshold * unit))
    said = indexed(Storm(Terms((GUZZETTI_2008,), "", 1, 10**10, 3 * kpae.HOUR_MS)))
    for threshold in (100, 200, 300):
        out |= named(f"kpae_guzzetti_{threshold}", alarm_days(said, threshold / 100))
    return out


def shipped(pack: str, parameters: str) -> Index:
    """Return the index of a pack, bound as a user would."""
    rule = f'[[rule]]\nid = "x"\npack = "{pack}"\nchannels = ["kpae/rn"]\n[rule.parameters]\n'
    packs = {pack: parse_pack((PACKS / f"{pack}.toml").read_text(encoding="utf-8"), pack)}
    places = {(PLACE.station, PLACE.channel): PLACE}
    (bound,) = bind(rule + parameters, "rules.toml", packs, places)
    assert isinstance(bound.law, IndexLaw)
    return bound.law.make()


def indexed(index: Index) -> list[tuple[int, float]]:
    """Return (day, index) of each reading on which it says something."""
    out = []
    for hour in kpae.hourly():
        found = index.take(hour.time_ms, hour.rain_nm)
        if found is not None:
            out.append((kpae.day_of(hour.time_ms), found))
    return out


def alarm_days(said: Iterable[tuple[int, float]], threshold: float) -> list[int]:
    """Return the days on which the index reached a threshold."""
    return sorted({day for day, found in said if found >= threshold})


def named(name: str, alarms: Sequence[int]) -> dict[str, float | None]:
    """Return the scores of these alarm days, rounded, under their names."""
    return {
        f"{name}_{score}": None if value is None else round(value, 4)
        for score, value in scores(alarms).items()
    }


def scores(alarms: Sequence[int]) -> dict[str, float | None]:
    """Return the scores of these alarm days against the slide days."""
    slides = kpae.slide_days()
    found = outcome(alarms, slides, before=1, apart=3, reach=2)
    false_days = false_times(alarms, slides, within=1)
    days = len({kpae.day_of(hour.time_ms) for hour in kpae.hourly()})
    rest = days - found.hits - found.misses - false_days
    by_day = Contingency(found.hits, false_days, found.misses, rest)
    return {
        "pod": found.pod,
        "episodes": found.episodes,
        "false_episodes": found.false_episodes,
        "far": found.far,
        "alarm_days": len(alarms),
        "false_days": false_days,
        "csi": by_day.csi,
        "pofd": by_day.pofd,
        "tss": by_day.tss,
    }
