"""What a bus of any protocol is to its task: turns that come round, and a line that takes them.

Modbus, SDI-12 and text lines each have a `Plan`, made of the settings alone, and the open line it
leads to. The task in `poll` knows nothing of bytes: it asks the schedule whose turn it is, lets
the line take that turn, and turns what came back into samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from egret_core.screening.verdict import Verdict
    from egret_gateway.bus.fault import Fault
    from egret_gateway.profiles import ChannelSettings


@dataclass(frozen=True, slots=True)
class Turn:
    """One poll that comes round.

    Attributes:
        unit: whom it asks, as people know it: a Modbus address, an SDI-12 address, a talker.
        channels: what it serves; period_s: scaled.
        once: asking again would bring another answer: never repeated within its period.
    """

    unit: str
    channels: tuple[ChannelSettings, ...]
    period_s: float
    once: bool = False


class Polled(NamedTuple):
    """How a turn went.

    Attributes:
        fault: the named reason; PENDING where a measurement was started or is under way: the same
            turn is given again at `free_s`, at most two periods after its release, and others take
            theirs meanwhile.
        at_s: monotonic time of the last byte, or of the verdict.
        raws: raw numbers of the turn's channels, by their place in `Turn.channels`; None where
            this answer did not reach one.
        exception: a Modbus device's code.
        free_s: monotonic time before which asking again is in vain: the end of a quarantine, or
            when a measurement that was started is ready.
        verdicts: what the device itself says each raw number is worth, () for nothing.
        lost: an answer before this one was lost, and with it what reading it had cleared.
        sent, got: the bytes, for people.
        rests: nothing was asked: the device refused this before, and has a rest from it.
    """

    fault: Fault
    at_s: float
    raws: tuple[float | None, ...] = ()
    exception: int = 0
    free_s: float = 0.0
    verdicts: tuple[Verdict, ...] = ()
    lost: bool = False
    sent: bytes = b""
    got: bytes = b""
    rests: bool = False


class Line(Protocol):
    """An open port with its protocol; PortError from any method when the port has gone."""

    async def listen(self) -> None:
        """Wait until what a former process may have asked can no longer be answered."""

    async def poll(self, index: int) -> Polled:
        """Take the turn `index` of the plan."""

    async def idle(self, until_s: float) -> None:
        """Keep ears open until `until_s`, monotonic."""

    def close(self) -> None:
        """Close the port, also one that has gone."""


@runtime_checkable
class Talking(Protocol):
    """A line on which devices speak unasked; its `idle` returns as soon as one has."""

    def overheard(self) -> Sequence[tuple[int, Polled]]:
        """Return what was said since the last call, oldest first, each with its turn."""

    def took(self, polled: Polled) -> None:
        """Take in that `polled` has been used: no turn gets it again."""


class Cost(NamedTuple):
    """What a turn costs its line, as the settings say.

    Attributes:
        unit, period_s, channels: as in `Turn`; wire_s: seconds the line is taken.
        registers: how many are carried, or values; ask: what is asked, for people.
    """

    unit: str
    period_s: float
    wire_s: float
    registers: int
    ask: str
    channels: tuple[ChannelSettings, ...]


@runtime_checkable
class Priced(Protocol):
    """A plan whose wire time is known before anything was asked."""

    def costs(self) -> Sequence[Cost]:
        """Return the cost of every turn."""


@runtime_checkable
class Patient(Protocol):
    """A plan that gives a unit that was long silent less time than its profile says."""

    def patient(self, unit: str) -> None:
        """Give it all its time at its next turn: somebody stands beside it."""


class Plan(Protocol):
    """What is done on a bus of one protocol; it outlives a replugged port.

    Attributes:
        turns: all polls of the bus; another sequence takes its place when a poll has taught the
            plan something, each of its turns for a unit that was there before.
        deaf: a request to a dead unit may make others miss theirs.
    """

    turns: Sequence[Turn]
    deaf: bool

    async def open(self) -> Line:
        """Open the port; PortError where it cannot be."""

    def health(self) -> Mapping[str, Mapping[str, Any]]:
        """Return per unit its counts and what was learnt of it."""
