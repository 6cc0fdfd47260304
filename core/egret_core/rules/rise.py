"""Rate of rise: the slope of a straight line through the newest readings (detector D6).

    b = (n S(ty) - S(t) S(y)) / (n S(tt) - S(t)^2)     t in h, y in the channel's unit, b in unit/h

Ordinary least squares over a window of the last `samples` readings, or of the last `window_s` of
time, with the real times of the readings. All sums are whole numbers (ms, and 1e-12 of the unit),
so that nothing drifts in a year. Time to a threshold T from the newest reading x: (T - x) / b for
b > 0. Source: textbook least squares; windows of 15, 30, 60 min or 3, 6, 12 readings are usual.
State: the window's readings, at most `READINGS_MAX`, and five sums. Cost: O(1) a reading.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.index import Standing
from egret_core.rules.level_place import in_canonical, one_quantity
from egret_core.rules.model import IndexLaw
from egret_core.rules.rungs import ladder_of, ms, rungs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

MS_PER_H = 3_600_000
READINGS_MAX = 4096  # readings of one window: an hour at one a second; then the oldest leave first
SAMPLES_LEAST = 3  # two readings make a line of any noise
VALUE_MOST = 1e9  # of any channel's unit: beyond it nothing is measured
_PARTS = 1e12  # parts of a unit that are counted: finer than a float of metres


class Rise:
    """A straight line through the readings of a window, each of them a point.

    Args:
        samples: how many readings; 0 for a window of time.
        window_ms: its length, where `samples` is 0.
        gap_ms: a longer silence breaks the line: it begins again after it.
    """

    __slots__ = ("_gap_ms", "_samples", "_sums", "_window", "_window_ms", "standing")

    def __init__(self, samples: int, window_ms: int, gap_ms: int) -> None:
        self._samples = samples
        self._window_ms = window_ms
        self._gap_ms = gap_ms
        self._window: deque[tuple[int, float]] = deque()
        self._sums = (0, 0, 0, 0)  # of t, y, tt, ty
        self.standing = Standing.WARMING_UP

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a reading; return the slope, unit/h, None where `standing` is not ok."""
        if abs(value) > VALUE_MOST:
            self.standing = Standing.INVALID
            return None
        window = self._window
        if window and time_ms - window[-1][0] > self._gap_ms:
            window.clear()
            self._sums = (0, 0, 0, 0)
        window.append((time_ms, value))
        self._count(time_ms, value, 1)
        most = self._samples or READINGS_MAX
        start_ms = time_ms - self._window_ms if self._window_ms else window[0][0]
        while len(window) > most or window[0][0] < start_ms:
            self._count(*window.popleft(), -1)
        self.standing = self._standing()
        return self.slope() if self.standing is Standing.OK else None

    @property
    def span_ms(self) -> int:
        """The time between the oldest and the newest reading of the window."""
        return self._window[-1][0] - self._window[0][0] if self._window else 0

    @property
    def newest(self) -> float:
        """The newest reading's value, unit; 0 before the first."""
        return self._window[-1][1] if self._window else 0.0

    def slope(self) -> float:
        """Return the slope, unit/h; 0 where all readings are of one time."""
        count, (t, y, tt, ty) = len(self._window), self._sums
        spread = count * tt - t * t
        return (count * ty - t * y) / spread * (MS_PER_H / _PARTS) if spread else 0.0

    def evidence(self) -> dict[str, Any]:
        """Return the slope per hour, and what it was drawn through."""
        return {
            "slope_per_h": round(self.slope(), 6),
            "readings": len(self._window),
            "over_s": self.span_ms / 1000,
            "newest": self.newest,
        }

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [list(self._window), str(self.standing)]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._window = deque((row[0], row[1]) for row in saved[0])
        self._sums = (0, 0, 0, 0)
        for time_ms, value in self._window:
            self._count(time_ms, value, 1)
        self.standing = Standing(saved[1])

    def _count(self, time_ms: int, value: float, sign: int) -> None:
        parts = round(value * _PARTS) * sign
        t, y, tt, ty = self._sums
        time_ms, square = time_ms * sign, time_ms * time_ms * sign
        self._sums = (t + time_ms, y + parts, tt + square, ty + time_ms * parts * sign)

    def _standing(self) -> Standing:
        count = len(self._window)
        if self._samples:
            enough = count == self._samples
        else:
            # Half a window says what the window would; less of it may be noise.
            full = 2 * self.span_ms >= self._window_ms or count == READINGS_MAX
            enough = full and count >= SAMPLES_LEAST
        if not enough:
            return Standing.WARMING_UP
        return Standing.OK if self.span_ms else Standing.NOT_APPLICABLE


def to_threshold_h(value: float, slope_per_h: float, threshold: float) -> float | None:
    """Return the hours until a rise reaches a threshold; 0 at or above it, None for no rise."""
    if value >= threshold:
        return 0.0
    return (threshold - value) / slope_per_h if slope_per_h > 0 else None


def window_of(at: At, given: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return `samples`, `window_s` and `gap_s` of a pack for a `Rise`, times in ms.

    Raises:
        ConfigError: no window or two, too few samples, no whole number.
    """
    file, key = at
    samples, window_s, gap_s = given["samples"], given["window_s"], given["gap_s"]
    if samples and window_s:
        remedy = "write samples or window_s, and 0 for the other"
        raise ConfigError(file, f"{key}.window_s", window_s, remedy)
    if not samples and not window_s:
        remedy = "write how many readings, or window_s"
        raise ConfigError(file, f"{key}.samples", samples, remedy)
    if samples and not (SAMPLES_LEAST <= samples <= READINGS_MAX and samples == int(samples)):
        remedy = f"write a whole number, {SAMPLES_LEAST} to {READINGS_MAX}"
        raise ConfigError(file, f"{key}.samples", samples, remedy)
    return int(samples), ms(window_s), ms(gap_s)


def span_ms(samples: int, window_ms: int, gap_ms: int) -> int:
    """Return how much history fills a window, ms: of samples a day of it at most."""
    return window_ms + gap_ms if not samples else min(samples * gap_ms, 24 * MS_PER_H)


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters; levels are in `unit`, such as ``m/h``.

    Raises:
        ConfigError: a level, unit or window that cannot be.
    """
    file, key = at
    quantity = one_quantity(at, places)
    unit, slash, hour = given["unit"].rpartition("/")
    if not slash or hour != "h":
        remedy = f"write a unit of {quantity} by the hour, e.g. {places[0].unit}/h"
        raise ConfigError(file, f"{key}.unit", given["unit"], remedy)

    def per_h(where: At, value: object) -> float:
        return in_canonical(where, quantity, value, unit) - in_canonical(where, quantity, 0.0, unit)

    window = window_of(at, given)
    ladder = ladder_of(given, rungs(at, given, per_h), f"{places[0].unit}/h")
    return IndexLaw("rate_of_rise", partial(Rise, *window), ladder, span_ms(*window))
