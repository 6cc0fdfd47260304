"""Raw numbers to canonical values with their quality; pure.

level and the like: value = (raw * scale + offset) in the device's unit, as canonical unit,
plus the datum's offset. Counters: raw counts become a total that never decreases; its memory is
JSON text, kept with the very samples it explains.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.rain import rain_most_mm
from egret_core.screening.range import ANY, check_range
from egret_core.screening.sentinel import check_sentinel
from egret_core.screening.verdict import GOOD, Verdict, combined
from egret_core.units import canonical, convert, settle

if TYPE_CHECKING:
    from egret_gateway.profiles import ChannelSettings, Counter, Item

COUNTER = "counter"  # formula of totals, as meta names it
LOST = "lost"  # memory of a counter that had one: its next total is doubtful
_RESET = Verdict(int(Flag.GOOD), int(Reason.COUNTER_RESET))
_RESET_UNCOUNTED = Verdict(int(Flag.SUSPECT), int(Reason.COUNTER_RESET))


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


class Total(NamedTuple):
    """A counter's memory: the last raw count and the total in the canonical unit."""

    last: int
    total: float


def is_identity(channel: ChannelSettings) -> bool:
    """Tell whether the device's number is the canonical value itself."""
    item = channel.item
    plain = item.scale == 1 and item.offset == 0 and channel.datum_offset_m == 0
    return plain and item.counter is None and item.unit == canonical(item.quantity)


def formula_of(channel: ChannelSettings) -> tuple[str, dict[str, float]]:
    """Return the conversion's name and its numbers, as meta carries them."""
    item = channel.item
    if is_identity(channel):
        return "identity", {}
    numbers = {"scale": item.scale, "offset": item.offset}
    if item.counter is not None:
        cleared = {"read_clears": 1.0} if item.read_clears else {}
        return COUNTER, {**numbers, "bits": float(item.counter.bits), **cleared}
    if channel.datum:
        numbers["datum_offset_m"] = channel.datum_offset_m
    return "linear", numbers


def to_canonical(
    channel: ChannelSettings, raw: float, memory: str, since_s: float | None = None
) -> Converted:
    """Return what a raw number means.

    Args:
        channel: item, datum and bounds.
        raw: as decoded from registers.
        memory: the counter's memory, "" before its first reading or where it was lost.
        since_s: seconds since that memory's count was read, None where nobody knows.
    """
    item = channel.item
    verdict = check_sentinel(raw, item.sentinels)
    if verdict != GOOD:
        kept = raw if verdict.reasons & Reason.SENTINEL else None
        return Converted(None, kept, verdict.flag, verdict.reasons)
    if item.counter is not None:
        return _counted(item, item.counter, int(raw), memory, since_s)
    number = _linear(item, raw)
    value = settle(number + channel.datum_offset_m)
    # The sensor's span is about its own number; the operator's about the height over the datum.
    verdict = combined(check_range(number, item.sensor), check_range(value, ANY, channel.operator))
    kept = None if is_identity(channel) else float(raw)
    return Converted(value, kept, verdict.flag, verdict.reasons)


def memory_of(raw: float, total: float) -> str:
    """Return a counter's memory: its last raw count and the total that went with it."""
    return json.dumps([int(raw), total])


def _linear(item: Item, raw: float) -> float:
    return convert(item.quantity, settle(raw * item.scale + item.offset), item.unit)


def _counted(
    item: Item, counter: Counter, raw: int, memory: str, since_s: float | None
) -> Converted:
    """Add what was counted since the last read; a wrap goes on, a reset starts again from 0."""
    before = _remembered(memory)
    if before is None:
        # Seen for the first time, its own count is the best guess of the total; where there was
        # a memory and it cannot be read, that guess is doubtful.
        verdict = _RESET_UNCOUNTED if memory else GOOD
        total = _linear(item, raw)
    else:
        if item.read_clears:
            step, verdict = _since_cleared(counter, raw)
        else:
            step, verdict = _step(counter, before.last, raw)
        if since_s is not None and _linear(item, step) > rain_most_mm(since_s):
            # No rain: another device, or a wrong number. A false sum would be a false alarm.
            step, verdict = 0, _RESET_UNCOUNTED
        total = settle(before.total + _linear(item, step))
    fresh = memory_of(raw, total)
    return Converted(
        total, float(raw), verdict.flag, verdict.reasons, fresh if fresh != memory else ""
    )


def _since_cleared(counter: Counter, raw: int) -> tuple[int, Verdict]:
    """Return what a register counted since the last read set it back."""
    return (raw, GOOD) if raw <= counter.max_step else (0, _RESET_UNCOUNTED)


def _step(counter: Counter, last: int, raw: int) -> tuple[int, Verdict]:
    """Return the counts between two reads, and what is to be said of them."""
    step = (raw - last) % 2**counter.bits
    if step <= counter.max_step:
        return step, GOOD
    if raw < last and raw <= counter.max_step:
        return raw, _RESET
    # Neither a believable step nor a start from zero: another device, or a wrong number. What
    # it counted is unknown; the total goes on from here.
    return 0, _RESET_UNCOUNTED


def _remembered(memory: str) -> Total | None:
    try:
        last, total = json.loads(memory)
        return Total(int(last), float(total))
    except (TypeError, ValueError):
        return None
