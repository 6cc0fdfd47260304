"""The level ladder: raise and clear values, persistence, hold, hysteresis.

On at or above a rung's raise value, off below its clear value, so that noise between the two
changes nothing: one raise an episode. Persistence and hold are counted in event time between
readings. A silence longer than `gap_ms` proves no fall: the hold starts again. Persistence goes on
over it where the values at both its ends are at or above the raise value: two readings over a level
are no reason to stay silent, and one alone fires no ten-minute rule. A rung may have a persistence
and a hold of its own.

A level that rose `FLAPS` times within `flap_ms` flaps: it stays until the value was below its clear
value for all of `flap_ms`. Only falls are delayed, no raise ever is.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.model import Cause
from egret_core.rules.provisional import Waiting, absorb, disproved, highest, restored

if TYPE_CHECKING:
    from egret_core.rules.model import BoundRule, LadderLaw

FLAPS = 3  # rises within `flap_ms` that make a level flap


class Ladder:
    """The state of one ladder on one channel; readings come in time order.

    Attributes:
        quiet_from, quiet_below: a value in between changes nothing, the caller may skip it.
        alert_at: an unsettled value at or above it raises a provisional event.
    """

    of_total = False
    __slots__ = (
        "_alerts",
        "_below",
        "_flapping",
        "_holds",
        "_last_ms",
        "_law",
        "_needs",
        "_over",
        "_rose",
        "_waiting",
        "alert_at",
        "hazard",
        "quiet_below",
        "quiet_from",
        "rank",
        "rule",
        "subject",
    )

    def __init__(self, bound: BoundRule, law: LadderLaw, subject: str) -> None:
        self.rule = bound.name
        self.subject = subject
        self.hazard = bound.hazard
        self._law = law
        self._needs = [_own(rung.persistence_ms, law.persistence_ms) for rung in law.rungs]
        self._alerts = [inf]  # by rank already said: from where one value alone says more
        for rung, need in zip(reversed(law.rungs), reversed(self._needs), strict=True):
            self._alerts.insert(0, self._alerts[0] if need else rung.raise_at)
        self._holds = [_own(rung.hold_ms, law.hold_ms) for rung in law.rungs]
        self.rank = 0
        self._last_ms: int | None = None
        self._over: dict[int, int] = {}  # rank -> since when at or above its raise value
        self._below: dict[int, int] = {}  # rank -> since when below its clear value
        self._rose: dict[int, list[int]] = {}  # rank -> its newest rises, at most FLAPS
        self._flapping: set[int] = set()  # ranks held for `flap_ms`
        self._waiting: list[Waiting] = []
        self._bounds()

    @property
    def levels(self) -> tuple[str, ...]:
        """Its labels, lowest first."""
        return tuple(rung.label for rung in self._law.rungs)

    def alert(self, time_ms: int, value: float) -> ConditionEvent | None:
        """Return the provisional event that this unsettled value decides, if any."""
        if value < self.alert_at:
            return None
        rungs = self._law.rungs
        needs = self._needs
        rank = max(
            k for k, rung in enumerate(rungs, 1) if value >= rung.raise_at and not needs[k - 1]
        )
        change = Change.UPGRADED if self.rank or self._waiting else Change.RAISED
        evidence, phase = self._evidence(value, rank), Phase.PROVISIONAL
        event = self._event(
            change, rank, time_ms, Cause.AT_OR_ABOVE, evidence=evidence, phase=phase
        )
        self._waiting.append(Waiting(rank, event.level, time_ms, event.id))
        self._bounds()
        return event

    def settle(self, time_ms: int, value: float, out: list[ConditionEvent]) -> None:
        """Take the next reading in time order; append what it settles."""
        broken = self._last_ms is not None and time_ms - self._last_ms > self._law.gap_ms
        self._last_ms = time_ms
        self._count(time_ms, value, broken=broken)
        risen, fallen = self._risen(time_ms), self._fallen(time_ms)
        if risen > self.rank:
            out.append(self._rise(time_ms, value, risen))
        elif fallen < self.rank:
            out.append(self._fall(time_ms, value, fallen))
        if self._waiting:
            self._refute(time_ms, out)
        self._bounds()

    def withdraw(self, out: list[ConditionEvent]) -> None:
        """Refute what nobody can settle any more: the rule or its channel is gone."""
        out.extend(self._refuted(item, Cause.RULE_WITHDRAWN) for item in self._waiting)
        self._waiting = []

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        over, below = sorted(self._over.items()), sorted(self._below.items())
        flaps = [sorted(self._rose.items()), sorted(self._flapping)]
        return [self.rank, self._last_ms, over, below, self._waiting, flaps]

    def restore(self, saved: list[Any]) -> None:
        """Take a state that `dump` returned."""
        self.rank, self._last_ms, over, below, waiting = saved[:5]
        self._over, self._below = dict(over), dict(below)
        rose, flapping = (saved[5:] or [([], [])])[0]  # a state of before flaps has none
        self._rose, self._flapping = dict(rose), set(flapping)
        self._waiting = restored(waiting)
        self._bounds()

    def _count(self, time_ms: int, value: float, *, broken: bool) -> None:
        over, below = self._over, self._below
        if broken:
            below.clear()
        for rank, rung in enumerate(self._law.rungs, 1):
            if rank > self.rank and value >= rung.raise_at:
                over.setdefault(rank, time_ms)
            else:
                over.pop(rank, None)
            if rank <= self.rank and value < rung.clear_at:
                below.setdefault(rank, time_ms)
            else:
                below.pop(rank, None)

    def _risen(self, time_ms: int) -> int:
        needs = self._needs
        held = (k for k, since in self._over.items() if time_ms - since >= needs[k - 1])
        return max(held, default=0)

    def _fallen(self, time_ms: int) -> int:
        rank = self.rank
        while rank and rank in self._below and time_ms - self._below[rank] >= self._hold_ms(rank):
            rank -= 1
        return rank

    def _hold_ms(self, rank: int) -> int:
        hold_ms = self._holds[rank - 1]
        return max(hold_ms, self._law.flap_ms) if rank in self._flapping else hold_ms

    def _note_rise(self, time_ms: int, rank: int) -> None:
        """Count the rises of every level that begins to hold."""
        for k in range(self.rank + 1, rank + 1):
            self._rose[k] = [*self._rose.get(k, ()), time_ms][-FLAPS:]
            if len(self._rose[k]) == FLAPS and time_ms - self._rose[k][0] <= self._law.flap_ms:
                self._flapping.add(k)

    def _rise(self, time_ms: int, value: float, rank: int) -> ConditionEvent:
        change = Change.UPGRADED if self.rank else Change.RAISED
        evidence = self._evidence(value, rank)
        cause = Cause.AT_OR_ABOVE
        if self._needs[rank - 1]:
            evidence["since_ms"] = self._over[rank]
            cause = Cause.HELD_AT_OR_ABOVE
        named, self._waiting = absorb(self._waiting, rank)
        if self._law.flap_ms:
            self._note_rise(time_ms, rank)
        self.rank = rank
        self._over = {k: since for k, since in self._over.items() if k > rank}
        self._below = {}
        return self._event(change, rank, time_ms, cause, evidence=evidence, named=named)

    def _fall(self, time_ms: int, value: float, rank: int) -> ConditionEvent:
        lost = self._law.rungs[rank]  # the lowest rung that no longer holds
        evidence = {**self._evidence(value, rank + 1), "threshold": lost.clear_at}
        if self._hold_ms(rank + 1):
            evidence["since_ms"] = self._below[rank + 1]
        if rank + 1 in self._flapping:
            evidence["flapped"] = True
        self._flapping = {k for k in self._flapping if k <= rank}
        self.rank = rank
        self._below = {k: since for k, since in self._below.items() if k <= rank}
        change = Change.EASED if rank else Change.RETURNED
        return self._event(change, rank, time_ms, Cause.BELOW_CLEAR, evidence=evidence)

    def _refute(self, time_ms: int, out: list[ConditionEvent]) -> None:
        false, self._waiting = disproved(self._waiting, time_ms)
        out.extend(self._refuted(item, Cause.NOT_CONFIRMED) for item in false)

    def _refuted(self, item: Waiting, cause: Cause) -> ConditionEvent:
        rank, time_ms, phase = item.rank, item.time_ms, Phase.REFUTED
        return self._event(
            Change.RAISED, rank, time_ms, cause, evidence={}, phase=phase, named=item.id
        )

    def _bounds(self) -> None:
        rungs = self._law.rungs
        pending = self._over or self._below or self._waiting
        up = rungs[self.rank].raise_at if self.rank < len(rungs) else inf
        self.quiet_below = -inf if pending else up
        self.quiet_from = rungs[self.rank - 1].clear_at if self.rank else -inf
        said = max(self.rank, highest(self._waiting))
        self.alert_at = self._alerts[said]

    def _evidence(self, value: float, rank: int) -> dict[str, Any]:
        return {
            "value": value,
            "threshold": self._law.rungs[rank - 1].raise_at,
            "unit": self._law.unit,
            "datum": self._law.datum,
        }

    def _event(
        self,
        change: Change,
        rank: int,
        time_ms: int,
        cause: Cause,
        *,
        evidence: dict[str, Any],
        phase: Phase = Phase.SETTLED,
        named: str = "",
    ) -> ConditionEvent:
        return ConditionEvent(
            rule=self.rule,
            subject=self.subject,
            hazard=self.hazard,
            change=change,
            phase=phase,
            level=self._law.rungs[rank - 1].label if rank else "",
            rank=rank,
            time_ms=time_ms,
            reason=str(cause),
            evidence=evidence,
            provisional_id=named,
        )


def _own(own_ms: int | None, common_ms: int) -> int:
    return common_ms if own_ms is None else own_ms
