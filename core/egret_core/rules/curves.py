"""Intensity-duration curves I = a D^-b, I in mm/h, D in h, as a pack or a binding lists them.

One curve (`a`, `b`, and `levels` by the ratio to it) or several (`curves`: level, a, b, from the
lowest up). All of a rule hold from `dmin_h` to `dmax_h`. Checked; text in, terms out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.rules.counting import reading_ms
from egret_core.rules.packs import number, refuse_unknown, rows, text_of, word_of
from egret_core.rules.rungs import (
    LEVELS_MAX,
    index_ladder,
    ladder_of,
    more_than_0,
    ms,
    rungs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_core.rules.model import LadderLaw
    from egret_core.rules.rungs import At

DURATION_MAX_H = 10_000.0  # longer than any published curve
POWER_MAX = 3.0  # steeper than any published curve; keeps a threshold above 0
CURVES_MIN = 2  # one alone is judged by its ratio
_CURVE_KEYS = ("level", "a", "b")


class Curve(NamedTuple):
    """I = a D^-b.

    Attributes:
        a_mm_h: threshold at D = 1 h; b: its power, 0 or more.
    """

    a_mm_h: float
    b: float

    def at(self, duration_h: float) -> float:
        """Return the threshold, mm/h."""
        return self.a_mm_h * float(duration_h**-self.b)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a storm is held against.

    Attributes:
        curves: lowest first; source: where they come from.
        from_ms, to_ms: the durations for which they hold.
        gap_ms: dry time that ends a storm; reading_ms: what a reading stands for, 0: the clock.
        clear_ratio: a curve that was reached counts down to so much of it.
    """

    curves: tuple[Curve, ...]
    source: str
    from_ms: int
    to_ms: int
    gap_ms: int
    reading_ms: int = 0
    clear_ratio: float = 1.0


def terms_of(at: At, given: Mapping[str, Any]) -> tuple[Terms, LadderLaw]:
    """Return the terms that these parameters make, and the ladder over the index.

    Raises:
        ConfigError: a curve or a range that cannot be.
    """
    from_h, to_h = _range(at, given)
    if "curves" in given:
        labels, curves = _curves(at, given, (from_h, to_h))
        listed = [{"level": label, "raise": n} for n, label in enumerate(labels, 1)]
        ladder = ladder_of(given, rungs(at, {"levels": listed}), "curves")
    else:
        curves = (_curve(at, "", given),)
        ladder = index_ladder(at, given, "ratio", more_than_0)
    terms = Terms(
        curves=curves,
        source=_source(at, given),
        from_ms=ms(from_h * 3600),
        to_ms=ms(to_h * 3600),
        gap_ms=ms(given["dry_s"]),
        reading_ms=reading_ms(given),
        clear_ratio=given.get("clear_ratio", 1.0),  # an older pack has none
    )
    return terms, ladder


def _range(at: At, given: Mapping[str, Any]) -> tuple[float, float]:
    file, key = at
    from_h, to_h = (number(file, f"{key}.{name}", given[name]) for name in ("dmin_h", "dmax_h"))
    if not 0 < from_h < to_h <= DURATION_MAX_H:
        remedy = f"write hours, 0 < dmin_h < dmax_h <= {DURATION_MAX_H:g}"
        raise ConfigError(file, f"{key}.dmax_h", given["dmax_h"], remedy)
    return from_h, to_h


def _curve(at: At, where: str, row: Mapping[str, Any]) -> Curve:
    file, key = at
    a, b = (number(file, f"{key}{where}.{name}", row.get(name)) for name in ("a", "b"))
    if a <= 0:
        raise ConfigError(file, f"{key}{where}.a", a, "write mm/h, more than 0")
    if not 0 <= b <= POWER_MAX:
        remedy = f"write the power of I = a D^-b without its sign, 0 to {POWER_MAX:g}"
        raise ConfigError(file, f"{key}{where}.b", b, remedy)
    return Curve(a, b)


def _curves(
    at: At, given: Mapping[str, Any], valid_h: tuple[float, float]
) -> tuple[list[str], tuple[Curve, ...]]:
    file, key = at
    found = rows(file, f"{key}.curves", given["curves"])
    if not CURVES_MIN <= len(found) <= LEVELS_MAX:
        remedy = f"list {CURVES_MIN} to {LEVELS_MAX} curves; one curve is `a` and `b`"
        raise ConfigError(file, f"{key}.curves", len(found), remedy)
    labels: list[str] = []
    curves: list[Curve] = []
    for index, row in enumerate(found):
        where = f"{key}.curves[{index}]"
        refuse_unknown(file, where, row, _CURVE_KEYS)
        label = word_of(file, f"{where}.level", row.get("level"))
        if label in labels:
            raise ConfigError(file, f"{where}.level", label, "name each level once")
        curve = _curve(at, f".curves[{index}]", row)
        if curves and not all(curve.at(hours) > curves[-1].at(hours) for hours in valid_h):
            remedy = "list the curves from the lowest up; none may cross between dmin_h and dmax_h"
            raise ConfigError(file, f"{where}.a", row["a"], remedy)
        labels.append(label)
        curves.append(curve)
    return labels, tuple(curves)


def _source(at: At, given: Mapping[str, Any]) -> str:
    file, key = at
    source = text_of(file, f"{key}.source", given["source"]).strip()
    if not source:
        raise ConfigError(file, f"{key}.source", source, "name where the curve comes from")
    return source
