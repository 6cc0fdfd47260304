"""USGS Antecedent Water Index, a water balance of the ground, m (detector D4).

    A < 0:  A' = A + P - E dt               field capacity is A = 0: below it nothing drains
    else:   A' = A e^(-kd dt) + (P - E dt) (1 - e^(-kd dt)) / (kd dt)
    A'' = max(A', -C)

P is the rain of the step, m; E the evaporation of the month, m/h; dt the step, h; kd the drainage,
1/h (0.01); C the field capacity, m (0.18). With dt = 1 h this is the equation of USGS `thresh`
v1.0 (`track_storm` in dataanalysis.f90); other steps keep its rates. It begins at -C, the driest:
begin a record in the dry season, or what is wet already is not seen. A silence is stepped by the
hour, its rain spread evenly; after 30 days it begins anew. By readings
(`egret_core.rules.counting`) every reading is one step. Source: that program; Godt et al. 2006
(named, not read). State: 1 float and 2 times. Cost: O(1), O(hours) after a silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import exp, expm1
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.counting import reading_ms, word
from egret_core.rules.index import Standing
from egret_core.rules.model import IndexLaw
from egret_core.rules.packs import number, refuse_unknown, rows
from egret_core.rules.rain_place import needs_total
from egret_core.rules.rungs import index_ladder, ms, within_reach

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

MS_PER_H = 3_600_000
MS_PER_DAY = 86_400_000
NM_PER_M = 1_000_000_000
SILENCE_MAX_MS = 720 * MS_PER_H  # 30 days, stepped by the hour
MONTHS = 12
_EVAPORATION_KEYS = ("month", "mm_h")


@dataclass(frozen=True, slots=True)
class Ground:
    """What the balance needs to know of a place.

    Attributes:
        evaporation_m_h: by month, January first.
        drainage_per_h: kd; capacity_m: C.
        utc_offset_ms: of the local time by which a month begins.
        warm_ms: how long it must have watched before it speaks.
        reading_ms: what a reading stands for, 0: the clock.
    """

    evaporation_m_h: tuple[float, ...]
    drainage_per_h: float
    capacity_m: float
    utc_offset_ms: int
    warm_ms: int
    reading_ms: int = 0

    def month(self, time_ms: int) -> int:
        """Return the local month, 1 to 12."""
        return month_of((time_ms + self.utc_offset_ms) // MS_PER_DAY)

    def balance(self, index_m: float, rain_m: float, month: int, dt_h: float) -> float:
        """Return the index after one step of more than 0 h, m."""
        net_m = rain_m - self.evaporation_m_h[month - 1] * dt_h
        if index_m < 0:
            return max(index_m + net_m, -self.capacity_m)
        drained = self.drainage_per_h * dt_h
        gained_m = net_m * -expm1(-drained) / drained
        return max(index_m * exp(-drained) + gained_m, -self.capacity_m)


class Wetness:
    """The state of one index; takes the nanometres of rain between two readings."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._index_m = -ground.capacity_m
        self._last_ms: int | None = None
        self._since_ms = 0
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take what fell since the reading before; return the index, m."""
        ground = self._ground
        if self._last_ms is None or time_ms - self._last_ms > SILENCE_MAX_MS:
            self._index_m = -ground.capacity_m
            self._last_ms = self._since_ms = time_ms - ground.reading_ms
        gap_ms = ground.reading_ms or time_ms - self._last_ms
        rain_m = value / NM_PER_M
        if gap_ms:
            steps = -(-gap_ms // MS_PER_H)
            for n in range(steps):
                end_ms = time_ms - gap_ms * (steps - 1 - n) // steps
                dt_h = gap_ms / steps / MS_PER_H
                month = ground.month(end_ms)
                self._index_m = ground.balance(self._index_m, rain_m / steps, month, dt_h)
        self._last_ms = time_ms
        self.standing = self._stands(time_ms)
        return self._index_m if self.standing is Standing.OK else None

    def evidence(self) -> Mapping[str, Any]:
        """Return the field capacity, m, and what time is counted in."""
        return {"capacity_m": self._ground.capacity_m, "counting": word(self._ground.reading_ms)}

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._index_m, self._last_ms, self._since_ms]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._index_m, self._last_ms, self._since_ms = saved
        self.standing = Standing.WARMING_UP
        if self._last_ms is not None:
            self.standing = self._stands(self._last_ms)

    def _stands(self, time_ms: int) -> Standing:
        warm = time_ms - self._since_ms >= self._ground.warm_ms
        return Standing.OK if warm else Standing.WARMING_UP


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a table of months that is none, a channel that is no rain total.
    """
    needs_total(at, places)
    ground = Ground(
        evaporation_m_h=_evaporation(at, given),
        drainage_per_h=_more_than_0(at, given, "drainage_per_h"),
        capacity_m=_more_than_0(at, given, "capacity_m"),
        utc_offset_ms=ms(given["utc_offset_h"] * 3600),
        warm_ms=ms(given["warm_s"]),
        reading_ms=reading_ms(given),
    )

    def above_driest(where: At, value: object) -> float:
        found = number(*where, value)
        if found <= -ground.capacity_m:
            raise ConfigError(*where, value, "write more than -capacity_m: it is never drier")
        return found

    ladder = within_reach(index_ladder(at, given, "m", above_driest), -ground.capacity_m)
    return IndexLaw("wetness", partial(Wetness, ground), ladder, ground.warm_ms, of_total=True)


def month_of(day: int) -> int:
    """Return the month, 1 to 12, of a day counted from 1970-01-01; any whole number is a day."""
    of_era = (day + 719_468) % 146_097  # days since a 1 March, 400 years are one era
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    since_march = (5 * of_year + 2) // 153
    return since_march + 3 if since_march < MONTHS - 2 else since_march - 9


def _more_than_0(at: At, given: Mapping[str, Any], name: str) -> float:
    found = number(at[0], f"{at[1]}.{name}", given[name])
    if found <= 0:
        raise ConfigError(at[0], f"{at[1]}.{name}", found, "write more than 0")
    return found


def _evaporation(at: At, given: Mapping[str, Any]) -> tuple[float, ...]:
    file, key = at
    where = f"{key}.evaporation"
    table = rows(file, where, given["evaporation"])
    if len(table) != MONTHS:
        raise ConfigError(file, where, len(table), "list twelve months, January first")
    for index, row in enumerate(table):
        refuse_unknown(file, f"{where}[{index}]", row, _EVAPORATION_KEYS)
        if row.get("month") is True or row.get("month") != index + 1:
            remedy = f"write {index + 1}: twelve months, January first"
            raise ConfigError(file, f"{where}[{index}].month", row.get("month"), remedy)
    return tuple(
        number(file, f"{where}[{index}].mm_h", row.get("mm_h"), 0.0) / 1000
        for index, row in enumerate(table)
    )
