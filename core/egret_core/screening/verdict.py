"""What a check says of one value, and how several checks add up."""

from __future__ import annotations

from typing import NamedTuple

from egret_core.quality import worst


class Verdict(NamedTuple):
    """A flag (`egret_core.quality.Flag`) and reason bits (`Reason`)."""

    flag: int = 1
    reasons: int = 0


GOOD = Verdict()


def combined(*verdicts: Verdict) -> Verdict:
    """Return the worst flag and all the reasons."""
    flag, reasons = 1, 0
    for verdict in verdicts:
        flag = worst(flag, verdict.flag)
        reasons |= verdict.reasons
    return Verdict(int(flag), int(reasons))
