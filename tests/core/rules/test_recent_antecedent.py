"""P3 and P15: the line, its end, and what a silence leaves unknown."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.rulebook import HOUR_MS

from egret_core.rules.index import Standing
from egret_core.rules.recent_antecedent import RecentAntecedent, Terms

MM = 1_000_000
SEATTLE = Terms(72 * HOUR_MS, 360 * HOUR_MS, 0.67, HOUR_MS)


def hours(machine: RecentAntecedent, rain_mm: dict[int, float], until: int) -> float | None:
    """One reading an hour, rain at the named hours; the index after the last."""
    index = None
    for hour in range(until + 1):
        index = machine.take(hour * HOUR_MS, round(rain_mm.get(hour, 0) * MM))
    return index


def test_what_fell_three_days_ago_is_antecedent_and_18_days_ago_is_nothing() -> None:
    machine = RecentAntecedent(SEATTLE)
    rain = {8: 16.0, 9: 40.0, 368: 8.0, 369: 4.0, 440: 2.0}
    # At hour 440 P3 reaches from 369 to 440, and P15 from 9 to 368.
    assert hours(machine, rain, 440) == pytest.approx(6 + 0.67 * 48)
    assert machine.sums_nm == (6 * MM, 48 * MM)


def test_the_line_of_seattle_by_hand() -> None:
    # P15 = 2 in asks for 3.5 - 1.34 = 2.16 in of P3: 54.864 mm.
    over = hours(RecentAntecedent(SEATTLE), {100: 50.8, 430: 54.864}, 432)
    under = hours(RecentAntecedent(SEATTLE), {100: 50.8, 430: 54.863}, 432)
    assert over == pytest.approx(88.9)
    assert over is not None
    assert under is not None
    assert round(over, 9) >= 88.9 > under


def test_without_recent_rain_nothing_is_reached_however_wet_it_was() -> None:
    machine = RecentAntecedent(SEATTLE)
    assert hours(machine, {100: 200.0, 361: 1.0}, 432) == pytest.approx(1 + 0.67 * 200)
    assert machine.take(433 * HOUR_MS, 0) == 0.0


def test_it_warms_up_for_both_spans_and_again_after_a_silence_as_long() -> None:
    machine = RecentAntecedent(SEATTLE)
    assert hours(machine, {}, 431) is None
    assert machine.standing is Standing.WARMING_UP
    assert machine.take(432 * HOUR_MS, 0) is not None
    assert machine.take(865 * HOUR_MS, 90 * MM) is None
    assert machine.standing is Standing.WARMING_UP


def test_a_jump_over_a_gap_is_antecedent_only() -> None:
    machine = RecentAntecedent(SEATTLE)
    hours(machine, {}, 432)
    machine.take(532 * HOUR_MS, 30 * MM)  # 100 h of silence
    assert machine.sums_nm == (0, 30 * MM)


def test_evidence_has_both_sums_and_says_what_was_counted() -> None:
    machine = RecentAntecedent(SEATTLE)
    hours(machine, {100: 10.0, 430: 20.0}, 432)
    assert machine.evidence() == {
        "recent_mm": 20.0,
        "recent_h": 72.0,
        "antecedent_mm": 10.0,
        "antecedent_h": 360.0,
        "slope": 0.67,
        "counting": "clock",
    }


WAITS_S = st.sampled_from([60, 3599, 3600, 40_000, 300_000, 1_600_000])


@given(st.lists(st.tuples(WAITS_S, st.integers(0, 50)), max_size=50))
def test_a_restart_anywhere_says_the_same(rows: list[tuple[int, int]]) -> None:
    whole, parts, now = RecentAntecedent(SEATTLE), RecentAntecedent(SEATTLE), 0
    for wait_s, mm in rows:
        now += wait_s * 1000
        saved = json.loads(json.dumps(parts.dump()))
        parts = RecentAntecedent(SEATTLE)
        parts.restore(saved)
        assert whole.take(now, mm * MM) == parts.take(now, mm * MM)
        assert (whole.standing, whole.evidence()) == (parts.standing, parts.evidence())
