"""Scores of alarms: by hand, and against the plainest reckoning."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_core.rules.skill import Contingency, Outcome, episodes, false_times, outcome

DAYS = st.lists(st.integers(0, 60), max_size=20)


def test_by_hand() -> None:
    table = Contingency(hits=8, false_alarms=4, misses=2, correct_negatives=16)
    assert (table.pod, table.csi, table.bias) == pytest.approx((0.8, 8 / 14, 1.2))
    assert table.far == pytest.approx(1 / 3)
    assert (table.pofd, table.tss) == pytest.approx((0.2, 0.6))


def test_the_example_in_the_docstring_runs() -> None:
    done = doctest.testmod(import_module("egret_core.rules.skill"))
    assert (done.failed, done.attempted > 0) == (0, True)


def test_what_nothing_can_be_divided_by_has_no_score() -> None:
    nothing = Contingency(0, 0, 0)
    assert {nothing.pod, nothing.far, nothing.csi, nothing.bias, nothing.tss} == {None}
    no_alarm = Contingency(0, 0, 3, 10)
    assert (no_alarm.pod, no_alarm.far, no_alarm.csi, no_alarm.tss) == (0, None, 0, 0)
    silent = Outcome((), 0, 0, 0)
    assert {silent.pod, silent.far, silent.csi, silent.bias, silent.median_lead} == {None}


def test_the_lead_is_that_of_the_earliest_alarm_in_time() -> None:
    # An alarm at 60 is more than 30 ahead of 100, and one after the event comes too late.
    found = outcome([60, 75, 90, 101], [100, 200], before=30, apart=20)
    assert (found.leads, found.misses) == ((25,), 1)
    assert (found.hits, found.pod, found.median_lead) == (1, 0.5, 25)


@pytest.mark.parametrize(("alarm", "lead"), [(69, ()), (70, (30,)), (100, (0,)), (101, ())])
def test_both_ends_of_the_time_ahead_count(alarm: int, lead: tuple[int, ...]) -> None:
    assert outcome([alarm], [100], before=30, apart=0).leads == lead


def test_false_alarms_are_counted_by_episode() -> None:
    # 10 to 16 is one episode, 20 another: no event in it, nor within 2 after it.
    found = outcome([10, 13, 16, 20], [18], before=1, apart=3, reach=2)
    assert (found.episodes, found.false_episodes, found.far) == (2, 1, 0.5)
    assert (found.hits, found.misses, found.csi, found.bias) == (0, 1, 0.0, 1.0)


def test_an_event_within_an_episode_makes_it_true_though_it_began_long_before() -> None:
    found = outcome(range(10), [5], before=1, apart=1)
    assert (found.episodes, found.false_episodes, found.leads) == (1, 0, (1,))


@pytest.mark.parametrize(("apart", "count"), [(2, 4), (3, 3), (4, 1)])
def test_episodes_end_where_the_pause_is_longer(apart: int, count: int) -> None:
    assert len(episodes([7, 0, 3, 7, 11], apart)) == count


@given(DAYS, DAYS, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_as_the_plainest_reckoning_says(
    alarms: list[int], events: list[int], before: int, apart: int, reach: int
) -> None:
    found = outcome(alarms, events, before=before, apart=apart, reach=reach)
    leads = [max((e - a for a in alarms if 0 <= e - a <= before), default=None) for e in events]
    assert sorted(found.leads) == sorted(lead for lead in leads if lead is not None)
    assert found.hits + found.misses == len(events)
    spells: list[set[int]] = []
    for day in range(61):
        if day in alarms:
            if spells and day - max(spells[-1]) <= apart:
                spells[-1].add(day)
            else:
                spells.append({day})
    false = [s for s in spells if not any(min(s) <= e <= max(s) + reach for e in events)]
    assert (found.episodes, found.false_episodes) == (len(spells), len(false))


@given(DAYS, DAYS, st.integers(0, 5))
def test_a_false_time_has_no_event_near_it(
    alarms: list[int], events: list[int], within: int
) -> None:
    far = [a for a in alarms if all(abs(a - e) > within for e in events)]
    assert false_times(alarms, events, within) == len(far)
