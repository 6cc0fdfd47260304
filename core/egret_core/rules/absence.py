"""Silence as a fault: nothing good and fresh for `limit_ms` of the centre's own running time.

Only ticks and fresh receipts count. The count is in running time (`egret_core.rules.running`), so
that downtime of the centre pauses it and never resets it. Said provisionally at the limit; settled
once the allowed lateness has gone by as well, or when what comes next proves the gap, said or not;
refuted when a reading from inside the limit arrives after all. Event time: last good reading plus
the limit. An old backlog clears nothing: a receipt is fresh while the reading is no older than
limit plus lateness. Time up to a maintenance reading is not counted. A copy changes nothing. Where
the limit is at least the lateness, no order of receipt changes a settled event; below it, two gaps
within one lateness may be told as one. A rule may have further levels, each with a longer limit of
its own: a fault after 10 minutes, an alarm after an hour.
"""

from __future__ import annotations

from bisect import insort
from math import inf
from typing import TYPE_CHECKING, Any

from egret_core.rules.event import Change, ConditionEvent, Phase, held_before
from egret_core.rules.horizon import NO_TIME
from egret_core.rules.model import Cause
from egret_core.rules.succession import restored

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egret_core.rules.model import AbsenceLaw, BoundRule
    from egret_core.rules.succession import Elder

SPELLS_MAX = 4  # returns that wait: two where the limit is at least the lateness
KEPT_MAX = 16  # newest maintenance readings that are remembered


def silence(absences: Iterable[Absence], running_ms: int, out: list[ConditionEvent]) -> float:
    """Judge the silence at one tick; return the running time before which none has more to say."""
    wake_ms = inf
    for absence in absences:
        due_ms = absence.due_ms()
        if running_ms >= due_ms:
            absence.tick(running_ms, out)
            due_ms = absence.due_ms()
        if due_ms < wake_ms:  # noqa: PLR1730  (a call would cost more)
            wake_ms = due_ms
    return wake_ms


