"""What happened, as people recorded it, and what the warnings were worth against it.

A CSV file with a line of names: `time`, or `start` and `end`, RFC 3339 with an offset; `station`
where it is known; further columns are not read. With stations, a warning counts for events at its
own station only; all lines name one, or none does.

A warning of a level is an alarm for as long as that level, or a higher one, holds. An event is hit
where an alarm stood at its start or at most `before` ahead of it; its lead is that of the earliest
such alarm, so at most `before`. Alarms no further apart than `apart` are one episode, which is
false where no event lies in it or at most `before` after it. Silence is a fault of the means and
no alarm. The scores are those of `egret_core.rules.skill`.
"""

from __future__ import annotations

import csv
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.instants import parsed
from egret_core.rules.model import AbsenceLaw
from egret_core.rules.packs import meant
from egret_core.rules.skill import Outcome as Skill
from egret_core.rules.skill import outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egret_aggregator.backtest.replay import Outcome, Span
    from egret_aggregator.catalogue import Catalogue
    from egret_core.rules.model import BoundRule

OBSERVED_MAX = 20_000  # events of one file
BEFORE_MS = 86_400_000  # a day: how far ahead of an event a warning is its own
APART_MS = 86_400_000  # a day: warnings closer than this are one episode
STEP_MS = 600_000  # an alarm that stands is looked at so often: leads are exact to it
_LINE_MAX = 4096  # characters


class Observed(NamedTuple):
    """One event: from its start to its end, ms since 1970; `station` is "" where unknown."""

    start_ms: int
    end_ms: int
    station: str


class Windows(NamedTuple):
    """How warnings and events are brought together, ms."""

    before_ms: int = BEFORE_MS
    apart_ms: int = APART_MS


@dataclass(frozen=True, slots=True)
class Score:
    """What one level of one rule was worth; leads in ms."""

    rule: str
    level: str
    events: int
    episodes: int
    false_episodes: int
    leads: tuple[int, ...]

    def shown(self) -> dict[str, Any]:
        """Return the counts and scores, None where a divisor is 0."""
        whole = Skill(self.leads, self.events - len(self.leads), self.episodes, self.false_episodes)
        lead_ms = whole.median_lead
        return {
            "rule": self.rule,
            "level": self.level,
            "events": self.events,
            "hits": whole.hits,
            "misses": whole.misses,
            "episodes": whole.episodes,
            "false_episodes": whole.false_episodes,
            "pod": _rounded(whole.pod),
            "far": _rounded(whole.far),
            "csi": _rounded(whole.csi),
            "bias": _rounded(whole.bias),
            "lead_median_s": None if lead_ms is None else lead_ms / 1000,
        }


def read_observed(lines: Iterable[str], file: str) -> list[Observed]:
    """Return the events in a CSV's lines.

    Raises:
        ConfigError: names file, line, what was seen and the remedy.
    """
    try:
        return _read(lines, file)
    except csv.Error as error:
        remedy = "write fields of less than 131072 characters, and quotes in pairs"
        raise ConfigError(file, "file", str(error), remedy) from None


def _read(lines: Iterable[str], file: str) -> list[Observed]:
    rows = csv.reader(lines)
    names = [word.strip().lstrip("\ufeff") for word in next(rows, [])]
    if "time" not in names and not {"start", "end"} <= set(names):
        remedy = "begin with a line of names: time, or start and end; station where it is known"
        raise ConfigError(file, "line 1", ",".join(names)[:60], remedy)
    out: list[Observed] = []
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(names) or len(out) >= OBSERVED_MAX:
            remedy = f"write {len(names)} fields a line, and at most {OBSERVED_MAX} lines"
            raise ConfigError(file, f"line {number}", ",".join(row)[:60], remedy)
        out.append(_observed(dict(zip(names, row, strict=True)), file, number))
    if len({bool(one.station) for one in out}) > 1:
        remedy = "name a station in every line, or in none"
        raise ConfigError(file, "station", "", remedy)
    return sorted(out)


def check_stations(observed: Sequence[Observed], places: Catalogue, file: str) -> None:
    """Refuse an event at a station that is none: no warning could ever be its own.

    Raises:
        ConfigError: names the station and what was probably meant.
    """
    for one in observed:
        if one.station and one.station not in places.stations:
            remedy = meant(one.station, places.stations, "unknown station")
            raise ConfigError(file, "station", one.station, remedy)


