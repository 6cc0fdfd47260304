"""Antecedent rain that decays: API and JMA's effective rainfall, mm (detector D4).

    API_t = k^(dt / 1 d) API_(t-1) + P_t          R_t = 0.5^(dt / T) R_(t-1) + r_t

P and r are the rain of the step, mm; dt is the real time between two readings; k is 0.80 to 0.98
a day, T is 1.5 h to 72 h. Both are one law: k a day is a half-life of ln 0.5 / ln k days. A
silence longer than the equation's own step is no step of it: its rain is spread evenly over it.
Sources: API, Kohler and Linsley 1951 (named, not read); effective rainfall with half-lives as in
public codes, JMA's text not read. It warms up until what fell before it began would weigh less
than a tenth. State: 1 float and 2 times. Cost: O(1).
"""

from __future__ import annotations

from functools import partial
from math import exp, expm1, log
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.model import IndexLaw
from egret_core.rules.packs import number
from egret_core.rules.rain_place import needs_total
from egret_core.rules.rungs import index_ladder, more_than_0, ms
from egret_core.rules.total import NM_PER_MM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

MS_PER_DAY = 86_400_000
FORGOTTEN = 10.0  # what weighs less than a tenth is taken as forgotten
HALF_LIFE_MAX_MS = 90 * MS_PER_DAY  # k = 0.9923 a day: beyond it history is a season long
HALF_LIFE_MIN_MS = 60_000  # shorter than any soil


class Antecedent:
    """The state of one index; takes the nanometres of rain between two readings.

    Args:
        half_life_ms: of the decay; step_ms: the equation's own step, a longer one is a silence.
    """

    def __init__(self, half_life_ms: float, step_ms: int) -> None:
        self._half_life_ms = half_life_ms
        self._per_ms = log(2) / half_life_ms
        self._step_ms = step_ms
        self._warm_ms = warm_ms(half_life_ms)
        self._depth_mm = 0.0
        self._last_ms: int | None = None
        self._since_ms = 0
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take what fell since the reading before; return the index, mm."""
        if self._last_ms is None:
            self._last_ms = self._since_ms = time_ms
        gap_ms = time_ms - self._last_ms
        self._last_ms = time_ms
        decay = self._per_ms * gap_ms
        rain_mm = value / NM_PER_MM
        if gap_ms > self._step_ms:
            rain_mm *= -expm1(-decay) / decay
        self._depth_mm = self._depth_mm * exp(-decay) + rain_mm
        self.standing = self._stands(time_ms)
        return self._depth_mm if self.standing is Standing.OK else None

    def evidence(self) -> Mapping[str, Any]:
        """Return the half-life, h."""
        return {"half_life_h": round(self._half_life_ms / 3_600_000, 4)}

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._depth_mm, self._last_ms, self._since_ms]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._depth_mm, self._last_ms, self._since_ms = saved
        self.standing = Standing.WARMING_UP
        if self._last_ms is not None:
            self.standing = self._stands(self._last_ms)

    def _stands(self, time_ms: int) -> Standing:
        warm = time_ms - self._since_ms >= self._warm_ms
        return Standing.OK if warm else Standing.WARMING_UP


def warm_ms(half_life_ms: float) -> int:
    """Return after how long what fell before weighs less than a tenth, ms."""
    return round(half_life_ms * log(FORGOTTEN) / log(2))


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters: `k_day`, or `half_life_s`.

    Raises:
        ConfigError: a decay that cannot be, a channel that is no rain total.
    """
    needs_total(at, places)
    half_life_ms = _half_life_ms(at, given)
    make = partial(Antecedent, half_life_ms, ms(given["step_s"]))
    ladder = index_ladder(at, given, "mm", more_than_0)
    return IndexLaw("antecedent_rain", make, ladder, warm_ms(half_life_ms), of_total=True)


def _half_life_ms(at: At, given: Mapping[str, Any]) -> float:
    file, key = at
    if "k_day" in given:
        k = number(file, f"{key}.k_day", given["k_day"])
        if not 0 < k < 1:
            raise ConfigError(file, f"{key}.k_day", k, "write what is left after a day, 0 to 1")
        half_life_ms, name = log(0.5) / log(k) * MS_PER_DAY, "k_day"
    else:
        half_life_ms, name = given["half_life_s"] * 1000, "half_life_s"
    if not HALF_LIFE_MIN_MS <= half_life_ms <= HALF_LIFE_MAX_MS:
        days = HALF_LIFE_MAX_MS // MS_PER_DAY
        remedy = f"let it halve within 1 minute to {days} days"
        raise ConfigError(file, f"{key}.{name}", given[name], remedy)
    return half_life_ms
