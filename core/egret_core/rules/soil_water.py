"""JMA soil water index: three tanks in series, mm (detector D5).

    q1 = a1 max(S1-L1,0) + a2 max(S1-L2,0)   q2 = a3 max(S2-L3,0)   q3 = a4 max(S3-L4,0)   mm/h
    S1' = (1-b1 dt) S1 - q1 dt + R           S2' = (1-b2 dt) S2 - q2 dt + b1 S1 dt
    S3' = (1-b3 dt) S3 - q3 dt + b2 S2 dt    clipped at 0;   SWI = S1 + S2 + S3

All right sides use the old S; R is the rain of the step, mm. Explicit Euler with a fixed step
(10 min as JMA does), part of the definition: rain is spread evenly over the time since the reading
before. Source: Okada et al. 2001, constants as in two public codes (ENCflow `test/swi`); Osanai
et al. 2010, doi 10.1007/s10346-010-0229-5. State: 3 floats, the clock, and the rain of the step
that is not over. Cost: O(steps since the reading before), at most 30 days of them; after a longer
gap the tanks have drained to less than any level, and it warms up anew.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from egret_core.rules.index import Standing
from egret_core.rules.model import IndexLaw
from egret_core.rules.rain_place import needs_total
from egret_core.rules.rungs import index_ladder, more_than_0, ms
from egret_core.rules.total import NM_PER_MM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

L1, L2, L3, L4 = 15.0, 60.0, 15.0, 15.0  # mm
A1, A2, A3, A4 = 0.1, 0.15, 0.05, 0.01  # 1/h
B1, B2, B3 = 0.12, 0.05, 0.01  # 1/h
MS_PER_H = 3_600_000
SPAN_MAX_MS = 30 * 86_400_000  # of one silence: 4320 steps of 10 min
WARM_MS = 3 * 86_400_000  # before it, rain that fell before the first reading would be missing

Tanks = tuple[float, float, float]


def euler(tanks: Tanks, rain_mm: float, dt_h: float) -> Tanks:
    """Return the tanks after one step, mm."""
    s1, s2, s3 = tanks
    q1 = A1 * max(s1 - L1, 0.0) + A2 * max(s1 - L2, 0.0)
    q2 = A3 * max(s2 - L3, 0.0)
    q3 = A4 * max(s3 - L4, 0.0)
    return (
        max((1 - B1 * dt_h) * s1 - q1 * dt_h + rain_mm, 0.0),
        max((1 - B2 * dt_h) * s2 - q2 * dt_h + B1 * s1 * dt_h, 0.0),
        max((1 - B3 * dt_h) * s3 - q3 * dt_h + B2 * s2 * dt_h, 0.0),
    )


class SoilWater:
    """The state of one index; takes the nanometres of rain between two readings.

    Args:
        step_ms: the fixed Euler step; warm_ms: how long it must have watched before it speaks.
    """

    def __init__(self, step_ms: int, warm_ms: int) -> None:
        self._step_ms = step_ms
        self._warm_ms = warm_ms
        self._tanks: Tanks = (0.0, 0.0, 0.0)
        self._rain_nm = 0.0  # of the step under way
        self._at_ms: int | None = None  # end of the last whole step
        self._last_ms = 0
        self._since_ms = 0
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take what fell since the reading before; return the index of the last whole step, mm."""
        if self._at_ms is None or time_ms - self._last_ms > SPAN_MAX_MS:
            self._begin(time_ms)
        at_ms = self._at_ms if self._at_ms is not None else time_ms
        span_ms = time_ms - self._last_ms
        while at_ms + self._step_ms <= time_ms:
            end_ms = at_ms + self._step_ms
            part = value * (end_ms - max(at_ms, self._last_ms)) / span_ms
            rain_mm = (self._rain_nm + part) / NM_PER_MM
            self._tanks = euler(self._tanks, rain_mm, self._step_ms / MS_PER_H)
            self._rain_nm, at_ms = 0.0, end_ms
        if span_ms:
            self._rain_nm += value * (time_ms - max(at_ms, self._last_ms)) / span_ms
        self._at_ms, self._last_ms = at_ms, time_ms
        if time_ms - self._since_ms < self._warm_ms:
            self.standing = Standing.WARMING_UP
            return None
        self.standing = Standing.OK
        return sum(self._tanks)

    def evidence(self) -> Mapping[str, Any]:
        """Return the tanks, mm."""
        return {f"tank{n}_mm": round(tank, 4) for n, tank in enumerate(self._tanks, 1)}

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [list(self._tanks), self._rain_nm, self._at_ms, self._last_ms, self._since_ms]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        tanks, self._rain_nm, self._at_ms, self._last_ms, self._since_ms = saved
        self._tanks = (tanks[0], tanks[1], tanks[2])
        warm = self._at_ms is not None and self._last_ms - self._since_ms >= self._warm_ms
        self.standing = Standing.OK if warm else Standing.WARMING_UP

    def _begin(self, time_ms: int) -> None:
        self._tanks = (0.0, 0.0, 0.0)
        self._rain_nm = 0.0
        self._at_ms = time_ms - time_ms % self._step_ms
        self._last_ms = self._since_ms = time_ms


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters; ConfigError where a channel is no rain total."""
    needs_total(at, places)
    make = partial(SoilWater, ms(given["step_s"]), WARM_MS)
    return IndexLaw(
        "soil_water", make, index_ladder(at, given, "mm", more_than_0), WARM_MS, of_total=True
    )
