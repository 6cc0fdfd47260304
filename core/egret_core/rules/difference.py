"""What another set of rules would change: rises that appear, vanish or move. Pure.

Rises are brought together by rule id, subject, change and level, whatever the rule's version: in
time order, each with the nearest of the other side that is at most `within_ms` away. Equal times
are the same, others have moved. Cost: O(n log n), with n rises of one key.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from egret_core.rules.event import Change, Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egret_core.rules.event import ConditionEvent

WITHIN_MS = 21_600_000  # 6 h: further apart two rises are of two storms
_RISES = (Change.RAISED, Change.UPGRADED)
_Key = tuple[str, str, str, str]


class Moved(NamedTuple):
    """The same rise at two times."""

    before: ConditionEvent
    after: ConditionEvent


@dataclass(slots=True)
class Difference:
    """Rises by what became of them, each list in time order."""

    same: int = 0
    appears: list[ConditionEvent] = field(default_factory=list)
    vanishes: list[ConditionEvent] = field(default_factory=list)
    moves: list[Moved] = field(default_factory=list)

    def by_rule(self) -> dict[str, dict[str, int]]:
        """Return counts of what appears, vanishes and moves, by rule id."""
        out: dict[str, dict[str, int]] = {}
        for name, events in (
            ("appears", self.appears),
            ("vanishes", self.vanishes),
            ("moves", [moved.after for moved in self.moves]),
        ):
            for event in events:
                row = out.setdefault(_id(event), {"appears": 0, "vanishes": 0, "moves": 0})
                row[name] += 1
        return dict(sorted(out.items()))


def difference(
    before: Iterable[ConditionEvent],
    after: Iterable[ConditionEvent],
    within_ms: int = WITHIN_MS,
) -> Difference:
    """Return what becomes of the settled rises of one judgement in another."""
    out = Difference()
    old, new = _rises(before), _rises(after)
    for key in sorted(old.keys() | new.keys()):
        _paired(old.get(key, []), new.get(key, []), within_ms, out)
    out.appears.sort(key=_order)
    out.vanishes.sort(key=_order)
    out.moves.sort(key=lambda moved: _order(moved.after))
    return out


def _rises(events: Iterable[ConditionEvent]) -> dict[_Key, list[ConditionEvent]]:
    out: dict[_Key, list[ConditionEvent]] = {}
    for event in events:
        if event.phase is Phase.SETTLED and event.change in _RISES:
            key = (_id(event), event.subject, str(event.change), event.level)
            out.setdefault(key, []).append(event)
    for rises in out.values():
        rises.sort(key=_order)
    return out


def _paired(
    old: Sequence[ConditionEvent], new: Sequence[ConditionEvent], within_ms: int, out: Difference
) -> None:
    known = {event.time_ms for event in old} & {event.time_ms for event in new}
    out.same += len(known)
    left = [event for event in old if event.time_ms not in known]
    for event in new:
        if event.time_ms in known:
            continue
        at = _nearest(left, event.time_ms)
        if at is None or abs(left[at].time_ms - event.time_ms) > within_ms:
            out.appears.append(event)
        else:
            out.moves.append(Moved(left.pop(at), event))
    out.vanishes += left


def _nearest(events: Sequence[ConditionEvent], time_ms: int) -> int | None:
    at = bisect_left(events, time_ms, key=lambda event: event.time_ms)
    near = [place for place in (at - 1, at) if 0 <= place < len(events)]
    return min(near, key=lambda place: abs(events[place].time_ms - time_ms), default=None)


def _id(event: ConditionEvent) -> str:
    return event.rule.partition("@")[0]


def _order(event: ConditionEvent) -> tuple[int, str, str]:
    return event.time_ms, event.rule, event.subject
