"""Which channels go first where a line has not time for all; pure."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.profiles import ChannelSettings

_WARNING = frozenset({"water_level", "water_depth", "rain_total", "rain_intensity", "discharge"})
_SERVICE = frozenset({"voltage", "current", "signal", "state"})


class Rank(IntEnum):
    """A turn's class; the lowest number goes first, the highest is thinned out first."""

    WARNING = 0  # rain and level, and whatever has a threshold of its own
    MEASUREMENT = 1
    SERVICE = 2  # power and diagnosis


def rank_of(channels: Sequence[ChannelSettings]) -> Rank:
    """Return the class of a turn: that of its most urgent channel."""
    return min((_rank(channel) for channel in channels), default=Rank.SERVICE)


def _rank(channel: ChannelSettings) -> Rank:
    if channel.watch_at is not None or channel.quantity in _WARNING:
        return Rank.WARNING
    return Rank.SERVICE if channel.quantity in _SERVICE else Rank.MEASUREMENT
