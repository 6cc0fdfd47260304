"""Neighbour test: a value that is off those of its neighbours.

    suspect where |x - median(neighbours)| > D and at least n of them have a fresh value

Units: canonical, of x and D; the neighbours measure the same quantity from the same datum. Only
ever suspect: the first gauge that a cloudburst reaches is off its neighbours too.
Source: QARTOD manual for water level data, test 11 (neighbour); the median is our choice.
State: the neighbours' trails (`egret_core.screening.trail`). Cost: O(neighbours).
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUSPECT = Verdict(int(Flag.SUSPECT), int(Reason.NEIGHBOUR))


def check_neighbours(
    value: float, neighbours: Sequence[float | None], off_by: float, least: int
) -> Verdict:
    """Return SUSPECT for a value further off the median of its neighbours than believed.

    Args:
        value: canonical.
        neighbours: their values, None for one that has none.
        off_by: the largest distance believed, canonical.
        least: how many values it takes to say anything.
    """
    known = [one for one in neighbours if one is not None]
    if len(known) < max(least, 1):
        return GOOD
    return _SUSPECT if abs(value - median(known)) > off_by else GOOD
