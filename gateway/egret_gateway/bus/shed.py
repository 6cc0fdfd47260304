"""What is no longer read as the battery runs down: step by step, least needed first; pure.

A step is taken when the voltage was below its limit three readings in a row, so that a modem that
sends does not shed a sensor; it is taken back when it was at its `back_v` as often. A battery that
is not read, or read wrong, changes nothing: the step stays and the missing readings speak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_A_ROW = 3  # readings that agree before a step is taken or taken back
STEPS_MAX = 8  # more shades of empty than anybody tells apart
VOLTS_MAX = 100.0  # a 48 V battery being charged stays below 60 V


@dataclass(frozen=True, slots=True)
class Step:
    """One step down; key `[[battery.step]]`.

    Attributes:
        below_v: taken below it; back_v: taken back at it or above.
        shed: channels no longer read, `station/channel`.
    """

    below_v: float
    back_v: float
    shed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BatterySettings:
    """Key `[battery]`: whose voltage it is, and the steps from the first down."""

    channel: str
    step: tuple[Step, ...]


class Stepped(NamedTuple):
    """A step taken or taken back: from which to which, and the voltage that decided."""

    was: int
    now: int
    volts: float


class Battery:
    """Where a battery stands.

    Attributes:
        step: steps taken, 0 for none; volts: the last good reading, None before the first.
    """

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        """Store the steps; none is taken before the battery is read."""
        self.step = 0
        self.volts: float | None = None
        self._steps = tuple(steps)
        self._low = 0
        self._high = 0
        self._shed: frozenset[str] = frozenset()

    @property
    def shed(self) -> frozenset[str]:
        """Channels that are not read now."""
        return self._shed

    def take(self, volts: float) -> Stepped | None:
        """Take a good reading; return the step that it decided, if any."""
        self.volts = volts
        down = self.step < len(self._steps) and volts < self._steps[self.step].below_v
        back = self.step > 0 and volts >= self._steps[self.step - 1].back_v
        self._low = self._low + 1 if down else 0
        self._high = self._high + 1 if back else 0
        if self._low >= IN_A_ROW:
            return self._go(self.step + 1, volts)
        if self._high >= IN_A_ROW:
            return self._go(self.step - 1, volts)
        return None

    def _go(self, step: int, volts: float) -> Stepped:
        was, self.step, self._low, self._high = self.step, step, 0, 0
        self._shed = frozenset(key for one in self._steps[:step] for key in one.shed)
        return Stepped(was, step, volts)
