"""What other rules would change: each rise is the same, appears, vanishes or moves, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from rig.events import event, guess

from egret_core.rules.difference import WITHIN_MS, difference

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent

OLD, NEW = "river@11111111", "river@22222222"
HOUR = 60  # minutes


def told(found: list[ConditionEvent]) -> list[tuple[str, int]]:
    start_ms = event("raised", 1).time_ms
    return [(one.level, (one.time_ms - start_ms) // 60_000) for one in found]


def test_equal_rises_are_the_same_whatever_the_version() -> None:
    found = difference([event("raised", 1, rule=OLD)], [event("raised", 1, rule=NEW)])
    assert (found.same, found.appears, found.vanishes, found.moves) == (1, [], [], [])
    assert found.by_rule() == {}


def test_a_rise_appears_vanishes_or_moves() -> None:
    old = [event("raised", 1, at, rule=OLD) for at in (0, 10 * HOUR, 100 * HOUR)]
    new = [event("raised", 1, at, rule=NEW) for at in (0, 10 * HOUR + 7, 50 * HOUR)]
    found = difference(old, new)
    assert found.same == 1
    assert told(found.appears) == [("blue", 50 * HOUR)]
    assert told(found.vanishes) == [("blue", 100 * HOUR)]
    assert [(one.before.rule, one.after.rule) for one in found.moves] == [(OLD, NEW)]
    assert told([found.moves[0].after]) == [("blue", 10 * HOUR + 7)]
    assert found.by_rule() == {"river": {"appears": 1, "vanishes": 1, "moves": 1}}


def test_a_rise_moves_no_further_than_it_may() -> None:
    minutes = WITHIN_MS // 60_000
    near = difference([event("raised", 1)], [event("raised", 1, minutes)])
    far = difference([event("raised", 1)], [event("raised", 1, minutes + 1)])
    assert (len(near.moves), len(far.moves)) == (1, 0)
    assert (len(far.appears), len(far.vanishes)) == (1, 1)
    assert len(difference([event("raised", 1)], [event("raised", 1, 9)], 60_000).moves) == 0


def test_each_takes_the_nearest_and_only_once() -> None:
    old = [event("raised", 1, at) for at in (0, 100)]
    found = difference(old, [event("raised", 1, at) for at in (90, 95, 110)])
    assert [told([one.before, one.after]) for one in found.moves] == [
        [("blue", 100), ("blue", 90)],
        [("blue", 0), ("blue", 95)],
    ]
    assert told(found.appears) == [("blue", 110)]


def test_other_levels_subjects_changes_and_rules_are_not_the_same() -> None:
    one = event("raised", 1)
    others = [
        event("raised", 2),
        event("upgraded", 1),
        event("raised", 1, subject="st0008/wl"),
        event("raised", 1, rule="flow@1"),
    ]
    for other in others:
        found = difference([one], [other])
        assert (found.same, len(found.appears), len(found.vanishes)) == (0, 1, 1), other


def test_only_settled_rises_count() -> None:
    found = difference([guess("raised", 1), event("returned", 0, 5)], [event("eased", 1, 7)])
    assert (found.same, found.appears, found.vanishes, found.moves) == (0, [], [], [])


TIMES = st.lists(st.integers(0, 3000), max_size=12, unique=True)


@given(TIMES, TIMES)
def test_every_rise_of_both_sides_is_accounted_for(before: list[int], after: list[int]) -> None:
    old = [event("raised", 1, at) for at in before]
    new = [event("raised", 1, at) for at in after]
    found = difference(old, new)
    paired = found.same + len(found.moves)
    assert paired + len(found.vanishes) == len(old)
    assert paired + len(found.appears) == len(new)
    assert found.same == len(set(before) & set(after))
    back = difference(new, old)
    assert back.same == found.same
