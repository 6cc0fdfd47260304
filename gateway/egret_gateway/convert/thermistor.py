"""Thermistors: resistance to temperature.

`steinhart-hart`: T = 1 / (a + b ln r + c ln^3 r) - 273.15 + offset_c, r in ohm, T in degC; the
last constant is the deviation of the one thermistor from its kind.
"""

from __future__ import annotations

from math import inf, log

from egret_core.screening.range import Span
from egret_core.screening.verdict import GOOD, Verdict
from egret_gateway.convert.formula import OUT_OF_DOMAIN, Constant, Formula, Given

KELVIN_C = 273.15
BELIEVABLE_C = Span(-80.0, 150.0)  # what ground and air give, and cable and resin stand


def _kelvin_inverse(given: Given) -> float:
    ln = log(given.x)
    one = given.constants
    return one["a"] + one["b"] * ln + one["c"] * ln**3


def _celsius(given: Given) -> float:
    if not 0 < given.x < inf:
        return inf
    inverse = _kelvin_inverse(given)
    return 1 / inverse - KELVIN_C + given.constants["offset_c"] if inverse > 0 else inf


def _judge(given: Given) -> Verdict:
    # A cut cable is an open circuit, a wet one a short: neither is a temperature.
    return GOOD if BELIEVABLE_C.holds(_celsius(given)) else OUT_OF_DOMAIN


STEINHART_HART = Formula(
    "steinhart-hart",
    _celsius,
    (
        Constant("a", "1/K"),
        Constant("b", "1/K"),
        Constant("c", "1/K"),
        Constant("offset_c", "degC", -50.0, 50.0, default=0.0),
    ),
    takes=("resistance",),
    gives=("temperature",),
    unit="degC",
    judge=_judge,
)
