"""Levels in a unit and from a datum, for channels that are measured in that way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.packs import number
from egret_core.rules.rungs import ladder_of, rungs
from egret_core.units import UnitError, convert, factor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace, LadderLaw
    from egret_core.rules.rungs import At


def level_ladder(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> LadderLaw:
    """Return the ladder of `levels` in `unit` from `datum`, in the channels' own unit.

    Raises:
        ConfigError: a level, unit or datum that does not fit the channels.
    """
    quantity = one_quantity(at, places)
    same_datum(at, given, places)
    unit = given["unit"]
    try:
        factor(quantity, unit)
    except UnitError as error:
        raise ConfigError(at[0], f"{at[1]}.unit", unit, str(error)) from None
    steps = rungs(at, given, lambda where, value: in_canonical(where, quantity, value, unit))
    return ladder_of(given, steps, places[0].unit, given["datum"])


def one_quantity(at: At, places: Sequence[ChannelPlace]) -> str:
    """Return the quantity that all channels measure; ConfigError where they differ."""
    quantities = {place.quantity for place in places}
    if len(quantities) != 1:
        file, key = at
        remedy = "bind one rule to channels of one quantity"
        raise ConfigError(file, f"{key}.levels", ", ".join(sorted(quantities)), remedy)
    return quantities.pop()


def same_datum(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> None:
    """Refuse levels that are given from another datum than a channel's; ConfigError."""
    file, key = at
    for place in places:
        if place.datum != given["datum"]:
            remedy = (
                f"{place.name} is measured from {place.datum or 'no datum'!r}: "
                "give the levels from the same"
            )
            raise ConfigError(file, f"{key}.datum", given["datum"], remedy)


def in_canonical(at: At, quantity: str, value: object, unit: str) -> float:
    """Return a number in the quantity's own unit; ConfigError where it cannot be."""
    file, key = at
    try:
        return convert(quantity, number(file, key, value), unit)
    except UnitError as error:
        raise ConfigError(file, key, unit, str(error)) from None
