"""How much of a line's time its turns take, and what is thinned out where it is too much; pure.

A line that cannot serve all its turns serves every second, third ... turn of the lowest class, then
of the next one. Rain, level and whatever has a threshold are never thinned out.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from egret_gateway.bus.rank import Rank

if TYPE_CHECKING:
    from collections.abc import Mapping

LOAD_MAX = 0.85  # of the wire's time: above it repeats and probes find no room
CROWDED = 0.92  # measured, probes included: now turns are late
STRIDE_MAX = 10  # every tenth turn is still seen by the centre's absence rules as a gap, not an end
COST_SHARE = 1 / 8  # weight of a new cost, as for answer times


class Strides:
    """Every how many turns each class is served.

    Attributes:
        of: by class, 1 for every turn; load: the measured share before thinning out.
    """

    def __init__(self) -> None:
        """Serve every turn."""
        self.of: dict[Rank, int] = dict.fromkeys(Rank, 1)
        self.load = 0.0

    def weigh(self, shares: Mapping[Rank, float]) -> bool:
        """Take in what each class would take of the line's time; return whether strides changed."""
        self.load = sum(shares.values())
        wanted = _strides(shares, CROWDED)
        relaxed = _strides(shares, LOAD_MAX)
        before = dict(self.of)
        for rank in Rank:
            # Between the two bounds nothing changes: a load on the edge must not go to and fro.
            self.of[rank] = max(wanted[rank], min(self.of[rank], relaxed[rank]))
        return before != self.of


def _strides(shares: Mapping[Rank, float], limit: float) -> dict[Rank, int]:
    """Return the least strides that bring the load under `limit`, the lowest class first."""
    strides = dict.fromkeys(Rank, 1)
    for rank in sorted(Rank, reverse=True):
        share = shares.get(rank, 0.0)
        rest = sum(shares.get(r, 0.0) / strides[r] for r in Rank if r != rank)
        if rank is Rank.WARNING or rest + share <= limit or share == 0.0:
            continue
        room = limit - rest
        strides[rank] = min(STRIDE_MAX, ceil(share / room)) if room > 0 else STRIDE_MAX
    return strides
