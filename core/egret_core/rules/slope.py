"""A slope judged by two lines of evidence from one displacement channel: red needs both.

    angle line       the angle that holds (D10) is at least arctan(RED_RATIO): v >= 5 v_eq
    inverse line     1/v converges (D11): slope < 0, r2 >= r2_min, v >= 5 v_eq, t_f at most the
                     horizon after the reading, and the latest t_f of windows and alphas after the
                     newest velocity: an early t_f that has passed is overdue, not refuted
    stage  1 uniform   2 angle >= yellow_deg   3 angle >= orange_deg, or the inverse line alone
           4 both lines

The index is the stage; nothing else of the evidence decides, all of it is told: v, v_eq, angle,
t_f with the interval of several windows and the band of several alphas. An angle alone is never
red, however steep: at the Outang slope it was for months and nothing fell. A second sensor, rain
or pore pressure as the other line is for rules over several channels. Windows are spans of time,
so that daily, six-hourly and hourly readings of one slope are judged alike; a single span of 5 d
sees failures that take weeks, so a fast monitored face wants a second rule with shorter spans.
Source: stages of Xu et al. 2009 (`egret_core.rules.tangent_angle`), gate as measured on 200 seeded
failures and on a slope that never fell. State: two velocities, v_eq, angles, five lines: at most
about 300 points. Cost: O(lines) a reading.
"""

from __future__ import annotations

from functools import partial
from math import atan, degrees
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.rules.failure_time import FailureTime, evidence_of
from egret_core.rules.index import Standing
from egret_core.rules.model import IndexLaw
from egret_core.rules.movement import SIGNS, nanometres, needs_movement, no_red
from egret_core.rules.rungs import index_ladder, ms
from egret_core.rules.tangent_angle import (
    Held,
    history_ms,
    needs_floor,
    tangent_angle,
    uniform_of,
)
from egret_core.rules.velocity import Velocity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.failure_time import Forecast
    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At
    from egret_core.rules.velocity import Motion

UNIFORM, EARLY, MIDDLE, CRITICAL = 1, 2, 3, 4  # stages
RED_RATIO = 5.0  # v / v_eq from which either line may count
STEEPEST_DEG = 90.0
RED_DEG = degrees(atan(RED_RATIO))


class Gate(NamedTuple):
    """What decides the stage.

    Attributes:
        yellow_deg, orange_deg: angles of the stages 2 and 3.
        horizon_ms: a failure further away than this is no line of evidence.
    """

    yellow_deg: float
    orange_deg: float
    horizon_ms: int


class Slope:
    """The state of one index; takes a displacement in mm, gives the stage.

    Args:
        given: the parameters of the pack `inverse-velocity`.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        window_ms, sigma_mm = ms(given["window_s"]), given["sigma_mm"]
        self._short = Velocity(window_ms, sigma_mm)
        self._long = Velocity(2 * window_ms, sigma_mm)
        self._uniform = uniform_of(given)
        self._held = Held(ms(given["held_s"]))
        self._failure = FailureTime(ms(given["fit_s"]), given["r2_min"])
        self._gate = Gate(given["yellow_deg"], given["orange_deg"], ms(given["horizon_s"]))
        self._sign = SIGNS[given["direction"]]
        self._said: dict[str, Any] = {}
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a displacement, mm; return the stage."""
        moved_nm = nanometres(value, self._sign)
        short, long = self._short.take(time_ms, moved_nm), self._long.take(time_ms, moved_nm)
        uniform = self._uniform.take(time_ms, moved_nm)
        self.standing = Standing.WARMING_UP
        if short is None:
            return None
        forecast = self._failure.take(short, long, uniform)
        if uniform is None:
            return None
        angle = tangent_angle(short.mm_per_day, uniform)
        held = self._held.take(time_ms, angle)
        if held is None:
            return None
        self.standing = Standing.OK
        lines = ["angle"] if held >= RED_DEG else []
        if short.mm_per_day >= RED_RATIO * uniform and self._converges(time_ms, short, forecast):
            lines.append("inverse_velocity")
        self._say(short, angle, lines, forecast)
        if len(lines) > 1:
            return CRITICAL
        if held >= self._gate.orange_deg or "inverse_velocity" in lines:
            return MIDDLE
        return EARLY if held >= self._gate.yellow_deg else UNIFORM

    def evidence(self) -> Mapping[str, Any]:
        """Return the numbers behind the newest stage."""
        return self._said

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        parts = (self._short, self._long, self._uniform, self._held, self._failure)
        return [self.standing is Standing.OK, *(part.dump() for part in parts)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        known, short, long, uniform, held, failure = saved
        self._short.restore(short)
        self._long.restore(long)
        self._uniform.restore(uniform)
        self._held.restore(held)
        self._failure.restore(failure)
        self.standing = Standing.OK if known else Standing.WARMING_UP

    def _converges(self, time_ms: int, short: Motion, forecast: Forecast | None) -> bool:
        if forecast is None:
            return False
        near = forecast.failure_ms <= time_ms + self._gate.horizon_ms
        return near and short.time_ms < max(forecast.late_ms, forecast.alpha_late_ms or 0)

    def _say(
        self, short: Motion, angle_deg: float, lines: list[str], forecast: Forecast | None
    ) -> None:
        self._said = {
            "lines_of_evidence": lines,
            "velocity_mm_per_day": round(short.mm_per_day, 4),
            "angle_deg": round(angle_deg, 3),
            **self._uniform.evidence(),
            **evidence_of(forecast),
        }


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a channel that measures no movement; angles that do not rise; no noise given;
            a stage that is none, or a red that one line reaches.
    """
    needs_movement(at, places)
    needs_floor(at, given)
    file, key = at
    if given["fit_s"] < given["window_s"]:
        remedy = "write at least window_s: a line through one window's velocities is no line"
        raise ConfigError(file, f"{key}.fit_s", given["fit_s"], remedy)
    if not 0 < given["yellow_deg"] < given["orange_deg"] < STEEPEST_DEG:
        remedy = "write more than yellow_deg and less than 90"
        raise ConfigError(file, f"{key}.orange_deg", given["orange_deg"], remedy)
    ladder = index_ladder(at, given, "stage")
    no_red(at, ladder, MIDDLE)
    for rank, rung in enumerate(ladder.rungs):
        if rung.raise_at > CRITICAL:
            remedy = "write at most 4: there is no higher stage"
            raise ConfigError(file, f"{key}.levels[{rank}].raise", rung.raise_at, remedy)
    span_ms = history_ms(given) + ms(2 * given["window_s"] + given["fit_s"])
    return IndexLaw("slope", partial(Slope, given), ladder, span_ms)
