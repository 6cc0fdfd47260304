"""Values of other channels that a conversion needs: how old, and how much to be believed.

An input that is old is never used in silence: up to ten times its age limit its last good number
goes on, since weather and ground change slowly and a leap would be worse, and the result is
suspect; beyond, or where none was ever seen, there is no result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egret_core.quality import Flag, Reason
from egret_core.screening.verdict import GOOD, Verdict, combined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from egret_gateway.convert.formula import Input
    from egret_gateway.profiles import ChannelSettings

HELD_AGES = 10  # age limits for which an old number is still better than none
_DOUBTFUL = Verdict(int(Flag.SUSPECT), int(Reason.INPUT))
_OLD = Verdict(int(Flag.SUSPECT), int(Reason.INPUT | Reason.STALE))
_NONE = Verdict(int(Flag.FAIL), int(Reason.INPUT))


class Held(NamedTuple):
    """The last number of a channel that counts: canonical value, monotonic ms, flag."""

    value: float
    at_ms: int
    flag: int


class Looked(NamedTuple):
    """The inputs of one conversion: values by name, absent where there is none, and the doubt."""

    values: Mapping[str, float]
    verdict: Verdict = GOOD


NO_INPUTS = Looked({})


def look(
    inputs: Iterable[Input],
    held: Mapping[str, Held],
    at_ms: int,
    real_s: Callable[[float], float],
) -> Looked:
    """Return what the inputs of a conversion give.

    Args:
        inputs: those in use.
        held: the last number of every channel, by `station/channel`.
        at_ms: the time of the number that is converted, monotonic.
        real_s: turns scaled seconds into seconds of that clock.
    """
    values: dict[str, float] = {}
    verdict = GOOD
    for one in inputs:
        known = held.get(one.source)
        limit_ms = real_s(one.max_age_s) * 1000
        age_ms = 0 if known is None else at_ms - known.at_ms
        if known is None or age_ms > limit_ms * HELD_AGES:
            verdict = combined(verdict, _NONE)
            continue
        values[one.name] = known.value
        if age_ms > limit_ms:
            verdict = combined(verdict, _OLD)
        elif known.flag == Flag.SUSPECT:
            verdict = combined(verdict, _DOUBTFUL)
    return Looked(values, verdict)


def ordered(channels: Sequence[ChannelSettings]) -> list[int]:
    """Return places of channels so that each comes after those it needs; loops do not occur."""
    needs = {
        channel.key: {one.source for one in channel.calibration.inputs}
        for channel in channels
        if channel.calibration is not None and channel.calibration.inputs
    }
    if not needs:
        return list(range(len(channels)))

    def depth(key: str) -> int:
        return 1 + max(map(depth, needs[key] & needs.keys()), default=0) if key in needs else 0

    return sorted(range(len(channels)), key=lambda index: depth(channels[index].key))
