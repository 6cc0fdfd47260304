"""Gross range test (QARTOD test 4): the sensor's span fails, the operator's span doubts.

What a sensor cannot measure is no measurement: FAIL. What an operator thinks unlikely may be the
flood itself: SUSPECT, which still counts in judgement.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict


class Span(NamedTuple):
    """Inclusive bounds in the canonical unit."""

    low: float = -inf
    high: float = inf

    def holds(self, value: float) -> bool:
        """Tell whether the value lies within, bounds included; NaN lies nowhere."""
        return self.low <= value <= self.high


ANY = Span()
_FAIL = Verdict(int(Flag.FAIL), int(Reason.RANGE))
_SUSPECT = Verdict(int(Flag.SUSPECT), int(Reason.RANGE))


def check_range(value: float, sensor: Span, operator: Span = ANY) -> Verdict:
    """Return FAIL outside the sensor's span, SUSPECT outside the operator's, else good."""
    if not sensor.holds(value):
        return _FAIL
    return GOOD if operator.holds(value) else _SUSPECT
