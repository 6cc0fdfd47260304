"""Many readings with silences, some twice, all shuffled within the lateness, into a fold."""

from __future__ import annotations

import random
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, TypeVar

import pytest
from rig.rulebook import GATEWAY, HOUR_MS, START_MS

from egret_core.reading import Reading
from egret_core.rules.step import Receipt, step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.step import Fold

LATE_MS = HOUR_MS
BATCH = 64  # readings of one receipt
TWICE = 0.1  # of the readings come a second time
COUNTS = [100_000, pytest.param(1_000_000, marks=pytest.mark.long)]
IDS = ["some", "a million"]
Row = TypeVar("Row")


def times(
    count: int, dice: random.Random, waits_ms: Sequence[int], gaps_ms: Sequence[int], silent: float
) -> list[int]:
    """Return times in order; `silent` is the share of waits that are one of the gaps."""
    waits = (dice.choice(gaps_ms if dice.random() < silent else waits_ms) for _ in range(count))
    return [START_MS + ms for ms in accumulate(waits)]


def feed(
    fold: Fold, place: ChannelPlace, rows: Sequence[tuple[int, float]], seed: int
) -> list[ConditionEvent]:
    """Send (ms, canonical value) of one channel, shuffled and some twice; return what is said."""
    dice, out = random.Random(seed), []
    arrivals = [
        (ms + dice.randrange(LATE_MS), Reading(place.station, place.channel, ms, value))
        for ms, value in rows
        for _ in range(2 if dice.random() < TWICE else 1)
    ]
    arrivals.sort(key=lambda row: row[0])
    mixed = sum(b.time_ms < a.time_ms for (_, a), (_, b) in pairwise(arrivals))
    assert mixed > len(rows) // 5, "shuffled at all"
    for at in range(0, len(arrivals), BATCH):
        batch = arrivals[at : at + BATCH]
        out += step(fold, Receipt(GATEWAY, batch[-1][0], [one for _, one in batch]))[1]
    assert fold.channels[place.station][place.channel].late == 0
    return out


def settled(rows: Sequence[Row], said: Sequence[object]) -> Sequence[Row]:
    """Return the rows that have settled: all but those of the newest lateness."""
    assert 0.97 * len(rows) <= len(said) <= len(rows)
    return rows[: len(said)]
