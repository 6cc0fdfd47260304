"""China's flood warning levels at a station, from the levels that its bureau publishes.

    blue   x >= W - n     W warning level (jingjie shuiwei), n "near", m
    yellow x >= W
    orange x >= G         G guaranteed level (baozheng shuiwei)
    red    x >= H         H highest level on record

x is the stage, canonical m above the datum; a level eases below its own value minus the
hysteresis. Source: rules of the Ministry of Water Resources, 2013, as given at
hubdzj.gov.cn/info/1304/16027; "near" has no number there. The alternatives by return period (5, 5,
20, 50 years) are levels of a discharge: a second rule on its channel. State and cost: the ladder's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.level_place import in_canonical, one_quantity, same_datum
from egret_core.rules.model import Rung
from egret_core.rules.rungs import ladder_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace, LadderLaw
    from egret_core.rules.rungs import At

LABELS = ("blue", "yellow", "orange", "red")
PUBLISHED = ("warning", "guaranteed", "highest")
STAGE = "water_level"


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> LadderLaw:
    """Return the ladder of these parameters.

    Raises:
        ConfigError: no stage channel, another datum, levels out of order.
    """
    file, key = at
    if one_quantity(at, places) != STAGE:
        remedy = f"{places[0].name} measures {places[0].quantity}: bind a channel of {STAGE}"
        raise ConfigError(file, f"{key}.warning", places[0].quantity, remedy)
    same_datum(at, given, places)
    unit, on = given["unit"], [0.0]
    for name in PUBLISHED:
        on.append(in_canonical((file, f"{key}.{name}"), STAGE, given[name], unit))
        if name != PUBLISHED[0] and on[-1] <= on[-2]:
            remedy = f"write them rising: {', '.join(PUBLISHED)}"
            raise ConfigError(file, f"{key}.{name}", given[name], remedy)
    on[0] = on[1] - given["near_m"]
    if on[0] >= on[1]:
        raise ConfigError(file, f"{key}.near_m", given["near_m"], "write more than 0")
    steps = [
        Rung(label, level, level - given["hysteresis_m"])
        for label, level in zip(LABELS, on, strict=True)
    ]
    return ladder_of(given, tuple(steps), places[0].unit, given["datum"])
