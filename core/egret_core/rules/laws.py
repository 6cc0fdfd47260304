"""From checked parameters to a law in canonical units, fitting every channel it is bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules import flood_levels, rain_levels
from egret_core.rules.indices import INDICES
from egret_core.rules.level_place import level_ladder
from egret_core.rules.model import AbsenceLaw, Family
from egret_core.rules.packs import word_of
from egret_core.rules.rungs import ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace, Law
    from egret_core.rules.rungs import At

ALARM_LIMITS = 6  # an alarm follows after so many limits where no other time is given


def law_of(at: At, family: Family, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> Law:
    """Return the law that these parameters make.

    Raises:
        ConfigError: a level, unit or datum that does not fit the channels.
    """
    if family is Family.LEVEL:
        return level_ladder(at, given, places)
    if family is Family.FLOOD:
        return flood_levels.law(at, given, places)
    if family is Family.RAIN:
        return rain_levels.law(at, given, places)
    if family in INDICES:
        law = INDICES[family](at, given, places)
        law.make()  # what its equation reads it reads now, and not at the first reading
        return law
    return _absence(at, given)


def _absence(at: At, given: Mapping[str, Any]) -> AbsenceLaw:
    """Return one or two levels; a pack without an `alarm_level` has one."""
    file, key = at
    label, limit_s = word_of(file, f"{key}.level", given["level"]), given["limit_s"]
    if not given.get("alarm_level"):
        return AbsenceLaw(label, ms(limit_s))
    alarm = word_of(file, f"{key}.alarm_level", given["alarm_level"])
    if alarm == label:
        raise ConfigError(file, f"{key}.alarm_level", alarm, "name each level once")
    alarm_s = given["alarm_s"] or ALARM_LIMITS * limit_s
    if alarm_s <= limit_s:
        remedy = f'write more than limit_s ({limit_s:g}), or alarm_level = "" for one level'
        raise ConfigError(file, f"{key}.alarm_s", alarm_s, remedy)
    return AbsenceLaw(label, ms(limit_s), ((alarm, ms(alarm_s)),))
