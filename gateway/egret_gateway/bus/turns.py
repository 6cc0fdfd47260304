"""The words of a schedule: a job that comes round, its place in time, how a poll ended; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from egret_gateway.bus.rank import Rank


class Next(StrEnum):
    """What becomes of a poll."""

    DONE = "done"
    NOW = "now"  # ask again at once: the line was alive
    LATER = "later"  # ask again within this period
    WAITS = "waits"  # under way: the same turn is given again when it is ready
    FAILED = "failed"  # nothing more this period: the channels are missing


class Job(NamedTuple):
    """A read that comes round.

    Attributes:
        unit: whom it asks; period_s: how often, in real seconds; rank: its class.
        once: never repeated within its period.
    """

    unit: str
    period_s: float
    rank: Rank = Rank.MEASUREMENT
    once: bool = False


class Pick(NamedTuple):
    """The turn now.

    Attributes:
        job: index of the job to run, None for nobody.
        parked: jobs whose period passed unasked because their unit is backed off.
        wake_s: when to ask again, where nobody is due.
    """

    job: int | None
    parked: tuple[int, ...]
    wake_s: float


@dataclass(slots=True)
class Place:
    """A job's place in time: its release on the grid, when it is due, and repeats so far.

    `waits` while its measurement is under way: it is to be collected whatever its breaker says.
    `cost_s` is what it usually takes, 0 before its first answer.
    """

    release_s: float
    due_s: float
    repeats: int = 0
    waits: bool = False
    cost_s: float = 0.0
