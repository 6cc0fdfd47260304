"""The levels of rules as flat rows: what a chart draws as lines, and what a table lists. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.rules.model import AbsenceLaw, IndexLaw, JointLaw, LadderLaw
from egret_core.sources import FEED, GATEWAY, is_gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from egret_core.rules.model import BoundRule, RainLaw, WindowSum

    Row = dict[str, Any]

_NM_PER_MM = 1_000_000
_MS_PER_H = 3_600_000


def levels(rule: BoundRule) -> Iterator[Row]:
    """Yield a rule's levels for each subject that it judges.

    `raise` is in `unit`: a value of the channel, a rain sum over `window_h` (`also` says what else
    must hold), of an index a value of that, or for an absence the silence in s. Where a rule judges
    a gateway or a feed, `station` is `gateway` or `feed`, and `channel` its id.
    """
    subjects = [*rule.channels, *(_owner(name) for name in rule.gateways)]
    facts = _facts(rule)
    for station, channel in subjects:
        for fact in facts:
            yield {
                "station": station,
                "channel": channel,
                "rule": rule.id,
                "family": str(rule.family),
                "hazard": rule.hazard,
                **fact,
            }


def _facts(rule: BoundRule) -> list[Row]:
    law = rule.law
    if isinstance(law, LadderLaw):
        return _ladder(law)
    if isinstance(law, AbsenceLaw):
        limits = enumerate(law.levels, 1)
        return [_row(label, rank, limit_ms / 1000, unit="s") for rank, (label, limit_ms) in limits]
    if isinstance(law, IndexLaw):
        return [{**row, "index": law.name} for row in _ladder(law.ladder)]
    return [] if isinstance(law, JointLaw) else _windows(law)


def _owner(name: str) -> tuple[str, str]:
    return (GATEWAY, name) if is_gateway(name) else (FEED.rstrip(":"), name.removeprefix(FEED))


def _ladder(law: LadderLaw) -> list[Row]:
    return [
        _row(
            rung.label,
            rank,
            rung.raise_at,
            clear_at=rung.clear_at,
            unit=law.unit,
            datum=law.datum or None,
        )
        for rank, rung in enumerate(law.rungs, 1)
    ]


def _windows(law: RainLaw) -> list[Row]:
    rows = []
    for level in law.levels:
        row = _row(
            level.label,
            level.rank,
            level.sum_nm / _NM_PER_MM,
            unit="mm",
            window_h=level.window_ms / _MS_PER_H,
        )
        if level.also:
            row["also"] = " and ".join(_in_words(one) for one in level.also)
        rows.append(row)
    return rows


def _in_words(one: WindowSum) -> str:
    sign = ">" if one.over else ">="
    return f"{one.window_ms / _MS_PER_H:g} h {sign} {one.sum_nm / _NM_PER_MM:g} mm"


def _row(
    label: str,
    rank: int,
    raise_at: float,
    *,
    clear_at: float | None = None,
    unit: str,
    datum: str | None = None,
    window_h: float | None = None,
) -> Row:
    return {
        "level": label,
        "rank": rank,
        "raise": raise_at,
        "clear": clear_at,
        "unit": unit,
        "datum": datum,
        "window_h": window_h,
    }
