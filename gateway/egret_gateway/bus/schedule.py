"""Whose turn it is: periods on a phase grid, earliest deadline first, a breaker per unit; pure.

Job i of N is due at start + i * period / N, then every period; what is missed is skipped, never
caught up. A unit that fails three times is parked: its jobs wait for a probe, after twice the
period at first, then doubling to 300 s with jitter, and a probe takes its turn only when nobody
else is due. A measurement that was started waits for its own time, while others take their turns.
Time is seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import floor
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.bus.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FAILS_TO_OPEN = 3  # one is a glitch, two a coincidence
BACKOFF_PERIODS = 2.0
BACKOFF_MAX_S = 300.0  # a revived device is found again within five minutes (scaled with periods)
REPEATS_MAX = 1  # in one period; a quarantine asked nothing, so that one more may follow it
REPEAT_SHARE = 0.25  # of a period: when a poll that timed out is repeated
BUSY_S = 1.0  # exception 5 or 6: the device asks for patience
WAIT_PERIODS = 2.0  # from its release: a measurement under way may take its next period too
WAIT_LEAST_S = 0.01  # a line that names a time that is past must not keep the bus for itself
_BUSY_CODES = (5, 6)
_ALIVE_CODES = (1, 2, 3)  # the device answers, and refuses: no reason to park it


class Next(StrEnum):
    """What becomes of a poll."""

    DONE = "done"
    NOW = "now"  # ask again at once: the line was alive
    LATER = "later"  # ask again within this period
    WAITS = "waits"  # under way: the same turn is given again when it is ready
    FAILED = "failed"  # nothing more this period: the channels are missing


class Job(NamedTuple):
    """A read that comes round: whom it asks, and how often in real seconds."""

    unit: str
    period_s: float


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
class _Turn:
    """A job's place in time: its release on the grid, when it is due, and repeats so far.

    `waits` while its measurement is under way: it is to be collected whatever its breaker says.
    """

    release_s: float
    due_s: float
    repeats: int = 0
    waits: bool = False


@dataclass(slots=True)
class Breaker:
    """A unit's failures; `open` while it is parked until `probe_s`."""

    fails: int = 0
    open: bool = False
    backoff_s: float = 0.0
    probe_s: float = 0.0


