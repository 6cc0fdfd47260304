from __future__ import annotations

import pytest

from egret_gateway.bus.unit import Patience, Span, Unit
from egret_gateway.protocols.modbus_pdu import Shape

WAYS = (Span(10, 2), Span(10, 3), Span(10, 4))
PATIENCE = Patience(least_s=0.05, most_s=1.0)


def asked(unit: Unit, words: int, now_s: float, fc: int = 3) -> None:
    unit.left_open(Shape(7, fc, words), now_s)


def test_a_calm_unit_is_asked_the_best_way() -> None:
    assert Unit().choose(3, WAYS, PATIENCE, 0.0) == 0


def test_after_timeouts_every_next_shape_differs_from_all_open_ones() -> None:
    unit = Unit()
    chosen = []
    for step in range(3):
        way = unit.choose(3, WAYS, PATIENCE, step * 0.1)
        assert way is not None
        chosen.append(WAYS[way].words)
        asked(unit, WAYS[way].words, step * 0.1)
    assert chosen == [2, 3, 4]
    assert unit.choose(3, WAYS, PATIENCE, 0.3) is None


def test_another_function_code_is_another_shape() -> None:
    unit = Unit()
    asked(unit, 2, 0.0, fc=3)
    assert unit.choose(4, WAYS, PATIENCE, 0.1) == 0
    assert unit.choose(3, WAYS, PATIENCE, 0.1) == 1


def test_a_right_answer_ends_the_taint() -> None:
    unit = Unit()
    asked(unit, 2, 0.0)
    asked(unit, 3, 1.0)
    unit.answered(0.01)
    assert unit.choose(3, WAYS, PATIENCE, 1.1) == 0


def test_silence_ends_the_taint_after_two_seconds_at_least() -> None:
    unit = Unit()
    asked(unit, 2, 10.0)
    assert unit.choose(3, WAYS, PATIENCE, 11.99) == 1
    assert unit.choose(3, WAYS, PATIENCE, 12.0) == 0


def test_a_slow_unit_needs_three_times_its_slowest_answer() -> None:
    unit = Unit()
    unit.answered(1.5)
    asked(unit, 2, 10.0)
    assert unit.free_s(WAYS, PATIENCE) == pytest.approx(14.5)


def test_one_shape_only_means_quarantine_for_the_late_window() -> None:
    single = WAYS[:1]
    unit = Unit()
    asked(unit, 2, 0.0)
    assert unit.choose(3, single, PATIENCE, 0.99) is None
    assert unit.choose(3, single, PATIENCE, 1.0) == 0
    asked(unit, 2, 5.0)
    assert unit.free_s(single, Patience(late_window_s=9.0)) == 14.0


def test_a_quarantine_never_ends_while_an_answer_is_still_awaited() -> None:
    unit = Unit()
    asked(unit, 2, 0.0)
    assert unit.free_s(WAYS[:1], Patience(most_s=10.0)) == 10.0


def test_a_late_answer_frees_its_shape_and_renews_the_silence() -> None:
    unit = Unit()
    asked(unit, 2, 0.0)
    asked(unit, 3, 0.1)
    unit.came_late(Shape(7, 3, 2), 0.9)
    assert [shape.words for shape in unit.open] == [3]
    assert unit.counts.late_dropped == 1
    assert unit.tau_max_s == pytest.approx(0.8)
    assert unit.choose(3, WAYS, PATIENCE, 1.0) == 0
    assert unit.free_s(WAYS, PATIENCE) == pytest.approx(0.9 + 2.4)


def test_patience_is_the_profile_s_most_at_first_then_learnt_within_its_bounds() -> None:
    unit = Unit()
    assert unit.timeout_s(PATIENCE) == 1.0
    for _ in range(50):
        unit.answered(0.010)
    assert unit.timeout_s(PATIENCE) == pytest.approx(0.060, abs=0.005)
    assert unit.timeout_s(Patience(0.2, 1.0)) == 0.2
    unit.answered(30.0)
    assert unit.timeout_s(PATIENCE) == 1.0


def test_a_unit_never_heard_is_given_its_neighbours_patience_and_now_and_then_its_own() -> None:
    unit = Unit()
    given = []
    for _ in range(12):
        given.append(unit.timeout_s(PATIENCE, usual_s=0.08))
        unit.gave_up(0.0)
    assert given[:3] == [1.0, 1.0, 1.0], "as long as it may be a glitch"
    assert given[3:] == [0.08, 1.0, 0.08, 0.08, 0.08, 1.0, 0.08, 0.08, 0.08]
    assert unit.timeout_s(PATIENCE) == 1.0, "no neighbour was heard: nothing is known"
    assert unit.timeout_s(PATIENCE, usual_s=0.01) == 1.0, "the twelfth is a fourth one"
    unit.gave_up(0.0)
    assert unit.timeout_s(PATIENCE, usual_s=0.01) == PATIENCE.least_s
    assert unit.timeout_s(PATIENCE, usual_s=9.0) == PATIENCE.most_s


def heard(tau_s: float) -> Unit:
    unit = Unit()
    for _ in range(50):
        unit.answered(tau_s)
    return unit


def given(unit: Unit, patience: Patience = PATIENCE) -> list[float]:
    """Return what a unit that stays silent is given, question by question."""
    waits = []
    for _ in range(129):
        waits.append(unit.timeout_s(patience, usual_s=0.06))
        unit.gave_up(0.0)
    return waits


def test_a_unit_that_was_heard_keeps_its_patience_and_ever_more_rarely_has_a_longer_one() -> None:
    unit = heard(0.01)
    waits = given(unit)
    longer = [4, 8, 16, 32, 64, 128]
    usual = [wait for question, wait in enumerate(waits) if question not in longer]
    assert usual == pytest.approx([0.06] * len(usual), abs=0.005)
    found = [waits[question] for question in longer]
    assert found == pytest.approx([0.12, 0.24, 0.48, 0.96, 1.0, 1.0], abs=0.02)
    assert given(heard(0.01), Patience(0.2, 1.0))[:5] == [0.2, 0.2, 0.2, 0.2, 0.4]
    unit.answered(0.01)
    assert unit.missed == 0
    assert unit.timeout_s(PATIENCE) < 0.1


def test_a_unit_that_is_silent_for_years_is_given_no_more_than_the_most() -> None:
    unit = heard(0.01)
    unit.missed = 2**4000
    assert unit.timeout_s(PATIENCE) == PATIENCE.most_s


def test_an_answer_that_came_late_is_waited_for_the_next_time() -> None:
    unit = heard(0.01)
    asked(unit, 2, 10.0)
    unit.gave_up(10.06)
    unit.came_late(Shape(7, 3, 2), 10.4)
    assert unit.timeout_s(PATIENCE) == pytest.approx(0.45, abs=0.001)
    assert unit.timeout_s(Patience(0.05, 0.3)) == 0.3
    unit.answered(0.4)
    assert unit.timeout_s(PATIENCE) >= 0.45, "now it is learnt"
    for _ in range(50):
        unit.answered(0.01)
    assert unit.timeout_s(PATIENCE) < 0.1


def test_one_that_somebody_stands_beside_is_given_all_its_time_once() -> None:
    unit = heard(0.01)
    unit.patient = True
    assert unit.timeout_s(PATIENCE) == PATIENCE.most_s
    unit.gave_up(0.0)
    assert unit.timeout_s(PATIENCE) < 0.1
    unit.patient = True
    unit.answered(0.01)
    assert unit.timeout_s(PATIENCE) < 0.1
