"""What a raw number means, as `read` shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict, combined
from egret_core.units import canonical
from egret_gateway.convert import to_canonical

if TYPE_CHECKING:
    from egret_gateway.profiles import ChannelSettings


def meaning(channel: ChannelSettings, raw: float, said: Verdict = GOOD) -> dict[str, Any]:
    """Return a raw number with its value, unit, quality and reasons; a counter without memory.

    Args:
        channel: whose it is.
        raw: the number.
        said: what the device itself says of it.
    """
    converted = to_canonical(channel, raw, "")
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
