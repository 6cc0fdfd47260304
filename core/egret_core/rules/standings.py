"""What each rule can say of each channel now: a rule that cannot judge is no all-clear. Pure.

Standings are those of `egret_core.rules.index.Standing`. A level or rain rule judges from its first
reading on; one with a window that its gauge is read too rarely for is `invalid` all the same: it
goes on by its other windows, and its silence is no all-clear. A channel whose unit or datum does
not fit is judged by none of its rules: `invalid`. A joint rule stands on every channel under it:
`inputs_missing` as soon as one of its inputs is silent or cannot judge, for then it may raise a
level, and its silence says nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from egret_core.rules.index import Standing
from egret_core.rules.rain import Rain
from egret_core.rules.short_windows import is_too_short

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egret_core.rules.channel import Channel
    from egret_core.rules.second import Second

SHOWN_MAX = 200  # channels of one answer about the whole centre; the counts are of all

Standings = dict[str, str]  # rule id@version -> standing


def standings_of(channel: Channel, second: Second) -> Standings:
    """Return the standing of every rule that judges the values of a channel, or rests on them."""
    above = second.standings((channel.place.station, channel.place.channel))
    if channel.misfit:
        return {part.rule: str(Standing.INVALID) for part in channel.detectors} | above
    unable = channel.standings() | dict.fromkeys(deaf(channel), str(Standing.INVALID))
    own = {part.rule: unable.get(part.rule, str(Standing.OK)) for part in channel.detectors}
    return own | above


def deaf(channel: Channel) -> list[str]:
    """Return the rules with a rain window in which the channel's readings can never count."""
    rain = [part for part in channel.detectors if isinstance(part, Rain)]
    return [part.rule for part in rain if is_too_short(part.shortest_ms, channel.period_s)]


def unable(channels: Iterable[Channel], second: Second) -> dict[str, Standings]:
    """Return by channel the rules that cannot judge it now, of at most `SHOWN_MAX` channels."""
    out: dict[str, Standings] = {}
    for channel in channels:
        if _surely_able(channel, second):
            continue
        words = standings_of(channel, second)
        found = {rule: word for rule, word in words.items() if word != Standing.OK}
        if found:
            out[channel.place.name] = found
            if len(out) >= SHOWN_MAX:
                break
    return out


def counted(channels: Iterable[Channel], second: Second) -> dict[str, int]:
    """Return how many pairs of rule and channel have each standing."""
    able, found = 0, Counter[str]()
    for one in channels:
        if _surely_able(one, second):
            able += len(one.detectors)
        else:
            found.update(standings_of(one, second).values())
    found[str(Standing.OK)] += able
    return {str(standing): found[str(standing)] for standing in Standing}


def is_blind(channels: Mapping[str, Standings]) -> bool:
    """Tell whether a station has rules and none of them can judge now."""
    words = [word for rules in channels.values() for word in rules.values()]
    return bool(words) and str(Standing.OK) not in words


def _surely_able(channel: Channel, second: Second) -> bool:
    """Tell at a glance that every rule can judge: the whole centre is asked at every scrape."""
    if channel.graded or channel.misfit or (channel.sums and deaf(channel)):
        return False
    return not second.standings((channel.place.station, channel.place.channel))
