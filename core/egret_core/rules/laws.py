"""From checked parameters to a law in canonical units, fitting every channel it is bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.model import AbsenceLaw, Family, LadderLaw, RainLaw, Rung, WindowLevel
from egret_core.rules.packs import number, refuse_unknown, rows, word_of
from egret_core.rules.rain import NM_PER_MM
from egret_core.units import UnitError, convert

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace, Law

WINDOW_MAX_H = 24  # longer memory belongs to the antecedent indices
LEVELS_MAX = 32  # rows of one rule; four colours by five windows are twenty
RAIN = "rain_total"
_RUNG_KEYS = ("level", "raise", "clear")
_WINDOW_KEYS = ("level", "window_h", "sum")

At = tuple[str, str]  # file and key of the parameters


def law_of(at: At, family: Family, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> Law:
    """Return the law that these parameters make.

    Raises:
        ConfigError: a level, unit or datum that does not fit the channels.
    """
    if family is Family.LEVEL:
        return _ladder(at, given, places)
    if family is Family.RAIN:
        return _rain(at, given, places)
    label = word_of(at[0], f"{at[1]}.level", given["level"])
    return AbsenceLaw(label, _ms(given["limit_s"]))


def _ladder(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> LadderLaw:
    file, key = at
    quantity = _one_quantity(at, places)
    for place in places:
        if place.datum != given["datum"]:
            raise ConfigError(
                file,
                f"{key}.datum",
                given["datum"],
                f"{place.name} is measured from {place.datum or 'no datum'!r}: "
                "give the levels from the same",
            )
    rungs: list[Rung] = []
    for index, row in enumerate(_levels(at, given, _RUNG_KEYS)):
        where = f"{key}.levels[{index}]"
        label = word_of(file, f"{where}.level", row.get("level"))
        on = _canonical((file, f"{where}.raise"), quantity, row.get("raise"), given["unit"])
        off = on
        if "clear" in row:
            off = _canonical((file, f"{where}.clear"), quantity, row["clear"], given["unit"])
        if off > on:
            raise ConfigError(file, f"{where}.clear", row["clear"], "write at most the raise value")
        if rungs and not (on > rungs[-1].raise_at and off >= rungs[-1].clear_at):
            remedy = "list the levels from the lowest up, raise and clear both rising"
            raise ConfigError(file, f"{where}.raise", row.get("raise"), remedy)
        if label in {rung.label for rung in rungs}:
            raise ConfigError(file, f"{where}.level", label, "name each level once")
        rungs.append(Rung(label, on, off))
    return LadderLaw(
        rungs=tuple(rungs),
        unit=places[0].unit,
        datum=given["datum"],
        persistence_ms=_ms(given["persistence_s"]),
        hold_ms=_ms(given["hold_s"]),
        gap_ms=_ms(given["gap_s"]),
    )


def _rain(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> RainLaw:
    file, key = at
    for place in places:
        if place.quantity != RAIN:
            remedy = f"{place.name} measures {place.quantity}: bind a channel of {RAIN}"
            raise ConfigError(file, f"{key}.levels", place.quantity, remedy)
    ranks: dict[str, int] = {}
    levels: list[WindowLevel] = []
    for index, row in enumerate(_levels(at, given, _WINDOW_KEYS)):
        where = f"{key}.levels[{index}]"
        label = word_of(file, f"{where}.level", row.get("level"))
        hours = number(file, f"{where}.window_h", row.get("window_h"))
        if not 0 < hours <= WINDOW_MAX_H:
            remedy = f"write hours, more than 0 and at most {WINDOW_MAX_H}"
            raise ConfigError(file, f"{where}.window_h", hours, remedy)
        depth_mm = _canonical((file, f"{where}.sum"), RAIN, row.get("sum"), given["unit"])
        if depth_mm <= 0:
            raise ConfigError(file, f"{where}.sum", row.get("sum"), "write more than 0")
        rank = ranks.setdefault(label, len(ranks) + 1)
        levels.append(WindowLevel(label, rank, _ms(hours * 3600), round(depth_mm * NM_PER_MM)))
    levels.sort(key=lambda level: -level.rank)
    return RainLaw(tuple(levels), _ms(given["dry_s"]))


def _one_quantity(at: At, places: Sequence[ChannelPlace]) -> str:
    quantities = {place.quantity for place in places}
    if len(quantities) != 1:
        file, key = at
        remedy = "bind one rule to channels of one quantity"
        raise ConfigError(file, f"{key}.levels", ", ".join(sorted(quantities)), remedy)
    return quantities.pop()


def _levels(at: At, given: Mapping[str, Any], keys: tuple[str, ...]) -> Sequence[Mapping[str, Any]]:
    file, key = at
    levels = rows(file, f"{key}.levels", given["levels"])
    if not 1 <= len(levels) <= LEVELS_MAX:
        remedy = f"list 1 to {LEVELS_MAX} levels"
        raise ConfigError(file, f"{key}.levels", len(levels), remedy)
    for index, row in enumerate(levels):
        refuse_unknown(file, f"{key}.levels[{index}]", row, keys)
    return levels


def _canonical(at: At, quantity: str, value: object, unit: str) -> float:
    file, key = at
    try:
        return convert(quantity, number(file, key, value), unit)
    except UnitError as error:
        raise ConfigError(file, key, unit, str(error)) from None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
