"""What each rule can say of each channel now: a rule that cannot judge is no all-clear. Pure.

Standings are those of `egret_core.rules.index.Standing`. A level or rain rule judges from its first
reading on. A channel whose unit or datum does not fit is judged by none of its rules: `invalid`.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from egret_core.rules.index import Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egret_core.rules.channel import Channel

SHOWN_MAX = 200  # channels of one answer about the whole centre; the counts are of all

Standings = dict[str, str]  # rule id@version -> standing


def standings_of(channel: Channel) -> Standings:
    """Return the standing of every rule that judges the values of a channel."""
    if channel.misfit:
        return {part.rule: str(Standing.INVALID) for part in channel.detectors}
    unable = channel.standings()
    return {part.rule: unable.get(part.rule, str(Standing.OK)) for part in channel.detectors}


def unable(channels: Iterable[Channel]) -> dict[str, Standings]:
    """Return by channel the rules that cannot judge it now, of at most `SHOWN_MAX` channels."""
    out: dict[str, Standings] = {}
    for channel in channels:
        if _surely_able(channel):
            continue
        found = {rule: word for rule, word in standings_of(channel).items() if word != Standing.OK}
        if found:
            out[channel.place.name] = found
            if len(out) >= SHOWN_MAX:
                break
    return out


def counted(channels: Iterable[Channel]) -> dict[str, int]:
    """Return how many pairs of rule and channel have each standing."""
    able, found = 0, Counter[str]()
    for channel in channels:
        if _surely_able(channel):
            able += len(channel.detectors)
        else:
            found.update(standings_of(channel).values())
    found[str(Standing.OK)] += able
    return {str(standing): found[str(standing)] for standing in Standing}


def is_blind(channels: Mapping[str, Standings]) -> bool:
    """Tell whether a station has rules and none of them can judge now."""
    words = [word for rules in channels.values() for word in rules.values()]
    return bool(words) and str(Standing.OK) not in words


def _surely_able(channel: Channel) -> bool:
    """Tell at a glance that every rule can judge: the whole centre is asked at every scrape."""
    return not (channel.graded or channel.misfit)
