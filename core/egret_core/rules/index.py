"""An equation over one channel, and a ladder over what it gives.

An index takes settled readings in time order and gives a number, or none while it warms up, does
not apply, or is outside what its curve is valid for. Without a number nothing is judged: a level
that holds stays, and nothing becomes green by it. What it gives is judged as a level is
(`egret_core.rules.ladder`). Each equation is one file beside this one; its docstring is the
equation with units, source, state and cost.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from egret_core.rules.event import is_forecast, last_fall_ms
from egret_core.rules.ladder import Ladder
from egret_core.rules.total import Total

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.event import ConditionEvent
    from egret_core.rules.model import BoundRule, IndexLaw
    from egret_core.rules.windows import Increment


class Standing(StrEnum):
    """What a rule can say now; only `ok` is a judgement, and none of the others is green."""

    OK = "ok"
    WARMING_UP = "warming_up"  # too little has been seen yet
    NOT_APPLICABLE = "not_applicable"  # the equation says nothing here, e.g. of a still slope
    INVALID = "invalid"  # outside the validity of its curve or parameters
    INPUTS_MISSING = "inputs_missing"  # of a joint rule: an input is silent, or cannot judge


class Index(Protocol):
    """One equation's state; times never go back.

    Attributes:
        standing: what it can say after the newest reading.
    """

    standing: Standing

    def take(self, time_ms: int, value: float) -> float | None:
        """Take a reading; return the index, None where `standing` is not ok.

        A lower bound may be given while it warms up, where it lowers nothing.

        Args:
            time_ms: event time; never before the one before.
            value: canonical; of a rain total: the nanometres that fell since the reading before.
        """

    def evidence(self) -> Mapping[str, Any]:
        """Return the numbers behind the newest index, JSON, each with its unit in the key."""

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""


class Graded:
    """The state of one index rule on one channel; readings come in time order.

    Attributes:
        quiet_from, quiet_below: empty: every reading counts.
        alert_at: never: an index is judged once its readings are in order.
        of_total: the channel is a rain total, and the index takes what fell.
        rank: the level that holds, 0 for none.
        fell_ms: when a level last came down, 0 for never.
    """

    __slots__ = (
        "_index",
        "_ladder",
        "_law",
        "_total",
        "alert_at",
        "fell_ms",
        "of_total",
        "quiet_below",
        "quiet_from",
        "rule",
        "subject",
    )

    def __init__(self, bound: BoundRule, law: IndexLaw, subject: str) -> None:
        self.rule = bound.name
        self.subject = subject
        self._law = law
        self._index: Index = law.make()
        self._ladder = Ladder(bound, law.ladder, subject)
        self.of_total = law.of_total
        self._total = Total()
        self.fell_ms = 0
        self.quiet_from, self.quiet_below = inf, -inf
        self.alert_at = inf

    @property
    def rank(self) -> int:
        """The level that holds, 0 for none."""
        return self._ladder.rank

    @property
    def hazard(self) -> str:
        """Family of the rule, as on its events."""
        return self._ladder.hazard

    @property
    def levels(self) -> tuple[str, ...]:
        """Its labels, lowest first."""
        return self._ladder.levels

    @property
    def standing(self) -> Standing:
        """What the index can say now."""
        return self._index.standing

    @property
    def forecast(self) -> bool:
        """Whether what it says now is a forecast."""
        return self.standing is Standing.OK and is_forecast(self._index.evidence())

    def alert(self, time_ms: int, value: float) -> ConditionEvent | None:
        """Return nothing: one reading out of order decides no index."""

    def settle(self, time_ms: int, value: float, out: list[ConditionEvent]) -> None:
        """Take the next reading in time order; append what it settles."""
        if self.of_total:
            self._take(self._total.step(time_ms, value), out)
        else:
            self._judge(time_ms, self._index.take(time_ms, value), out)

    def rebase(self, time_ms: int, value: float) -> None:
        """Take a total that counts nothing; time goes on all the same."""
        self._index.take(time_ms, self._total.rebase(time_ms, value).rain_nm)

    def take_over(self, twin: Graded) -> None:
        """Take the index of the same rule that has heard what came late too; the level stays.

        Args:
            twin: at the same newest settled reading; it is not used any more.
        """
        self._index, self._total = twin._index, twin._total

    def hold_as(self, twin: Graded, told: Sequence[ConditionEvent]) -> list[ConditionEvent]:
        """Hold its level as long as it has, unless a higher one holds; return what is told of it.

        Args:
            twin: after `take_over`.
            told: what leads to its level.
        """
        if twin.rank >= self.rank:
            self._ladder = twin._ladder
        self.fell_ms = last_fall_ms(self.fell_ms, told)
        return list(told)

    def withdraw(self, out: list[ConditionEvent]) -> None:
        """Refute what nobody can settle any more; an index says nothing before it is settled."""
        self._ladder.withdraw(out)

    def dump(self) -> list[Any]:
        """Return the state as JSON values."""
        return [self._index.dump(), self._ladder.dump(), self._total.dump(), self.fell_ms]

    def restore(self, saved: Sequence[Any]) -> None:
        """Take a state that `dump` returned."""
        self._index.restore(saved[0])
        self._ladder.restore(saved[1])
        self._total.restore(saved[2])
        self.fell_ms = saved[3] if saved[3:] else 0  # an older state has none

    def _take(self, step: Increment, out: list[ConditionEvent]) -> None:
        self._judge(step.time_ms, self._index.take(step.time_ms, step.rain_nm), out)

    def _judge(self, time_ms: int, index: float | None, out: list[ConditionEvent]) -> None:
        if index is None:
            return
        said = len(out)
        self._ladder.settle(time_ms, index, out)
        if len(out) > said:
            self.fell_ms = last_fall_ms(self.fell_ms, out[said:])
        for at in range(said, len(out)):
            evidence = {"index": self._law.name, **out[at].evidence, **self._index.evidence()}
            evidence.pop("datum" if not self._law.ladder.datum else "", None)
            out[at] = replace(out[at], evidence=evidence)
