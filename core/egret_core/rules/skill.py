"""Skill of alarms against what happened: POD, FAR, CSI, bias, TSS and lead time.

    POD = a/(a+c)   FAR = b/(a+b)   CSI = a/(a+b+c)   bias = (a+b)/(a+c)   TSS = POD - b/(b+d)

a hits, b false alarms, c misses, d correct negatives; all without unit. A score whose divisor is
0 is None: no alarm at all has no false alarm ratio. Source: the contingency table of forecast
verification; Jolliffe and Stephenson, Forecast Verification, chapter 3 (named, not read).

Times are whole numbers of one unit (ms, or days), in any order. An event is hit by an alarm at
most `before` ahead of it; its lead is that of the earliest such alarm. Alarms at most `apart` from
each other are one episode; an episode is false when no event falls in it or at most `reach` after
its end. Cost: O(n log n).

>>> table = Contingency(hits=8, false_alarms=4, misses=2)
>>> [round(score, 4) for score in (table.pod, table.far, table.csi, table.bias)]
[0.8, 0.3333, 0.5714, 1.2]
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Contingency:
    """Counts of a two by two table.

    Attributes:
        hits: events that were warned of; false_alarms: alarms without an event.
        misses: events that were not warned of.
        correct_negatives: neither; only TSS asks for them.
    """

    hits: int
    false_alarms: int
    misses: int
    correct_negatives: int = 0

    @property
    def pod(self) -> float | None:
        """Probability of detection, 0 to 1."""
        return ratio(self.hits, self.hits + self.misses)

    @property
    def far(self) -> float | None:
        """False alarm ratio, 0 to 1."""
        return ratio(self.false_alarms, self.hits + self.false_alarms)

    @property
    def csi(self) -> float | None:
        """Critical success index (threat score), 0 to 1."""
        return ratio(self.hits, self.hits + self.false_alarms + self.misses)

    @property
    def bias(self) -> float | None:
        """Frequency bias: alarms per event; 1 where neither too many nor too few."""
        return ratio(self.hits + self.false_alarms, self.hits + self.misses)

    @property
    def pofd(self) -> float | None:
        """Probability of false detection, 0 to 1: the abscissa of a ROC."""
        return ratio(self.false_alarms, self.false_alarms + self.correct_negatives)

    @property
    def tss(self) -> float | None:
        """True skill statistic (Hanssen and Kuipers), -1 to 1."""
        pod, pofd = self.pod, self.pofd
        return None if pod is None or pofd is None else pod - pofd


@dataclass(frozen=True, slots=True)
class Outcome:
    """Alarms against events; events are counted one by one, false alarms by episode.

    Attributes:
        leads: of the events that were hit, in their order; misses: events that were not.
        episodes: of alarms; false_episodes: those without an event.
    """

    leads: tuple[int, ...]
    misses: int
    episodes: int
    false_episodes: int

    @property
    def hits(self) -> int:
        """Events that were hit."""
        return len(self.leads)

    @property
    def pod(self) -> float | None:
        """Probability of detection, by event."""
        return ratio(self.hits, self.hits + self.misses)

    @property
    def far(self) -> float | None:
        """False alarm ratio, by episode."""
        return ratio(self.false_episodes, self.episodes)

    @property
    def csi(self) -> float | None:
        """Critical success index: false alarms by episode."""
        return ratio(self.hits, self.hits + self.misses + self.false_episodes)

    @property
    def bias(self) -> float | None:
        """Frequency bias: hits and false episodes per event."""
        return ratio(self.hits + self.false_episodes, self.hits + self.misses)

    @property
    def median_lead(self) -> float | None:
        """Median lead of the events that were hit, in the unit of the times."""
        return median(self.leads) if self.leads else None


def outcome(
    alarms: Iterable[int],
    events: Iterable[int],
    *,
    before: int,
    apart: int,
    reach: int | None = None,
) -> Outcome:
    """Return what these alarms were worth.

    Args:
        alarms: times at which the alarm stood.
        events: times of what happened.
        before: how far ahead of an event an alarm may be and still be its own.
        apart: alarms no further apart are one episode.
        reach: how long after an episode an event still makes it true; None for `before`.
    """
    up, happened = sorted(alarms), sorted(events)
    leads = []
    for event in happened:
        first = _next(up, event - before)
        if first is not None and first <= event:
            leads.append(event - first)
    spells = episodes(up, apart)
    until = before if reach is None else reach
    false = sum(not _any(happened, first, last + until) for first, last in spells)
    return Outcome(tuple(leads), len(happened) - len(leads), len(spells), false)


def episodes(times: Iterable[int], apart: int) -> list[tuple[int, int]]:
    """Return (first, last) of each episode: times no further apart than `apart` are one."""
    out: list[tuple[int, int]] = []
    for time in sorted(times):
        if out and time - out[-1][1] <= apart:
            out[-1] = (out[-1][0], time)
        else:
            out.append((time, time))
    return out


def false_times(alarms: Iterable[int], events: Iterable[int], within: int) -> int:
    """Return how many alarms have no event at most `within` before or after."""
    happened = sorted(events)
    return sum(not _any(happened, alarm - within, alarm + within) for alarm in alarms)


def ratio(part: int, whole: int) -> float | None:
    """Return part / whole, None where the whole is 0."""
    return part / whole if whole else None


def _any(times: Sequence[int], first: int, last: int) -> bool:
    found = _next(times, first)
    return found is not None and found <= last


def _next(times: Sequence[int], first: int) -> int | None:
    at = bisect_left(times, first)
    return times[at] if at < len(times) else None
