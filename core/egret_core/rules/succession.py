"""What becomes of a level that holds when the rule that says so is edited or withdrawn.

What goes out of force cannot say any more that its level is over: without a word the level would
hold for ever. Where nothing takes the rule's place it is told as returned at the change; where an
edited version does, as soon as that one has its history, and only where it holds less or ranks
its words otherwise. The cause is `rule_withdrawn`: no value was judged to be lower, and a person
closes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.model import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Part(Protocol):
    """One rule on one subject; of a joint rule its verdict."""

    rule: str
    subject: str

    @property
    def hazard(self) -> str:
        """Family of the rule, as on its events."""

    @property
    def rank(self) -> int:
        """The level that holds, settled; 0 for none."""

    @property
    def levels(self) -> Sequence[str]:
        """Its labels, lowest first."""


class Elder(NamedTuple):
    """A level on record whose rule is not in force any more.

    Attributes:
        rule: id@version that said it; subject, hazard: of its events.
        rank: the level that held; until_ms: when its rule went out of force.
        levels: the labels of its rule, lowest first.
    """

    rule: str
    subject: str
    hazard: str
    rank: int
    until_ms: int
    levels: tuple[str, ...]

    @property
    def level(self) -> str:
        """The label of the level that held."""
        return self.levels[self.rank - 1]

    def after(
        self, successor: str = "", rank: int = 0, levels: Sequence[str] = ()
    ) -> list[ConditionEvent]:
        """Return what is to be said of it, nothing where the successor holds as much.

        Where a word has another rank in the successor's ladder it is said all the same, with that
        ladder: whoever compares ranks must know.

        Args:
            successor: id@version of the rule in its place, "" for none.
            rank: the level that the successor holds, 0 for none.
            levels: the successor's labels, lowest first.
        """
        if rank and self._goes_on(rank, levels) and self._ranks_as(levels):
            return []
        evidence: dict[str, Any] = {"held_level": self.level}
        if successor:
            evidence["successor"] = successor
        if not self._ranks_as(levels):
            evidence["levels"] = list(levels)
        event = ConditionEvent(
            rule=self.rule,
            subject=self.subject,
            hazard=self.hazard,
            change=Change.EASED if rank else Change.RETURNED,
            phase=Phase.SETTLED,
            level=levels[rank - 1] if rank else "",
            rank=rank,
            time_ms=self.until_ms,
            reason=str(Cause.RULE_WITHDRAWN),
            evidence=evidence,
        )
        return [event]

    def _ranks_as(self, levels: Sequence[str]) -> bool:
        """Tell whether the words that two ladders share, and what held, have the same ranks."""
        shared = [label for label in self.levels if label in levels]
        same = all(self.levels.index(label) == levels.index(label) for label in shared)
        return not levels or (same and self.level in levels)

    def _goes_on(self, rank: int, levels: Sequence[str]) -> bool:
        """Tell whether a level of another ladder is this one or a higher one, by its word first."""
        label = levels[rank - 1]
        if label in self.levels:
            return self.levels.index(label) + 1 >= self.rank
        if self.level in levels:
            return levels.index(self.level) + 1 <= rank
        return rank >= self.rank


def restored(saved: Sequence[Any]) -> Elder:
    """Return an elder that was kept as JSON."""
    rule, subject, hazard, rank, until_ms, levels = saved
    return Elder(rule, subject, hazard, rank, until_ms, tuple(levels))


def elder_of(part: Part, at_ms: int) -> Elder | None:
    """Return the level that a rule holds as one whose rule is out of force from an instant on."""
    if not part.rank:
        return None
    return Elder(part.rule, part.subject, part.hazard, part.rank, at_ms, tuple(part.levels))


def lost(
    parts: Iterable[Part], kept: set[str], waiting: Mapping[str, Elder | None], at_ms: int
) -> list[Elder]:
    """Return the levels on record of the rules that are not kept.

    Args:
        parts: the rules of a subject, before the change.
        kept: the names of those that go on.
        waiting: of rules that have said nothing yet: the elder that each is to succeed, if any.
        at_ms: when the change takes effect.
    """
    gone = [part for part in parts if part.rule not in kept]
    elders = [
        waiting[part.rule] if part.rule in waiting else elder_of(part, at_ms) for part in gone
    ]
    return [elder for elder in elders if elder is not None]


def id_of(rule: str) -> str:
    """Return a rule's id without its version."""
    return rule.partition("@")[0]
