"""A serial bus in virtual time: who is polled when, by our schedule or by a plain loop.

Times are those of 9600 8N1: a read of N registers takes (13 + 2N) characters, two gaps and the
slave's turnaround; a unit that is dead costs the request, a gap and the time-out. Deaf slaves miss
a request within half a second of one that a dead neighbour did not answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from egret_gateway.bus.fault import Fault
from egret_gateway.bus.quiet import Quiet
from egret_gateway.bus.rank import Rank
from egret_gateway.bus.schedule import Schedule
from egret_gateway.bus.turns import Job, Next
from egret_gateway.bus.unit import Patience, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

CHAR_S = 10 / 9600
GAP_S = 3.5 * CHAR_S
DEAF_S = 0.5
JITTER = 0.5


@dataclass
class Field:
    """The slaves: `dead(unit, now)`; `turnaround_s` of the live ones; `deaf` as libmodbus is."""

    dead: Callable[[str, float], bool]
    registers: int = 10
    turnaround_s: float = 0.01
    deaf: bool = False
    unheard_s: float = -DEAF_S  # end of the last request that a dead unit did not answer

    @property
    def read_s(self) -> float:
        return (13 + 2 * self.registers) * CHAR_S + 2 * GAP_S + self.turnaround_s

    def ask(self, unit: str, now: float, timeout_s: float) -> tuple[bool, float]:
        """Return whether a unit answers, and how long the line is taken."""
        request_s = 8 * CHAR_S
        deaf = self.deaf and now < self.unheard_s + DEAF_S
        if not deaf and not self.dead(unit, now):
            return True, self.read_s
        self.unheard_s = now + request_s
        wire_s = (5 + 2 * self.registers) * CHAR_S
        return False, request_s + GAP_S + wire_s + timeout_s


@dataclass
class Story:
    """What came of it: times of values by unit, and seconds of the line that failures took."""

    units: Sequence[str]
    until_s: float
    good: dict[str, list[float]] = field(default_factory=dict)
    wasted_s: float = 0.0
    polls: dict[str, int] = field(default_factory=dict)
    parked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.good = {unit: [] for unit in self.units}
        self.polls = dict.fromkeys(self.units, 0)

    def samples_per_min(self, dead: Collection[str] = ()) -> float:
        live = [unit for unit in self.units if unit not in dead]
        return sum(len(self.good[unit]) for unit in live) / len(live) / (self.until_s / 60)

    def deadline_share(self, period_s: float, dead: Collection[str] = ()) -> float:
        """Return the share of the live units' periods whose value came within 1.1 periods."""
        live = [unit for unit in self.units if unit not in dead]
        met = sum(gap <= 1.1 * period_s for unit in live for gap in self.gaps(unit))
        return met / (len(live) * (self.until_s / period_s - 1))

    def gaps(self, unit: str, since_s: float = 0.0) -> list[float]:
        times = [at_s for at_s in self.good[unit] if at_s >= since_s]
        return [b - a for a, b in pairwise(times)]


def ours(
    slaves: Field,
    jobs: Sequence[Job],
    until_s: float,
    *,
    patience: Patience = Patience(0.05, 1.0),  # noqa: B008  (immutable)
    quiet: Quiet | None = None,
) -> tuple[Story, Schedule]:
    """Live with our schedule, adaptive time-outs and learnt silence."""
    schedule = Schedule(jobs, 0.0, lambda: JITTER)
    quiet = quiet or Quiet(load=sum(slaves.read_s / job.period_s for job in jobs))
    units = {job.unit: Unit() for job in jobs}
    story = Story(list(units), until_s)
    now, not_before_s = 0.0, 0.0
    while now < until_s:
        pick = schedule.pick(now)
        story.parked += [jobs[index].unit for index in pick.parked]
        if pick.job is None:
            assert pick.wake_s > now, "the line would spin"
            now = pick.wake_s
            continue
        name = jobs[pick.job].unit
        unit = units[name]
        now = max(now, not_before_s)
        heard = [other.timeout_s(patience) for other in units.values() if other.tau_s is not None]
        story.polls[name] += 1
        answered, took_s = slaves.ask(name, now, unit.timeout_s(patience, max(heard, default=None)))
        request_end_s = now + 8 * CHAR_S
        now += took_s
        if answered:
            unit.answered(slaves.turnaround_s)
            quiet.answered(name, request_end_s)
        else:
            unit.gave_up(now)
            quiet.failed(name, request_end_s)
            not_before_s = request_end_s + quiet.s
            story.wasted_s += max(now, not_before_s) - (now - took_s)
        fault = Fault.NONE if answered else Fault.TIMEOUT
        if schedule.done(pick.job, now, fault, free_s=not_before_s) is Next.DONE:
            story.good[name].append(now)
    return story, schedule


def round_robin(
    slaves: Field,
    units: Sequence[str],
    until_s: float,
    period_s: float,
    *,
    timeout_s: float,
    retries: int,
) -> Story:
    """Live as plain loops do: every unit in turn, each with all its retries, once a period."""
    story = Story(units, until_s)
    now = 0.0
    cycle = 0
    while now < until_s:
        for unit in units:
            for _ in range(1 + retries):
                story.polls[unit] += 1
                answered, took_s = slaves.ask(unit, now, timeout_s)
                now += took_s
                if answered:
                    story.good[unit].append(now)
                    break
                story.wasted_s += took_s
        cycle += 1
        now = max(now, cycle * period_s)
    return story


def jobs_of(count: int, period_s: float, rank: Rank = Rank.MEASUREMENT) -> list[Job]:
    return [Job(str(number), period_s, rank) for number in range(1, count + 1)]
