"""Rules of the second stage: their inputs are the levels that other rules give.

A joint law sees, for each input, the level that holds and since when, and says which level of its
own holds now. Each law is one file: `vote`, `area`, `fusion`, `logic`, `chain`. Inputs keep their
last level: silence lowers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a joint rule: another rule's level at one subject.

    Attributes:
        name: word under which conditions name it, of one or several inputs.
        rule: ``id@version`` of the other rule; subject: of its events.
        line: line of evidence it belongs to; inputs of one line are not independent.
        levels: the other rule's labels, lowest first, in this rule's words.
        channel: (station, channel) it rests on, None for another joint rule.
        channels: all that it rests on, those under a joint rule too; left out: its own.
        lines: the lines of evidence underneath it; left out: its own.
    """

    name: str
    rule: str
    subject: str
    line: str
    levels: tuple[str, ...]
    channel: tuple[str, str] | None
    channels: frozenset[tuple[str, str]] = frozenset()
    lines: frozenset[str] = frozenset()

    @property
    def sensors(self) -> frozenset[tuple[str, str]]:
        """The channels underneath it."""
        return self.channels or frozenset([self.channel] if self.channel else [])

    @property
    def evidence_lines(self) -> frozenset[str]:
        """The lines of evidence underneath it."""
        return self.lines or frozenset([self.line])


class Held(NamedTuple):
    """What one input says at an instant.

    Attributes:
        rank: its level, 1 for the lowest, 0 for none.
        since_ms: event time from which it holds; None while it has said nothing.
        missing: it has no good reading that is recent enough.
        seen: it has had a good reading at all.
        forecast: its level was reached by a forecast.
    """

    rank: int = 0
    since_ms: int | None = None
    missing: bool = True
    seen: bool = False
    forecast: bool = False


class Joint(Protocol):
    """The state of one joint law; instants rise strictly.

    Attributes:
        looks: it asks which inputs are missing or were seen, and not for their levels only.
    """

    looks: bool

    def judge(self, at_ms: int, held: Sequence[Held]) -> int | None:
        """Return the rank that holds at an instant, None where it cannot be said: the old stays.

        Args:
            at_ms: event time.
            held: the inputs, in the order of the rule.
        """

    def wakes(self, at_ms: int) -> int | None:
        """Return the next instant after this one at which time alone may change the level."""

    def evidence(self, rank: int) -> Mapping[str, Any]:
        """Return the numbers behind a level of the newest judgement, JSON, units in the keys."""

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
