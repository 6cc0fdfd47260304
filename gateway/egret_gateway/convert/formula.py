"""What a formula of a calibration sheet is, and one device's use of it.

A formula has an id that names it for ever, constants as the sheet prints them, and perhaps inputs:
values of other channels, e.g. the thermistor beside a vibrating wire. Its sign belongs to its id:
where two sheets write the same law with another sign, there are two formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import TYPE_CHECKING, NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict
from egret_core.units import convert, factor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONSTANT_MOST = 1e12  # the largest number a sheet was seen to print is 1e6
NOT_A_NUMBER = Verdict(int(Flag.FAIL), int(Reason.NOT_A_NUMBER))
OUT_OF_DOMAIN = Verdict(int(Flag.FAIL), int(Reason.RANGE))


class Constant(NamedTuple):
    """One number of a sheet.

    Attributes:
        name: its key and its name in meta; unit: in which it is written, for people.
        low, high: what is believable; default: None where it must be given.
        goes_with: the input without which it means nothing; with it, it must be given.
    """

    name: str
    unit: str
    low: float = -CONSTANT_MOST
    high: float = CONSTANT_MOST
    default: float | None = None
    goes_with: str = ""


class Given(NamedTuple):
    """What a formula works on.

    Attributes:
        x: the device's number; quantity: what it measures.
        constants: by name; inputs: values of other channels by name, in the unit they are asked in.
    """

    x: float
    quantity: str
    constants: Mapping[str, float]
    inputs: Mapping[str, float]


def anything(_given: Given) -> Verdict:
    """Find nothing wrong with a number."""
    return GOOD


@dataclass(frozen=True, slots=True, eq=False)  # each is one: its id names it for ever
class Formula:
    """A law from the device's number to the wanted quantity.

    Attributes:
        id: as meta and settings name it; arithmetic: the law itself.
        constants: in the order of the sheet; inputs: name of each possible one to its quantity.
        takes: quantities it starts from, empty for any; gives: those it leads to, empty for any.
        unit: of what it gives, "" where the sheet says.
        judge: what is to be said of a number before the law; FAIL: it gives no value at all.
        counts: it turns a counter's pulses into a total.
    """

    id: str
    arithmetic: Callable[[Given], float]
    constants: tuple[Constant, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    unit: str = ""
    judge: Callable[[Given], Verdict] = anything
    counts: bool = False


@dataclass(frozen=True, slots=True)
class Input:
    """A value of another channel that a conversion needs.

    Attributes:
        name: as the formula calls it; source: the channel's `station/channel`.
        quantity: what that measures; unit: in which the formula wants it.
        max_age_s: scaled seconds after which it is old.
    """

    name: str
    source: str
    quantity: str
    unit: str
    max_age_s: float = inf


@dataclass(frozen=True, slots=True)
class Calibration:
    """A formula with one device's numbers; key `[bus.device.channels.ITEM.calibration]`.

    Attributes:
        formula: the law; constants: by name; inputs: those in use.
        quantity: what comes out; unit: in which the law gives it.
        input_unit: in which the law takes the item's number.
        sheet: serial number and date of the sheet, for people.
    """

    formula: Formula
    constants: Mapping[str, float] = field(hash=False)
    quantity: str
    unit: str
    input_unit: str
    inputs: tuple[Input, ...] = ()
    sheet: str = ""


class Worked(NamedTuple):
    """What came out: the canonical value, None where there is none, and what is said of it."""

    value: float | None
    verdict: Verdict


def work(
    calibration: Calibration, quantity: str, number: float, inputs: Mapping[str, float]
) -> Worked:
    """Return what a formula makes of a number.

    Args:
        calibration: the formula and its constants.
        quantity: what the item measures.
        number: the item's number in that quantity's canonical unit.
        inputs: by name, in the canonical unit of their quantity; absent where they have no value.
    """
    if any(one.name not in inputs for one in calibration.inputs):
        return Worked(None, Verdict(int(Flag.FAIL), int(Reason.INPUT)))
    try:
        return _worked(calibration, quantity, number, inputs)
    except (ArithmeticError, ValueError):  # a number that is finite, and too large for the law
        return Worked(None, NOT_A_NUMBER)


def _worked(
    calibration: Calibration, quantity: str, number: float, inputs: Mapping[str, float]
) -> Worked:
    given = Given(
        given_in(quantity, number, calibration.input_unit),
        quantity,
        calibration.constants,
        {
            one.name: given_in(one.quantity, inputs[one.name], one.unit)
            for one in calibration.inputs
        },
    )
    verdict = calibration.formula.judge(given)
    if verdict.flag == Flag.FAIL:
        return Worked(None, verdict)
    found = calibration.formula.arithmetic(given)
    if not isfinite(found):
        return Worked(None, NOT_A_NUMBER)
    value = convert(calibration.quantity, found, calibration.unit)
    return Worked(value, verdict) if isfinite(value) else Worked(None, NOT_A_NUMBER)


def given_in(quantity: str, value: float, unit: str) -> float:
    """Return a canonical value in another unit of its quantity."""
    scale, offset = factor(quantity, unit)
    return value if (scale, offset) == (1.0, 0.0) else (value - offset) / scale
