"""Provisional events that wait for their settled one: absorbed, or refuted.

What one good reading can decide is said at once; later the same readings come by again in time
order. A settled event absorbs every waiting one of its rank or below and names the highest. One
whose time has been settled without its level having come is refuted.
"""

from __future__ import annotations

from typing import NamedTuple


class Waiting(NamedTuple):
    """One provisional event not yet settled."""

    rank: int
    label: str
    time_ms: int
    id: str


def highest(waiting: list[Waiting]) -> int:
    """Return the highest rank that waits, 0 for none."""
    return max((item.rank for item in waiting), default=0)


def absorb(waiting: list[Waiting], rank: int) -> tuple[str, list[Waiting]]:
    """Return the id a settled event of this rank names ("" for none), and those left."""
    taken = [item for item in waiting if item.rank <= rank]
    left = [item for item in waiting if item.rank > rank]
    return (max(taken).id if taken else ""), left


def disproved(waiting: list[Waiting], time_ms: int) -> tuple[list[Waiting], list[Waiting]]:
    """Return those whose time has been settled without their level, and those left."""
    false = [item for item in waiting if item.time_ms <= time_ms]
    return false, [item for item in waiting if item.time_ms > time_ms]


def restored(rows: list[list[object]]) -> list[Waiting]:
    """Return what was saved as JSON."""
    return [Waiting(int(str(r)), str(label), int(str(t)), str(i)) for r, label, t, i in rows]
