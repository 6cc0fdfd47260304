"""Channels that no device has: worked out from others of the same gateway.

| formula | law |
|---|---|
| `sum` | all of them, e.g. the segments of an in-place inclinometer from the bottom up |
| `difference` | the first less the second, e.g. an unvented pressure less the barometer's |
| `linear` | scale x + offset of one, e.g. a pressure as head over a datum |
| `rotated-a` | A cos(angle_deg) - B sin(angle_deg): axes turned to the slope's |
| `rotated-b` | A sin(angle_deg) + B cos(angle_deg) |
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, fsum, isfinite, nan, radians, sin
from typing import TYPE_CHECKING

from egret_core.quality import Flag
from egret_core.screening.range import ANY, Span, check_range
from egret_core.screening.verdict import combined
from egret_core.units import convert
from egret_gateway.convert.channel import Converted
from egret_gateway.convert.formula import NOT_A_NUMBER, Constant, given_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egret_gateway.convert.formula import Input
    from egret_gateway.convert.inputs import Looked

SOURCES_MAX = 64  # segments in one borehole: 30 m at 0.5 m
_ANGLE = (Constant("angle_deg", "deg", -360.0, 360.0),)


@dataclass(frozen=True, slots=True)
class DerivedFormula:
    """A law over several channels.

    Attributes:
        id: as meta and settings name it; arithmetic: of the values in their order.
        least, most: how many channels it takes; constants: in the order of the sheet.
    """

    id: str
    arithmetic: Callable[[Sequence[float], Mapping[str, float]], float]
    least: int
    most: int
    constants: tuple[Constant, ...] = ()


@dataclass(frozen=True, slots=True)
class DerivedSettings:
    """One derived channel; key `[[derived]]`.

    Attributes:
        station, channel: whose it is; quantity: what comes out; unit: in which the law gives it.
        formula, constants: the law; of: the channels it is made of, in order, each with the
            age at which it is old.
        period_s: of the slowest of them; datum: vertical datum of a level.
        watch_at, operator: as of any channel.
    """

    station: str
    channel: str
    quantity: str
    unit: str
    formula: DerivedFormula
    constants: Mapping[str, float]
    of: tuple[Input, ...]
    period_s: float
    datum: str = ""
    watch_at: float | None = None
    operator: Span = ANY

    @property
    def key(self) -> str:
        """``station/channel``."""
        return f"{self.station}/{self.channel}"


def derive(settings: DerivedSettings, looked: Looked) -> Converted:
    """Return the derived value; none where one of its channels has none."""
    if looked.verdict.flag == Flag.FAIL:
        return Converted(None, None, *looked.verdict)
    values = [given_in(one.quantity, looked.values[one.name], one.unit) for one in settings.of]
    try:
        found = settings.formula.arithmetic(values, settings.constants)
    except (ArithmeticError, ValueError):  # too large for the law
        found = nan
    value = convert(settings.quantity, found, settings.unit) if isfinite(found) else found
    if not isfinite(value):
        return Converted(None, None, *combined(NOT_A_NUMBER, looked.verdict))
    return Converted(
        value, None, *combined(looked.verdict, check_range(value, ANY, settings.operator))
    )


def _rotated_a(values: Sequence[float], constants: Mapping[str, float]) -> float:
    angle = radians(constants["angle_deg"])
    return values[0] * cos(angle) - values[1] * sin(angle)


def _rotated_b(values: Sequence[float], constants: Mapping[str, float]) -> float:
    angle = radians(constants["angle_deg"])
    return values[0] * sin(angle) + values[1] * cos(angle)


DERIVED = {
    formula.id: formula
    for formula in (
        DerivedFormula("sum", lambda values, _: fsum(values), 1, SOURCES_MAX),
        DerivedFormula("difference", lambda values, _: values[0] - values[1], 2, 2),
        DerivedFormula(
            "linear",
            lambda values, constants: constants["scale"] * values[0] + constants["offset"],
            1,
            1,
            (Constant("scale", "unit per input_unit"), Constant("offset", "unit", default=0.0)),
        ),
        DerivedFormula("rotated-a", _rotated_a, 2, 2, _ANGLE),
        DerivedFormula("rotated-b", _rotated_b, 2, 2, _ANGLE),
    )
}
