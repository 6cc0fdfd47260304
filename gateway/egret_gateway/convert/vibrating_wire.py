"""Vibrating wires: frequency, period or digits to pressure, strain or displacement.

R = f^2 / 1000 digits (f in Hz) = 10^9 / T^2 (T in us): 8000 digits are 2828 Hz are 354 us.

| formula | law before correction |
|---|---|
| `vw-linear-r1-r0` | g (R - r0) |
| `vw-linear-r0-r1` | g (r0 - R) |
| `vw-polynomial` | a R^2 + b R + c |
| `vw-polynomial-hz` | a f^2 + b f + c |

To each belongs, where its input is named, + k (T - t0) of the thermistor and - (S - s0) of a
barometer; the latter only for transducers that are not vented.
Sheets write the linear law with either sign, so that the id says which is meant.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from egret_core.screening.range import Span
from egret_core.screening.verdict import GOOD, Verdict
from egret_gateway.convert.formula import OUT_OF_DOMAIN, Constant, Formula, Given
from egret_gateway.convert.polynomial import horner

if TYPE_CHECKING:
    from collections.abc import Callable

PLUCKED_HZ = Span(100.0, 6500.0)  # what readers sweep; beside it no wire was heard
TAKES = ("frequency", "period", "wire_reading")
INPUTS = {"temperature": "temperature", "barometer": "pressure"}
_R0 = Constant("r0", "digit", 0.0, 1e5)
_CORRECTIONS = (
    Constant("k", "unit per degC", goes_with="temperature"),
    Constant("t0", "degC", -80.0, 150.0, goes_with="temperature"),
    Constant("s0", "unit", goes_with="barometer"),
)
_ABC = (
    Constant("a", "unit per digit^2"),
    Constant("b", "unit per digit"),
    Constant("c", "unit"),
    *_CORRECTIONS,
)
_ABC_HZ = (
    Constant("a", "unit per Hz^2"),
    Constant("b", "unit per Hz"),
    Constant("c", "unit"),
    *_CORRECTIONS,
)


def hertz(given: Given) -> float:
    """Return the wire's frequency, 0 where there is none."""
    if given.x <= 0:
        return 0.0
    if given.quantity == "period":
        return 1e6 / given.x
    return given.x if given.quantity == "frequency" else sqrt(1000 * given.x)


def digits(given: Given) -> float:
    """Return the reading in digits, f^2 / 1000."""
    return given.x if given.quantity == "wire_reading" else hertz(given) ** 2 / 1000


def _judge(given: Given) -> Verdict:
    return GOOD if PLUCKED_HZ.holds(hertz(given)) else OUT_OF_DOMAIN


def _correction(given: Given) -> float:
    constants, inputs = given.constants, given.inputs
    found = 0.0
    if "temperature" in inputs:
        found += constants["k"] * (inputs["temperature"] - constants["t0"])
    if "barometer" in inputs:
        found -= inputs["barometer"] - constants["s0"]
    return found


def _r1_r0(given: Given) -> float:
    return given.constants["g"] * (digits(given) - given.constants["r0"]) + _correction(given)


def _r0_r1(given: Given) -> float:
    return given.constants["g"] * (given.constants["r0"] - digits(given)) + _correction(given)


def _abc(given: Given, x: float) -> float:
    return horner([given.constants[name] for name in "cba"], x) + _correction(given)


def _formula(id_: str, law: Callable[[Given], float], constants: tuple[Constant, ...]) -> Formula:
    return Formula(id_, law, constants, INPUTS, TAKES, judge=_judge)


_LINEAR = (Constant("g", "unit per digit"), _R0, *_CORRECTIONS)
R1_R0 = _formula("vw-linear-r1-r0", _r1_r0, _LINEAR)
R0_R1 = _formula("vw-linear-r0-r1", _r0_r1, _LINEAR)
DIGITS = _formula("vw-polynomial", lambda given: _abc(given, digits(given)), _ABC)
HERTZ = _formula("vw-polynomial-hz", lambda given: _abc(given, hertz(given)), _ABC_HZ)
