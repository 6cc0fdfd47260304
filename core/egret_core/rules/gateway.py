"""One gateway's fold: whether it is heard at all, whatever its sensors say."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from egret_core.rules.absence import silence
from egret_core.rules.model import AHEAD_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egret_core.reading import Reading
    from egret_core.rules.absence import Absence
    from egret_core.rules.event import ConditionEvent


class Gateway:
    """The state of the absence rules on one gateway: any fresh reading is a sign of life."""

    __slots__ = ("absences", "dirty", "name", "wake_ms")

    def __init__(self, name: str, absences: Iterable[Absence]) -> None:
        self.name = name
        self.absences = tuple(absences)
        self.dirty = True
        self.wake_ms: float = -inf  # a tick before this running time has nothing to do

    def hear(
        self,
        readings: Sequence[Reading],
        received_ms: int,
        running_ms: int,
        out: list[ConditionEvent],
    ) -> None:
        """Take readings received together; a failed one is a sign of life too."""
        self.wake_ms = -inf
        times = [
            reading.time_ms if reading.time_ms <= received_ms + AHEAD_MS else received_ms
            for reading in readings
        ]
        if not times:
            return
        for absence in self.absences:
            whole = absence.silent or absence.far(max(times))
            for time_ms in sorted(times) if whole else (max(times),):
                absence.good(time_ms, received_ms, running_ms, out)
        self.dirty = True

    def tick(self, running_ms: int, out: list[ConditionEvent]) -> None:
        """Judge its silence at one tick."""
        said = len(out)
        self.wake_ms = silence(self.absences, running_ms, out)
        self.dirty = self.dirty or len(out) > said

    def continues(self, old: object) -> bool:
        """Tell whether the old subject's state is this one's: the same gateway."""
        return isinstance(old, Gateway) and old.name == self.name

    def withdraw(self, kept: set[str], out: list[ConditionEvent]) -> None:
        """Refute what is left of the rules that are not kept."""
        for absence in self.absences:
            if absence.rule not in kept:
                absence.withdraw(out)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {"rules": {absence.rule: absence.dump() for absence in self.absences}}

    def restore(self, saved: dict[str, Any]) -> None:
        """Take a state that `dump` returned."""
        self.wake_ms = -inf
        for absence in self.absences:
            if absence.rule in saved["rules"]:
                absence.restore(saved["rules"][absence.rule])
