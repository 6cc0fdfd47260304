"""From rain on the hillside to water in the river.

Initial loss, then a Nash cascade: n equal linear reservoirs in a row, each with time constant k.
The step is exact for a constant inflow: ``S' = S e + I k (1 - e)``, ``e = exp(-dt / k)``, so the
result does not depend on the length of the step more than the rain itself does.
Stage by a power-law rating ``Q = a (h - h0)^b``, inverted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp


@dataclass(frozen=True, slots=True)
class Catchment:
    """One reach and the hillside above it.

    Attributes:
        area_km2: what drains to it; loss_mm: what the soil keeps before the first runoff.
        runoff_share: share of the rain after the loss that reaches the river, 0 to 1.
        reservoirs, k_s: the Nash cascade; base_m3_s: flow without rain.
        rating_a, rating_b, rating_zero_m: rating curve, m3/s from metres above the zero.
    """

    area_km2: float
    loss_mm: float
    runoff_share: float
    reservoirs: int
    k_s: float
    base_m3_s: float
    rating_a: float
    rating_b: float
    rating_zero_m: float


@dataclass(slots=True)
class Reach:
    """A catchment with water in it; stepped in time.

    Attributes:
        catchment: its facts.
        wetness_mm: how much of the initial loss is filled.
        stored_mm: water in each reservoir, mm over the area.
    """

    catchment: Catchment
    wetness_mm: float = 0.0
    stored_mm: list[float] = field(default_factory=list)

    def step(self, rain_mm: float, step_s: float) -> float:
        """Let rain fall for one step; return the stage at its end, metres."""
        facts = self.catchment
        if not self.stored_mm:
            self.stored_mm = [0.0] * facts.reservoirs
        # The soil dries to half in 12 h, so that a second storm finds it still wet.
        self.wetness_mm *= 0.5 ** (step_s / 43_200)
        kept = min(rain_mm, facts.loss_mm - self.wetness_mm)
        self.wetness_mm += kept
        inflow_mm_s = (rain_mm - kept) * facts.runoff_share / step_s
        fade = exp(-step_s / facts.k_s)
        for place, stored in enumerate(self.stored_mm):
            after = stored * fade + inflow_mm_s * facts.k_s * (1 - fade)
            inflow_mm_s = inflow_mm_s + (stored - after) / step_s  # what came in and did not stay
            self.stored_mm[place] = after
        return self.stage_m(facts.base_m3_s + inflow_mm_s * facts.area_km2 * 1000)

    def stage_m(self, discharge_m3_s: float) -> float:
        """Return the stage that belongs to a discharge, metres."""
        facts = self.catchment
        above_m: float = (discharge_m3_s / facts.rating_a) ** (1 / facts.rating_b)
        return facts.rating_zero_m + above_m
