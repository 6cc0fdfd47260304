"""One rule in hindsight: what its twin said that nobody has, and the way to what holds."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from rig.rulebook import FOUR, START_MS, at, bound, ladder, place, rain

from egret_core.rules.event import Change, ConditionEvent, Phase
from egret_core.rules.hindsight import Finding, Hindsight, Row
from egret_core.rules.ladder import Ladder
from egret_core.rules.model import Family
from egret_core.rules.rain import Rain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.rules.model import RainLaw

LAW: RainLaw = rain(("blue", 1, 1, 5), ("red", 2, 1, 10), dry_s=600)
RULE = bound(LAW, Family.RAIN, place("rn", "rain_total"))
LEVELS = ("", "blue", "yellow", "orange", "red")


class Scripted:
    """A detector that goes from rank to rank as it is told to."""

    rule, of_total = "r@1", True

    def __init__(self, ranks: Sequence[int], rank: int = 0, evidence: Any = None) -> None:
        self.rank = rank
        self._ranks = iter(ranks)
        self._evidence: Mapping[str, Any] = evidence or {}

    def settle(self, time_ms: int, _: float, out: list[ConditionEvent]) -> None:
        before, self.rank = self.rank, next(self._ranks, self.rank)
        if self.rank > before:
            out.append(_event(Change.UPGRADED if before else Change.RAISED, self.rank, time_ms))
        elif self.rank < before:
            out.append(_event(Change.EASED if self.rank else Change.RETURNED, self.rank, time_ms))
        out[:] = [_with(event, self._evidence) for event in out]


def _event(change: Change, rank: int, time_ms: int) -> ConditionEvent:
    level, phase = LEVELS[rank], Phase.SETTLED
    return ConditionEvent("r@1", "s/c", "rain", change, phase, level, rank, time_ms, "", {})


def _with(event: ConditionEvent, evidence: Mapping[str, Any]) -> ConditionEvent:
    parts = [event.rule, event.subject, event.hazard, event.change, event.phase, event.level]
    return ConditionEvent(*parts, event.rank, event.time_ms, "", evidence)  # type: ignore[arg-type]


def played(
    twin: Sequence[int],
    shadow: Sequence[int] = (),
    *,
    start: int = 0,
    evidence: Mapping[str, Any] | None = None,
) -> tuple[Hindsight, list[Finding]]:
    """Play ranks, one a second, from seconds 1 on."""
    makes: Any = Scripted(twin, start, evidence), Scripted(shadow, start)
    part, found = Hindsight(*makes), []
    for second in range(1, len(twin) + 1):
        found += part.go_on(Row(at(second), 0.0, base=False, flagged=None))
    return part, found


class Live(Scripted):
    """The live detector: keeps what it was told to become."""

    def __init__(self, rank: int, fell_s: float | None = None) -> None:
        super().__init__((), rank)
        self.fell_ms = 0 if fell_s is None else at(fell_s)
        self.held: Any = None

    def take_over(self, twin: Scripted) -> None:
        self.twin = twin

    def hold_as(self, _: Scripted, told: Sequence[ConditionEvent]) -> list[ConditionEvent]:
        self.held = list(told)
        return self.held  # type: ignore[no-any-return]


def handed(part: Hindsight, rank: int, fell_s: float | None = None) -> Any:
    live: Any = Live(rank, fell_s)
    said = part.hand_over(live)
    assert live.twin is part.twin
    return None if live.held is None else brief(said)


def brief(events: Sequence[ConditionEvent]) -> list[tuple[str, int, float]]:
    return [(str(e.change), e.rank, (e.time_ms - START_MS) / 1000) for e in events]


def test_the_way_to_what_holds_is_told_from_the_live_level_on() -> None:
    ranks = [1, 3, 3, 4]
    for rank, way in (
        (0, [("raised", 1, 1), ("upgraded", 3, 2), ("upgraded", 4, 4)]),
        (1, [("upgraded", 3, 2), ("upgraded", 4, 4)]),
        (2, [("upgraded", 3, 2), ("upgraded", 4, 4)]),
        (3, [("upgraded", 4, 4)]),
        (4, []),
    ):
        assert handed(played(ranks)[0], rank) == way


def test_a_rise_that_is_over_is_not_on_the_way() -> None:
    assert handed(played([1, 4, 1, 0, 2])[0], 0) == [("raised", 2, 5)]
    assert handed(played([1, 4, 1])[0], 0) == [("raised", 1, 1)]
    assert handed(played([2, 4, 2, 3])[0], 2) == [("upgraded", 3, 4)]
    assert handed(played([2, 4, 0])[0], 0) == []


def test_a_level_that_a_higher_one_came_down_to_is_told_by_both() -> None:
    assert handed(played([4, 3, 2])[0], 0) == [("raised", 4, 1), ("eased", 2, 3)]
    assert handed(played([4, 2, 3])[0], 0) == [
        ("raised", 4, 1),
        ("eased", 2, 2),
        ("upgraded", 3, 3),
    ]
    assert handed(played([4, 2, 3])[0], 2) == [("upgraded", 3, 3)]


def test_what_begins_at_the_live_level_says_so() -> None:
    assert handed(played([0, 3], start=2)[0], 1) == [("upgraded", 3, 2)]
    assert handed(played([3], start=1)[0], 1) == [("upgraded", 3, 1)]
    # The twin held one at the start of the gap, and the live one has none any more.
    assert handed(played([3], start=1)[0], 0) is None


@pytest.mark.parametrize("seed", range(40))
def test_any_way_leads_to_the_level_that_holds_and_stays_short(seed: int) -> None:
    dice = random.Random(seed)
    ranks = [dice.randrange(5) for _ in range(200)]
    part, _ = played(ranks)
    for rank in range(5):
        way = handed(part, rank)
        assert [rank, *(step[1] for step in way)][-1] == max(rank, ranks[-1]) or not way
        assert bool(way) == (ranks[-1] > rank)
        assert len(way) <= 12
        assert all(step[1] > rank for step in way)


def test_an_event_said_before_a_fall_is_not_said_again() -> None:
    part, _ = played([1, 3])
    assert handed(part, 1, fell_s=1) == [("upgraded", 3, 2)]
    assert handed(part, 1, fell_s=2) is None
    assert handed(part, 0, fell_s=1) is None


def test_a_forecast_is_no_part_of_the_way() -> None:
    part, _ = played([1, 3], evidence={"basis": "forecast"})
    assert handed(part, 0) is None
    assert handed(part, 3) == []


def test_only_where_the_twin_stands_higher_there_is_news() -> None:
    _, found = played([1, 2, 2, 2, 3, 0], [0, 1, 2, 2, 3, 0])
    assert brief([one.event for one in found]) == [("raised", 1, 1), ("upgraded", 2, 2)]
    _, found = played([1, 0, 2, 2, 0], [0, 0, 0, 2, 0])
    told = brief([one.event for one in found])
    assert told == [("raised", 1, 1), ("returned", 0, 2), ("raised", 2, 3)]
    _, found = played([2, 2, 1, 0], [2, 2, 2, 0])
    assert found == []


def test_a_rise_knows_when_it_was_over() -> None:
    _, found = played([1, 3, 2, 2, 0, 4])
    rises = {one.event.rank: one.over_ms for one in found if one.event.change == "raised"}
    assert rises == {1: at(5), 4: None}
    assert [one.over_ms for one in found if one.event.rank == 3] == [at(3)]


def test_what_is_told_of_now_is_known_by_its_finding() -> None:
    part, found = played([1, 3, 1])
    assert [one.live for one in found] == [False] * 3
    assert handed(part, 0) == [("raised", 1, 1)]
    assert [one.live for one in found] == [True, False, False]


def rain_of(*totals: tuple[int, float]) -> Rain:
    made = Rain(RULE, LAW, "st1/rn")
    for second, value in totals:
        made.settle(at(second), value, [])
    return made


def test_a_live_sum_becomes_the_twins_and_goes_on_from_there() -> None:
    start = (0, 100.0)
    part = Hindsight(rain_of(start), rain_of(start))
    for second, value in ((60, 103.0), (120, 106.0)):
        part.settle(Row(at(second), value, base=False, flagged=None))
    live = rain_of(start, (120, 100.5))
    assert brief(part.hand_over(live)) == [("raised", 1, 120)]
    out: list[ConditionEvent] = []
    live.settle(at(180), 110.0, out)
    assert brief(out) == [("upgraded", 2, 180)]
    assert live.dump()[0] == 2


def test_no_level_falls_by_it() -> None:
    start = (0, 100.0)
    part = Hindsight(rain_of(start), rain_of(start))
    part.settle(Row(at(120), 100.0, base=False, flagged=None))
    live = rain_of(start, (120, 106.0))
    assert live.rank == 1
    assert part.hand_over(live) == []
    assert live.rank == 1
    out: list[ConditionEvent] = []
    live.settle(at(800), 100.0, out)
    assert brief(out) == [("returned", 0, 800)]


def test_a_base_moves_both_and_counts_nothing() -> None:
    part = Hindsight(rain_of((0, 100.0)), rain_of((0, 100.0)))
    assert part.go_on(Row(at(60), 150.0, base=True, flagged=None)) == []
    found = part.go_on(Row(at(120), 156.0, base=False, flagged=None))
    assert found == [], "the shadow has said it too"
    assert part.twin.rank == 1


def test_a_level_is_not_brought_on() -> None:
    law = ladder(*FOUR)
    river = bound(law, Family.LEVEL, place())
    part = Hindsight(Ladder(river, law, "st1/wl"), Ladder(river, law, "st1/wl"))
    assert not part.goes_on
    assert part.hand_over(Ladder(river, law, "st1/wl")) == []
