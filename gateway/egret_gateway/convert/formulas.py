"""Every formula by its id."""

from __future__ import annotations

from egret_gateway.convert import current_loop, polynomial, thermistor, tilt, vibrating_wire
from egret_gateway.convert.formula import Constant, Formula, Given

COUNTER = "counter"  # formula of totals whose profile says what a count is


def _bucket(given: Given) -> float:
    return given.constants["mm_per_tip"] * given.x


# min_tip_s: contacts that follow each other faster are its bounce; 0: nobody has measured it.
BUCKET = Formula(
    "tipping-bucket",
    _bucket,
    (
        Constant("mm_per_tip", "mm", 0.001, 100.0),
        Constant("min_tip_s", "s", 0.0, 10.0, default=0.0),
    ),
    takes=("count",),
    gives=("rain_total",),
    unit="mm",
    counts=True,
)
COUNTERS = (COUNTER, BUCKET.id)
FORMULAS = {
    formula.id: formula
    for formula in (
        polynomial.LINEAR,
        polynomial.TWO_POINT,
        polynomial.POLYNOMIAL,
        current_loop.LOOP,
        thermistor.STEINHART_HART,
        vibrating_wire.R1_R0,
        vibrating_wire.R0_R1,
        vibrating_wire.DIGITS,
        vibrating_wire.HERTZ,
        tilt.TILT,
        tilt.DIGITS,
        BUCKET,
    )
}
