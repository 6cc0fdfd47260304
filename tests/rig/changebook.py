"""Changes of rules in tests: new rules warmed as the judge does it, state saved and read back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rig.rulebook import at, fold_of, place

from egret_core.rules.step import Change, Fold, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rig.rulebook import Arrival

    from egret_core.reading import Reading
    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule, ChannelPlace
    from egret_core.rules.step import Item

RIVER, GAUGE = place(), place("rn", "rain_total")


def warmed(fold: Fold, arrivals: Sequence[Arrival], now_ms: int) -> None:
    """Feed what a store would hold by now, as the judge does."""
    rows = sorted((a.reading for a in arrivals if a.received_ms <= now_ms), key=lambda r: r.time_ms)
    rows = list(dict.fromkeys(rows))
    for warmup in fold.cold:

        def between(span: tuple[int, int], on: ChannelPlace = warmup.place) -> list[Reading]:
            return [
                r
                for r in rows
                if (r.station, r.channel) == (on.station, on.channel)
                and span[0] <= r.time_ms < span[1]
            ]

        warmup.feed(between(warmup.begin()))
        warmup.glance(between(warmup.earlier()))
        warmup.end()
    fold.warmed(now_ms)


def changed(
    fold: Fold,
    rules: Sequence[BoundRule],
    second: float,
    past: Sequence[Arrival],
    *on: ChannelPlace,
) -> list[ConditionEvent]:
    """Change the rules and warm the new ones; return what the change itself said."""
    _, out = step(fold, Change(on or (RIVER, GAUGE), rules, at(second)))
    warmed(fold, past, at(second))
    return out


def again(fold: Fold, rules: Sequence[BoundRule], *on: ChannelPlace) -> Fold:
    """Return the fold as it is after its state was saved and read back."""
    saved = fold.changed()
    other = Fold()
    step(other, Change(on or (RIVER, GAUGE), rules, 0))
    other.restore(
        {key: json.dumps(json.loads(body)).encode() for key, body in saved.items() if body}
    )
    return other


def lived(
    places: Sequence[ChannelPlace],
    rules: Sequence[BoundRule],
    items: Sequence[Item],
    past: Sequence[Arrival],
    kill_at: int,
) -> list[ConditionEvent]:
    """Return what is said over items with changes among them; the fold is killed before one."""
    fold, now = fold_of(places, rules), rules
    out: list[ConditionEvent] = []
    for index, item in enumerate(items):
        if index == kill_at:
            fold = again(fold, now, *places)
        out += step(fold, item)[1]
        if isinstance(item, Change):
            now = item.rules
            warmed(fold, past, item.now_ms)
    return out
