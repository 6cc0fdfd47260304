"""Readings of one channel that wait for their order in time; of one identity the first stays."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from egret_core.rules.model import LATE_MAX_S, LATE_S

if TYPE_CHECKING:
    from egret_core.rules.model import ChannelPlace

WAITING_MAX = 4096  # readings that wait for their order: 31 s at over 100 a second

# Time at which it is judged; its identity, which differs where it was ahead of its receipt; value;
# running time of its receipt. A bare tuple: one is made for every reading there is.
Waiting = tuple[int, int, float, int]


def place_in(waiting: list[Waiting], item: Waiting) -> bool:
    """Put a reading in its place unless its identity is there; tell whether it is new."""
    if not waiting or item[0] > waiting[-1][0]:
        waiting.append(item)
        return True
    at = bisect_left(waiting, item[:2])
    if at < len(waiting) and waiting[at][1] == item[1]:
        return False
    waiting.insert(at, item)
    return True


def default_late_ms(place: ChannelPlace, cut_s: float) -> int:
    """Return the allowed lateness: the catalogue's, else 30 s beyond the channel's cut.

    What a gateway tells of its cut makes it no longer than a catalogue may.
    """
    late_s = place.late_s if place.late_s is not None else min(LATE_S + cut_s, LATE_MAX_S)
    return round(late_s * 1000)
