"""Recent and antecedent rain, P3 and P15, mm (detector D4).

    index = P3 + s P15   while P3 > 0, else 0          reached where index >= c

P3 is the rain of the last 72 h, P15 that of the 360 h before them, s and c are slope and intercept
of the line P3 = c - s P15. Where P15 alone is over the line, any rain in P3 reaches it, as in
USGS `thresh` v1.0 (`track_intensity` in dataanalysis.f90). Source: Chleborad et al. 2006, USGS
OFR 2006-1064, coefficients as in the program's thresh_in.txt. Sums are whole nanometres
(`egret_core.rules.long_windows`: rain within `join_s` is joined). By readings
(`egret_core.rules.counting`) a window is so many readings, gaps ignored. State: two sums, and
at most two steps for each `join_s` of 18 days. Cost: O(1) amortised.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.counting import reading_ms, word
from egret_core.rules.index import Standing
from egret_core.rules.long_windows import LongWindows
from egret_core.rules.model import IndexLaw
from egret_core.rules.rain_place import needs_total
from egret_core.rules.rungs import index_ladder, more_than_0, ms
from egret_core.rules.total import NM_PER_MM
from egret_core.rules.windows import Increment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import ChannelPlace
    from egret_core.rules.rungs import At

SPAN_MAX_H = 480  # 20 days: the longest memory that is kept step by step
STEPS_MAX = 2048  # groups of rain in a span: half of what the windows hold, two for each join


@dataclass(frozen=True, slots=True)
class Terms:
    """Spans and slope.

    Attributes:
        recent_ms, antecedent_ms: lengths of the two sums, the second ends where the first begins.
        slope: weight of the antecedent sum.
        join_ms: rain no further apart is joined; reading_ms: what a reading stands for, 0: clock.
    """

    recent_ms: int
    antecedent_ms: int
    slope: float
    join_ms: int
    reading_ms: int = 0

    @property
    def span_ms(self) -> int:
        """Both spans together."""
        return self.recent_ms + self.antecedent_ms


class RecentAntecedent:
    """The state of one index; takes the nanometres of rain between two readings.

    Attributes:
        standing: warming up until it has watched for both spans, and again after a silence as long.
    """

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._windows = LongWindows((terms.recent_ms, terms.span_ms), terms.join_ms)
        self._now_ms: int | None = None  # by the clock, or by readings
        self._since_ms = 0
        self.standing = Standing.WARMING_UP

    @property
    def sums_nm(self) -> tuple[int, int]:
        """The recent sum and the antecedent one."""
        recent, both = self._windows.sums_nm
        return recent, both - recent

    def take(self, time_ms: int, value: float) -> float | None:
        """Take what fell since the reading before; return the index, mm."""
        step_ms = self._terms.reading_ms
        if self._now_ms is None:
            self._now_ms = self._since_ms = 0 if step_ms else time_ms
        now_ms = self._now_ms + step_ms if step_ms else time_ms
        gap_ms = now_ms - self._now_ms
        if gap_ms > self._terms.span_ms:
            self._since_ms = now_ms  # nobody knows when in the silence it fell
        self._now_ms = now_ms
        self._windows.take(Increment(now_ms, round(value), gap_ms))
        self.standing = self._stands(now_ms)
        if self.standing is not Standing.OK:
            return None
        recent_nm, antecedent_nm = self.sums_nm
        if recent_nm <= 0:
            return 0.0
        return (recent_nm + self._terms.slope * antecedent_nm) / NM_PER_MM

    def evidence(self) -> Mapping[str, Any]:
        """Return both sums and their weights."""
        recent_nm, antecedent_nm = self.sums_nm
        return {
            "recent_mm": recent_nm / NM_PER_MM,
            "recent_h": self._terms.recent_ms / 3_600_000,
            "antecedent_mm": antecedent_nm / NM_PER_MM,
            "antecedent_h": self._terms.antecedent_ms / 3_600_000,
            "slope": self._terms.slope,
            "counting": word(self._terms.reading_ms),
        }

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._windows.dump(), self._now_ms, self._since_ms]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        steps, self._now_ms, self._since_ms = saved
        self._windows.restore(steps)
        self.standing = Standing.WARMING_UP
        if self._now_ms is not None:
            self.standing = self._stands(self._now_ms)

    def _stands(self, now_ms: int) -> Standing:
        warm = now_ms - self._since_ms >= self._terms.span_ms
        return Standing.OK if warm else Standing.WARMING_UP


def law(at: At, given: Mapping[str, Any], places: Sequence[ChannelPlace]) -> IndexLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: spans that cannot be, a channel that is no rain total.
    """
    needs_total(at, places)
    terms = Terms(
        recent_ms=ms(given["recent_h"] * 3600),
        antecedent_ms=ms(given["antecedent_h"] * 3600),
        slope=given["slope"],
        join_ms=ms(given["join_s"]),
        reading_ms=reading_ms(given),
    )
    _check(at, given, terms)
    make = partial(RecentAntecedent, terms)
    ladder = index_ladder(at, given, "mm", more_than_0)
    return IndexLaw("recent_antecedent", make, ladder, terms.span_ms, of_total=True)


def _check(at: At, given: Mapping[str, Any], terms: Terms) -> None:
    file, key = at
    for name in ("recent_h", "antecedent_h"):
        if given[name] <= 0:
            raise ConfigError(file, f"{key}.{name}", given[name], "write hours, more than 0")
    if terms.span_ms > ms(SPAN_MAX_H * 3600):
        remedy = f"write at most {SPAN_MAX_H} h of both spans together"
        raise ConfigError(file, f"{key}.antecedent_h", given["antecedent_h"], remedy)
    if terms.slope < 0:
        raise ConfigError(file, f"{key}.slope", terms.slope, "write the weight of P15, 0 or more")
    least_ms = -(-terms.span_ms // STEPS_MAX)
    if not least_ms <= terms.join_ms <= terms.recent_ms:
        remedy = f"write {least_ms / 1000:g} s to {terms.recent_ms / 1000:g} s"
        raise ConfigError(file, f"{key}.join_s", given["join_s"], remedy)
