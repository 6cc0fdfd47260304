"""Rain levels by sums over windows of 1 to 24 h, from a never-decreasing total.

The centre differences the total. A total that falls (a device was replaced), or rises by more
than ever fell in that time, is a new base: that step itself counts nothing. So is a total read
during maintenance, when water is poured to try the gauge. A level holds while
one of its windows is over its threshold; it eases when none is and it has been dry for `dry_ms`.
Sums are whole nanometres.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.model import Cause, WindowLevel
from egret_core.rules.provisional import Waiting, absorb, disproved, highest, restored
from egret_core.rules.total import NM_PER_MM, is_no_rain, nanometres
from egret_core.rules.windows import Increment, Windows

if TYPE_CHECKING:
    from egret_core.rules.model import BoundRule, RainLaw

_MS_PER_H = 3_600_000


class Rain:
    """The state of one rain rule on one channel; readings come in time order.

    Attributes:
        rebased: how often the total fell, or rose as no rain can.
        quiet_from, quiet_below: empty: every total counts, the base moves with it.
        alert_at: an unsettled total below it brings no new rain.
    """

    of_total = True
    __slots__ = (
        "_dry_ms",
        "_hazard",
        "_labels",
        "_last_ms",
        "_last_nm",
        "_levels",
        "_rebased_ms",
        "_waiting",
        "_wet_ms",
        "_windows",
        "alert_at",
        "quiet_below",
        "quiet_from",
        "rank",
        "rebased",
        "rule",
        "subject",
    )

    def __init__(self, bound: BoundRule, law: RainLaw, subject: str) -> None:
        self.rule = bound.name
        self.subject = subject
        self._hazard = bound.hazard
        lengths = tuple(sorted({level.window_ms for level in law.levels}))
        self._levels = tuple((lengths.index(level.window_ms), level) for level in law.levels)
        self._labels = {level.rank: level.label for level in law.levels}
        self._dry_ms = law.dry_ms
        self._windows = Windows(lengths)
        self.rank = 0
        self._last_ms: int | None = None
        self._last_nm = 0
        self._wet_ms: int | None = None
        self.rebased = 0
        self._rebased_ms: int | None = None
        self._waiting: list[Waiting] = []
        self.quiet_from, self.quiet_below = inf, -inf
        self.alert_at = inf

    def alert(self, time_ms: int, value: float) -> ConditionEvent | None:
        """Return the provisional event that this unsettled total decides, if any."""
        rain_nm = nanometres(value) - self._last_nm
        if self._last_ms is None or rain_nm <= 0:
            return None
        step = Increment(time_ms, rain_nm, time_ms - self._last_ms)
        if is_no_rain(step):
            return None
        said = max(self.rank, highest(self._waiting))
        sums = self._windows.sums_nm
        for at, level in self._levels:
            if level.rank <= said:
                return None
            # What leaves the window can only lower the sum: the cheap bound comes first.
            if sums[at] + rain_nm < level.sum_nm:
                continue
            sum_nm = self._windows.preview(step, at)
            if sum_nm >= level.sum_nm:
                change = Change.UPGRADED if said else Change.RAISED
                evidence = self._evidence(level, sum_nm, time_ms)
                event = self._event(change, level.rank, time_ms, evidence, phase=Phase.PROVISIONAL)
                self._waiting.append(Waiting(level.rank, level.label, time_ms, event.id))
                return event
        return None

    def settle(self, time_ms: int, value: float, out: list[ConditionEvent]) -> None:
        """Take the next total in time order; append what it settles."""
        total_nm = nanometres(value)
        if self._last_ms is None:
            self._last_ms, self._last_nm = time_ms, total_nm
            self.alert_at = value
            return
        step = Increment(time_ms, total_nm - self._last_nm, time_ms - self._last_ms)
        self._last_ms, self._last_nm = time_ms, total_nm
        self.alert_at = value
        windows = self._windows
        no_rain = is_no_rain(step)
        if step.rain_nm > 0 and not no_rain:
            self._wet_ms = time_ms
            windows.add(step)
        else:
            if no_rain:
                self.rebased += 1
                self._rebased_ms = time_ms
            if time_ms >= windows.next_ms:
                windows.advance(time_ms)
            if not self.rank and not self._waiting:
                return  # without new rain no sum can grow
        self._judge(time_ms, out)

    def rebase(self, time_ms: int, value: float) -> None:
        """Take a total that counts nothing: what it rose by was poured, and did not fall."""
        self._last_ms, self._last_nm = time_ms, nanometres(value)
        self.alert_at = value
        if time_ms >= self._windows.next_ms:
            self._windows.advance(time_ms)

    def withdraw(self, out: list[ConditionEvent]) -> None:
        """Refute what nobody can settle any more: the rule or its channel is gone."""
        out.extend(self._refuted(item, Cause.RULE_WITHDRAWN) for item in self._waiting)
        self._waiting = []

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        last, rebased = [self._last_ms, self._last_nm], [self.rebased, self._rebased_ms]
        return [self.rank, last, self._wet_ms, rebased, self._waiting, self._windows.dump()]

    def restore(self, saved: list[Any]) -> None:
        """Take a state that `dump` returned."""
        self.rank, last, self._wet_ms, rebased, waiting, steps = saved
        self._last_ms, self._last_nm = last
        self.rebased, self._rebased_ms = rebased
        self._waiting = restored(waiting)
        if self._last_ms is not None:
            self.alert_at = self._last_nm / NM_PER_MM
            self._windows.restore(steps, self._last_ms)

    def _judge(self, time_ms: int, out: list[ConditionEvent]) -> None:
        rank, level, sum_nm = self._now()
        if rank > self.rank and level is not None:
            change = Change.UPGRADED if self.rank else Change.RAISED
            named, self._waiting = absorb(self._waiting, rank)
            evidence = self._evidence(level, sum_nm, time_ms)
            self.rank = rank
            out.append(self._event(change, rank, time_ms, evidence, named=named))
        elif rank < self.rank and time_ms - (self._wet_ms or 0) >= self._dry_ms:
            out.append(self._ease(rank, time_ms))
        if self._waiting:
            false, self._waiting = disproved(self._waiting, time_ms)
            out.extend(self._refuted(item, Cause.NOT_CONFIRMED) for item in false)

    def _now(self) -> tuple[int, WindowLevel | None, int]:
        sums = self._windows.sums_nm
        for at, level in self._levels:
            if sums[at] >= level.sum_nm:
                return level.rank, level, sums[at]
        return 0, None, 0

    def _ease(self, rank: int, time_ms: int) -> ConditionEvent:
        sums = self._windows.sums_nm
        # Of the level that no longer holds, the window that is nearest to its threshold.
        over = [(sums[at] / lv.sum_nm, at, lv) for at, lv in self._levels if lv.rank == self.rank]
        _, at, level = max(over, key=lambda item: item[:2])
        evidence = self._evidence(level, sums[at], time_ms)
        evidence["dry_s"] = (time_ms - (self._wet_ms or 0)) / 1000
        self.rank = rank
        change = Change.EASED if rank else Change.RETURNED
        cause = Cause.SUM_BELOW_AND_DRY
        return self._event(change, rank, time_ms, evidence, cause=cause)

    def _refuted(self, item: Waiting, cause: Cause) -> ConditionEvent:
        rank, time_ms, phase = item.rank, item.time_ms, Phase.REFUTED
        return self._event(
            Change.RAISED, rank, time_ms, {}, phase=phase, cause=cause, named=item.id
        )

    def _evidence(self, level: WindowLevel, sum_nm: int, time_ms: int) -> dict[str, Any]:
        evidence: dict[str, Any] = {
            "value": sum_nm / NM_PER_MM,
            "threshold": level.sum_nm / NM_PER_MM,
            "unit": "mm",
            "window_h": level.window_ms / _MS_PER_H,
        }
        if self._rebased_ms is not None and time_ms - self._rebased_ms < level.window_ms:
            evidence["rebased_ms"] = self._rebased_ms  # the sum spans a replaced device
        return evidence

    def _event(
        self,
        change: Change,
        rank: int,
        time_ms: int,
        evidence: dict[str, Any],
        *,
        phase: Phase = Phase.SETTLED,
        cause: Cause = Cause.SUM_OVER_WINDOW,
        named: str = "",
    ) -> ConditionEvent:
        return ConditionEvent(
            rule=self.rule,
            subject=self.subject,
            hazard=self._hazard,
            change=change,
            phase=phase,
            level=self._labels[rank] if rank else "",
            rank=rank,
            time_ms=time_ms,
            reason=str(cause),
            evidence=evidence,
            provisional_id=named,
        )
