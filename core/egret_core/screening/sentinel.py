"""Numbers that are no numbers: a device's own "no value", NaN and infinity."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection

_SENTINEL = Verdict(int(Flag.MISSING), int(Reason.SENTINEL))
_NOT_A_NUMBER = Verdict(int(Flag.FAIL), int(Reason.NOT_A_NUMBER))


def check_sentinel(raw: float, sentinels: Collection[float]) -> Verdict:
    """Return MISSING for one of the device's sentinels, FAIL for NaN or infinity.

    Args:
        raw: as read, before any conversion.
        sentinels: raw numbers that mean "no value".
    """
    if not isfinite(raw):
        return _NOT_A_NUMBER
    return _SENTINEL if raw in sentinels else GOOD
