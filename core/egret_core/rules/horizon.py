"""How far back everything is in: what waits for silent channels waits until this instant is past.

    horizon(wait) = wall clock of the centre when its running time was `wait` less than now

A reading is in at most its lateness after its time, and settled as much later by ticks: with twice
the lateness as `wait`, no fact at or before the horizon is missing, whoever is silent. Running time
(`egret_core.rules.running`) stands still while the centre is down, so that downtime pauses this
too. State: one pair for each stop of the centre that still counts. Cost: O(pairs), mostly one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

NO_TIME = -(2**62)
STOPS_MAX = 64  # stops of the centre within the longest wait; an older one only makes it wait more


class Horizon:
    """Wall clock by running time, ms."""

    __slots__ = ("_running_ms", "_steps", "dirty")

    def __init__(self) -> None:
        self._running_ms = 0
        self._steps: list[list[int]] = []  # from this running time on, wall clock less running time
        self.dirty = False

    def tick(self, now_ms: int, running_ms: int, longest_ms: int) -> None:
        """Take a tick; `longest_ms` is the longest wait that is asked for."""
        steps = self._steps
        if not steps or steps[-1][1] != now_ms - running_ms:
            steps.append([running_ms, now_ms - running_ms])
            del steps[:-STOPS_MAX]
        while len(steps) > 1 and steps[1][0] <= running_ms - longest_ms:
            del steps[0]
        self._running_ms = running_ms
        self.dirty = True

    def before(self, wait_ms: int) -> int:
        """Return the wall clock when running time was `wait_ms` less; no time where unknown."""
        at_ms = self._running_ms - wait_ms
        for from_ms, less_ms in reversed(self._steps):
            if from_ms <= at_ms:
                return at_ms + less_ms
        return NO_TIME

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._running_ms, self._steps]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._running_ms, steps = saved
        self._steps = [list(step) for step in steps]
