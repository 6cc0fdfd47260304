"""From checked parameters to a law in canonical units, fitting every channel it is bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.indices import INDICES
from egret_core.rules.level_place import in_canonical, level_ladder
from egret_core.rules.model import AbsenceLaw, Family, RainLaw, WindowLevel
from egret_core.rules.packs import number, word_of
from egret_core.rules.rain_place import RAIN, needs_total
from egret_core.rules.rungs import level_rows, ms
from egret_core.rules.total import NM_PER_MM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace, Law
    from egret_core.rules.rungs import At

WINDOW_MAX_H = 24  # longer memory belongs to the antecedent indices
_WINDOW_KEYS = ("level", "window_h", "sum")


def law_of(at: At, family: Family, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> Law:
    """Return the law that these parameters make.

    Raises:
        ConfigError: a level, unit or datum that does not fit the channels.
    """
    if family is Family.LEVEL:
        return level_ladder(at, given, places)
    if family is Family.RAIN:
        return _rain(at, given, places)
    if family in INDICES:
        return INDICES[family](at, given, places)
    label = word_of(at[0], f"{at[1]}.level", given["level"])
    return AbsenceLaw(label, ms(given["limit_s"]))


def _rain(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> RainLaw:
    file, key = at
    needs_total(at, places)
    ranks: dict[str, int] = {}
    levels: list[WindowLevel] = []
    for index, row in enumerate(level_rows(at, given, _WINDOW_KEYS)):
        where = f"{key}.levels[{index}]"
        label = word_of(file, f"{where}.level", row.get("level"))
        hours = number(file, f"{where}.window_h", row.get("window_h"))
        if not 0 < hours <= WINDOW_MAX_H:
            remedy = f"write hours, more than 0 and at most {WINDOW_MAX_H}"
            raise ConfigError(file, f"{where}.window_h", hours, remedy)
        depth_mm = in_canonical((file, f"{where}.sum"), RAIN, row.get("sum"), given["unit"])
        if depth_mm <= 0:
            raise ConfigError(file, f"{where}.sum", row.get("sum"), "write more than 0")
        rank = ranks.setdefault(label, len(ranks) + 1)
        levels.append(WindowLevel(label, rank, ms(hours * 3600), round(depth_mm * NM_PER_MM)))
    levels.sort(key=lambda level: -level.rank)
    return RainLaw(tuple(levels), ms(given["dry_s"]))
