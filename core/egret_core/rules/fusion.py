"""Fusion of lines of evidence: the highest level counts, a confirmed one needs two (detector D14).

    level(t) = max over inputs i of rank_i(t), where R < C
    a level R >= C holds while  #lines(R) >= 2  or  #sensors(R) >= 2   (or one of both, as chosen)
    otherwise it is capped at the highest level that holds, at most C - 1

#lines(R) counts inputs at R or above whose lines of evidence are disjoint (`line` of an input; left
out: the family of its rule; of a joint rule: all lines underneath it), #sensors(R) those whose
channels are. Without a unit. An input that is missing keeps its last level, so that nothing is
lowered by silence. Source: red of the improved tangent angle
needs two independent lines (angle with inverse velocity, a second sensor, or rain and pore
pressure; practice around Xu et al. 2009, paper not read). State: none beyond the inputs' levels.
Cost: O(inputs x levels) an instant.
"""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_core.rules.joint_levels import common_levels, own_ranks, stale_ms
from egret_core.rules.model import JointLaw
from egret_core.rules.packs import meant

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from egret_core.rules.joint import Held, Input
    from egret_core.rules.rungs import At

CONFIRMS = 2  # independent lines, or sensors
LINES, SENSORS, EITHER = "lines", "sensors", "either"
RED = "red"  # no level above it may be the first that needs two


def independent(sets: Sequence[frozenset[Hashable]]) -> int:
    """Return how many of these have nothing in common: never too many, and 2 where a pair has."""
    rows = sorted(dict.fromkeys(sets), key=len)
    seen: frozenset[Hashable] = frozenset()
    count = 0
    for one in rows:
        if seen.isdisjoint(one):
            seen, count = seen | one, count + 1
    # The first taken may meet both of a pair that is apart; one thing alone is in all that meet it.
    if count == 1 and len(rows[0]) > 1:
        return 1 + any(one.isdisjoint(other) for one, other in combinations(rows, CONFIRMS))
    return count


class Fusion:
    """The state of one fusion.

    Args:
        ranks: by input, the fusion's rank of each of its own ranks, from 0 on.
        lines, sensors: by input, the lines of evidence and the channels underneath it.
        confirm_from: the lowest rank that one alone does not give.
        by: `lines`, `sensors` or `either`.
    """

    looks = False

    def __init__(
        self,
        ranks: Sequence[Sequence[int]],
        lines: Sequence[frozenset[Hashable]],
        sensors: Sequence[frozenset[Hashable]],
        confirm_from: int,
        by: str,
    ) -> None:
        self._ranks = ranks
        self._lines = lines
        self._sensors = sensors
        self._confirm_from = confirm_from
        self._by = by
        self._now = [0] * len(ranks)
        self._capped = False

    def judge(self, at_ms: int, held: Sequence[Held]) -> int | None:  # noqa: ARG002  (levels only)
        """Return the highest level that holds, capped below what is not confirmed."""
        self._now = [ranks[one.rank] for ranks, one in zip(self._ranks, held, strict=True)]
        top = max(self._now)
        rank = top
        while rank >= self._confirm_from and not self._confirmed(rank):
            rank -= 1
        self._capped = rank < top
        return rank

    def wakes(self, at_ms: int) -> int | None:  # noqa: ARG002
        """Return nothing: only levels change it."""
        return None

    def evidence(self, rank: int) -> Mapping[str, Any]:
        """Return how many independent lines and sensors hold the level, and what one alone says."""
        lines, sensors = self._counts(rank)
        return {
            "lines": lines,
            "sensors": sensors,
            "confirmed_by": self._by,
            "need": CONFIRMS,
            "unconfirmed": self._capped,  # a higher level is said by one alone
        }

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._now, self._capped]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._now, self._capped = list(saved[0]), saved[1]

    def _counts(self, rank: int) -> tuple[int, int]:
        at = [index for index, now in enumerate(self._now) if now >= rank > 0]
        lines, sensors = [self._lines[i] for i in at], [self._sensors[i] for i in at]
        return independent(lines), independent(sensors)

    def _confirmed(self, rank: int) -> bool:
        lines, sensors = self._counts(rank)
        by_line = self._by != SENSORS and lines >= CONFIRMS
        return by_line or (self._by != LINES and sensors >= CONFIRMS)


def law(at: At, given: Mapping[str, Any], inputs: Sequence[Input]) -> JointLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: a level nobody gives, or one that these inputs could never confirm.
    """
    file, key = at
    levels = common_levels(at, given, inputs)
    ranks = own_ranks(at, levels, inputs)
    lines: list[frozenset[Hashable]] = [one.evidence_lines for one in inputs]
    sensors: list[frozenset[Hashable]] = [one.sensors for one in inputs]
    word, by = given["confirm"], given["confirm_by"]
    if word not in levels:
        remedy = meant(word, levels, "write the lowest level that needs two")
        raise ConfigError(file, f"{key}.confirm", word, remedy)
    confirm_from = levels.index(word) + 1
    if RED in levels[: confirm_from - 1]:
        remedy = "write red, or a level below it: one alone never gives red"
        raise ConfigError(file, f"{key}.confirm", word, remedy)
    able = [i for i, own in enumerate(ranks) if max(own) >= confirm_from]
    counts = {
        LINES: independent([lines[i] for i in able]),
        SENSORS: independent([sensors[i] for i in able]),
    }
    counts[EITHER] = max(counts.values())
    if counts[by] < CONFIRMS:
        remedy = f"name inputs of two {LINES if by == EITHER else by}: one alone never gives it"
        raise ConfigError(file, f"{key}.confirm", word, remedy)
    make = partial(Fusion, ranks, lines, sensors, confirm_from, by)
    return JointLaw(levels, make, stale_ms(given))
