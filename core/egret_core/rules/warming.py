"""A new rule on history: its detector takes it in and says nothing.

What the detector would have said up to `until_ms` only leaves state. Where a level holds by then,
it is said once, as raised at the reading from which it has held: the earliest qualifying time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from egret_core.rules.event import Change, ConditionEvent, Phase, held_before
from egret_core.rules.horizon import NO_TIME
from egret_core.rules.succession import Elder, restored

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egret_core.rules.channel import Detector

D = TypeVar("D", bound="Detector")
_RISING = (Change.RAISED, Change.UPGRADED)


class Rise(NamedTuple):
    """A level that was reached in history; the fields of its event."""

    rank: int
    level: str
    time_ms: int
    reason: str
    hazard: str
    evidence: dict[str, Any]


class Warming:
    """What one detector keeps to itself.

    Attributes:
        until_ms: readings up to here are history; in_force_ms: when the rule took effect.
        elder: the level that its version before held, to be succeeded or ended; None for none.
    """

    __slots__ = ("_rises", "elder", "in_force_ms", "until_ms")

    def __init__(self, until_ms: int, in_force_ms: int, elder: Elder | None = None) -> None:
        self.until_ms = until_ms
        self.in_force_ms = in_force_ms
        self.elder = elder
        self._rises: list[Rise] = []  # lowest first: each is the first to hold its rank

    def take(self, detector: Detector, time_ms: int, value: float) -> None:
        """Let the detector settle a reading of history; times never go back."""
        said: list[ConditionEvent] = []
        detector.settle(time_ms, value, said)
        for event in said:
            if event.phase is Phase.SETTLED:
                self._note(event)

    def said(self, detector: Detector) -> list[ConditionEvent]:
        """Return what is to be said at its end: what has ended with the elder, and what holds."""
        standing = self.standing(detector)
        out = [] if standing is None else [standing]
        if self.elder is None:
            return out
        rank = 0 if standing is None else standing.rank
        return [*self.elder.after(detector.rule, rank, detector.levels), *out]

    def standing(self, detector: Detector) -> ConditionEvent | None:
        """Return the one event that says what holds, None where nothing does."""
        if not self._rises:
            return None
        rise = self._rises[-1]
        return ConditionEvent(
            rule=detector.rule,
            subject=detector.subject,
            hazard=rise.hazard,
            change=Change.RAISED,
            phase=Phase.SETTLED,
            level=rise.level,
            rank=rise.rank,
            time_ms=rise.time_ms,
            reason=rise.reason,
            evidence={**rise.evidence, **held_before(self.in_force_ms)},
        )

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self.until_ms, self.in_force_ms, self._rises, self.elder]

    @classmethod
    def restored(cls, saved: list[Any]) -> Warming:
        """Return what `dump` returned."""
        elder = (saved[3:] or [None])[0]  # an older state has none
        warming = cls(saved[0], saved[1], None if elder is None else restored(elder))
        warming._rises = [Rise(*row) for row in saved[2]]
        return warming

    def _note(self, event: ConditionEvent) -> None:
        kept = [rise for rise in self._rises if rise.rank < event.rank]
        if event.change in _RISING:
            evidence = dict(event.evidence)
            rise = Rise(
                event.rank, event.level, event.time_ms, event.reason, event.hazard, evidence
            )
            self._rises = [*kept, rise]
            return
        over = next((rise for rise in self._rises if rise.rank >= event.rank > 0), None)
        if over is not None:
            # Eased: the level now holding has held since a level at or above it was reached.
            evidence = over.evidence
            if over.rank > event.rank:
                evidence = {"reached": over.level, **evidence}
            kept.append(over._replace(rank=event.rank, level=event.level, evidence=evidence))
        self._rises = kept


class Warmings:
    """What the detectors of one channel keep to themselves.

    Attributes:
        by_rule: empty but for seconds after a change.
    """

    __slots__ = ("by_rule",)

    def __init__(self) -> None:
        self.by_rule: dict[str, Warming] = {}

    def begin(self, rules: Iterable[str], until_ms: int, change_ms: int) -> None:
        """Let these rules take history up to `until_ms`; the change took effect at `change_ms`."""
        elders = self.elders
        self.by_rule.update(
            {rule: Warming(until_ms, change_ms, elders.get(rule)) for rule in rules}
        )

    def succeed(self, rule: str, elder: Elder) -> None:
        """Let a rule that may get no history say what becomes of the level of its elder."""
        self.by_rule[rule] = Warming(NO_TIME, elder.until_ms, elder)

    @property
    def elders(self) -> dict[str, Elder | None]:
        """The elders of the rules that have said nothing yet."""
        return {rule: warming.elder for rule, warming in self.by_rule.items()}

    def of(self, detectors: Iterable[D]) -> list[D]:
        """Return those of the detectors that still take history."""
        return [detector for detector in detectors if detector.rule in self.by_rule]

    def teach(self, detectors: Iterable[Detector], time_ms: int, value: float) -> None:
        """Show them a reading of history that has settled."""
        for detector in self.of(detectors):
            self.by_rule[detector.rule].take(detector, time_ms, value)

    def settle(
        self,
        detectors: Sequence[Detector],
        time_ms: int,
        value: float,
        out: list[ConditionEvent],
    ) -> None:
        """Settle one reading while some rules still take history."""
        for detector in detectors:
            warming = self.by_rule.get(detector.rule)
            if warming is not None and time_ms <= warming.until_ms:
                warming.take(detector, time_ms, value)
                continue
            if warming is not None:
                self._say(detector, out)
            if not detector.quiet_from <= value < detector.quiet_below:
                detector.settle(time_ms, value, out)

    def end(
        self, detectors: Sequence[Detector], first_ms: int | None, out: list[ConditionEvent]
    ) -> bool:
        """Say what holds, rule by rule, once no reading of history waits; tell whether any did.

        Args:
            detectors: of the channel.
            first_ms: time of the first reading that waits, None where none does.
            out: what is said.
        """
        over = [
            detector
            for detector in self.of(detectors)
            if first_ms is None or first_ms > self.by_rule[detector.rule].until_ms
        ]
        for detector in over:
            self._say(detector, out)
        return bool(over)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {rule: warming.dump() for rule, warming in self.by_rule.items()}

    def restore(self, saved: Mapping[str, Any], rules: Iterable[str]) -> None:
        """Take what `dump` returned, for these rules."""
        mine = set(rules)
        rows = saved.items()
        self.by_rule.clear()  # the same dict: whoever holds it sees whether it is empty
        self.by_rule.update({rule: Warming.restored(row) for rule, row in rows if rule in mine})

    def _say(self, detector: Detector, out: list[ConditionEvent]) -> None:
        out += self.by_rule.pop(detector.rule).said(detector)
