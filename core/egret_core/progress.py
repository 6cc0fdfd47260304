"""Whether the parts of a service get further: what a watchdog is fed by. Pure.

A part that has nothing to do stands still rightly. One that has something to do must have got
further by the next look; a timer that says "alive" would hide exactly the part that hangs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Pulse(NamedTuple):
    """One part as it stands now.

    Attributes:
        busy: it has something to do that is not another's turn to answer.
        steps: grows whenever it gets further.
    """

    busy: bool
    steps: int


class Progress:
    """What was seen at the look before."""

    def __init__(self) -> None:
        self._busy: dict[str, int] = {}

    def stuck(self, pulses: Mapping[str, Pulse]) -> list[str]:
        """Return the parts that were busy at the look before, still are, and got no further."""
        found = [
            name
            for name, pulse in pulses.items()
            if pulse.busy and self._busy.get(name) == pulse.steps
        ]
        self._busy = {name: pulse.steps for name, pulse in pulses.items() if pulse.busy}
        return found
