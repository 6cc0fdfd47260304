"""One channel's raw number to its canonical value.

value = (raw * scale + offset) in the device's unit, as canonical unit; a calibration's formula on
top of that where the site has one; plus the datum's offset.
"""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.range import ANY, check_range
from egret_core.screening.sentinel import check_sentinel
from egret_core.screening.verdict import GOOD, combined
from egret_core.units import canonical, convert, settle
from egret_gateway.convert.counter import Counting, count
from egret_gateway.convert.formula import NOT_A_NUMBER, Worked, work
from egret_gateway.convert.formulas import COUNTER
from egret_gateway.convert.inputs import NO_INPUTS, Looked

if TYPE_CHECKING:
    from egret_gateway.profiles import ChannelSettings, Counter, Item


class Converted(NamedTuple):
    """A value on its way to a sample.

    Attributes:
        value: canonical unit, None where there is none; raw: only where the two differ by rule.
        flag, reasons: as in `egret_core.reading.Reading`.
        memory: the counter's new memory, "" where there is none or nothing changed.
    """

    value: float | None
    raw: float | None
    flag: int
    reasons: int
    memory: str = ""


def is_identity(channel: ChannelSettings) -> bool:
    """Tell whether the device's number is the canonical value itself."""
    item = channel.item
    plain = item.scale == 1 and item.offset == 0 and channel.datum_offset_m == 0
    plain = plain and channel.calibration is None
    return plain and item.counter is None and item.unit == canonical(item.quantity)


def formula_of(channel: ChannelSettings) -> tuple[str, dict[str, float]]:
    """Return the conversion's name and its numbers, as meta carries them."""
    item, calibration = channel.item, channel.calibration
    if is_identity(channel):
        return "identity", {}
    numbers = {"scale": item.scale, "offset": item.offset}
    if calibration is not None:
        own = {f"item_{name}": number for name, number in numbers.items()}
        numbers = {**calibration.constants, **(own if item.scale != 1 or item.offset else {})}
    if item.counter is not None:
        numbers["bits"] = float(item.counter.bits)
        if item.read_clears:
            numbers["read_clears"] = 1.0
    if channel.datum:
        numbers["datum_offset_m"] = channel.datum_offset_m
    if calibration is not None:
        return calibration.formula.id, numbers
    return "linear" if item.counter is None else COUNTER, numbers


def to_canonical(
    channel: ChannelSettings,
    raw: float,
    memory: str,
    since_s: float | None = None,
    looked: Looked = NO_INPUTS,
) -> Converted:
    """Return what a raw number means.

    Args:
        channel: item, calibration, datum and bounds.
        raw: as decoded from registers.
        memory: the counter's memory, "" before its first reading or where it was lost.
        since_s: seconds since that memory's count was read, None where nobody knows.
        looked: what other channels gave, for a calibration that needs them.
    """
    item = channel.item
    verdict = check_sentinel(raw, item.sentinels)
    if verdict != GOOD:
        kept = raw if verdict.reasons & Reason.SENTINEL else None
        return Converted(None, kept, verdict.flag, verdict.reasons)
    if item.counter is not None:
        if not 0 <= raw < 2**item.counter.bits or raw != int(raw):
            # No counter is at such a number. The total waits for the next one.
            return Converted(None, float(raw), int(Flag.FAIL), int(Reason.SENSOR_FAULT))
        return _counted(channel, item.counter, int(raw), memory, since_s)
    number = _linear(item, raw)
    if not isfinite(number):
        return Converted(None, float(raw), *NOT_A_NUMBER)
    worked = _worked(channel, number, looked)
    value = None if worked.value is None else settle(worked.value + channel.datum_offset_m)
    # The sensor's span is about its own number; the operator's about the height over the datum.
    verdict = combined(worked.verdict, check_range(number, item.sensor))
    if value is not None:
        verdict = combined(verdict, check_range(value, ANY, channel.operator))
    kept = None if is_identity(channel) else float(raw)
    return Converted(value, kept, verdict.flag, verdict.reasons)


def _linear(item: Item, raw: float) -> float:
    """Return the number in the canonical unit; infinite where it is beyond a float."""
    number = settle(raw * item.scale + item.offset)
    return convert(item.quantity, number, item.unit) if isfinite(number) else number


def _worked(channel: ChannelSettings, number: float, looked: Looked) -> Worked:
    if channel.calibration is None:
        return Worked(number, GOOD)
    worked = work(channel.calibration, channel.item.quantity, number, looked.values)
    return Worked(worked.value, combined(worked.verdict, looked.verdict))


def _amount(channel: ChannelSettings, counts: float) -> float:
    number = _linear(channel.item, counts)
    if channel.calibration is None:
        return number
    return work(channel.calibration, channel.item.quantity, number, {}).value or 0.0


def _counted(
    channel: ChannelSettings, counter: Counter, raw: int, memory: str, since_s: float | None
) -> Converted:
    calibration = channel.calibration
    how = Counting(
        counter,
        partial(_amount, channel),
        rain=channel.quantity == "rain_total",
        min_tip_s=0.0 if calibration is None else calibration.constants.get("min_tip_s", 0.0),
        clears=channel.item.read_clears,
    )
    found = count(how, raw, memory, since_s)
    flag, reasons = found.verdict
    return Converted(found.total, float(raw), flag, reasons, found.memory)
