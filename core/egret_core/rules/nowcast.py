"""Stage nowcast: the stage's own past by recursive least squares, with a band (detector D7).

    y(t) = h(t+L) - h(t)     x = 1, h-b, d1..d6, r6, r12, max(d1,0)^2
    forecast of y: x'w     quantile q of h(t+L): h + x'w + s e_q, s = sqrt(r6 / rising_m)

h: stage; b: stage at low flow; L: lead, a whole number of 5 min steps; di: the last six
differences of 5 min, the newest first; r6, r12: rise over 30 and 60 min; w: weights
(`egret_core.rules.rls`, ridge 1e-3, forgetting 0.999), learned on rising samples only, those that
gained more than `rising_m` in 30 min (0.15 ft); e_q: quantile q of the newest `TRAIL` errors, each
over its own s: the steeper the rise, the wider the band. All in feet inside, because the ridge was
found in them. A stage that does not rise is forecast to stay (persistence), and nothing is learned
from it.

It speaks only while its trailing persistence index, of its forecasts as they were made, is above 0:

    PI = 1 - sum (y - x'w)^2 / sum y^2     (`egret_core.rules.trail`)

else it is `not_applicable`. A silence, or a step that no stage takes, begins its terms anew: it
waits 60 min until they are whole, and never interpolates. Readings between two steps are passed
over. Source: Plumtree (USGS 01581752), 5 min, 2016-17; PI after Kitanidis and Bras 1980 (named,
not read). State: 66 + 11 floats of the weights, 13 + L levels, L forecasts, 3 x `TRAIL` integers.
Cost: O(1) on a stage that does not rise, else O(k^2 + TRAIL log TRAIL).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from itertools import islice
from math import sqrt
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.level_place import in_canonical, level_ladder
from egret_core.rules.model import IndexLaw
from egret_core.rules.rls import RecursiveLeastSquares
from egret_core.rules.rungs import ms
from egret_core.rules.trail import Trail

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

FT = 0.3048  # m
STEP_MS = 300_000
EARLY_MS, LATE_MS = 5_000, 30_000  # a step may be so much shorter or longer
SPAN = 13  # samples that the terms reach over: 60 min
TERMS = 11
RIDGE = 1e-3
JUMP_M = 3.0  # in one step: more than any of ours rose, 0.40 m
DUST_M = 1e-6  # a gain of exactly `rising_m` is none, however binary fractions fall
FAR_M = 1e4  # from low flow: no stage is there
DECIMALS = 4  # of a metre in what it tells: 0.1 mm
LEAST = 100  # forecasts scored before it speaks
BAND = (0.1, 0.9)  # quantiles of the band it tells


@dataclass(frozen=True, slots=True)
class Setting:
    """What a rule sets.

    Attributes:
        lead: whole steps ahead.
        base_m: stage at low flow; rising_m: gain in 30 min from which a sample is rising.
        forgetting: of the weights, a sample; quantile: of the forecast that is judged.
    """

    lead: int
    base_m: float
    rising_m: float = 0.15 * FT
    forgetting: float = 0.999
    quantile: float = 0.5


def terms(levels_m: Sequence[float], base_m: float) -> list[float]:
    """Return the 11 terms of `SPAN` levels a step apart, the newest last, in feet."""
    levels = [(level - base_m) / FT for level in levels_m]
    now = levels[-1]
    steps = [levels[-at] - levels[-at - 1] for at in range(1, 7)]
    up = max(steps[0], 0.0)
    return [1.0, now, *steps, now - levels[-7], now - levels[-13], up * up]


class Nowcast:
    """The state of one nowcast at one lead; takes levels in m."""

    __slots__ = (
        "_beyond",
        "_last_ms",
        "_levels",
        "_made",
        "_model",
        "_setting",
        "standing",
        "trail",
    )

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._model = RecursiveLeastSquares(TERMS, RIDGE, setting.forgetting)
        self._levels: deque[float] = deque(maxlen=SPAN + setting.lead)
        # What was forecast at each of the last steps, m of change; None where it did not rise.
        self._made: deque[float | None] = deque(maxlen=setting.lead)
        self._last_ms = 0
        self._beyond = False
        self.trail = Trail()
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a level; return the forecast, m, None where it has none or between two steps."""
        if not self._sampled(time_ms, value):
            return None
        self._learn()
        self._made.append(self._forecast())
        self.standing = self._stand()
        if self.standing is not Standing.OK:
            return None
        change = self._made[-1]
        if change is None:
            return value
        return round(value + change + self._error_m(self._setting.quantile), DECIMALS)

    @property
    def change_m(self) -> float | None:
        """The newest forecast change by the lead, m, spoken or not; None where nothing rises."""
        return self._made[-1] if self._made else None

    def evidence(self) -> Mapping[str, Any]:
        """Return what the newest forecast rests on: basis, lead, level now, band, skill."""
        lead_ms = self._setting.lead * STEP_MS
        level, change = self._levels[-1], self._made[-1]
        body: dict[str, Any] = {
            "basis": "forecast",
            "model": "persistence" if change is None else "arx",
            "lead_s": lead_ms / 1000,
            "forecast_for_ms": self._last_ms + lead_ms,
            "level_m": level,
            "persistence_index": round(self.trail.persistence_index, 3),
            "forecasts_scored": len(self.trail),
        }
        if change is not None:
            for name, share in zip(("band_low", "band_high"), BAND, strict=True):
                body[f"{name}_m"] = round(level + change + self._error_m(share), DECIMALS)
                body[f"{name}_quantile"] = share
        return body

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        run = [self._last_ms, self._beyond, list(self._levels), list(self._made)]
        return [run, self._model.dump(), self.trail.dump()]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        (self._last_ms, self._beyond, levels, made), model, trail = saved
        self._levels.clear()
        self._levels.extend(levels)
        self._made.clear()
        self._made.extend(made)
        self._model.restore(model)
        self.trail.restore(trail)
        self.standing = self._stand()

    def _sampled(self, time_ms: int, value: float) -> bool:
        """Take the level where it is a sample, a step after the one before; else begin anew."""
        if abs(value - self._setting.base_m) > FAR_M:
            self._levels.clear()
            self._beyond = True
            self.standing = Standing.INVALID
            return False
        if self._levels:
            step_ms = time_ms - self._last_ms
            if step_ms < STEP_MS - EARLY_MS:
                return False
            if step_ms > STEP_MS + LATE_MS or abs(value - self._levels[-1]) > JUMP_M:
                self._levels.clear()
        self._beyond = False
        self._last_ms = time_ms
        self._levels.append(value)
        return True

    def _learn(self) -> None:
        """Score the forecast of one lead ago by the level that came, and learn from it."""
        lead = self._setting.lead
        if len(self._levels) < SPAN + lead or self._made[0] is None:
            return
        then = list(islice(self._levels, SPAN))
        change = self._levels[-1] - then[-1]
        self.trail.add(change, self._made[0], self._spread(then))
        self._model.learn(terms(then, self._setting.base_m), change / FT)

    def _forecast(self) -> float | None:
        """Return the change by the lead, m; None where the stage does not rise."""
        size = len(self._levels)
        if size < SPAN or self._levels[-1] - self._levels[-7] <= self._setting.rising_m + DUST_M:
            return None
        newest = list(islice(self._levels, size - SPAN, None))
        change = self._model.estimate(terms(newest, self._setting.base_m)) * FT
        most = JUMP_M * self._setting.lead
        return min(max(change, -most), most)

    def _error_m(self, share: float) -> float:
        """Return what this share of errors stays below where the stage rises as it does now, m."""
        return self.trail.quantile(share) * self._spread(self._levels)

    def _spread(self, levels_m: Sequence[float]) -> float:
        return sqrt((levels_m[-1] - levels_m[-7]) / self._setting.rising_m)

    def _stand(self) -> Standing:
        if self._beyond:
            return Standing.INVALID
        if len(self._levels) < SPAN or len(self.trail) < LEAST:
            return Standing.WARMING_UP
        return Standing.OK if self.trail.persistence_index > 0 else Standing.NOT_APPLICABLE


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a channel that is no level in m, another datum, a lead between two steps.
    """
    file, key = at
    for place in places:
        if place.unit != "m":
            remedy = f"{place.name} measures {place.quantity}: bind a level of water"
            raise ConfigError(file, f"{key}.levels", place.quantity, remedy)
    lead, left = divmod(ms(given["lead_s"]), STEP_MS)
    if left:
        remedy = f"write a multiple of {STEP_MS // 1000}"
        raise ConfigError(file, f"{key}.lead_s", given["lead_s"], remedy)
    base_m = in_canonical((file, f"{key}.base"), places[0].quantity, given["base"], given["unit"])
    setting = Setting(lead, base_m, given["rising_m"], given["forgetting"], given["quantile"])
    ladder = level_ladder(at, given, places)
    return IndexLaw("nowcast", partial(Nowcast, setting), ladder, ms(given["history_s"]))
