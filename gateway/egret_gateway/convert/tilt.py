"""Tilt to displacement: differences of sines, never of angles.

| formula | law |
|---|---|
| `tilt-displacement` | D = 1000 length_m (sin t - sin zero_deg), mm |
| `tilt-digits` | D = factor length_m (R - zero_digits), mm; R = 20000 sin t and factor = 0.05 |

The segments of an in-place inclinometer are such channels; their sum from the bottom up is a
derived channel.
"""

from __future__ import annotations

from math import radians, sin

from egret_core.screening.range import Span
from egret_core.screening.verdict import GOOD, Verdict
from egret_gateway.convert.formula import OUT_OF_DOMAIN, Constant, Formula, Given

MM_PER_M = 1000.0
UPRIGHT_DEG = Span(-90.0, 90.0)  # beyond it a sine says nothing of the angle
DIGITS_MAX = 20_000.0  # 20000 sin 90
_LENGTH = Constant("length_m", "m", 0.001, 1000.0)
_GIVES = ("displacement", "settlement")


def _displacement(given: Given) -> float:
    zero = sin(radians(given.constants["zero_deg"]))
    return MM_PER_M * given.constants["length_m"] * (sin(radians(given.x)) - zero)


def _digits(given: Given) -> float:
    constants = given.constants
    return constants["factor"] * constants["length_m"] * (given.x - constants["zero_digits"])


def _judge(given: Given) -> Verdict:
    return GOOD if UPRIGHT_DEG.holds(given.x) else OUT_OF_DOMAIN


def face_digits(now: tuple[float, float], initial: tuple[float, float]) -> float:
    """Return the change between two surveys of a biaxial probe, each read at both faces, digits.

    S = ((P+ - P-) - (I+ - I-)) / 2: what the two faces share, the probe's own offset, falls out.
    """
    return ((now[0] - now[1]) - (initial[0] - initial[1])) / 2


TILT = Formula(
    "tilt-displacement",
    _displacement,
    (_LENGTH, Constant("zero_deg", "deg", -90.0, 90.0, default=0.0)),
    takes=("tilt",),
    gives=_GIVES,
    unit="mm",
    judge=_judge,
)
DIGITS = Formula(
    "tilt-digits",
    _digits,
    (
        _LENGTH,
        Constant("zero_digits", "digit", -DIGITS_MAX, DIGITS_MAX, default=0.0),
        Constant("factor", "mm per m and digit", 1e-6, 1e3, default=0.05),
    ),
    takes=("state",),
    gives=_GIVES,
    unit="mm",
)
