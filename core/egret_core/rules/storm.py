"""Intensity and duration of the storm that is under way (detector D3).

    I = sum / D   mm/h          I_c(D) = a D^-b   mm/h,  Dmin <= D <= Dmax   h

A storm begins with its first wet step and is open until it has been dry for the gap (3 h). D runs
by the clock from the beginning of that step to now, both counted, dry hours included; a live
storm does not know whether its rain is over. With one curve the index is I / I_c; with several
it is how many of them are reached (four colours as 5, 20, 50 and 80 % of probability); one that was
reached counts until I is below its `clear_ratio`, so that noise on a curve says it once. Outside
Dmin..Dmax it is invalid: no curve is extrapolated. A storm that was measured to be over is 0. A
silence as long as the gap ends a storm, and what fell in it is a new one that began with the
silence. By readings (`egret_core.rules.counting`) only the dry gap differs: that is the rule of
USGS `thresh` v1.0 (`track_storm` in dataanalysis.f90), which this reproduces at wet hours. The
curve's own source is the pack's. State: six whole numbers. Cost: O(1), O(curves) while a storm is
open.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from egret_core.rules.counting import word
from egret_core.rules.curves import Terms, terms_of
from egret_core.rules.index import Standing
from egret_core.rules.model import IndexLaw
from egret_core.rules.rain_place import needs_total
from egret_core.rules.total import NM_PER_MM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

MS_PER_H = 3_600_000
HISTORY_MS = 96 * MS_PER_H  # longer than any storm of the 526 days at KPAE (57 h)


class Storm:
    """The state of one index; takes the nanometres of rain between two readings.

    Attributes:
        standing: warming up until it has watched for a dry gap: before it, a storm may be older.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._last_ms: int | None = None
        self._since_ms = 0
        self._start_ms: int | None = None  # of the open storm
        self._sum_nm = 0
        self._dry_ms = 0  # since it last rained in it
        self._reached = 0  # curves of several that count
        self.standing = Standing.WARMING_UP

    @property
    def duration_h(self) -> float:
        """Hours since the storm began, 0 where none is open."""
        if self._start_ms is None or self._last_ms is None:
            return 0.0
        return (self._last_ms - self._start_ms) / MS_PER_H

    @property
    def intensity_mm_h(self) -> float:
        """Mean intensity of the storm, 0 where none is open."""
        hours = self.duration_h
        return self._sum_nm / NM_PER_MM / hours if hours else 0.0

    def take(self, time_ms: int, value: float) -> float | None:
        """Take what fell since the reading before; return the index."""
        if self._last_ms is None:
            self._last_ms = self._since_ms = time_ms - self._terms.reading_ms
        self._follow(time_ms - self._last_ms, time_ms, round(value))
        self._last_ms = time_ms
        self.standing = self._stands(time_ms)
        if self.standing is not Standing.OK:
            return None
        if self._start_ms is None:
            self._reached = 0
            return 0.0
        curves = self._terms.curves
        if len(curves) == 1:
            return self.intensity_mm_h / curves[0].at(self.duration_h)
        kept = min(self._reached, self._over(self._terms.clear_ratio))
        self._reached = max(self._over(1.0), kept)
        return float(self._reached)

    def evidence(self) -> Mapping[str, Any]:
        """Return intensity and duration, and the curve they are held against."""
        out: dict[str, Any] = {
            "intensity_mm_h": round(self.intensity_mm_h, 4),
            "duration_h": round(self.duration_h, 4),
            "counting": word(self._terms.reading_ms),
            "source": self._terms.source,
        }
        if self._start_ms is not None and self.standing is Standing.OK:
            hours = self.duration_h
            curve = self._terms.curves[max(self._over(1.0) - 1, 0)]
            out["sum_mm"] = self._sum_nm / NM_PER_MM
            out["curve"] = f"I = {curve.a_mm_h:g} D^-{curve.b:g}"
            out["curve_mm_h"] = round(curve.at(hours), 4)
        return out

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        storm = [self._start_ms, self._sum_nm, self._dry_ms]
        return [self._last_ms, self._since_ms, *storm, self._reached]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._last_ms, self._since_ms, self._start_ms, self._sum_nm, self._dry_ms = saved[:5]
        (self._reached,) = saved[5:] or (0,)  # a state of before has none
        self.standing = Standing.WARMING_UP
        if self._last_ms is not None:
            self.standing = self._stands(self._last_ms)

    def _over(self, share: float) -> int:
        """Return how many curves the storm is at or above a share of."""
        hours, intensity = self.duration_h, self.intensity_mm_h
        return sum(intensity >= share * curve.at(hours) for curve in self._terms.curves)

    def _follow(self, gap_ms: int, time_ms: int, rain_nm: int) -> None:
        step_ms = self._terms.reading_ms or gap_ms
        if rain_nm <= 0:
            self._dry_ms += step_ms
            if self._dry_ms >= self._terms.gap_ms:
                self._start_ms, self._sum_nm = None, 0
            return
        if self._start_ms is None or step_ms >= self._terms.gap_ms:
            self._start_ms, self._sum_nm = time_ms - gap_ms, 0
        self._sum_nm += rain_nm
        self._dry_ms = 0

    def _stands(self, time_ms: int) -> Standing:
        if time_ms - self._since_ms < self._terms.gap_ms:
            return Standing.WARMING_UP
        if self._start_ms is None:
            return Standing.OK
        valid = self._terms.from_ms <= time_ms - self._start_ms <= self._terms.to_ms
        return Standing.OK if valid else Standing.INVALID


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a curve, a range or a channel that does not fit.
    """
    needs_total(at, places)
    terms, ladder = terms_of(at, given)
    span_ms = min(terms.to_ms, HISTORY_MS) + terms.gap_ms
    return IndexLaw("intensity_duration", partial(Storm, terms), ladder, span_ms, of_total=True)
