"""What an operator may want to see of the judge's fold: counts, and what cannot be judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_core.rules.screened import Shown
from egret_core.rules.standings import counted, standings_of, unable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_core.rules.standings import Standings
    from egret_core.rules.step import Fold


def of_fold(fold: Fold) -> Mapping[str, Any]:
    """Return counts since the start, and what each rule cannot judge now, by channel."""
    channels = [c for here in fold.channels.values() for c in here.values()]
    return {
        "readings": fold.counts.judged,
        "foreign": fold.counts.foreign,
        "unknown": fold.counts.unknown,
        "late": sum(channel.late for channel in channels),
        "ahead": sum(channel.ahead for channel in channels),
        "inputs_missing": fold.second.missing(),
        "capped": fold.capped(),
        "misfits": {c.place.name: c.misfit for c in channels if c.misfit},
        "screened": {c.place.name: c.screen.counts for c in channels if c.screen is not None},
        "standings": unable(channels, fold.second),
        "standing_counts": counted(channels, fold.second),
    }


def of_station(fold: Fold, station: str) -> dict[str, Standings]:
    """Return the standing of each rule, by channel of a station."""
    here = fold.channels.get(station, {})
    return {channel: standings_of(known, fold.second) for channel, known in here.items()}


def standing_counts(fold: Fold) -> dict[str, int]:
    """Return how many pairs of rule and channel have each standing, of the whole centre."""
    return counted((c for here in fold.channels.values() for c in here.values()), fold.second)


def of_screening(fold: Fold, station: str, channel: str) -> Shown:
    """Return what the centre's screening says of a channel."""
    known = fold.channels.get(station, {}).get(channel)
    if known is None or known.screen is None:
        return Shown((), {})
    return Shown(known.screened(), known.screen.counts)
