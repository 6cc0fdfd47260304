"""Clock test: a stamp from the future.

    suspect where t > r + A

Units: ms since 1970 UTC, of the stamp t and of its receipt r; A = 60 s, ms. A stamp that is behind
what is settled is no fault of a clock by itself: a backlog looks the same. It is late, is counted
as such, and changes nothing (`egret_core.rules.channel`); so a logger whose clock steps back
repeats no reading and makes no negative step. Source: DESIGN, "Clocks ahead". State: none.
Cost: O(1).
"""

from __future__ import annotations

from egret_core.quality import Flag, Reason
from egret_core.rules.model import AHEAD_MS
from egret_core.screening.verdict import GOOD, Verdict

_AHEAD = Verdict(int(Flag.SUSPECT), int(Reason.CLOCK))


def check_clock(time_ms: int, received_ms: int) -> Verdict:
    """Return SUSPECT where a reading is stamped more than 60 s after its receipt."""
    return _AHEAD if time_ms > received_ms + AHEAD_MS else GOOD
