"""4-20 mA: a live zero, so that a broken loop is no reading.

`loop-4-20`: y = low + (high - low) (I - 4) / 16, I in mA.

NAMUR NE 43 keeps 3.8 to 20.5 mA for measuring and what is below 3.6 and above 21 for failures:
such a current is a broken wire, a short circuit or the transmitter's own alarm, and gives no value.
Between the two the transmitter is driven to its end: the value is doubtful.
"""

from __future__ import annotations

from egret_core.quality import Flag, Reason
from egret_core.screening.range import Span
from egret_core.screening.verdict import GOOD, Verdict
from egret_gateway.convert.formula import Constant, Formula, Given

ZERO_MA = 4.0
SPAN_MA = 16.0
WHOLE_MA = Span(3.6, 21.0)
MEASURING_MA = Span(3.8, 20.5)
_FAULT = Verdict(int(Flag.FAIL), int(Reason.SENSOR_FAULT))
_DRIVEN = Verdict(int(Flag.SUSPECT), int(Reason.RANGE))


def _judge(given: Given) -> Verdict:
    if not WHOLE_MA.holds(given.x):
        return _FAULT
    return GOOD if MEASURING_MA.holds(given.x) else _DRIVEN


def _loop(given: Given) -> float:
    low, high = given.constants["low"], given.constants["high"]
    return low + (high - low) * (given.x - ZERO_MA) / SPAN_MA


LOOP = Formula(
    "loop-4-20",
    _loop,
    (Constant("low", "unit at 4 mA"), Constant("high", "unit at 20 mA")),
    takes=("current",),
    judge=_judge,
)