class Schedule:
    """The turns of one bus."""

    def __init__(
        self,
        jobs: Sequence[Job],
        start_s: float,
        jitter: Callable[[], float],
        *,
        backoff_max_s: float = BACKOFF_MAX_S,
        deaf_neighbours: bool = True,
    ) -> None:
        """Lay the jobs on their grid.

        Args:
            jobs: all reads of the bus.
            start_s: the grid's origin.
            jitter: draws from [0, 1).
            backoff_max_s: real seconds.
            deaf_neighbours: a request to a dead unit may make
                others miss theirs (no quiet time is kept after a timeout).
        """
        self._jobs = tuple(jobs)
        self._jitter = jitter
        self._backoff_max_s = backoff_max_s
        self._deaf = deaf_neighbours
        self._turns = [
            _Turn(due, due)
            for due in (start_s + i * job.period_s / len(jobs) for i, job in enumerate(jobs))
        ]
        self.breakers = {job.unit: Breaker() for job in jobs}
        self.overruns = 0
        self._blamed: str | None = None  # the unit whose timeout came just before

    @property
    def all_open(self) -> bool:
        """Whether every unit of the bus is parked: then the line itself is suspect."""
        return all(breaker.open for breaker in self.breakers.values())

    def pick(self, now_s: float) -> Pick:
        """Return whose turn it is."""
        live: list[int] = []
        probes: list[int] = []
        parked: list[int] = []
        for index, (job, turn) in enumerate(zip(self._jobs, self._turns, strict=True)):
            breaker = self.breakers[job.unit]
            if turn.due_s > now_s:
                continue
            if turn.waits or not breaker.open:
                live.append(index)
            elif now_s >= breaker.probe_s and now_s < turn.release_s + job.period_s:
                probes.append(index)
            else:
                parked.append(index)
        for index in parked:
            self._advance(index, now_s)
        if live or probes:
            chosen = min(live or probes, key=self._deadline)
            return Pick(chosen, tuple(parked), now_s)
        return Pick(None, tuple(parked), min(turn.due_s for turn in self._turns))

    def done(
        self, index: int, now_s: float, fault: Fault, *, exception: int = 0, free_s: float = 0.0
    ) -> Next:
        """Take in how a poll ended.

        Args:
            index: the job.
            now_s: now.
            fault: its end.
            exception: the device's code.
            free_s: for a quarantine, when it ends; for a measurement under way, when it is
                ready.
        """
        job, turn = self._jobs[index], self._turns[index]
        breaker = self.breakers[job.unit]
        if fault is Fault.PENDING:
            return self._wait(index, now_s, free_s)
        turn.waits = False
        if fault is Fault.NONE:
            breaker.fails, breaker.open, self._blamed = 0, False, None
            self._advance(index, now_s)
            return Next.DONE
        if self._counts(job.unit, fault, exception):
            breaker.fails += 1
        if breaker.open or breaker.fails >= FAILS_TO_OPEN:
            self._back_off(job, breaker, now_s)
        elif turn.repeats < (REPEATS_MAX + (fault is Fault.QUARANTINED)):
            again_s = self._again(job, now_s, fault, exception, free_s)
            if again_s is not None and again_s < turn.release_s + job.period_s:
                turn.repeats, turn.due_s = turn.repeats + 1, again_s
                return Next.NOW if fault is Fault.CRC else Next.LATER
        self._advance(index, now_s)
        return Next.FAILED

    def skip(self, now_s: float) -> tuple[int, ...]:
        """Pass over every job that is due, for lack of a port; return which."""
        due = [i for i, turn in enumerate(self._turns) if turn.due_s <= now_s]
        for index in due:
            self._advance(index, now_s)
        return tuple(due)

    def awaits(self, index: int) -> bool:
        """Tell whether an unasked answer would do: the turn is under way, or its unit parked."""
        return self._turns[index].waits or self.breakers[self._jobs[index].unit].open

    def half_open(self) -> None:
        """Probe every parked unit at its next turn, e.g. after a replug."""
        for breaker in self.breakers.values():
            breaker.probe_s = 0.0

    def _deadline(self, index: int) -> float:
        return self._turns[index].release_s + self._jobs[index].period_s

    def _wait(self, index: int, now_s: float, free_s: float) -> Next:
        """Give the same turn again at `free_s`; a wait is no repeat and no failure, but it ends."""
        turn = self._turns[index]
        self._blamed = None
        limit_s = turn.release_s + WAIT_PERIODS * self._jobs[index].period_s
        if now_s >= limit_s:
            self._advance(index, now_s)
            return Next.FAILED
        turn.due_s, turn.waits = min(max(free_s, now_s + WAIT_LEAST_S), limit_s), True
        return Next.WAITS

    def _counts(self, unit: str, fault: Fault, exception: int) -> bool:
        if fault is Fault.EXCEPTION:
            self._blamed = None
            return exception not in (*_BUSY_CODES, *_ALIVE_CODES)
        if fault is Fault.QUARANTINED:
            return False
        # A slave waits for its dead neighbour's answer and misses its own request: no blame.
        innocent = self._deaf and self._blamed not in (None, unit)
        self._blamed = None if innocent else unit
        return not innocent

    @staticmethod
    def _again(job: Job, now_s: float, fault: Fault, exception: int, free_s: float) -> float | None:
        """Return when to repeat, None for not at all."""
        if fault is Fault.CRC:
            return now_s
        if fault is Fault.QUARANTINED:
            return free_s
        if fault is Fault.EXCEPTION:
            return now_s + BUSY_S if exception in _BUSY_CODES else None
        return now_s + job.period_s * REPEAT_SHARE

    def _back_off(self, job: Job, breaker: Breaker, now_s: float) -> None:
        doubled = 2 * breaker.backoff_s if breaker.open else BACKOFF_PERIODS * job.period_s
        breaker.backoff_s = min(doubled, self._backoff_max_s)
        breaker.open = True
        # Jitter keeps the probes of several dead units from falling together.
        breaker.probe_s = now_s + breaker.backoff_s * (0.8 + 0.4 * self._jitter())

    def _advance(self, index: int, now_s: float) -> None:
        job, turn = self._jobs[index], self._turns[index]
        behind = max(0, floor((now_s - turn.release_s) / job.period_s))
        self.overruns += max(0, behind - 1) if not self.breakers[job.unit].open else 0
        turn.release_s += (behind + 1) * job.period_s
        turn.due_s, turn.repeats, turn.waits = turn.release_s, 0, False
