"""The centre's own clock is set back or forward by hours: no warning is lost, no false calm shown.

The gateway's clock is right throughout. Ticks and receipts carry the centre's, wrong or not.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import pytest
from rig.rulebook import FOUR, GATEWAY, at, bound, fold_of, ladder, place, silence

from egret_core.reading import Reading
from egret_core.rules.event import Change, Phase
from egret_core.rules.model import Family
from egret_core.rules.running import TICK_COUNTS_MS, TICKS_GAP_MS, Running
from egret_core.rules.step import Receipt, Tick, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_core.rules.event import ConditionEvent

HOURS_3_S = 3 * 3600
STEP_AT_S = 1800
RISE_AT_S = 2400
END_S = 3600
LEVEL = bound(ladder(*FOUR), Family.LEVEL, place())
SILENCE = bound(silence(300), Family.ABSENCE, place())


class Said(NamedTuple):
    """An event, and the true second in which it was said."""

    true_s: int
    event: ConditionEvent


def steady(_: int) -> int:
    return 0


def forward(true_s: int) -> int:
    return HOURS_3_S if true_s >= STEP_AT_S else 0


def back(true_s: int) -> int:
    return -HOURS_3_S if true_s >= STEP_AT_S else 0


def forward_then_right(true_s: int) -> int:
    return HOURS_3_S if STEP_AT_S <= true_s < STEP_AT_S + 600 else 0


def back_then_right(true_s: int) -> int:
    return -HOURS_3_S if STEP_AT_S <= true_s < STEP_AT_S + 600 else 0


STEPS = [steady, forward, back, forward_then_right, back_then_right]


def story(offset_s: Callable[[int], int], silent_from_s: int = END_S) -> list[Said]:
    """A level read each 20 s that rises past blue; the centre ticks each 10 s."""
    fold = fold_of([place()], [LEVEL, SILENCE])
    said: list[Said] = []
    for true_s in range(10, END_S + 1, 10):
        centre_ms = at(true_s + offset_s(true_s))
        _, out = step(fold, Tick(centre_ms))
        said += [Said(true_s, event) for event in out]
        if true_s % 20 == 0 and true_s <= silent_from_s:
            level = 3.2 if true_s >= RISE_AT_S else 1.0
            row = Reading("st1", "wl", at(true_s), level)
            _, out = step(fold, Receipt(GATEWAY, centre_ms + 400, [row]))
            said += [Said(true_s, event) for event in out]
    return said


def levels(said: list[Said], phase: Phase) -> list[Said]:
    return [one for one in said if one.event.rule == LEVEL.name and one.event.phase is phase]


@pytest.mark.parametrize("offset_s", STEPS)
def test_a_rise_is_said_at_once_and_settled_within_a_minute(offset_s: Callable[[int], int]) -> None:
    said = story(offset_s)
    first = levels(said, Phase.PROVISIONAL)[0]
    assert (first.true_s, first.event.level) == (RISE_AT_S, "blue")
    settled = levels(said, Phase.SETTLED)
    assert [one.event.change for one in settled] == [Change.RAISED]
    assert settled[0].true_s <= RISE_AT_S + 60
    assert settled[0].event.provisional_id in {
        one.event.id for one in levels(said, Phase.PROVISIONAL)
    }


@pytest.mark.parametrize("offset_s", [steady, forward, forward_then_right])
def test_its_event_time_is_the_gauges_where_no_reading_is_ahead(
    offset_s: Callable[[int], int],
) -> None:
    (settled,) = levels(story(offset_s), Phase.SETTLED)
    assert settled.event.time_ms == at(RISE_AT_S)


def test_set_back_it_is_judged_where_the_watermark_stands_and_never_before_it() -> None:
    (settled,) = levels(story(back), Phase.SETTLED)
    assert at(STEP_AT_S - 60) <= settled.event.time_ms <= at(RISE_AT_S)


def silences(said: list[Said]) -> list[Said]:
    return [one for one in said if one.event.rule == SILENCE.name]


@pytest.mark.parametrize("offset_s", [steady, back, back_then_right])
def test_a_gauge_that_speaks_is_not_called_silent(offset_s: Callable[[int], int]) -> None:
    assert silences(story(offset_s)) == []


def test_a_clock_hours_ahead_makes_every_reading_old_and_that_is_said() -> None:
    """Nothing fresh by the centre's own clock is a fault, and a false fault beats a false calm."""
    said = silences(story(forward))
    assert [one.event.change for one in said][:1] == [Change.RAISED]
    # The leap itself counts as three ticks, for nobody knows what was between.
    assert STEP_AT_S + 240 <= said[0].true_s <= STEP_AT_S + 340


