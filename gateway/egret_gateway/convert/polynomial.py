"""Straight lines and polynomials.

| formula | law |
|---|---|
| `linear` | y = scale x + offset |
| `two-point` | the line through (x1, y1) and (x2, y2) |
| `polynomial` | y = c0 + c1 x + ... + c5 x^5 |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_gateway.convert.formula import Constant, Formula, Given

if TYPE_CHECKING:
    from collections.abc import Sequence

DEGREE_MAX = 5  # thermocouples aside, no sheet we know goes higher
_POWERS = tuple(f"c{n}" for n in range(DEGREE_MAX + 1))


def horner(coefficients: Sequence[float], x: float) -> float:
    """Return c0 + c1 x + c2 x^2 + ...; products overflow to infinity and raise nothing."""
    total = 0.0
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def _linear(given: Given) -> float:
    return given.constants["scale"] * given.x + given.constants["offset"]


def _two_point(given: Given) -> float:
    x1, y1, x2, y2 = (given.constants[name] for name in ("x1", "y1", "x2", "y2"))
    return y1 + (y2 - y1) * (given.x - x1) / (x2 - x1)


def _polynomial(given: Given) -> float:
    return horner([given.constants[name] for name in _POWERS], given.x)


LINEAR = Formula(
    "linear",
    _linear,
    (Constant("scale", "unit per input_unit"), Constant("offset", "unit", default=0.0)),
)
TWO_POINT = Formula(
    "two-point",
    _two_point,
    (
        Constant("x1", "input_unit"),
        Constant("y1", "unit"),
        Constant("x2", "input_unit"),
        Constant("y2", "unit"),
    ),
)
POLYNOMIAL = Formula(
    "polynomial",
    _polynomial,
    tuple(
        Constant(name, f"unit per input_unit^{n}", default=None if n < 2 else 0.0)  # noqa: PLR2004  (a line has c0 and c1)
        for n, name in enumerate(_POWERS)
    ),
)
