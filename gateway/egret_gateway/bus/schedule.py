"""Whose turn it is: periods on a phase grid, earliest deadline first, a breaker per unit; pure.

Job i of N is due at start + i * period / N, then every period; what is missed is skipped, never
caught up. While a deadline is missed, the class decides before the deadline; what is more than ten
periods late goes first. A unit that fails three times is parked: its jobs wait for a probe, which
takes its turn when nobody else is due, where the time until the next release allows, and within
what failures may burn; after ten periods without a pause it waits for none. A measurement that
was started waits for its own time, while others take their turns. Time is seconds of a monotonic
clock, given by the caller.
"""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from egret_gateway.bus.breaker import (
    BACKOFF_MAX_S,
    BACKOFF_PERIODS,
    EXCUSED_MAX,
    FAILS_TO_OPEN,
    WARNING_SHARE,
    Breaker,
    Bucket,
)
from egret_gateway.bus.fault import Fault
from egret_gateway.bus.load import COST_SHARE, STRIDE_MAX, Strides
from egret_gateway.bus.rank import Rank
from egret_gateway.bus.turns import Job, Next, Pick, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPEATS_MAX = 1  # in one period; a quarantine asked nothing, so that one more may follow it
REPEAT_SHARE = 0.25  # of a period: when a poll that timed out is repeated
REPEAT_COST = 0.1  # of a neighbour's period: what a repeat in vain may keep it waiting
PROBE_SHARE = 0.5  # of a period: so long a probe waits for a pause that is long enough
PROBE_LAG_S = 0.02  # then it begins where a turn has just ended: late in a pause it costs more
WEIGH_S = 10.0  # how often the line's load is weighed
BUSY_S = 1.0  # exception 5 or 6: the device asks for patience
WAIT_PERIODS = 2.0  # from its release: a measurement under way may take its next period too
WAIT_LEAST_S = 0.01  # a line that names a time that is past must not keep the bus for itself
_BUSY_CODES = (5, 6)
_ALIVE_CODES = (1, 2, 3)  # the device answers, and refuses
_BURNS = (Fault.TIMEOUT, Fault.CRC, Fault.BABBLE)


