"""Gap test (QARTOD test 1): the first value after too long a silence says so."""

from __future__ import annotations

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict

GAP_PERIODS = 3  # one missed poll and its repeat are no gap; three periods are
_GAP = Verdict(int(Flag.GOOD), int(Reason.GAP))


def check_gap(last_ms: int | None, now_ms: int, limit_ms: float) -> Verdict:
    """Return the GAP reason where the last value is longer ago than `limit_ms`.

    The value itself stays good: it is the silence before it that is told.

    Args:
        last_ms: time of the channel's last value, None before the first.
        now_ms: this value's time on the same clock.
        limit_ms: the longest silence that is no gap.
    """
    return _GAP if last_ms is not None and now_ms - last_ms > limit_ms else GOOD
