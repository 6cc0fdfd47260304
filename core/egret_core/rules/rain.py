"""Rain levels by sums over windows of 1 to 24 h, from a never-decreasing total.

The centre differences the total. A total that falls (a device was replaced), or rises by more
than ever fell in that time, is a new base: that step itself counts nothing. So is a total read
during maintenance, when water is poured to try the gauge. A level holds while one of its
alternatives does, an alternative while all its windows have reached their sums (or are over them);
it eases when none holds and it has been dry for `dry_ms`. A further window that is shorter than the
leading one may lie anywhere in it: 3 h of 120 mm with an hour of 50 mm is so whichever hour it was,
while all the rain that made that hour is within the 3 h. Sums are whole nanometres.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan, nextafter
from typing import TYPE_CHECKING, Any

from egret_core.rules.event import Change, ConditionEvent, Phase, last_fall_ms
from egret_core.rules.model import Cause, WindowLevel
from egret_core.rules.provisional import Waiting, absorb, disproved, highest, restored
from egret_core.rules.total import NM_PER_MM, is_no_rain, nanometres
from egret_core.rules.windows import Increment, Windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.model import BoundRule, RainLaw, WindowSum

_MS_PER_H = 3_600_000

# A condition: which window, the least sum; and how long the leading window is where this may lie
# anywhere in it, else 0.
Need = tuple[int, int, int]


class Rain:
    """The state of one rain rule on one channel; readings come in time order.

    Attributes:
        rebased: how often the total fell, or rose as no rain can.
        shortest_ms: its shortest window.
        quiet_from, quiet_below: empty: every total counts, the base moves with it.
        alert_at: an unsettled total below it brings no new rain.
        fell_ms: when a level last came down, 0 for never.
    """

    of_total = True
    __slots__ = (
        "_dry_ms",
        "_labels",
        "_last_mm",
        "_last_ms",
        "_last_nm",
        "_levels",
        "_met",
        "_rebased_ms",
        "_short_nm",
        "_waiting",
        "_wet_ms",
        "_windows",
        "_within",
        "alert_at",
        "fell_ms",
        "hazard",
        "quiet_below",
        "quiet_from",
        "rank",
        "rebased",
        "rule",
        "shortest_ms",
        "subject",
    )

    def __init__(self, bound: BoundRule, law: RainLaw, subject: str) -> None:
        self.rule = bound.name
        self.subject = subject
        self.hazard = bound.hazard
        lengths = tuple(sorted({one.window_ms for level in law.levels for one in level.sums}))
        self._levels = tuple(
            (
                tuple(
                    (
                        lengths.index(one.window_ms),
                        one.least_nm,
                        level.window_ms if one.window_ms < level.window_ms else 0,
                    )
                    for one in level.sums
                ),
                level,
            )
            for level in law.levels
        )
        self._within = tuple({need[:2] for needs, _ in self._levels for need in needs if need[2]})
        self._met: dict[
            tuple[int, int], tuple[int, int]
        ] = {}  # since when it rained for it, and the sum
        self._labels = {level.rank: level.label for level in law.levels}
        self._dry_ms = law.dry_ms
        self._windows = Windows(lengths)
        self.shortest_ms = lengths[0]
        self.rank = 0
        self._last_ms: int | None = None
        self._last_nm = 0
        self._last_mm = nan  # as it was read, to know a dry reading by
        self._wet_ms: int | None = None
        self.rebased = 0
        self._rebased_ms: int | None = None
        self.fell_ms = 0
        self._waiting: list[Waiting] = []
        self._short_nm: float = 0  # at least so much must fall to reach a level that does not hold
        self.quiet_from, self.quiet_below = inf, -inf
        self.alert_at = inf

    @property
    def levels(self) -> tuple[str, ...]:
        """Its labels, lowest first."""
        return tuple(self._labels[rank] for rank in sorted(self._labels))

    def alert(self, time_ms: int, value: float) -> ConditionEvent | None:
        """Return the provisional event that this unsettled total decides, if any."""
        rain_nm = nanometres(value) - self._last_nm
        if rain_nm < self._short_nm or rain_nm <= 0 or self._last_ms is None:
            return None
        step = Increment(time_ms, rain_nm, time_ms - self._last_ms)
        if is_no_rain(step):
            return None
        said = max(self.rank, highest(self._waiting))
        sums = self._windows.sums_nm
        for needs, level in self._levels:
            if level.rank <= said:
                return None
            # What leaves the window can only lower the sum: the cheap bound comes first.
            if sums[needs[0][0]] + rain_nm < needs[0][1]:
                continue
            seen = self._seen(
                needs, [self._windows.preview(step, at) for at, _, _ in needs], time_ms
            )
            if seen:
                change = Change.UPGRADED if said else Change.RAISED
                evidence = self._evidence(level, seen, time_ms)
                event = self._event(change, level.rank, time_ms, evidence, phase=Phase.PROVISIONAL)
                self._waiting.append(Waiting(level.rank, level.label, time_ms, event.id))
                return event
        return None

    def settle(self, time_ms: int, value: float, out: list[ConditionEvent]) -> None:
        """Take the next total in time order; append what it settles."""
        if value == self._last_mm:  # dry: the common case
            self._last_ms = time_ms
            if time_ms >= self._windows.next_ms or self.rank or self._waiting:
                self._dry(time_ms, out)
            return
        self._last_mm = value
        total_nm = nanometres(value)
        self.alert_at = nextafter(value, inf)
        if self._last_ms is None:
            self._last_ms, self._last_nm = time_ms, total_nm
            return
        step = Increment(time_ms, total_nm - self._last_nm, time_ms - self._last_ms)
        self._last_ms, self._last_nm = time_ms, total_nm
        no_rain = is_no_rain(step)
        if no_rain:
            self.rebased += 1
            self._rebased_ms = time_ms
        if step.rain_nm <= 0 or no_rain:
            self._dry(time_ms, out)
            return
        self._wet_ms = time_ms
        self._windows.add(step)
        if self._within:
            self._note_met()
        self._judge(time_ms, out)

    def _dry(self, time_ms: int, out: list[ConditionEvent]) -> None:
        """Let time go on without new rain: no sum can grow, but a level may ease."""
        windows = self._windows
        if time_ms >= windows.next_ms:
            windows.advance(time_ms)
        if self.rank or self._waiting:
            self._judge(time_ms, out)

    def rebase(self, time_ms: int, value: float) -> None:
        """Take a total that counts nothing: what it rose by was poured, and did not fall."""
        self._last_ms, self._last_nm, self._last_mm = time_ms, nanometres(value), value
        self.alert_at = nextafter(value, inf)
        if time_ms >= self._windows.next_ms:
            self._windows.advance(time_ms)

    def fill(self, twin: Rain, gap: tuple[int, int]) -> None:
        """Put what fell within a gap, as its late readings tell, in place of the jump over it.

        Args:
            twin: the same rule, with the readings of the gap and the one that ended it.
            gap: from the last reading before it to the first after, ms.
        """
        if self._last_ms is None or twin.rule != self.rule:
            return
        self._windows.refill(gap, twin._windows, self._last_ms)
        self._short_nm = 0
        if (self._wet_ms or 0) <= gap[1]:
            self._wet_ms = twin._wet_ms
        if (self._rebased_ms or 0) <= gap[1]:
            self._rebased_ms = twin._rebased_ms
        if self._within:
            self._meet_again()

    def judge(self, out: list[ConditionEvent]) -> None:
        """Say what the sums say at the newest settled total, after `fill` has changed them."""
        if self._last_ms is not None:
            self._judge(self._last_ms, out)

    def take_over(self, twin: Rain) -> None:
        """Take the sums of the same rule that has heard what came late too; the level stays.

        Args:
            twin: at the same newest settled total; it is not used any more.
        """
        self._windows, self._met, self._wet_ms = twin._windows, twin._met, twin._wet_ms
        self.rebased, self._rebased_ms = twin.rebased, twin._rebased_ms
        self._last_ms, self._last_nm, self._last_mm = twin._last_ms, twin._last_nm, twin._last_mm
        self.alert_at, self._short_nm = twin.alert_at, 0

    def hold_as(self, twin: Rain, told: Sequence[ConditionEvent]) -> list[ConditionEvent]:
        """Hold its level too, unless a higher one holds; return what is told of it.

        Args:
            twin: after `take_over`.
            told: what leads to its level; each rise names the guess that it settles.
        """
        self.rank = max(self.rank, twin.rank)
        self.fell_ms = last_fall_ms(self.fell_ms, told)
        out: list[ConditionEvent] = []
        for event in told:
            named, self._waiting = absorb(self._waiting, event.rank)
            out.append(replace(event, provisional_id=named))
        return out

    def withdraw(self, out: list[ConditionEvent]) -> None:
        """Refute what nobody can settle any more: the rule or its channel is gone."""
        out.extend(self._refuted(item, Cause.RULE_WITHDRAWN) for item in self._waiting)
        self._waiting = []

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        last, rebased = [self._last_ms, self._last_nm], [self.rebased, self._rebased_ms]
        met, steps = sorted(self._met.items()), self._windows.dump()
        return [self.rank, last, self._wet_ms, rebased, self._waiting, steps, met, self.fell_ms]

    def restore(self, saved: list[Any]) -> None:
        """Take a state that `dump` returned."""
        self.rank, last, self._wet_ms, rebased, waiting, steps = saved[:6]
        met = saved[6] if saved[6:] else []  # an older state has none
        self.fell_ms = saved[7] if saved[7:] else 0
        self._met = {(at, least): (since_ms, sum_nm) for (at, least), (since_ms, sum_nm) in met}
        self._last_ms, self._last_nm = last
        self.rebased, self._rebased_ms = rebased
        self._waiting = restored(waiting)
        self._short_nm = 0
        self._last_mm, self.alert_at, self._windows = nan, inf, self._windows.empty()
        if self._last_ms is not None:
            self.alert_at = nextafter(self._last_nm / NM_PER_MM, inf)
            self._windows.restore(steps, self._last_ms)

    def _judge(self, time_ms: int, out: list[ConditionEvent]) -> None:
        rank, level, seen = self._now(time_ms)
        if rank > self.rank and level is not None:
            change = Change.UPGRADED if self.rank else Change.RAISED
            named, self._waiting = absorb(self._waiting, rank)
            evidence = self._evidence(level, seen, time_ms)
            self.rank = rank
            out.append(self._event(change, rank, time_ms, evidence, named=named))
        elif rank < self.rank and time_ms - (self._wet_ms or 0) >= self._dry_ms:
            out.append(self._ease(rank, time_ms))
        if self._waiting:
            false, self._waiting = disproved(self._waiting, time_ms)
            out.extend(self._refuted(item, Cause.NOT_CONFIRMED) for item in false)

    def _now(self, time_ms: int) -> tuple[int, WindowLevel | None, list[int]]:
        """Return the highest level that the sums reach; note what the nearest above it lacks."""
        sums = self._windows.sums_nm
        self._short_nm = inf
        for needs, level in self._levels:
            at, least_nm, _ = needs[0]
            lacks_nm = least_nm - sums[at]
            if lacks_nm <= 0:
                seen = [sums[at]]
                if len(needs) > 1:
                    seen = self._seen(needs, [sums[at] for at, _, _ in needs], time_ms)
                if seen:
                    return level.rank, level, seen
            if lacks_nm < self._short_nm:  # noqa: PLR1730  (a call would cost more)
                self._short_nm = lacks_nm
        return 0, None, []

    def _seen(self, needs: tuple[Need, ...], sums_nm: list[int], time_ms: int) -> list[int]:
        """Return the sums that meet the conditions, empty where one is not met."""
        out = []
        for (at, least_nm, within_ms), sum_nm in zip(needs, sums_nm, strict=True):
            if sum_nm >= least_nm:
                out.append(sum_nm)
                continue
            since_ms, met_nm = self._met.get((at, least_nm), (None, 0))
            if not within_ms or since_ms is None or since_ms <= time_ms - within_ms:
                return []
            out.append(met_nm)
        return out

    def _note_met(self) -> None:
        windows = self._windows
        for at, least_nm in self._within:
            if windows.sums_nm[at] >= least_nm:
                self._met[at, least_nm] = (windows.since_ms(at, least_nm), windows.sums_nm[at])

    def _meet_again(self) -> None:
        """Note anew what was met, step by step: rain of the gap may have met it with later rain."""
        filled = self._windows
        self._met, self._windows = {}, filled.empty()
        for step in filled.dump():
            self._windows.add(Increment(*step))
            self._note_met()
        self._windows = filled

    def _ease(self, rank: int, time_ms: int) -> ConditionEvent:
        sums = self._windows.sums_nm
        # Of the level that no longer holds, the alternative that is nearest to its sums.
        _, _, level, seen = max(
            (
                (
                    min(sums[at] / least for at, least, _ in needs),
                    needs,
                    level,
                    [sums[at] for at, _, _ in needs],
                )
                for needs, level in self._levels
                if level.rank == self.rank
            ),
            key=lambda item: item[:2],
        )
        evidence = self._evidence(level, seen, time_ms)
        evidence["dry_s"] = (time_ms - (self._wet_ms or 0)) / 1000
        self.rank, self.fell_ms = rank, time_ms
        change = Change.EASED if rank else Change.RETURNED
        cause = Cause.SUM_BELOW_AND_DRY
        return self._event(change, rank, time_ms, evidence, cause=cause)

    def _refuted(self, item: Waiting, cause: Cause) -> ConditionEvent:
        rank, time_ms, phase = item.rank, item.time_ms, Phase.REFUTED
        return self._event(
            Change.RAISED, rank, time_ms, {}, phase=phase, cause=cause, named=item.id
        )

    def _evidence(self, level: WindowLevel, seen: list[int], time_ms: int) -> dict[str, Any]:
        first, *also = [_told(one, sum_nm) for one, sum_nm in zip(level.sums, seen, strict=True)]
        evidence: dict[str, Any] = first
        if also:
            evidence["also"] = also
        longest_ms = max(one.window_ms for one in level.sums)
        if self._rebased_ms is not None and time_ms - self._rebased_ms < longest_ms:
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
            hazard=self.hazard,
            change=change,
            phase=phase,
            level=self._labels[rank] if rank else "",
            rank=rank,
            time_ms=time_ms,
            reason=str(cause),
            evidence=evidence,
            provisional_id=named,
        )


def _told(one: WindowSum, sum_nm: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "value": sum_nm / NM_PER_MM,
        "threshold": one.sum_nm / NM_PER_MM,
        "unit": "mm",
        "window_h": one.window_ms / _MS_PER_H,
    }
    if one.over:
        told["over"] = True  # the threshold itself is not enough
    return told
