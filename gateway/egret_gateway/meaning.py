"""What a raw number means, as `read` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict, combined
from egret_core.timescale import REAL
from egret_core.units import canonical
from egret_gateway.bus.latest import Latest
from egret_gateway.bus.sampler import Sampler
from egret_gateway.convert import to_canonical
from egret_gateway.convert.inputs import NO_INPUTS, Looked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.bus.line import Polled, Turn
    from egret_gateway.profiles import ChannelSettings

INPUT_DEPTH = 3  # a piezometer's barometer's thermistor: rounds until each has what it needs


def round_of(found: Sequence[tuple[Turn, Polled]]) -> Latest:
    """Return what one round of reads gave, for conversions that need one another."""
    latest = Latest(REAL)
    for _ in range(INPUT_DEPTH):
        for turn, polled in found:
            if polled.raws:
                sampler = Sampler(REAL, {}, lambda: False, latest)
                sampler.values(turn, polled.raws, polled.at_s, polled.verdicts)
    return latest


def meaning(
    channel: ChannelSettings, raw: float, said: Verdict = GOOD, looked: Looked = NO_INPUTS
) -> dict[str, Any]:
    """Return a raw number with its value, unit, quality and reasons; a counter without memory.

    Args:
        channel: whose it is.
        raw: the number.
        said: what the device itself says of it.
        looked: what other channels gave, for a calibration that needs them.
    """
    converted = to_canonical(channel, raw, "", None, looked)
    verdict = combined(Verdict(converted.flag, converted.reasons), said)
    return {
        "channel": channel.key,
        "item": channel.item.name,
        "raw": raw if converted.raw is not None or converted.value is not None else None,
        "value": converted.value,
        "unit": canonical(channel.quantity),
        "quality": Flag(verdict.flag).name,
        "reasons": [bit.name for bit in Reason(verdict.reasons)],
    }
