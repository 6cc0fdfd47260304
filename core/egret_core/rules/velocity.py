"""Velocity of a slope over a window, in bands of a steady velocity V0 (detector D9).

    v = OLS slope of u over the window, mm/d        noise = 4 sigma / sqrt(sum (t - mean)^2), mm/d
    index = v, and 0 where v < noise                bands: V0 x (1, 5)

u is the displacement in mm, sigma the standard deviation of one reading in mm. A window shorter
than 3 sigma / V0 could not tell V0 from noise: it is refused. So is the word red: a velocity is one
line of evidence, and the band of 10 V0 belongs to a rule of two. The velocity belongs to the mean
time of its readings, half a window back. Before readings span `FILLED` of the window, and after a
gap that empties it, the index warms up. Source: least squares; bands of Chen et al. 2024, doi
10.1007/s10064-024-03928-y, V0 = 1.5 mean + 2 sd of steady daily velocities (as a public program
gives them). State: one `egret_core.rules.line.Line`. Cost: O(1) a reading.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.line import Line
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

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

FILLED = 0.6  # part of a window that readings must span: three of five daily intervals
SIGMAS = 3.0  # of the window's least length, as D9 has it
ERRORS = 4.0  # standard errors: daily noise passes three every two years, four once in 86
_MM_PER_DAY = MS_PER_DAY / NM_PER_MM  # of one nm/ms


class Motion(NamedTuple):
    """How fast it moved about an instant.

    Attributes:
        time_ms: mean time of the readings; mm_per_day: the velocity.
        noise_mm_per_day: what noise alone stays below.
    """

    time_ms: int
    mm_per_day: float
    noise_mm_per_day: float


class Velocity:
    """The velocity over one window.

    Args:
        window_ms: length; sigma_mm: standard deviation of one reading.
    """

    def __init__(self, window_ms: int, sigma_mm: float) -> None:
        self._window_ms = window_ms
        self._sigma_nm = sigma_mm * NM_PER_MM
        self._line = Line(window_ms)

    def take(self, time_ms: int, moved_nm: int) -> Motion | None:
        """Take a reading; return the velocity, None while the window is not filled."""
        self._line.take(time_ms, moved_nm)
        fit = self._line.fit()
        if fit is None or fit.span_ms < FILLED * self._window_ms:
            return None
        noise = ERRORS * self._sigma_nm / sqrt(fit.spread)
        return Motion(round(fit.mean_ms), fit.slope * _MM_PER_DAY, noise * _MM_PER_DAY)

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return self._line.dump()

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._line.restore(saved)


class Bands:
    """The state of one index, mm/d; takes a displacement in mm.

    Args:
        window_ms, sigma_mm: of the velocity; sign: 1 where the channel rises as the slope moves.
    """

    def __init__(self, window_ms: int, sigma_mm: float, sign: int = 1) -> None:
        self._velocity = Velocity(window_ms, sigma_mm)
        self._sign = sign
        self._motion: Motion | None = None
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a displacement, mm; return the velocity, 0 where it may be noise."""
        self._motion = self._velocity.take(time_ms, nanometres(value, self._sign))
        self.standing = Standing.OK if self._motion else Standing.WARMING_UP
        if self._motion is None:
            return None
        _, speed, noise = self._motion
        return 0.0 if 0 <= speed < noise else speed

    def evidence(self) -> Mapping[str, Any]:
        """Return the velocity and what noise stays below, mm/d."""
        if self._motion is None:
            return {}
        time_ms, speed, noise = self._motion
        return {
            "velocity_mm_per_day": round(speed, 4),
            "velocity_at_ms": time_ms,
            "noise_mm_per_day": round(noise, 4),
        }

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._velocity.dump(), self._motion]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._velocity.restore(saved[0])
        self._motion = Motion(*saved[1]) if saved[1] else None
        self.standing = Standing.OK if self._motion else Standing.WARMING_UP


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters; its levels are multiples of V0.

    Raises:
        ConfigError: a channel that measures no movement; a window too short for its noise.
    """
    needs_movement(at, places)
    file, key = at
    slowest = given["v0_mm_per_day"]
    if slowest <= 0:
        raise ConfigError(file, f"{key}.v0_mm_per_day", slowest, "write more than 0")
    need_s = SIGMAS * given["sigma_mm"] / slowest * MS_PER_DAY / 1000
    if given["window_s"] < need_s:
        remedy = f"write at least {need_s:.0f}: 3 sigma / V0, or noise alone would be movement"
        raise ConfigError(file, f"{key}.window_s", given["window_s"], remedy)
    ladder = index_ladder(at, given, "mm/d")
    no_red(at, ladder)
    rungs = tuple(
        replace(rung, raise_at=rung.raise_at * slowest, clear_at=rung.clear_at * slowest)
        for rung in ladder.rungs
    )
    window_ms = ms(given["window_s"])
    make = partial(Bands, window_ms, given["sigma_mm"], SIGNS[given["direction"]])
    return IndexLaw("velocity", make, replace(ladder, rungs=rungs), window_ms)
