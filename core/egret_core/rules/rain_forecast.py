"""Rain that a forecast expects over the hours ahead, from a channel of forecast amounts.

    F = amount of the newest forecast, mm, for the `ahead_s` that follow its time

A forecast is a reading like any other: its time is when it was made, its value the amount. Nothing
is computed; the levels are the bureau's, and every event says ``basis: forecast`` and until when
it speaks. Observed rain has rules of its own: a rule on either is "observed or forecast", and what
needs both is for a rule over rules. Source: the rule of each colour in the national table, "the
amount will be reached, or has been reached" (CMA Decree 16, 2007, not read).
State: the newest reading's time. Cost: O(1) a reading.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.level_place import in_canonical
from egret_core.rules.model import IndexLaw
from egret_core.rules.rungs import ladder_of, more_than_0, ms, rungs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

FORECAST = "rain_forecast"
_MS_PER_H = 3_600_000


class RainForecast:
    """The state of one index; takes forecast amounts, mm.

    Args:
        ahead_ms: how far each forecast looks.
    """

    def __init__(self, ahead_ms: int) -> None:
        self._ahead_ms = ahead_ms
        self._made_ms: int | None = None
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a forecast; return its amount, mm, None for one that is less than nothing."""
        self._made_ms = time_ms
        self.standing = Standing.OK if value >= 0 else Standing.INVALID
        return value if value >= 0 else None

    def evidence(self) -> Mapping[str, Any]:
        """Return that it is a forecast, for how many hours, and until when."""
        told: dict[str, Any] = {"basis": "forecast", "window_h": self._ahead_ms / _MS_PER_H}
        if self._made_ms is not None:
            told["forecast_until_ms"] = self._made_ms + self._ahead_ms
        return told

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._made_ms, str(self.standing)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._made_ms, standing = saved
        self.standing = Standing(standing)


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a channel that is no forecast of rain, a level that is no depth.
    """
    file, key = at
    for place in places:
        if place.quantity != FORECAST:
            remedy = f"{place.name} measures {place.quantity}: bind a channel of {FORECAST}"
            raise ConfigError(file, f"{key}.levels", place.quantity, remedy)

    def depth_mm(where: At, value: object) -> float:
        return more_than_0(where, in_canonical(where, FORECAST, value, given["unit"]))

    ahead_ms = ms(given["ahead_s"])
    ladder = ladder_of(given, rungs(at, given, depth_mm), "mm")
    return IndexLaw("rain_forecast", partial(RainForecast, ahead_ms), ladder, ahead_ms)