class Schedule:
    """The turns of one bus.

    Attributes:
        breakers: by unit; strides: what is thinned out; overruns: turns that were missed.
    """

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
        self._jobs = list(jobs)
        self._jitter = jitter
        self._backoff_max_s = backoff_max_s
        self._deaf = deaf_neighbours
        self._turns = [
            Place(due, due)
            for due in (start_s + i * job.period_s / len(jobs) for i, job in enumerate(jobs))
        ]
        self.breakers = {job.unit: Breaker() for job in jobs}
        self.strides = Strides()
        self.overruns = 0
        self._bucket = Bucket(start_s)
        self._start_s = self._weighed_s = start_s
        self._began_s: float | None = None  # when the poll under way began
        self._ended_s = start_s  # when the last poll ended
        self._silent_s = start_s  # the line is kept silent until then
        self._blamed: str | None = None  # the unit whose timeout came just before

    @property
    def all_open(self) -> bool:
        """Whether every unit of the bus is parked: then the line itself is suspect."""
        return all(breaker.open for breaker in self.breakers.values())

    def pick(self, now_s: float) -> Pick:
        """Return whose turn it is."""
        self._began_s = None
        live: list[int] = []
        probes: list[int] = []
        parked: list[int] = []
        for index, (job, turn) in enumerate(zip(self._jobs, self._turns, strict=True)):
            breaker = self.breakers[job.unit]
            if turn.due_s > now_s:
                continue
            if turn.waits or not breaker.open:
                live.append(index)
                continue
            behind = max(0, floor((now_s - turn.release_s) / job.period_s))
            probe = now_s >= breaker.probe_s
            if behind or not probe:
                parked.append(index)  # told once, however many periods passed
                # A probe may still be made in the period that has begun.
                passed = behind if probe else behind + 1
                self._release(turn, turn.release_s + passed * job.period_s)
            if probe:
                probes.append(index)
        if live:
            overdue = self._overdue(probes, now_s)
            first = overdue[0] if overdue else self._first(live, now_s)
            return self._chosen(first, parked, now_s)
        free_s = self._probes_s(probes, now_s) if probes else {}
        ready = [index for index, at_s in free_s.items() if at_s <= now_s]
        if ready:
            return self._chosen(min(ready, key=self._deadline), parked, now_s)
        times = [*(turn.due_s for turn in self._turns), *free_s.values()]
        times += [self._deadline(index) for index in probes]
        later = [at_s for at_s in times if at_s > now_s]
        return Pick(None, tuple(parked), min(later, default=now_s + WAIT_LEAST_S))

    def _chosen(self, index: int, parked: Sequence[int], now_s: float) -> Pick:
        self._began_s = max(now_s, self._silent_s)
        return Pick(index, tuple(parked), now_s)

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
                ready; for a failure, until when the line is kept silent.
        """
        job, turn = self._jobs[index], self._turns[index]
        breaker = self.breakers[job.unit]
        took_s = 0.0 if self._began_s is None else max(0.0, now_s - self._began_s)
        self._began_s, self._ended_s = None, now_s
        if fault is Fault.PENDING:
            return self._wait(index, now_s, free_s)
        turn.waits = False
        if fault is Fault.NONE:
            self._answered(index, took_s, now_s)
            return Next.DONE
        if fault in _BURNS:
            breaker.cost_s = took_s + max(0.0, free_s - now_s)
            self._bucket.spend(breaker.cost_s, now_s)
            self._silent_s = max(now_s, free_s)
        if self._counts(job.unit, fault, exception, now_s):
            breaker.fails += 1
        if breaker.open or breaker.fails >= FAILS_TO_OPEN:
            most_s = self._backoff_max_s * (WARNING_SHARE if job.rank is Rank.WARNING else 1.0)
            breaker.back_off(now_s, BACKOFF_PERIODS * job.period_s, most_s, self._jitter())
        elif turn.repeats < (REPEATS_MAX + (fault is Fault.QUARANTINED)):
            again_s = self._again(job, now_s, fault, exception, free_s)
            if again_s is not None and again_s < self._deadline(index):
                return self._repeat(turn, now_s, again_s)
        self._advance(index, now_s)
        return Next.FAILED

    def _repeat(self, turn: Place, now_s: float, again_s: float) -> Next:
        turn.repeats, turn.due_s = turn.repeats + 1, again_s
        if again_s > now_s:
            return Next.LATER
        self._began_s = now_s
        return Next.NOW

    def heard(self, unit: str) -> None:
        """Take in that a unit answered out of its turn."""
        self._began_s, self._blamed = None, None
        self.breakers[unit].close()

    def skip(self, now_s: float) -> tuple[int, ...]:
        """Pass over every job that is due, for lack of a port; return which."""
        due = [i for i, turn in enumerate(self._turns) if turn.due_s <= now_s]
        for index in due:
            self._advance(index, now_s)
        return tuple(due)

    def awaits(self, index: int) -> bool:
        """Tell whether an unasked answer would do: the turn is under way, or its unit parked."""
        return self._turns[index].waits or self.breakers[self._jobs[index].unit].open

    def align(self, group: Sequence[int]) -> None:
        """Put jobs on the grid of the first of them, e.g. because they share a warm-up."""
        first = self._turns[group[0]]
        for index in group[1:]:
            self._turns[index] = Place(first.release_s, first.due_s)

    def pace(self, index: int, period_s: float, now_s: float) -> None:
        """Give a job another period, counted from its last release on: faster is at once."""
        job, turn = self._jobs[index], self._turns[index]
        release_s = max(turn.release_s - job.period_s + period_s, now_s)
        if turn.repeats == 0 and not turn.waits:
            turn.due_s = release_s
        self._jobs[index], turn.release_s = job._replace(period_s=period_s), release_s

    def leave_out(self, index: int, now_s: float) -> None:
        """Pass over one job until its next period, nobody's fault."""
        self._advance(index, now_s)

    def half_open(self) -> None:
        """Probe every parked unit at its next turn, e.g. after a replug."""
        for breaker in self.breakers.values():
            breaker.probe_s = 0.0

    def relay(self, jobs: Sequence[Job], heirs: Sequence[int]) -> None:
        """Take other jobs in place of the former, on the same grid.

        Args:
            jobs: all reads of the bus as they are now, of the same units.
            heirs: for each the index of the former job whose place in time it takes.
        """
        former = self._turns
        self._jobs = list(jobs)
        self._turns = [
            Place(former[heir].release_s, min(former[heir].due_s, former[heir].release_s))
            for heir in heirs
        ]

    def slack_s(self, now_s: float) -> float:
        """Return how long nobody but a parked unit is due, seconds; 0 where somebody is."""
        return max(0.0, self._next_live_s() - now_s)

    def _first(self, live: Sequence[int], now_s: float) -> int:
        if starved := [index for index in live if self._starved(index, now_s)]:
            return min(starved, key=self._deadline)
        if any(self._deadline(index) < now_s for index in live):
            return min(live, key=lambda i: (self._jobs[i].rank, self._deadline(i)))
        return min(live, key=lambda i: (self._deadline(i), self._jobs[i].rank))

    def _starved(self, index: int, now_s: float) -> bool:
        """Tell whether a turn goes before every class, so late is it."""
        job = self._jobs[index]
        periods = STRIDE_MAX - self.strides.of[job.rank] + 1  # its stride kept it waiting already
        return now_s > self._turns[index].release_s + periods * job.period_s

    def _overdue(self, probes: Sequence[int], now_s: float) -> list[int]:
        """Return the probes that found no pause for so long that they go before everybody."""
        found: list[int] = []
        if now_s > self._ended_s + PROBE_LAG_S:
            return found  # there is a pause, and who is due now need not wait for all of a probe
        for index in probes:
            job = self._jobs[index]
            breaker = self.breakers[job.unit]
            since_s = max(breaker.probe_s, breaker.failed_s)
            late = now_s > since_s + STRIDE_MAX * job.period_s
            if late and self._bucket.ready_s(breaker.cost_s, now_s) <= now_s:
                found.append(index)
        return found

    def _probes_s(self, probes: Sequence[int], now_s: float) -> dict[int, float]:
        """Return when each probe that is due may be made."""
        if self.all_open:
            return dict.fromkeys(probes, now_s)  # there is nobody whom they could keep waiting
        next_s = self._next_live_s()
        found: dict[int, float] = {}
        for index in probes:
            cost_s = self.breakers[self._jobs[index].unit].cost_s
            found[index] = self._bucket.ready_s(cost_s, now_s)
            if now_s + cost_s > next_s:
                wait_s = PROBE_SHARE * self._jobs[index].period_s
                found[index] = max(found[index], self._turns[index].release_s + wait_s)
                if max(now_s, found[index]) > self._ended_s + PROBE_LAG_S:
                    found[index] = max(found[index], next_s)
        return found

    def _next_live_s(self) -> float:
        everybody = self.all_open
        return min(
            turn.due_s
            for job, turn in zip(self._jobs, self._turns, strict=True)
            if everybody or turn.waits or not self.breakers[job.unit].open
        )

    def _deadline(self, index: int) -> float:
        return self._turns[index].release_s + self._jobs[index].period_s

    def _answered(self, index: int, took_s: float, now_s: float) -> None:
        job, turn = self._jobs[index], self._turns[index]
        self._alive(job.unit)
        turn.cost_s += (took_s - turn.cost_s) * (COST_SHARE if turn.cost_s else 1.0)
        if now_s >= self._weighed_s + WEIGH_S:
            self._weighed_s = now_s
            self._weigh()
        self._advance(index, now_s)

    def _alive(self, unit: str) -> None:
        """Take in that a unit answered, be it by a refusal: no reason to park it."""
        if self.all_open:
            self.half_open()  # the line is back: everybody may be
        self.breakers[unit].close()
        self._blamed = None

    def _weigh(self) -> None:
        shares = dict.fromkeys(Rank, 0.0)
        for job, turn in zip(self._jobs, self._turns, strict=True):
            if not self.breakers[job.unit].open:
                shares[job.rank] += turn.cost_s / job.period_s
        self.strides.weigh(shares)

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

    def _counts(self, unit: str, fault: Fault, exception: int, now_s: float) -> bool:
        if fault is Fault.EXCEPTION:
            self._blamed = None
            if exception in (*_BUSY_CODES, *_ALIVE_CODES):
                self._alive(unit)
                return False
            return True
        if fault is Fault.QUARANTINED:
            return False
        # A slave waits for its dead neighbour's answer and misses its own request: no blame.
        breaker = self.breakers[unit]
        innocent = self._deaf and self._blamed not in (None, unit)
        innocent = innocent and breaker.excused < EXCUSED_MAX
        breaker.excused += innocent
        # After a silence that was kept the next one hears.
        self._blamed = None if self._silent_s > now_s else unit
        return not innocent

    def _again(
        self, job: Job, now_s: float, fault: Fault, exception: int, free_s: float
    ) -> float | None:
        """Return when to repeat, None for not at all."""
        if fault is Fault.QUARANTINED:
            return free_s
        if fault is Fault.EXCEPTION:
            return now_s + BUSY_S if exception in _BUSY_CODES else None
        if job.once:
            return None
        if fault is Fault.CRC:
            return now_s
        cost_s = self.breakers[job.unit].cost_s
        others = [
            other.period_s
            for other in self._jobs
            if other.unit != job.unit and not self.breakers[other.unit].open
        ]
        dear = others and cost_s > REPEAT_COST * min(others)
        if dear or (others and not self._bucket.has(cost_s, now_s)):
            return None  # the next period will do
        return now_s + job.period_s * REPEAT_SHARE

    def _advance(self, index: int, now_s: float) -> None:
        """Go to the next release, on the grid and where the class's stride falls."""
        job, turn = self._jobs[index], self._turns[index]
        behind = max(0, floor((now_s - turn.release_s) / job.period_s))
        self.overruns += max(0, behind - 1) if not self.breakers[job.unit].open else 0
        release_s = turn.release_s + (behind + 1) * job.period_s
        # By its index, so that those of one class do not all fall into the same period.
        ticks = round((release_s - self._start_s) / job.period_s) + index
        self._release(turn, release_s + -ticks % self.strides.of[job.rank] * job.period_s)

    @staticmethod
    def _release(turn: Place, release_s: float) -> None:
        turn.release_s = turn.due_s = release_s
        turn.repeats, turn.waits = 0, False
