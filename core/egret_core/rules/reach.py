"""The level that a rise reaches within a lead time, and the time to each threshold (detector D6).

    L = x + max(b, 0) T          x newest reading, b slope by least squares, unit/h, T lead time, h
    time to a threshold S: (S - x) / b for b > 0, which is at most T exactly where L >= S

So a pack warns at a time to threshold by levels with a unit and a datum. A straight line is a
watch, not a forecast with skill: on a flashy stream it does worse than persistence
(`egret_core.rules.rise` for the slope, its source, state and cost). Events say ``basis: forecast``.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from egret_core.rules.level_place import level_ladder
from egret_core.rules.model import IndexLaw
from egret_core.rules.rise import MS_PER_H, Rise, span_ms, to_threshold_h, window_of
from egret_core.rules.rungs import ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace, Rung
    from egret_core.rules.rungs import At

_MIN_PER_H = 60


class Reach:
    """The state of one index: a line that is drawn on.

    Args:
        line: samples, window and gap of the `Rise`; lead_ms: how far it is drawn on.
        rungs: the levels whose times are told.
    """

    def __init__(self, line: tuple[int, int, int], lead_ms: int, rungs: tuple[Rung, ...]) -> None:
        self._line = Rise(*line)
        self._lead_ms = lead_ms
        self._rungs = rungs
        self.standing = self._line.standing

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a reading; return the level reached within the lead time, the channel's unit."""
        slope = self._line.take(time_ms, value)
        self.standing = self._line.standing
        return None if slope is None else value + max(slope, 0.0) * self._lead_ms / MS_PER_H

    def evidence(self) -> Mapping[str, Any]:
        """Return the line, and the minutes to each level that is above the newest reading."""
        newest, slope = self._line.newest, self._line.slope()
        times = {
            rung.label: to_threshold_h(newest, slope, rung.raise_at)
            for rung in self._rungs
            if rung.raise_at > newest
        }
        minutes = {label: round(h * _MIN_PER_H, 2) for label, h in times.items() if h is not None}
        basis = {"basis": "forecast", "method": "trend", "lead_s": self._lead_ms / 1000}
        return {**basis, **self._line.evidence(), "minutes_to": minutes}

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return self._line.dump()

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._line.restore(saved)
        self.standing = self._line.standing


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters; levels stand in `unit` from `datum`.

    Raises:
        ConfigError: a level, unit, datum or window that does not fit.
    """
    window, ladder = window_of(at, given), level_ladder(at, given, places)
    make = partial(Reach, window, ms(given["lead_s"]), ladder.rungs)
    return IndexLaw("reach", make, ladder, span_ms(*window))
