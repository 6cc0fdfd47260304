"""Which equation a family of packs names; one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from egret_core.rules import (
    antecedent,
    day_sum,
    muskingum,
    nowcast,
    rain_forecast,
    rating,
    reach,
    recent_antecedent,
    rise,
    slope,
    soil_water,
    storm,
    surge,
    tangent_angle,
    velocity,
    wetness,
)
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.rungs import At

Binder = Callable[[At, Mapping[str, Any], Sequence[ChannelPlace]], IndexLaw]

INDICES: Mapping[Family, Binder] = {
    Family.SOIL_WATER: soil_water.law,
    Family.RISE: rise.law,
    Family.REACH: reach.law,
    Family.DAY_SUM: day_sum.law,
    Family.RAIN_FORECAST: rain_forecast.law,
    Family.STORM: storm.law,
    Family.ANTECEDENT: antecedent.law,
    Family.RECENT_ANTECEDENT: recent_antecedent.law,
    Family.WETNESS: wetness.law,
    Family.VELOCITY: velocity.law,
    Family.TANGENT_ANGLE: tangent_angle.law,
    Family.SLOPE: slope.law,
    Family.RATING: rating.law,
    Family.NOWCAST: nowcast.law,
    Family.SURGE: surge.law,
    Family.MUSKINGUM: muskingum.law,
}