class Absence:
    """The state of one absence rule on one channel or gateway; readings come as received.

    Attributes:
        limit_ms: the shortest silence that is told.
        elder: the level that its version before held, until it is known whether the silence
            reached a limit of its own.
    """

    __slots__ = (
        "_fresh_ms",
        "_in_force_ms",
        "_kept",
        "_last_ms",
        "_late_ms",
        "_levels",
        "_mark",
        "_said",
        "_seen_good",
        "_settling_ms",
        "_spells",
        "elder",
        "hazard",
        "limit_ms",
        "rank",
        "rule",
        "subject",
    )

    def __init__(
        self, bound: BoundRule, law: AbsenceLaw, subject: str, since: tuple[int, int, int]
    ) -> None:
        # since: when the rule took effect, running time then, allowed lateness; all ms
        now_ms, running_ms, late_ms = since
        self.rule = bound.name
        self.subject = subject
        self.hazard = bound.hazard
        self._levels = law.levels
        self.limit_ms = law.limit_ms
        self._late_ms = late_ms
        self._settling_ms = 0  # how long after a receipt it is known whether a reading is good
        self._fresh_ms = law.limit_ms + late_ms
        self.rank = 0  # settled
        self._said: list[str] = []  # ids of the provisional events of the ranks above, in order
        self._in_force_ms = now_ms
        self._last_ms = now_ms  # last good reading, or when the rule took effect
        self._seen_good = False
        self._mark = running_ms  # running time from which the silence counts
        self._kept: list[int] = []  # times of maintenance readings since the last good one
        # Good readings since it fell silent, near to each other: first, last, running time at
        # which the first of them came, and how long it had been silent then.
        self._spells: list[list[int]] = []
        self.elder: Elder | None = None

    @property
    def levels(self) -> tuple[str, ...]:
        """Its labels, the shortest silence first."""
        return tuple(label for label, _ in self._levels)

    def reached(self, running_ms: int) -> int:
        """Return the level that the silence has reached, said or not; 0 for none."""
        silent = running_ms - self._mark - self._settling_ms
        return sum(silent >= limit_ms for _, limit_ms in self._levels)

    def far(self, time_ms: int) -> bool:
        """Tell whether a time lies further than the first limit after the last good reading."""
        return time_ms - self._last_ms > self._levels[0][1]

    @property
    def silent(self) -> bool:
        """Whether it is said, provisionally or not, that the subject is silent."""
        return bool(self.rank or self._said)

    def lateness(self, late_ms: int, settling_ms: int = 0) -> None:
        """Take another allowed lateness, ms.

        Args:
            late_ms: of a reading's receipt.
            settling_ms: how long after its receipt it is known whether a reading is good.
        """
        self._late_ms = late_ms + settling_ms
        self._settling_ms = settling_ms
        self._fresh_ms = self._levels[0][1] + self._late_ms

    def follow(self, other: Absence) -> None:
        """Take over what another rule knows of the same subject: its last word, and the count."""
        spells = other._spells
        self._last_ms = max(other._last_ms, spells[-1][1]) if spells else other._last_ms
        self._seen_good = other._seen_good or bool(spells)
        self._mark, self._kept = other._mark, list(other._kept)

    def known(self, time_ms: int, kept_ms: Iterable[int] = ()) -> None:
        """Take the last good reading before the rule; the count goes on from where it is.

        Args:
            time_ms: of that reading.
            kept_ms: of the readings of maintenance after it, in order.
        """
        if not self._seen_good or time_ms > self._last_ms:
            self._last_ms, self._seen_good = time_ms, True
            self._kept = list(kept_ms)[-KEPT_MAX:]

    def good(
        self, time_ms: int, received_ms: int, running_ms: int, out: list[ConditionEvent]
    ) -> None:
        """Take the receipt of a good reading."""
        if received_ms - time_ms > self._fresh_ms:
            return
        if time_ms <= self._last_ms and self._seen_good:
            return  # a copy, or older than what is known: nothing new
        spells, waited_ms = self._spells, running_ms - self._mark
        if not spells or time_ms > spells[-1][1]:
            self._mark = running_ms
        silent = spells or self.rank or self._said or self.elder
        near = time_ms - self._last_ms <= self.limit_ms  # the common case, without a call
        if not silent and (near or not self._gap(time_ms, waited_ms)):
            self._last_ms = time_ms
            self._seen_good = True
            return
        self._spell(time_ms, running_ms, waited_ms)
        spells = self._spells
        while spells and spells[-1][1] - spells[0][0] >= self._late_ms:
            self._resolve(out)

    def doubtful(self, time_ms: int, receipt: tuple[int, int], *, maintained: bool) -> None:
        """Take the receipt (its time, and running time) of a reading that is not good."""
        if maintained:
            self.maintained(time_ms, *receipt)

    def maintained(self, time_ms: int, received_ms: int, running_ms: int) -> None:
        """Take a receipt from a site under maintenance: the time before it is not counted."""
        old = received_ms - time_ms > self._fresh_ms or time_ms <= self._last_ms
        if old or time_ms in self._kept:
            return
        spells, kept = self._spells, self._kept
        newest_ms = max([self._last_ms, *(spell[1] for spell in spells), *kept[-1:]])
        if time_ms > newest_ms:
            self._mark = min(running_ms, self._mark + time_ms - newest_ms)
        insort(kept, time_ms)
        del kept[:-KEPT_MAX]

    def tick(self, running_ms: int, out: list[ConditionEvent]) -> None:
        """Judge the silence at one tick."""
        spells = self._spells
        if spells:
            while spells and running_ms - spells[0][2] >= self._late_ms:
                self._resolve(out)
            return
        silent = running_ms - self._mark
        levels, reached = self._levels, self.rank + len(self._said)
        while reached < len(levels) and silent >= levels[reached][1] + self._settling_ms:
            reached += 1
            event = self._raised(Phase.PROVISIONAL, reached)
            self._said.append(event.id)
            out.append(event)
        while self._said and silent >= levels[self.rank][1] + self._late_ms:
            self._settle(out)

    def due_ms(self) -> float:
        """Return the running time before which a tick has nothing to say."""
        if self._spells:
            return self._spells[0][2] + self._late_ms
        if not (self.rank or self._said):  # the common case
            return self._mark + self.limit_ms + self._settling_ms
        levels, reached = self._levels, self.rank + len(self._said)
        due: float = levels[reached][1] + self._settling_ms if reached < len(levels) else inf
        if self._said:
            due = min(due, levels[self.rank][1] + self._late_ms)
        return self._mark + due

    def withdraw(self, out: list[ConditionEvent]) -> None:
        """Refute what nobody can settle any more: the rule or its subject is gone."""
        self._refute(Cause.RULE_WITHDRAWN, out)

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        last = [self._last_ms, self._seen_good]
        rest = [self._mark, self._kept, self._spells, self._said, self._in_force_ms, self.elder]
        return [self.rank, last, *rest]

    def restore(self, saved: list[Any]) -> None:
        """Take a state that `dump` returned."""
        self.rank, last, self._mark, kept, back, said = saved[:6]
        self._in_force_ms = (saved[6:] or [NO_TIME])[0]  # an older state does not know it
        elder = (saved[7:] or [None])[0]  # an older state has none
        self.elder = None if elder is None else restored(elder)
        if isinstance(said, str):  # a state of one level: absent was 2, provisional 1
            self.rank, said = self.rank // 2, [said] if said else []
        self._said = list(said)
        self._last_ms, self._seen_good = last
        self._kept, self._spells = [], [list(spell) for spell in back if isinstance(spell, list)]
        if isinstance(kept, list):
            self._kept = list(kept)
        elif back[0] is not None:  # a state that knew one return: earliest, newest, since, waited
            self._spells = [[*back, 0][:4]]

    def _spell(self, time_ms: int, running_ms: int, waited_ms: int) -> None:
        """Put a good reading among those since it fell silent, with what it is near to."""
        spells: list[list[int]] = []
        for spell in sorted([*self._spells, [time_ms, time_ms, running_ms, waited_ms]]):
            before = spells[-1] if spells else spell
            crowded = len(spells) == SPELLS_MAX
            if before is spell or (spell[0] - before[1] > self.limit_ms and not crowded):
                spells.append(spell)
                continue
            before[1] = max(before[1], spell[1])
            if spell[2] < before[2]:
                before[2:] = spell[2:]
        self._spells = spells

    def _resolve(self, out: list[ConditionEvent]) -> None:
        """The subject speaks again and no earlier word of it can come any more."""
        spells = self._spells
        back_ms, newest_ms, _, waited_ms = spells.pop(0)
        while self.rank < len(self._levels) and self._was_silent(back_ms, waited_ms):
            self._settle(out)
        self._refute(Cause.NOT_CONFIRMED, out)
        if self.elder is not None:
            out += self.elder.after(self.rule, self.rank, self.levels)
            self.elder = None
        if self.rank:
            limit_ms = self._levels[self.rank - 1][1]
            # A reading that came later than allowed ends the silence, and never before it began.
            end_ms = max(back_ms, self._last_ms + limit_ms)
            evidence = {"silent_s": (end_ms - self._last_ms) / 1000, "limit_s": limit_ms / 1000}
            cause = Cause.GOOD_READING_AGAIN
            self.rank = 0
            change, phase = Change.RETURNED, Phase.SETTLED
            out.append(self._event(change, phase, 0, end_ms, cause=cause, evidence=evidence))
        self._last_ms, self._seen_good = newest_ms, True
        while spells and not self._gap(spells[0][0], spells[0][3]):
            self._last_ms = spells.pop(0)[1]
        self._kept = [time_ms for time_ms in self._kept if time_ms > self._last_ms]

    def _counts_from(self, time_ms: int) -> int:
        """Return from when silence up to a time counts: the last good reading or maintenance."""
        return max([self._last_ms, *(kept_ms for kept_ms in self._kept if kept_ms < time_ms)])

    def _gap(self, time_ms: int, waited_ms: int) -> bool:
        """Tell whether a reading comes so late that no tick may have said so, and it was silent."""
        # Receipts may be as much nearer to each other than their readings as one may be late.
        limit_ms = self.limit_ms
        far = time_ms - self._counts_from(time_ms) > limit_ms
        return far and waited_ms >= limit_ms - self._late_ms

    def _was_silent(self, back_ms: int, waited_ms: int) -> bool:
        """Tell whether the gap that is over reached the next level, by both clocks."""
        limit_ms = self._levels[self.rank][1]
        heard = bool(self._said) or waited_ms >= limit_ms - self._late_ms
        return heard and back_ms - self._counts_from(back_ms) > limit_ms

    def _settle(self, out: list[ConditionEvent]) -> None:
        said = self._said.pop(0) if self._said else ""
        self.rank += 1
        out.append(self._raised(Phase.SETTLED, self.rank, said))

    def _refute(self, cause: Cause, out: list[ConditionEvent]) -> None:
        for rank, said in enumerate(self._said, self.rank + 1):
            change, time_ms = self._change(rank), self._last_ms + self._levels[rank - 1][1]
            out.append(
                self._event(
                    change, Phase.REFUTED, rank, time_ms, cause=cause, evidence={}, named=said
                )
            )
        self._said = []

    def _raised(self, phase: Phase, rank: int, named: str = "") -> ConditionEvent:
        cause = Cause.NO_GOOD_READING if self._seen_good else Cause.NEVER_SEEN
        limit_ms = self._levels[rank - 1][1]
        last_ms = self._last_ms if self._seen_good else None
        evidence: dict[str, Any] = {"last_good_ms": last_ms, "limit_s": limit_ms / 1000}
        time_ms = self._last_ms + limit_ms
        if time_ms <= self._in_force_ms:
            evidence |= held_before(self._in_force_ms)
        change = self._change(rank)
        return self._event(
            change, phase, rank, time_ms, cause=cause, evidence=evidence, named=named
        )

    @staticmethod
    def _change(rank: int) -> Change:
        return Change.UPGRADED if rank > 1 else Change.RAISED

    def _event(
        self,
        change: Change,
        phase: Phase,
        rank: int,
        time_ms: int,
        *,
        cause: Cause,
        evidence: dict[str, Any],
        named: str = "",
    ) -> ConditionEvent:
        return ConditionEvent(
            rule=self.rule,
            subject=self.subject,
            hazard=self.hazard,
            change=change,
            phase=phase,
            level=self._levels[rank - 1][0] if rank else "",
            rank=rank,
            time_ms=time_ms,
            reason=str(cause),
            evidence=evidence,
            provisional_id=named,
        )
