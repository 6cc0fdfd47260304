"""Which equation a family of packs names; one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from egret_core.rules import muskingum, nowcast, soil_water, surge
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.rungs import At

Binder = Callable[[At, Mapping[str, Any], Sequence[ChannelPlace]], IndexLaw]

INDICES: Mapping[Family, Binder] = {
    Family.SOIL_WATER: soil_water.law,
    Family.NOWCAST: nowcast.law,
    Family.SURGE: surge.law,
    Family.MUSKINGUM: muskingum.law,
}
