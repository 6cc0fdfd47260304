"""Improved tangent angle: how steep a displacement curve is against its own uniform creep (D10).

    angle = arctan(v / v_eq), degrees      v, v_eq in mm/d

v is the velocity over a window (`egret_core.rules.velocity`), v_eq that of uniform creep: given,
or learnt by least squares over the first days and then frozen, for ever and shown; never below
sigma / window, or every quiet point would turn red: one given below that is refused, one learnt is
raised to it and says so. The index is the lowest angle of the newest
`held` span, which three readings at least must fill: one steep reading is none. 45 degrees are
v = v_eq, 80 are 5.6713 v_eq, 85 are 11.4301 v_eq. Alone the angle says at most orange: at the
Outang slope, which never collapsed, it stood above 85 degrees for 93 to 309 days a point.
Source: Xu et al. 2009, Geological Bulletin of China 28(4):501-505, by way of doi
10.1186/s13638-021-02033-y, table 1. State: a window of velocity, a window of learning until it is
over, at most 34 angles. Cost: O(angles kept) a reading.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from math import atan, degrees
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.line import CELLS, POINTS_MIN, Line
from egret_core.rules.model import IndexLaw
from egret_core.rules.movement import (
    MS_PER_DAY,
    NM_PER_MM,
    SIGNS,
    nanometres,
    needs_movement,
    no_red,
)
from egret_core.rules.rungs import index_ladder, ms
from egret_core.rules.velocity import Velocity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At
    from egret_core.rules.velocity import Motion

CRITICAL_DEG = 85.0  # what the table calls critical: no angle says that alone
_FILLED = 0.8  # part of a span, of learning or of holding, that readings must fill
_LEARNT_FROM = CELLS // 4  # points at least: eight, or a gap could be all that was learnt


def tangent_angle(velocity: float, uniform: float) -> float:
    """Return the angle in degrees; both in one unit, `uniform` above 0."""
    return degrees(atan(velocity / uniform))


class Uniform:
    """The velocity of uniform creep, v_eq.

    Args:
        given: mm/d, 0 to learn it; learn_ms: how long it learns; floor: mm/d, of one learnt.
    """

    def __init__(self, given: float, learn_ms: int, floor: float) -> None:
        self._learn_ms = learn_ms
        self._floor = floor
        self._line = Line(learn_ms)
        self._since_ms: int | None = None
        self.learnt = given <= 0
        self.mm_per_day = given if given > 0 else None

    def take(self, time_ms: int, moved_nm: int) -> float | None:
        """Take a reading; return v_eq, None while it is being learnt."""
        if self.mm_per_day is not None:
            return self.mm_per_day
        if self._since_ms is None:
            self._since_ms = time_ms
        self._line.take(time_ms, moved_nm)
        if time_ms - self._since_ms < self._learn_ms:
            return None
        fit = self._line.fit()
        if fit and fit.points >= _LEARNT_FROM and fit.span_ms >= _FILLED * self._learn_ms:
            self.mm_per_day = max(fit.slope * MS_PER_DAY / NM_PER_MM, self._floor)
            self._line.clear()
        return self.mm_per_day

    def evidence(self) -> Mapping[str, Any]:
        """Return v_eq and where it comes from."""
        if self.mm_per_day is None:
            return {}
        origin = "learnt" if self.learnt else "given"
        if self.learnt and self.mm_per_day <= self._floor:
            origin = "floor"
        return {"v_eq_mm_per_day": round(self.mm_per_day, 4), "v_eq_is": origin}

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self.mm_per_day, self._since_ms, self._line.dump()]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self.mm_per_day, self._since_ms, line = saved
        self._line.restore(line)


class Held:
    """The lowest value of the newest span, known once three readings at least fill it.

    With fewer in it, of the newest three, which may lie two spans apart.

    Args:
        span_ms: how long a value must hold.
    """

    def __init__(self, span_ms: int) -> None:
        self._span_ms = span_ms
        self._cell_ms = max(span_ms // CELLS, 1)
        self._rows: deque[tuple[int, float]] = deque()  # first time of a cell, lowest value in it

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a value; return the lowest of the span, None while readings do not fill it."""
        rows = self._rows
        if rows and rows[-1][0] // self._cell_ms == time_ms // self._cell_ms:
            rows[-1] = (rows[-1][0], min(rows[-1][1], value))
        else:
            rows.append((time_ms, value))
        # A reading that is missing makes the span longer, so that three still hold; a gap ends it.
        least, oldest_ms = POINTS_MIN, time_ms - self._span_ms - self._cell_ms
        while rows[0][0] < oldest_ms and (
            len(rows) > least or rows[0][0] < oldest_ms - self._span_ms
        ):
            rows.popleft()
        if len(rows) < POINTS_MIN or time_ms - rows[0][0] < _FILLED * self._span_ms:
            return None
        return min(lowest for _, lowest in rows)

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return list(self._rows)

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._rows = deque((row[0], row[1]) for row in saved)