def test_the_fault_ends_when_the_clock_is_right_again() -> None:
    changes = [one.event.change for one in silences(story(forward_then_right))]
    assert changes[-1] is Change.RETURNED


@pytest.mark.parametrize("offset_s", STEPS)
def test_a_gauge_that_falls_silent_after_the_step_is_named(offset_s: Callable[[int], int]) -> None:
    said = silences(story(offset_s, silent_from_s=2500))
    raised = [one for one in said if one.event.change is Change.RAISED]
    assert raised, "silence is never green"
    assert raised[-1].true_s <= 2500 + 300 + 60


@pytest.mark.parametrize("offset_s", [forward, forward_then_right])
def test_hours_without_ticks_by_the_clock_are_a_fault_of_the_centre(
    offset_s: Callable[[int], int],
) -> None:
    of_centre = [one for one in story(offset_s) if one.event.subject == "centre"]
    assert [one.event.change for one in of_centre] == [Change.RAISED, Change.RETURNED]
    assert of_centre[0].true_s == STEP_AT_S


def counted(*ticks_s: float) -> list[int]:
    running = Running()
    return [running.tick(at(second), []) for second in ticks_s]


def test_running_time_is_that_of_the_ticks() -> None:
    assert counted(0, 10, 20, 30) == [0, 10_000, 20_000, 30_000]


def test_running_time_never_goes_back_and_never_leaps() -> None:
    ticks = [0, 10, 20, 20 + HOURS_3_S, 30 + HOURS_3_S, 30, 40, -HOURS_3_S, 10 - HOURS_3_S, 50]
    times = counted(*ticks)
    for before, after in pairwise(times):
        assert 0 <= after - before <= TICK_COUNTS_MS
    assert times[-1] == 20_000 + 30_000 + 10_000 + 0 + 10_000 + 0 + 10_000 + 30_000


def test_a_receipt_between_two_ticks_has_their_running_time() -> None:
    running = Running()
    assert running.at(at(5)) == 0, "before the first tick nothing runs"
    running.tick(at(0), [])
    assert running.at(at(4)) == 4000
    assert running.at(at(-50)) == 0, "the clock was set back meanwhile"
    assert running.at(at(999)) == TICK_COUNTS_MS, "nobody ticked: it is not counted for long"


@pytest.mark.parametrize(("gap_s", "told"), [(600, 0), (600.001, 2), (86_400, 2)])
def test_more_than_ten_minutes_without_ticks_are_told_with_their_length(
    gap_s: float, told: int
) -> None:
    running = Running()
    running.tick(at(0), [])
    out: list[ConditionEvent] = []
    running.tick(at(gap_s), out)
    assert len(out) == told
    if told:
        assert (out[0].time_ms, out[1].time_ms) == (at(0) + TICKS_GAP_MS, at(gap_s))
        assert out[1].evidence["silent_s"] == pytest.approx(gap_s)


def test_running_time_survives_in_what_is_saved() -> None:
    running, again = Running(), Running()
    running.tick(at(0), [])
    running.tick(at(10), [])
    again.restore(running.dump())
    assert again.dump() == running.dump() == [10_000, at(10)]
    assert again.tick(at(20), []) == running.tick(at(20), []) == 20_000
