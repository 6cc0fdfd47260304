"""The state of one joint rule: its inputs' levels in event time, and the level that follows.

Facts of different channels settle in different order. They wait until everything at or before
their time is in: until every source's frontier has passed it, or the centre's horizon has
(`egret_core.rules.horizon`), so that a silent channel holds nothing up. Then they are taken
instant by instant, with the instants at which time alone may change the level. A fact that comes
later than allowed is taken at once, after what was judged before it. State: O(inputs), and the
facts that wait, at most `FACTS_MAX`.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from egret_core.rules.event import FORECAST, Change, ConditionEvent, Phase, held_before
from egret_core.rules.horizon import NO_TIME
from egret_core.rules.joint import Held
from egret_core.rules.model import Cause
from egret_core.rules.succession import elder_of, restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_core.rules.horizon import Horizon
    from egret_core.rules.joint import Input, Joint
    from egret_core.rules.model import BoundRule, JointLaw
    from egret_core.rules.succession import Elder

INSTANTS_MAX = 64  # judged between two breaths of the process: a tenth of a second at most
FACTS_MAX = 4096  # that wait for their order: of a thousand inputs, four changes each in a minute
SHOWN_MAX = 32  # inputs that an event lists, the highest first; more are counted


class Fact(NamedTuple):
    """A level of one input that holds from an instant on; they are taken in this order."""

    time_ms: int
    input: int
    nth: int  # one input's facts of one instant stay in the order in which they came
    rank: int
    forecast: bool


class Told(NamedTuple):
    """The newest fact of an input that was taken."""

    rank: int = 0
    since_ms: int | None = None
    forecast: bool = False


class Source(Protocol):
    """What an input rests on: a channel, or another joint rule."""

    @property
    def frontier_ms(self) -> int:
        """Everything of it at or before this is said."""

    @property
    def wait_ms(self) -> int:
        """Running time after which nothing of an instant can still come."""

    def seen_ms(self, at_ms: int) -> int:
        """Return the newest good reading at or before an instant, no time for none."""

    @property
    def first_ms(self) -> int | None:
        """The first good reading that is remembered, None before there is one."""

    def level_of(self, rule: str) -> tuple[int, bool]:
        """Return the level that a rule holds on it now, and whether it is a forecast."""

    def can_judge(self, rule: str) -> bool:
        """Tell whether a rule on it can judge now: else its level is unknown, and not low."""


class Verdict:
    """One joint rule.

    Args:
        bound: the rule; law: its law; sources: what each input rests on, in its order.
    """

    __slots__ = (
        "_bound",
        "_count",
        "_facts",
        "_held",
        "_joint",
        "_law",
        "_observed",
        "_observed_rank",
        "_sources",
        "_told",
        "_unseen",
        "at_ms",
        "dirty",
        "elder",
        "forecast",
        "frontier_ms",
        "in_force_ms",
        "informed",
        "inputs",
        "rank",
        "rule",
        "subject",
    )

    def __init__(self, bound: BoundRule, law: JointLaw, sources: Sequence[Source]) -> None:
        self.rule = bound.name
        self.subject = bound.place
        self.inputs: tuple[Input, ...] = bound.inputs
        self._bound = bound
        self._law = law
        self._joint = law.make()
        # The same law by what was observed alone, from the first forecast on: it has a memory too.
        self._observed: Joint | None = None
        self._observed_rank = 0
        self._sources = tuple(sources)
        self._told = [Told()] * len(self.inputs)
        self._held = [Held()] * len(self.inputs)
        # Inputs whose first reading was not judged yet: what was unknown may be known by it.
        self._unseen = set(range(len(self.inputs)) if self._joint.looks else ())
        self._facts: list[Fact] = []
        self._count = 0
        self.rank = 0
        self.forecast = False  # its level holds by a forecast only
        self.at_ms = NO_TIME  # the newest instant that was judged
        self.frontier_ms = NO_TIME
        self.dirty = True
        self.informed = False  # when it was last looked at: no input missing, each can judge
        self.in_force_ms = NO_TIME  # when it took effect
        self.elder: Elder | None = None  # the level of its version before, until it may be ended

    @property
    def hazard(self) -> str:
        """Word on its events."""
        return self._bound.hazard

    @property
    def levels(self) -> tuple[str, ...]:
        """Its labels, lowest first."""
        return self._law.levels

    @property
    def waits(self) -> bool:
        """Whether facts wait for their order."""
        return bool(self._facts)

    @property
    def wait_ms(self) -> int:
        """Running time after which all facts of an instant are in: twice that of its sources."""
        return 2 * max(source.wait_ms for source in self._sources)

    def take(self, index: int, time_ms: int, rank: int, *, forecast: bool = False) -> None:
        """Take a level of an input, from an instant on."""
        # What an input says last is what holds, though a change of rules was dated after it.
        time_ms = max([time_ms, *(one.time_ms for one in self._facts if one.input == index)])
        insort(self._facts, Fact(time_ms, index, self._count, rank, forecast))
        self._count += 1
        self.dirty = True

    def agree(self, now_ms: int) -> None:
        """At a change: take the levels that the inputs hold already, or hold no longer."""
        last = [told.rank for told in self._told]
        for fact in self._facts:
            last[fact.input] = fact.rank
        for index, (one, source) in enumerate(zip(self.inputs, self._sources, strict=True)):
            rank, forecast = source.level_of(one.rule)
            if rank != last[index]:
                self.take(index, now_ms, rank, forecast=forecast)

    def on_record(self, at_ms: int) -> Elder | None:
        """Return the level on record as one whose rule is out of force from an instant on."""
        pending = self.elder is not None and self.elder.after(self.rule, self.rank, self.levels)
        return self.elder if pending else elder_of(self, at_ms)

    def succeed(self) -> list[ConditionEvent]:
        """Return what becomes of the elder's level, once all up to the change is judged."""
        if self.elder is None or self.frontier_ms < self.elder.until_ms:
            return []
        said = self.elder.after(self.rule, self.rank, self.levels)
        self.elder, self.dirty = None, True
        return said

    def advance(self, horizon: Horizon, out: list[ConditionEvent]) -> bool:
        """Judge the instants that are in; tell whether there are more than a breath's worth."""
        sources = self._sources
        whole_ms = min(source.frontier_ms for source in sources)
        end_ms = max(whole_ms, horizon.before(self.wait_ms), self.frontier_ms)
        if len(self._facts) > FACTS_MAX:  # no ticks, and a channel that is silent
            end_ms = max(end_ms, self._facts[FACTS_MAX // 2].time_ms)
        for _ in range(INSTANTS_MAX):
            instant_ms = self._next_ms()
            if instant_ms is None or instant_ms > end_ms:
                self.frontier_ms = end_ms
                return False
            self._judge(max(instant_ms, self.at_ms + 1), out)
        return True

    def seen_ms(self, at_ms: int) -> int:
        """Return the newest good reading of any source at or before an instant."""
        return max(source.seen_ms(at_ms) for source in self._sources)

    @property
    def first_ms(self) -> int | None:
        """The first good reading of any source that is remembered, None before there is one."""
        found = [source.first_ms for source in self._sources]
        return min((one for one in found if one is not None), default=None)

    def level_of(self, rule: str) -> tuple[int, bool]:
        """Return the level that holds; it is its own only rule."""
        return (self.rank, self.forecast) if rule == self.rule else (0, False)

    def can_judge(self, rule: str) -> bool:
        """Tell whether it was informed when it was last looked at; it is its own only rule."""
        return self.informed and rule == self.rule

    def look(self) -> bool:
        """Tell whether every input is heard and can judge; joint ones were looked at before."""
        at_ms = max(self.frontier_ms, self.at_ms)
        heard = at_ms != NO_TIME and not self.missing(at_ms)
        self.informed = heard and all(
            source.can_judge(one.rule)
            for one, source in zip(self.inputs, self._sources, strict=True)
        )
        return self.informed

    def missing(self, at_ms: int) -> list[str]:
        """Return the inputs without a good reading that is recent enough, by subject."""
        held = self._hold(at_ms)
        return sorted(
            {one.subject for one, now in zip(self.inputs, held, strict=True) if now.missing}
        )

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {
            "rule": self.rule,
            "holds": [self.rank, self.forecast],
            "times": [self.at_ms, self.frontier_ms, self._count],
            "inputs": self._told,
            "facts": self._facts,
            "law": self._joint.dump(),
            "observed": [self._observed.dump(), self._observed_rank] if self._observed else None,
            "unseen": sorted(self._unseen),
            "in_force": self.in_force_ms,
            "elder": self.elder,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Take a state that `dump` returned; that of another version is none."""
        if saved["rule"] != self.rule:
            return
        self.rank, self.forecast = saved["holds"]
        self.at_ms, self.frontier_ms, self._count = saved["times"]
        self._told = [Told(*row) for row in saved["inputs"]]
        self._facts = [Fact(*row) for row in saved["facts"]]
        self._joint.restore(saved["law"])
        if (observed := saved.get("observed")) is not None:  # an older state has none
            self._observed = self._law.make()
            self._observed.restore(observed[0])
            self._observed_rank = observed[1]
        self._unseen = set(saved.get("unseen", self._unseen))  # an older state has none
        self.in_force_ms = saved.get("in_force", NO_TIME)
        elder = saved.get("elder")
        self.elder = None if elder is None else restored(elder)
        self._held = [_levels_of(told) for told in self._told]

    def _next_ms(self) -> int | None:
        wakes_ms = self._joint.wakes(self.at_ms) if self.at_ms != NO_TIME else None
        due = [wakes_ms, self._facts[0].time_ms if self._facts else None]
        due += [self._sources[index].first_ms for index in self._unseen]
        return min((one for one in due if one is not None), default=None)

    def _judge(self, at_ms: int, out: list[ConditionEvent]) -> None:
        self.at_ms, self.dirty = at_ms, True
        count = 0
        for fact in self._facts:
            if fact.time_ms > at_ms:
                break
            told = self._told[fact.input] = Told(fact.rank, fact.time_ms, fact.forecast)
            self._held[fact.input] = _levels_of(told)
            count += 1
        del self._facts[:count]
        if self._joint.looks:
            self._held = self._hold(at_ms)
            self._unseen = {index for index in self._unseen if not self._held[index].seen}
        self._observe(at_ms)
        rank = self._joint.judge(at_ms, self._held)
        if rank is None or rank == self.rank:
            return
        self._held = self._hold(at_ms)
        self.forecast = self._observed is not None and self._observed_rank < rank
        out.append(self._event(at_ms, rank))
        self.rank = rank

    def _hold(self, at_ms: int) -> list[Held]:
        oldest_ms = at_ms - self._law.stale_ms
        held: list[Held] = []
        for told, source in zip(self._told, self._sources, strict=True):
            seen_ms = source.seen_ms(at_ms)
            missing, seen = seen_ms < oldest_ms, seen_ms != NO_TIME
            held.append(Held(told.rank, told.since_ms, missing, seen, told.forecast))
        return held

    def _observe(self, at_ms: int) -> None:
        """Judge by what was observed alone, to know whether a level holds without forecasts."""
        if self._observed is None:
            if not any(held.forecast and held.rank for held in self._held):
                return
            self._observed = self._law.make()
            self._observed.restore(self._joint.dump())
            self._observed_rank = 0 if self.forecast else self.rank
        seen = [held._replace(rank=0) if held.forecast else held for held in self._held]
        rank = self._observed.judge(at_ms, seen)
        self._observed_rank = self._observed_rank if rank is None else rank

    def _event(self, at_ms: int, rank: int) -> ConditionEvent:
        rises = rank > self.rank
        if rises:
            change = Change.UPGRADED if self.rank else Change.RAISED
        else:
            change = Change.EASED if rank else Change.RETURNED
        evidence = dict(self._joint.evidence(rank if rises else rank + 1))
        if self.forecast:
            evidence["basis"] = FORECAST
        if at_ms <= self.in_force_ms:
            evidence |= held_before(self.in_force_ms)
        return ConditionEvent(
            rule=self.rule,
            subject=self.subject,
            hazard=self._bound.hazard,
            change=change,
            phase=Phase.SETTLED,
            level=self._law.levels[rank - 1] if rank else "",
            rank=rank,
            time_ms=at_ms,
            reason=str(Cause.INPUTS_HOLD if rises else Cause.INPUTS_EASED),
            evidence={**evidence, **self._inputs_told(at_ms)},
        )

    def _inputs_told(self, at_ms: int) -> dict[str, Any]:
        rows = sorted(
            zip(self.inputs, self._held, strict=True),
            key=lambda row: (-row[1].rank, row[0].subject, row[0].rule),
        )
        told: dict[str, Any] = {
            "inputs": [_told(one, held) for one, held in rows[:SHOWN_MAX]],
            "missing": self._missing_told(at_ms),
        }
        if len(rows) > SHOWN_MAX:
            told["inputs_not_listed"] = len(rows) - SHOWN_MAX
        return told

    def _missing_told(self, at_ms: int) -> list[dict[str, Any]]:
        """Return what is missing, each subject once, with its newest good reading."""
        gone: dict[str, int | None] = {}
        for one, held, source in zip(self.inputs, self._held, self._sources, strict=True):
            if held.missing:
                gone[one.subject] = source.seen_ms(at_ms) if held.seen else None
        rows = sorted(gone.items())[:SHOWN_MAX]
        return [{"subject": subject, "last_good_ms": seen_ms} for subject, seen_ms in rows]


def _levels_of(told: Told) -> Held:
    """Return what a law that asks for levels only sees of an input."""
    return Held(told.rank, told.since_ms, missing=False, seen=True, forecast=told.forecast)


def _told(one: Input, held: Held) -> dict[str, Any]:
    level = one.levels[held.rank - 1] if held.rank else ""
    return {
        "rule": one.rule,
        "subject": one.subject,
        "level": level,
        "since_ms": held.since_ms,
        "missing": held.missing,
        **({"basis": FORECAST} if held.forecast and held.rank else {}),
    }
