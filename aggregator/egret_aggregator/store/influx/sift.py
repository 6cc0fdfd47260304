"""New rows, known ones, and second values of an identity, told apart. Pure."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.store.influx import line, spans
from egret_aggregator.store.memory import content

if TYPE_CHECKING:
    from array import array
    from collections.abc import Mapping, Sequence

    from egret_aggregator.store.model import StoredReading

Key = tuple[str, str]  # station, channel
_TIME = itemgetter(2)
_KEY = itemgetter(0, 1)


class Sifted(NamedTuple):
    """What becomes of one channel's rows.

    Attributes:
        fresh: to be written, in time order; known: what is stored and came again.
        conflicts: second values; beyond: rows whose time no such store can hold.
    """

    fresh: list[StoredReading]
    known: list[StoredReading]
    conflicts: list[StoredReading]
    beyond: list[StoredReading]


def by_channel(rows: Sequence[StoredReading], into: dict[Key, list[StoredReading]]) -> None:
    """Add rows to their channels, in the order they came."""
    for key, row in zip(map(_KEY, rows), rows, strict=True):
        group = into.get(key)
        if group is None:
            into[key] = [row]
        else:
            group.append(row)


def doubtful(spans_: array[int], rows: Sequence[StoredReading]) -> list[int]:
    """Return the times of rows that may be stored already, ascending, each once."""
    times = [row[2] for row in rows]
    if not spans_ or not spans.overlap(spans_, min(times), max(times)):
        return []
    return sorted({time_ms for time_ms in times if spans.holds(spans_, time_ms)})


def sift(rows: list[StoredReading], stored: Mapping[int, StoredReading]) -> Sifted:
    """Tell one channel's rows apart.

    Args:
        rows: in the order they came: of two with one identity the first is the first value.
        stored: by time, what the store has at the doubtful times.
    """
    if not stored and _ascending(rows):
        return _within(rows, [], [])
    first = dict(stored)
    fresh: list[StoredReading] = []
    conflicts: list[StoredReading] = []
    known: dict[int, StoredReading] = {}
    for row in rows:
        before = first.get(row[2])
        if before is None:
            first[row[2]] = row
            fresh.append(row)
        elif content(before) != content(row):
            conflicts.append(row)
        if row[2] in stored:
            known[row[2]] = stored[row[2]]
    fresh.sort(key=_TIME)
    return _within(fresh, list(known.values()), conflicts)


def _ascending(rows: Sequence[StoredReading]) -> bool:
    last = rows[0][2] - 1
    for row in rows:
        if row[2] <= last:
            return False
        last = row[2]
    return True


def _within(
    fresh: list[StoredReading], known: list[StoredReading], conflicts: list[StoredReading]
) -> Sifted:
    if not fresh or (fresh[0][2] >= line.TIME_MIN_MS and fresh[-1][2] <= line.TIME_MAX_MS):
        return Sifted(fresh, known, conflicts, [])
    inside = [row for row in fresh if line.TIME_MIN_MS <= row[2] <= line.TIME_MAX_MS]
    beyond = [row for row in fresh if not line.TIME_MIN_MS <= row[2] <= line.TIME_MAX_MS]
    return Sifted(inside, known, conflicts, beyond)
