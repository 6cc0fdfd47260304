"""Which equation a family of packs names; one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from egret_core.rules import antecedent, recent_antecedent, soil_water, storm, wetness
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.rungs import At

Binder = Callable[[At, Mapping[str, Any], Sequence[ChannelPlace]], IndexLaw]

INDICES: Mapping[Family, Binder] = {
    Family.SOIL_WATER: soil_water.law,
    Family.STORM: storm.law,
    Family.ANTECEDENT: antecedent.law,
    Family.RECENT_ANTECEDENT: recent_antecedent.law,
    Family.WETNESS: wetness.law,
}
