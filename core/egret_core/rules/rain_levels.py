"""The `levels` of a rain rule, as a pack or a binding lists them; text in, a law out.

| key of a row | meaning |
|---|---|
| level | the word; rows of one word are alternatives, any of them reaches the level |
| window_h, sum | at or over so much rain in so many hours |
| window_h, over | more than so much |
| and | further conditions, a list of window_h with sum or over: all must hold as well, a shorter |
|     | window anywhere within the row's own |
| place, wetness | the row holds only for a site of this kind, where the pack asks for one |

Rows stand lowest level first: a row that is met whenever a row of a lower level is would leave that
level unsaid, and is refused. A pack may carry rows of its own as `published`: they come after
those of `levels`, so that a bureau fills the lower levels and may add to the published ones, which
it lists last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.level_place import in_canonical
from egret_core.rules.model import RainLaw, WindowLevel, WindowSum
from egret_core.rules.packs import number, refuse_unknown, rows, word_of
from egret_core.rules.rain_place import RAIN, needs_total
from egret_core.rules.rungs import level_rows, ms
from egret_core.rules.total import NM_PER_MM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

WINDOW_MIN_H = 1 / 60  # a minute: no gauge is read more often by rule
SUM_MIN_MM = 0.001  # less than any gauge tells apart
WINDOW_MAX_H = 24  # longer memory belongs to the antecedent indices
ALSO_MAX = 4  # further conditions of one row
_SUM_KEYS = ("window_h", "sum", "over")
_LEVEL_KEYS = ("level", *_SUM_KEYS, "and")


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> RainLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a row, unit or window that cannot be, or a channel that is no rain total.
    """
    needs_total(at, places)
    listed = [*level_rows(at, given, _LEVEL_KEYS)] if _has(given, "levels") else []
    if "published" in given:
        published = level_rows(at, given, _LEVEL_KEYS, "published")
        _last_are_published(at[0], listed, [row.get("level") for _, row in published])
        listed += published
    ranks: dict[str, int] = {}
    levels = []
    for where, row in listed:
        label = word_of(at[0], f"{where}.level", row.get("level"))
        lead = _sum((at[0], where), row, given["unit"])
        also = rows(at[0], f"{where}.and", row.get("and", []))
        if len(also) > ALSO_MAX:
            raise ConfigError(at[0], f"{where}.and", len(also), f"list at most {ALSO_MAX}")
        further = []
        for n, one in enumerate(also):
            refuse_unknown(at[0], f"{where}.and[{n}]", one, _SUM_KEYS)
            further.append(_sum((at[0], f"{where}.and[{n}]"), one, given["unit"]))
        rank = ranks.setdefault(label, len(ranks) + 1)
        levels.append(WindowLevel(label, rank, *_facts(lead), tuple(further)))
    _rising(at[0], [where for where, _ in listed], levels)
    levels.sort(key=lambda level: -level.rank)
    return RainLaw(tuple(levels), ms(given["dry_s"]))


def _has(given: Mapping[str, Any], name: str) -> bool:
    """Tell whether rows are given; an empty list says so on purpose where a pack has its own."""
    return given[name] != [] or "published" not in given


def _last_are_published(
    file: str, listed: Sequence[tuple[str, Mapping[str, Any]]], published: Sequence[object]
) -> None:
    """Refuse a level of the bureau's own listed behind a published one; ConfigError."""
    newest = -1
    for where, row in listed:
        label = row.get("level")
        place = published.index(label) if label in published else -1
        if place < newest:
            remedy = f"list it before {published[newest]!r}: the published levels are the highest"
            raise ConfigError(file, f"{where}.level", label, remedy)
        newest = place


def _rising(file: str, keys: Sequence[str], levels: Sequence[WindowLevel]) -> None:
    """Refuse a row that holds whenever one of a lower level does; ConfigError."""
    for low_key, low in zip(keys, levels, strict=True):
        for high_key, high in zip(keys, levels, strict=True):
            if low.rank < high.rank and _implies(low, high):
                remedy = (
                    f"list the lowest level first: {high.label!r} here is met whenever "
                    f"{low.label!r} ({low_key.rpartition('.')[2]}) is, which would never be said"
                )
                raise ConfigError(file, f"{high_key}.level", high.label, remedy)


def _implies(low: WindowLevel, high: WindowLevel) -> bool:
    """Tell whether rain that meets `low` always meets `high`."""
    return all(any(_covers(low, one, high, other) for one in low.sums) for other in high.sums)


def _covers(low: WindowLevel, one: WindowSum, high: WindowLevel, other: WindowSum) -> bool:
    # A window shorter than its row's lies anywhere within that; the others end now.
    roams, may_roam = one.window_ms < low.window_ms, other.window_ms < high.window_ms
    within = not roams or (may_roam and low.window_ms <= high.window_ms)
    return within and other.window_ms >= one.window_ms and other.least_nm <= one.least_nm


def _facts(one: WindowSum) -> tuple[int, int, bool]:
    return one.window_ms, one.sum_nm, one.over


def _sum(at: At, row: Mapping[str, Any], unit: str) -> WindowSum:
    file, key = at
    hours = number(file, f"{key}.window_h", row.get("window_h"))
    if not WINDOW_MIN_H <= hours <= WINDOW_MAX_H:
        remedy = f"write hours, at least a minute (1/60) and at most {WINDOW_MAX_H}"
        raise ConfigError(file, f"{key}.window_h", hours, remedy)
    if "sum" in row and "over" in row:
        raise ConfigError(file, f"{key}.over", row["over"], "write sum or over, not both")
    name = "over" if "over" in row else "sum"
    depth_mm = in_canonical((file, f"{key}.{name}"), RAIN, row.get(name), unit)
    if depth_mm < SUM_MIN_MM:
        remedy = f"write at least {SUM_MIN_MM:g} mm"
        raise ConfigError(file, f"{key}.{name}", row.get(name), remedy)
    return WindowSum(ms(hours * 3600), round(depth_mm * NM_PER_MM), over=name == "over")
