"""The `levels` of a ladder, as a pack or a binding lists them, checked; text in, rungs out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.model import LadderLaw, Rung
from egret_core.rules.packs import number, refuse_unknown, rows, word_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEVELS_MAX = 32  # rows of one rule; four colours by five windows are twenty
_DELAYS = ("persistence_s", "hold_s")
_NUMBERS = ("raise", "clear", *_DELAYS, "window_h", "sum", "over")  # keys that hold a number
_RUNG_KEYS = ("level", "raise", "clear", *_DELAYS)
# Rows that hold for one kind of site only: key of a row, and of the parameter that chooses.
VARIANTS = {
    "place": ("inland", "coast"),
    "wetness": ("dry", "normal", "wet"),
    "period": ("24 h", "12 h"),
}

At = tuple[str, str]  # file and key of the parameters
Canonical = Callable[[At, object], float]


def as_it_is(at: At, value: object) -> float:
    """Return a number that is in the index's own unit already; ConfigError where it is none."""
    return number(*at, value)


def more_than_0(at: At, value: object) -> float:
    """Return a number above 0: an index of rain is 0 at least, and at 0 a level would always hold.

    Raises:
        ConfigError: no number, or one that is not above 0.
    """
    found = number(*at, value)
    if found <= 0:
        raise ConfigError(*at, value, "write more than 0: without any rain the index is 0")
    return found


def rungs(at: At, given: Mapping[str, Any], canonical: Canonical = as_it_is) -> tuple[Rung, ...]:
    """Return the rungs of `levels`, lowest first.

    Where `clear` is left out it is `raise`, or `clear_ratio` of it where the pack has one: what an
    equation makes of noisy readings wanders across a line for hours, and only a distance stops it.

    Args:
        at: file and key of the parameters.
        given: with `levels`: level, raise, clear, and a persistence_s or hold_s of its own.
        canonical: turns a number of a row into the ladder's unit.

    Raises:
        ConfigError: no rows or too many, not rising, a clear above its raise, a level twice.
    """
    file, _ = at
    out: list[Rung] = []
    keeps = given.get("clear_ratio", 1.0)
    for where, row in level_rows(at, given, _RUNG_KEYS):
        label = word_of(file, f"{where}.level", row.get("level"))
        on = canonical((file, f"{where}.raise"), row.get("raise"))
        off = on - (1 - keeps) * abs(on)
        if "clear" in row:
            off = canonical((file, f"{where}.clear"), row["clear"])
        if off > on:
            raise ConfigError(file, f"{where}.clear", row["clear"], "write at most the raise value")
        if out and not (on > out[-1].raise_at and off >= out[-1].clear_at):
            remedy = "list the levels from the lowest up, raise and clear both rising"
            raise ConfigError(file, f"{where}.raise", row.get("raise"), remedy)
        if label in {rung.label for rung in out}:
            raise ConfigError(file, f"{where}.level", label, "name each level once")
        out.append(Rung(label, on, off, *(_own_ms(file, where, row, name) for name in _DELAYS)))
    return tuple(out)


def _own_ms(file: str, key: str, row: Mapping[str, Any], name: str) -> int | None:
    return ms(number(file, f"{key}.{name}", row[name], 0)) if name in row else None


def index_ladder(
    at: At, given: Mapping[str, Any], unit: str, canonical: Canonical = as_it_is
) -> LadderLaw:
    """Return the ladder over an index: `levels`, `persistence_s`, `hold_s`, `gap_s` of a pack."""
    return ladder_of(given, rungs(at, given, canonical), unit)


def ladder_of(
    given: Mapping[str, Any], rungs: tuple[Rung, ...], unit: str, datum: str = ""
) -> LadderLaw:
    """Return a ladder with a pack's `persistence_s`, `hold_s`, `gap_s` and, if any, `flap_s`."""
    return LadderLaw(
        rungs=rungs,
        unit=unit,
        datum=datum,
        persistence_ms=ms(given["persistence_s"]),
        hold_ms=ms(given["hold_s"]),
        gap_ms=ms(given["gap_s"]),
        flap_ms=ms(given.get("flap_s", 0)),
    )


def within_reach(ladder: LadderLaw, least: float) -> LadderLaw:
    """Return a ladder whose levels can be left: where no index is below a clear, it is the raise.

    Args:
        ladder: its levels.
        least: the smallest index there is.
    """
    rungs = tuple(
        one if one.clear_at > least else replace(one, clear_at=one.raise_at) for one in ladder.rungs
    )
    return replace(ladder, rungs=rungs)


def level_rows(
    at: At, given: Mapping[str, Any], keys: tuple[str, ...], name: str = "levels"
) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """Return (key, row) of the rows of a list of levels that hold for this site.

    Raises:
        ConfigError: none or too many rows, a key nobody reads, a word that no site has.
    """
    file, key = at
    levels = rows(file, f"{key}.{name}", given[name])
    if not 1 <= len(levels) <= LEVELS_MAX:
        remedy = f"list 1 to {LEVELS_MAX} levels"
        raise ConfigError(file, f"{key}.{name}", len(levels), remedy)
    here = [variant for variant in VARIANTS if variant in given]
    out = []
    for index, row in enumerate(levels):
        where = f"{key}.{name}[{index}]"
        refuse_unknown(file, where, row, (*keys, *here))
        _check(file, where, row)
        if all(_holds_for(file, where, row, variant, given[variant]) for variant in here):
            out.append((where, row))
    if not out:
        remedy = f"list a level for {', '.join(str(given[variant]) for variant in here)}"
        raise ConfigError(file, f"{key}.{name}", len(levels), remedy)
    return out


def _check(file: str, key: str, row: Mapping[str, Any]) -> None:
    """Refuse a word or number that is none, of a row for another kind of site too."""
    word_of(file, f"{key}.level", row.get("level"))
    for name, value in row.items():
        if name in _NUMBERS:
            number(file, f"{key}.{name}", value, 0 if name in _DELAYS else None)


def _holds_for(file: str, key: str, row: Mapping[str, Any], variant: str, chosen: object) -> bool:
    word = row.get(variant, chosen)
    if word != chosen and word not in VARIANTS[variant]:
        remedy = f"write one of {', '.join(VARIANTS[variant])}"
        raise ConfigError(file, f"{key}.{variant}", word, remedy)
    return bool(word == chosen)


def ms(seconds: float) -> int:
    """Return whole milliseconds."""
    return round(seconds * 1000)
