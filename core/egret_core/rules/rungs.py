"""The `levels` of a ladder, as a pack or a binding lists them, checked; text in, rungs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.model import LadderLaw, Rung
from egret_core.rules.packs import number, refuse_unknown, rows, word_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEVELS_MAX = 32  # rows of one rule; four colours by five windows are twenty
_RUNG_KEYS = ("level", "raise", "clear")

At = tuple[str, str]  # file and key of the parameters
Canonical = Callable[[At, object], float]


def as_it_is(at: At, value: object) -> float:
    """Return a number that is in the index's own unit already; ConfigError where it is none."""
    return number(*at, value)


def rungs(at: At, given: Mapping[str, Any], canonical: Canonical = as_it_is) -> tuple[Rung, ...]:
    """Return the rungs of `levels`, lowest first; `clear` is `raise` where it is left out.

    Args:
        at: file and key of the parameters.
        given: with `levels`: level, raise, clear.
        canonical: turns a number of a row into the ladder's unit.

    Raises:
        ConfigError: no rows or too many, not rising, a clear above its raise, a level twice.
    """
    file, key = at
    out: list[Rung] = []
    for index, row in enumerate(level_rows(at, given, _RUNG_KEYS)):
        where = f"{key}.levels[{index}]"
        label = word_of(file, f"{where}.level", row.get("level"))
        on = canonical((file, f"{where}.raise"), row.get("raise"))
        off = canonical((file, f"{where}.clear"), row["clear"]) if "clear" in row else on
        if off > on:
            raise ConfigError(file, f"{where}.clear", row["clear"], "write at most the raise value")
        if out and not (on > out[-1].raise_at and off >= out[-1].clear_at):
            remedy = "list the levels from the lowest up, raise and clear both rising"
            raise ConfigError(file, f"{where}.raise", row.get("raise"), remedy)
        if label in {rung.label for rung in out}:
            raise ConfigError(file, f"{where}.level", label, "name each level once")
        out.append(Rung(label, on, off))
    return tuple(out)


def index_ladder(at: At, given: Mapping[str, Any], unit: str) -> LadderLaw:
    """Return the ladder over an index: `levels`, `persistence_s`, `hold_s`, `gap_s` of a pack."""
    return LadderLaw(
        rungs=rungs(at, given),
        unit=unit,
        datum="",
        persistence_ms=ms(given["persistence_s"]),
        hold_ms=ms(given["hold_s"]),
        gap_ms=ms(given["gap_s"]),
    )


def level_rows(
    at: At, given: Mapping[str, Any], keys: tuple[str, ...]
) -> Sequence[Mapping[str, Any]]:
    """Return the rows of `levels`; ConfigError for none, too many, or a key nobody reads."""
    file, key = at
    levels = rows(file, f"{key}.levels", given["levels"])
    if not 1 <= len(levels) <= LEVELS_MAX:
        remedy = f"list 1 to {LEVELS_MAX} levels"
        raise ConfigError(file, f"{key}.levels", len(levels), remedy)
    for index, row in enumerate(levels):
        refuse_unknown(file, f"{key}.levels[{index}]", row, keys)
    return levels


def ms(seconds: float) -> int:
    """Return whole milliseconds."""
    return round(seconds * 1000)
