"""Disaster chains and upstream-downstream: ordered stages, each within a time of the one before.

    A_0(t) = stage 0's inputs hold its level
    L_k(t) = A_k(t), or A_k ended less than within_{k+1} ago;  s_k = start of the newest run of L_k
    A_k(t) begins when its inputs hold their level, L_{k-1}(t), and t - s_{k-1} >= after_k
    A_k(t) goes on while its inputs hold their level: a flood outlasts the rain that brought it
    reached(t) = 1 + highest k with A_k(t), or with L_k(t) and a stage k + 1;  0 for none

The level is the label of the highest stage reached. `within` counts from the end of the stage
before, `after` (a least travel time) from its beginning; times in ms. A window does not run out
while every input of the stage it waits for is missing: silence ends nothing, it is looked at again
every `AGAIN_MS`. Source: cascade of hazards, rain to flood and rain to pore pressure to slope; the
times are the site's. State: three values a stage. Cost: O(stages + inputs) an instant.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_core.errors import ConfigError
from egret_core.rules.joint_levels import Condition, condition, stale_ms, words
from egret_core.rules.model import JointLaw
from egret_core.rules.packs import number, refuse_unknown, rows
from egret_core.rules.rungs import ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.joint import Held, Input
    from egret_core.rules.rungs import At

AGAIN_MS = 600_000  # event time: a gauge that is back is seen within one of its usual steps
STAGES_MAX = 8  # a longer chain is several rules
WITHIN_MAX_S = 30 * 86_400  # a month links nothing
_KEYS = ("input", "level", "after_s", "within_s")


class Stage(NamedTuple):
    """One stage: what must hold, and when after the stage before."""

    holds: Condition
    after_ms: int
    within_ms: int


class _Run:
    """Where one stage stands: whether it is on, since when, and when it may be over."""

    __slots__ = ("on", "since_ms", "until_ms")

    def __init__(self) -> None:
        self.on = False
        self.since_ms: int | None = None  # start of the run, what follows its end counts too
        self.until_ms: int | None = None  # end of the window that it left open


class Chain:
    """The state of one chain.

    Args:
        stages: in order; levels: how many labels: the last stages have one each.
    """

    looks = True

    def __init__(self, stages: Sequence[Stage], levels: int) -> None:
        self._stages = stages
        self._unnamed = len(stages) - levels
        self._runs = [_Run() for _ in stages]
        self._wakes: list[int] = []

    def judge(self, at_ms: int, held: Sequence[Held]) -> int | None:
        """Return the label of the highest stage reached."""
        self._wakes = []
        for k, (stage, run) in enumerate(zip(self._stages, self._runs, strict=True)):
            holds = any(held[i].rank >= rank for i, rank in stage.holds)
            if holds and (run.on or self._may_begin(k, at_ms)):
                if run.since_ms is None:
                    run.since_ms = at_ms
                run.on, run.until_ms = True, None
            elif run.on or run.since_ms is not None:
                self._close(k, at_ms, held)
        begun = [k for k, run in enumerate(self._runs, 1) if run.since_ms is not None]
        reached = max(begun, default=0)
        return max(0, reached - self._unnamed)

    def wakes(self, at_ms: int) -> int | None:
        """Return when the next window opens or runs out."""
        return min((wake for wake in self._wakes if wake > at_ms), default=None)

    def evidence(self, rank: int) -> Mapping[str, Any]:  # noqa: ARG002  (each stage tells its own)
        """Return each stage's beginning, and the end of the window that it left open."""
        told: dict[str, Any] = {}
        for k, run in enumerate(self._runs, 1):
            if run.since_ms is not None:
                told[f"stage{k}_since_ms"] = run.since_ms
            if run.until_ms is not None:
                told[f"stage{k}_until_ms"] = run.until_ms
        return told

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [[[run.on, run.since_ms, run.until_ms] for run in self._runs], self._wakes]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        for run, (on, since_ms, until_ms) in zip(self._runs, saved[0], strict=True):
            run.on, run.since_ms, run.until_ms = on, since_ms, until_ms
        self._wakes = list(saved[1])

    def _may_begin(self, k: int, at_ms: int) -> bool:
        """Tell whether stage k may begin: the one before has begun, in time and not too lately."""
        if k == 0:
            return True
        since_ms = self._runs[k - 1].since_ms
        if since_ms is None:
            return False
        opens_ms = since_ms + self._stages[k].after_ms
        if at_ms < opens_ms:
            self._wakes.append(opens_ms)
            return False
        return True

    def _close(self, k: int, at_ms: int, held: Sequence[Held]) -> None:
        """Let the window of a stage that holds no longer run, and run out."""
        run, last = self._runs[k], k + 1 == len(self._stages)
        if run.on:
            run.on = False
            run.until_ms = None if last else at_ms + self._stages[k + 1].within_ms
        if last or run.until_ms is None:
            run.since_ms = run.until_ms = None
            return
        if at_ms < run.until_ms:
            self._wakes.append(run.until_ms)
            return
        if all(held[i].missing for i, _ in self._stages[k + 1].holds):
            self._wakes.append(at_ms + AGAIN_MS)
            return
        run.since_ms = run.until_ms = None


def law(at: At, given: Mapping[str, Any], inputs: Sequence[Input]) -> JointLaw:
    """Return the law of these parameters.

    Raises:
        ConfigError: too few or too many stages, an unknown input or level, a window that is none.
    """
    file, key = at
    key = f"{key}.stages"
    listed = rows(file, key, given["stages"])
    if not 2 <= len(listed) <= STAGES_MAX:  # noqa: PLR2004  (a chain has a before and an after)
        raise ConfigError(file, key, len(listed), f"list 2 to {STAGES_MAX} stages")
    stages = [_stage((file, f"{key}[{n}]"), row, inputs, n) for n, row in enumerate(listed)]
    levels = words((file, f"{at[1]}.levels"), given["levels"])
    if len(levels) > len(stages):
        remedy = f"there are {len(stages)} stages: list a label for each of the last ones"
        raise ConfigError(file, f"{at[1]}.levels", ", ".join(levels), remedy)
    return JointLaw(levels, partial(Chain, tuple(stages), len(levels)), stale_ms(given))


def _stage(at: At, row: Mapping[str, Any], inputs: Sequence[Input], n: int) -> Stage:
    file, key = at
    refuse_unknown(file, key, row, _KEYS if n else _KEYS[:2])
    named = row.get("input")
    holds = condition((file, f"{key}.level"), named, row.get("level"), inputs)
    if not n:
        return Stage(holds, 0, 0)
    after_s = number(file, f"{key}.after_s", row.get("after_s", 0), 0)
    within_s = number(file, f"{key}.within_s", row.get("within_s"), 0)
    if not after_s <= within_s <= WITHIN_MAX_S:
        remedy = f"write at least after_s, and at most {WITHIN_MAX_S}"
        raise ConfigError(file, f"{key}.within_s", within_s, remedy)
    return Stage(holds, ms(after_s), ms(within_s))
