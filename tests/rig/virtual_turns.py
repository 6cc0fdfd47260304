"""A schedule lived through in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_gateway.bus.schedule import Schedule
from egret_gateway.bus.turns import Job, Next

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egret_gateway.bus.fault import Fault


def schedule(*jobs: Job, deaf: bool = False) -> Schedule:
    return Schedule(jobs, 0.0, lambda: 0.5, deaf_neighbours=deaf)


def run(
    turns: Schedule,
    jobs: Sequence[Job],
    until_s: float,
    cost: Callable[[Any, float], tuple[float, Fault]],
    free_s: Callable[[Any], float] = lambda _: 0.0,
) -> tuple[dict[Any, list[float]], dict[Any, int], list[Any]]:
    """Live in virtual time; return times of success and numbers of polls by unit, and parkings."""
    now = 0.0
    good: dict[Any, list[float]] = {job.unit: [] for job in jobs}
    polls = {job.unit: 0 for job in jobs}
    parked: list[Any] = []
    while now < until_s:
        pick = turns.pick(now)
        parked.extend(jobs[index].unit for index in pick.parked)
        if pick.job is None:
            now = max(pick.wake_s, now + 1e-6)
            continue
        unit = jobs[pick.job].unit
        polls[unit] += 1
        took_s, fault = cost(unit, now)
        now += took_s
        if turns.done(pick.job, now, fault, free_s=free_s(unit)) is Next.DONE:
            good[unit].append(now)
    return good, polls, parked
