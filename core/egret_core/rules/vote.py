"""Voting: a level holds while enough of the inputs hold it (detector D14, k of n).

    holds(R, t) = sum over groups g [ any input i of g: rank_i(t) >= R
                                      or rank_i fell below R after t - skew ] >= k
    level(t) = max R with holds(R, t)

A group is one subject in a vote (two rules on one sensor are one vote), one station in an area.
The skew keeps an input's level for so long after it ended: two gauges that are read at different
times, or that a wave reaches one after the other, still meet. An input that is missing keeps its
last level and is told. Ranks are counts, k too; times in ms. Source: confirmation by several
sensors as it is common practice, e.g. by neighbours in Dynaslope (public code). State: one rank an
input, and one time an input and level within the skew. Cost: O(inputs x levels) an instant.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from egret_core.rules.joint_levels import common_levels, own_ranks, stale_ms, whole
from egret_core.rules.model import JointLaw
from egret_core.rules.rungs import ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.joint import Held, Input
    from egret_core.rules.rungs import At


class Vote:
    """The state of one vote.

    Args:
        ranks: by input, the vote's rank of each of its own ranks, from 0 on.
        groups: by input, the group it counts in.
        need: groups that must hold a level.
        skew_ms: how long an ended level still counts.
    """

    looks = False

    def __init__(
        self,
        ranks: Sequence[Sequence[int]],
        groups: Sequence[int],
        need: int,
        skew_ms: int,
    ) -> None:
        self._ranks = ranks
        self._groups = groups
        self._of = len(set(groups))
        self._need = need
        self._skew_ms = skew_ms
        self._before = [0] * len(ranks)
        self._ended: dict[tuple[int, int], int] = {}  # (input, rank) -> when it fell below it
        self._counts: dict[int, int] = {}

    def judge(self, at_ms: int, held: Sequence[Held]) -> int | None:
        """Return the highest rank that enough groups hold."""
        now = [ranks[one.rank] for ranks, one in zip(self._ranks, held, strict=True)]
        self._note_ends(at_ms, now)
        reach: dict[int, int] = {}  # the highest rank of each group, ended ones within the skew too
        for group, rank in zip(self._groups, now, strict=True):
            reach[group] = max(reach.get(group, 0), rank)
        for index, rank in self._ended:
            group = self._groups[index]
            reach[group] = max(reach[group], rank)
        ladder = sorted(reach.values(), reverse=True)
        self._counts = {
            rank: sum(one >= rank for one in ladder) for rank in range(1, ladder[0] + 1)
        }
        return ladder[self._need - 1]

    def wakes(self, at_ms: int) -> int | None:
        """Return when the next ended level stops to count."""
        ends = [ended_ms + self._skew_ms for ended_ms in self._ended.values()]
        return min((end for end in ends if end > at_ms), default=None)

    def evidence(self, rank: int) -> Mapping[str, Any]:
        """Return how many hold the level, of how many, and how many must."""
        told: dict[str, Any] = {"holding": self._counts.get(rank, 0)}
        told |= {"need": self._need, "of": self._of}
        if self._skew_ms:
            told["skew_s"] = self._skew_ms / 1000
        return told

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        ended = [[*key, ended_ms] for key, ended_ms in sorted(self._ended.items())]
        return [self._before, ended, sorted(self._counts.items())]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._before = list(saved[0])
        self._ended = {(index, rank): ended_ms for index, rank, ended_ms in saved[1]}
        self._counts = dict(saved[2])

    def _note_ends(self, at_ms: int, now: list[int]) -> None:
        ended = self._ended
        if ended:
            live = {key: e for key, e in ended.items() if at_ms < e + self._skew_ms}
            self._ended = ended = live
        if self._skew_ms:
            for index, (was, rank) in enumerate(zip(self._before, now, strict=True)):
                for lost in range(rank + 1, was + 1):
                    ended[index, lost] = at_ms
        self._before = now


def law(at: At, given: Mapping[str, Any], inputs: Sequence[Input]) -> JointLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a level nobody gives, or more votes needed than there are inputs.
    """
    levels = common_levels(at, given, inputs)
    names = sorted({one.subject for one in inputs})
    groups = [names.index(one.subject) for one in inputs]
    need = whole(at, "need", given["need"], len(names), "inputs")
    make = partial(Vote, own_ranks(at, levels, inputs), groups, need, ms(given["skew_s"]))
    return JointLaw(levels, make, stale_ms(given))
