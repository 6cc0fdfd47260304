"""Rules over rain want channels that are totals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

RAIN = "rain_total"


def needs_total(at: At, places: Sequence[ChannelPlace]) -> None:
    """Refuse a channel that is no rain total; ConfigError."""
    for place in places:
        if place.quantity != RAIN:
            remedy = f"{place.name} measures {place.quantity}: bind a channel of {RAIN}"
            raise ConfigError(at[0], f"{at[1]}.levels", place.quantity, remedy)
