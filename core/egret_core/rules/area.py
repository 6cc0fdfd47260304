"""Area: a level holds while enough stations, or channels, of an area hold it.

    holds(R, t) = #{stations s: max over s's inputs of rank(t) >= R} >= k
    k = max(need, ceil(share x n)),   n = stations (or channels) of the area

`n` counts every station that is listed, the silent ones too: silence neither raises nor lowers,
the silent ones keep their last level and are told as missing. Counts have no unit, share is 0 to
1. Source: the plain count that bulletins of a basin give ("6 of 10 stations above warning level").
State and cost: as `egret_core.rules.vote`, which counts.
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.joint_levels import common_levels, own_ranks, stale_ms, whole
from egret_core.rules.model import JointLaw
from egret_core.rules.rungs import ms
from egret_core.rules.vote import Vote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.joint import Input
    from egret_core.rules.rungs import At

STATIONS = "stations"


def needed(need: int, share: float, of: int) -> int:
    """Return how many of `of` must hold a level: a count, or a share, whichever is more."""
    # As the number is written: 0.3 of 10 is 3, and not the next float above it.
    return max(need, ceil(Fraction(repr(share)) * of))


def law(at: At, given: Mapping[str, Any], inputs: Sequence[Input]) -> JointLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a level nobody gives, more needed than there are, an input without a station.
    """
    file, key = at
    levels = common_levels(at, given, inputs)
    names: dict[str, int] = {}
    groups: list[int] = []
    for one in inputs:
        if one.channel is None:
            inputs_key = f"{key.removesuffix('.parameters')}.inputs"
            remedy = "an area counts stations: name rules that judge channels"
            raise ConfigError(file, inputs_key, one.subject, remedy)
        name = one.channel[0] if given["count"] == STATIONS else one.subject
        groups.append(names.setdefault(name, len(names)))
    of = len(names)
    need = needed(whole(at, "need", given["need"], of, given["count"]), given["share"], of)
    make = partial(Vote, own_ranks(at, levels, inputs), groups, need, ms(given["skew_s"]))
    return JointLaw(levels, make, stale_ms(given))