class TangentAngle:
    """The state of one index, degrees; takes a displacement in mm.

    Args:
        velocity: over its window; uniform: v_eq; held_ms: how long an angle must hold.
        sign: 1 where the channel rises as the slope moves.
    """

    def __init__(self, velocity: Velocity, uniform: Uniform, held_ms: int, sign: int = 1) -> None:
        self._velocity = velocity
        self._uniform = uniform
        self._held = Held(held_ms)
        self._sign = sign
        self._motion: Motion | None = None
        self._angle_deg = 0.0
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a displacement, mm; return the angle that holds, degrees."""
        moved_nm = nanometres(value, self._sign)
        self._motion = self._velocity.take(time_ms, moved_nm)
        uniform = self._uniform.take(time_ms, moved_nm)
        self.standing = Standing.WARMING_UP
        if self._motion is None or uniform is None:
            return None
        self._angle_deg = tangent_angle(self._motion.mm_per_day, uniform)
        held = self._held.take(time_ms, self._angle_deg)
        if held is not None:
            self.standing = Standing.OK
        return held

    def evidence(self) -> Mapping[str, Any]:
        """Return the newest angle and the two velocities behind it."""
        if self._motion is None:
            return {}
        speed = round(self._motion.mm_per_day, 4)
        angle = round(self._angle_deg, 3)
        return {"angle_deg": angle, "velocity_mm_per_day": speed, **self._uniform.evidence()}

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        known = self.standing is Standing.OK
        return [self._velocity.dump(), self._uniform.dump(), self._held.dump(), known]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._velocity.restore(saved[0])
        self._uniform.restore(saved[1])
        self._held.restore(saved[2])
        self.standing = Standing.OK if saved[3] else Standing.WARMING_UP


def uniform_of(given: Mapping[str, Any]) -> Uniform:
    """Return v_eq as the parameters want it: given, or to be learnt, with its floor."""
    return Uniform(given["v_eq_mm_per_day"], ms(given["learn_s"]), _floor(given))


def _floor(given: Mapping[str, Any]) -> float:
    return float(given["sigma_mm"] / (given["window_s"] * 1000 / MS_PER_DAY))


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a channel that measures no movement; a level that one angle cannot prove.
    """
    needs_movement(at, places)
    needs_floor(at, given)
    ladder = index_ladder(at, given, "deg")
    for rank, rung in enumerate(ladder.rungs):
        if rung.raise_at >= CRITICAL_DEG:
            remedy = "write less than 85: one angle proves no collapse, bind inverse-velocity"
            raise ConfigError(at[0], f"{at[1]}.levels[{rank}].raise", rung.raise_at, remedy)
    no_red(at, ladder)
    make = partial(_made, given)
    return IndexLaw("tangent_angle", make, ladder, history_ms(given))


def needs_floor(at: At, given: Mapping[str, Any]) -> None:
    """Refuse a v_eq that nothing keeps above 0, or one that noise alone reaches; ConfigError."""
    if given["sigma_mm"] <= 0:
        remedy = "write the standard deviation of one reading in mm: the floor of v_eq"
        raise ConfigError(at[0], f"{at[1]}.sigma_mm", given["sigma_mm"], remedy)
    if 0 < given["v_eq_mm_per_day"] < _floor(given):
        remedy = f"write at least {_floor(given):.6g}: sigma / window; or a longer window_s"
        raise ConfigError(at[0], f"{at[1]}.v_eq_mm_per_day", given["v_eq_mm_per_day"], remedy)


def history_ms(given: Mapping[str, Any]) -> int:
    """Return how much history warms up an angle: what it learns from, and what it holds."""
    learn_s = given["learn_s"] if given["v_eq_mm_per_day"] <= 0 else 0.0
    return ms(learn_s + given["window_s"] + 2 * given["held_s"])


def _made(given: Mapping[str, Any]) -> TangentAngle:
    velocity = Velocity(ms(given["window_s"]), given["sigma_mm"])
    sign = SIGNS[given["direction"]]
    return TangentAngle(velocity, uniform_of(given), ms(given["held_s"]), sign)
