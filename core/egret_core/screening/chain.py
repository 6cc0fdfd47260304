"""Every test of one channel in a row, over settled values in time order (detector D13).

What fails the range is no measurement: it is left out of all that compares values, so that one
wrong number does not make the next one suspect. Flags add up to the worst, reasons to all. A
spike is told provisionally, and corrected when the next value is in.
State: that of its tests, and the last word on the value before. Cost: O(1) amortised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.flat_line import FlatLine
from egret_core.screening.gap import check_gap
from egret_core.screening.range import check_range
from egret_core.screening.rate import Rate
from egret_core.screening.seasonal import check_season
from egret_core.screening.spike import Spike
from egret_core.screening.total import TotalSteps
from egret_core.screening.verdict import GOOD, Verdict, combined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.screening.law import ScreeningLaw

_FAIL = int(Flag.FAIL)
_DOUBTFUL = (int(Flag.SUSPECT), _FAIL)
_SPIKE = int(Reason.SPIKE)
TOTALS = ("rain_total", "count")  # quantities that never decrease


class Flagged(NamedTuple):
    """What the centre says of one value.

    Attributes:
        time_ms: of the value; flag, reasons: as on a reading.
        provisional: the next value can still change it.
    """

    time_ms: int
    flag: int
    reasons: int
    provisional: bool = False


class Chain:
    """The state of one channel's tests; times never go back."""

    __slots__ = ("_before", "_flat", "_last_ms", "_law", "_rate", "_spike", "_total")

    def __init__(self, law: ScreeningLaw, quantity: str) -> None:
        self._law = law
        self._spike = Spike(law.spike) if law.spike is not None else None
        self._rate = Rate(law.rate) if law.rate is not None else None
        self._flat = FlatLine(law.flat) if law.flat is not None else None
        rain = quantity == "rain_total"
        self._total = TotalSteps(rain=rain) if quantity in TOTALS else None
        self._last_ms: int | None = None
        self._before: Flagged | None = None  # the value before, without its spike, if it waits

    def alone(self, time_ms: int, value: float) -> Verdict:
        """Return what the value says by itself, whatever came before it."""
        law = self._law
        sensor, operator = law.sensor, law.operator
        verdict = GOOD
        if not (sensor.low <= value <= sensor.high and operator.low <= value <= operator.high):
            verdict = check_range(value, sensor, operator)
        if law.seasons:
            month = check_season(time_ms, value, law.seasons, law.utc_offset_ms)
            # A month nobody spoke of is no doubt: the other tests have been passed.
            return combined(verdict, month) if month.flag != Flag.NOT_EVALUATED else verdict
        return verdict

    def take(
        self, time_ms: int, value: float, doubts: Verdict = GOOD, *, expected: bool = True
    ) -> tuple[Flagged, Flagged | None]:
        """Return what is said of this value, and the last word on the one before where due.

        Args:
            time_ms: event time.
            value: finite, canonical.
            doubts: what others say of it: its clock, its neighbours.
            expected: whether there is a reason to expect movement.
        """
        flag, reasons = self.alone(time_ms, value)  # of 1, 3 and 4 the greater is the worse
        if flag == _FAIL:
            return Flagged(time_ms, flag, reasons), None
        if doubts.reasons:
            flag, reasons = max(flag, doubts.flag), reasons | doubts.reasons
        corrected = None
        if self._law.gap_ms is not None:
            gap = check_gap(self._last_ms, time_ms, self._law.gap_ms)
            if gap.reasons:
                corrected = self._restart()
                reasons |= gap.reasons
        self._last_ms = time_ms
        for said in self._compared(time_ms, value, expected=expected):
            flag, reasons = max(flag, said.flag), reasons | said.reasons
        if self._spike is None:
            return Flagged(time_ms, flag, reasons), corrected
        now, before = self._spike.take(value)
        if before is not None:
            corrected = self._final(before)
        self._before = Flagged(time_ms, flag, reasons)
        return _with_spike(self._before, now, provisional=True), corrected

    @property
    def of_total(self) -> bool:
        """Whether what it tests is a total, which `rebase` moves."""
        return self._total is not None

    def rebase(self, time_ms: int, value: float) -> Flagged | None:
        """Take a total from which the next one counts; say nothing of it.

        Returns:
            The last word on the value before: it has no next one to be compared with.
        """
        if self._total is None:
            return None
        self._total.take(time_ms, value)
        if self._rate is not None:
            self._rate.take(time_ms, value)
        if self._flat is not None:
            self._flat.take(time_ms, value)
        if self._spike is None:
            return None
        self._spike.take(value)
        return self._final(int(Flag.NOT_EVALUATED))

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        parts = (self._spike, self._rate, self._flat, self._total)
        return [self._last_ms, self._before, [part.dump() if part else None for part in parts]]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned, under the same law."""
        self._last_ms, before, states = saved
        self._before = Flagged(*before) if before is not None else None
        for part, state in zip(
            (self._spike, self._rate, self._flat, self._total), states, strict=True
        ):
            if part is not None and state is not None:
                part.restore(state)

    def _compared(self, time_ms: int, value: float, *, expected: bool) -> list[Verdict]:
        """Return what is not good of this value beside those before."""
        out: list[Verdict] = []
        if self._rate is not None and (said := self._rate.take(time_ms, value)).reasons:
            out.append(said)
        if self._flat is not None:
            said = self._flat.take(time_ms, value, expected=expected)
            if said.reasons:
                out.append(said)
        if self._total is not None and (said := self._total.take(time_ms, value)).reasons:
            out.append(said)
        return out

    def _restart(self) -> Flagged | None:
        """Begin anew after a gap; what waited for its next value waits no more."""
        if self._flat is not None:
            self._flat.restart()
        if self._spike is None:
            return None
        self._spike.restart()
        return self._final(int(Flag.NOT_EVALUATED))

    def _final(self, spike: int) -> Flagged | None:
        before, self._before = self._before, None
        return None if before is None else _with_spike(before, spike)


def _with_spike(said: Flagged, spike: int, *, provisional: bool = False) -> Flagged:
    if spike not in _DOUBTFUL:
        return said  # one that is not evaluated has passed all the others
    return Flagged(said.time_ms, max(said.flag, spike), said.reasons | _SPIKE, provisional)