def _observed(row: Mapping[str, str], file: str, number: int) -> Observed:
    times = []
    for name in ("time", "time") if "time" in row else ("start", "end"):
        try:
            times.append(parsed(row[name].strip())[0])
        except ValueError as error:
            raise ConfigError(file, f"line {number}", row[name][:60], str(error)) from None
    if times[1] < times[0]:
        raise ConfigError(file, f"line {number}", row["end"], "write an end after its start")
    return Observed(times[0], times[1], row.get("station", "").strip())


def scores(
    found: Outcome,
    observed: Sequence[Observed],
    rules: Sequence[BoundRule],
    span: Span,
    windows: Windows = Windows(),  # noqa: B008  (it is frozen)
) -> list[Score]:
    """Return a score for each level of each rule that warns of a hazard, lowest first."""
    inside = [one for one in observed if span.from_ms <= one.start_ms < span.to_ms]
    starts = sorted(one.start_ms for one in inside)
    return [
        _score(_held(found, rule, rank, span, starts), inside, (rule, label), windows)
        for rule in rules
        if not isinstance(rule.law, AbsenceLaw)
        for rank, label in _levels(found, rule)
    ]


def _levels(found: Outcome, rule: BoundRule) -> list[tuple[int, str]]:
    """Return the ranks and labels that a rule reached; at least one row where it reached none."""
    events = [*found.events, *found.standing.values()]
    seen = {event.rank: event.level for event in events if event.rule == rule.name and event.rank}
    return sorted(seen.items()) or [(1, "")]


def _held(
    found: Outcome, rule: BoundRule, rank: int, span: Span, starts: Sequence[int]
) -> dict[str, list[int]]:
    """Return the instants at which a rule held a rank, by station; every `STEP_MS` while it did."""
    since: dict[str, int] = {
        subject: span.from_ms
        for (name, subject), event in found.standing.items()
        if name == rule.name and event.rank >= rank
    }
    out: dict[str, list[int]] = {}

    def stood(subject: str, until_ms: int) -> None:
        start_ms = since.pop(subject)
        times = range(start_ms, max(until_ms, start_ms + 1), STEP_MS)
        here = out.setdefault(subject.partition("/")[0], [])
        here.extend(times)
        # It stands at an event's start, too, that lies between two steps.
        here.extend(starts[bisect_left(starts, start_ms) : bisect_left(starts, until_ms)])

    for event in found.events:
        if event.rule != rule.name:
            continue
        if event.rank >= rank:
            since.setdefault(event.subject, event.time_ms)
        elif event.subject in since:
            stood(event.subject, event.time_ms)
    for subject in list(since):
        stood(subject, span.to_ms)
    return out


def _score(
    alarms: Mapping[str, Sequence[int]],
    observed: Sequence[Observed],
    of: tuple[BoundRule, str],
    windows: Windows,
) -> Score:
    rule, label = of
    named = bool(observed and observed[0].station)
    stations = {station for station, _ in rule.channels} if named else {""}
    leads: list[int] = []
    events = episodes = false = 0
    for station in sorted(stations):
        mine = [one for one in observed if one.station == station]
        up = alarms.get(station, []) if named else [at for here in alarms.values() for at in here]
        one = _one(up, mine, windows)
        leads += one.leads
        events += len(mine)
        episodes += one.episodes
        false += one.false_episodes
    return Score(rule.name, label, events, episodes, false, tuple(leads))


def _one(alarms: Iterable[int], observed: Sequence[Observed], windows: Windows) -> Skill:
    """Return the outcome at one place: hits by an event's start, false alarms by its whole span."""
    up = sorted(alarms)
    before, apart = windows
    starts = [one.start_ms for one in observed]
    by_start = outcome(up, starts, before=before, apart=apart)
    # An event that lasts makes an episode true that began while it went on.
    within = [_nearest(up, one) for one in observed]
    whole = outcome(up, within, before=before, apart=apart)
    return Skill(by_start.leads, by_start.misses, whole.episodes, whole.false_episodes)


def _nearest(up: Sequence[int], one: Observed) -> int:
    """Return an instant of the event at which an alarm stood, else its start."""
    first, last = bisect_left(up, one.start_ms), bisect_right(up, one.end_ms)
    return up[first] if first < last else one.start_ms


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)
