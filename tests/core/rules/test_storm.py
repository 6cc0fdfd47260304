"""A storm as it is lived: open until it has been dry, held against one curve or several."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.rulebook import HOUR_MS

from egret_core.rules.curves import Curve, Terms
from egret_core.rules.index import Standing
from egret_core.rules.storm import Storm

CAINE = Curve(14.82, 0.39)
FOUR = tuple(Curve(a, 0.5) for a in (2.0, 4.0, 8.0, 16.0))
MM = 1_000_000
MIN_MS = 60_000
WAITS_MIN = st.sampled_from([1, 10, 60, 179, 180, 181, 600])


def terms(*curves: Curve, hours: tuple[float, float] = (0.1, 500), reading_ms: int = 0) -> Terms:
    low, high = (round(h * HOUR_MS) for h in hours)
    return Terms(curves or (CAINE,), "a test", low, high, 3 * HOUR_MS, reading_ms)


def dry_for(machine: Storm, hours: int, start_h: int = 0) -> Storm:
    """Watched for so many dry hours, one reading an hour."""
    for hour in range(start_h, start_h + hours + 1):
        machine.take(hour * HOUR_MS, 0)
    return machine


def test_caine_at_a_day() -> None:
    assert round(CAINE.at(24), 2) == 4.29
    assert CAINE.at(1) == 14.82


@pytest.mark.parametrize("pace_min", [1, 5, 10, 60])
def test_a_day_s_storm_on_the_curve_is_a_ratio_of_one_at_any_pace(pace_min: int) -> None:
    machine = dry_for(Storm(terms()), 4)
    steps = 24 * 60 // pace_min
    for n in range(1, steps + 1):
        rain_nm = round(CAINE.at(24) * 24 * MM / steps)
        index = machine.take(4 * HOUR_MS + n * pace_min * MIN_MS, rain_nm)
    assert machine.duration_h == 24
    assert machine.intensity_mm_h == pytest.approx(CAINE.at(24), abs=1e-4)
    assert index == pytest.approx(1, abs=1e-4)


def test_duration_runs_through_dry_hours_until_the_gap_is_reached() -> None:
    machine = dry_for(Storm(terms()), 4)
    found = []
    for hour, mm in enumerate((10, 0, 0, 5, 0, 0, 0, 0, 7), 5):
        machine.take(hour * HOUR_MS, mm * MM)
        found.append((machine.duration_h, round(machine.intensity_mm_h, 3)))
    assert found == [
        *((1, 10), (2, 5), (3, 3.333), (4, 3.75)),
        *((5, 3.0), (6, 2.5), (0, 0), (0, 0)),  # three dry hours: it is over
        (1, 7),
    ]


def test_a_storm_that_is_over_is_zero_and_judged() -> None:
    machine = dry_for(Storm(terms()), 4)
    machine.take(5 * HOUR_MS, 30 * MM)
    assert [machine.take(h * HOUR_MS, 0) for h in (8, 9)] == [0.0, 0.0]
    assert machine.standing is Standing.OK
    assert machine.evidence()["duration_h"] == 0


def test_it_warms_up_for_a_dry_gap() -> None:
    machine = Storm(terms())
    for minute in range(0, 180, 10):
        assert machine.take(minute * MIN_MS, MM) is None
        assert machine.standing is Standing.WARMING_UP
    assert machine.take(180 * MIN_MS, MM) is not None


def test_outside_its_durations_nothing_is_extrapolated() -> None:
    machine = dry_for(Storm(terms(hours=(2, 4))), 4)
    found = []
    for hour in range(5, 12):
        found.append(machine.take(hour * HOUR_MS, 90 * MM) is not None)
        assert machine.standing is (Standing.OK if found[-1] else Standing.INVALID)
    assert found == [False, True, True, True, False, False, False]


def test_rain_that_fell_in_a_long_silence_is_a_storm_as_long_as_the_silence() -> None:
    machine = dry_for(Storm(terms()), 4)
    machine.take(5 * HOUR_MS, 20 * MM)
    machine.take(15 * HOUR_MS, 50 * MM)
    assert (machine.duration_h, machine.intensity_mm_h) == (10, 5)


def test_by_readings_a_silence_is_not_seen() -> None:
    machine = dry_for(Storm(terms(reading_ms=HOUR_MS)), 4)
    machine.take(5 * HOUR_MS, 20 * MM)
    machine.take(15 * HOUR_MS, 35 * MM)
    assert (machine.duration_h, machine.intensity_mm_h) == (11, 5)
    assert machine.evidence()["counting"] == "readings"


def test_of_several_curves_the_index_is_how_many_are_reached() -> None:
    found = []
    for mm in (1.9, 2, 3.9, 4, 8, 15.9, 16, 90):
        machine = dry_for(Storm(terms(*FOUR)), 4)
        found.append(machine.take(5 * HOUR_MS, mm * MM))
    assert found == [0, 1, 1, 2, 3, 3, 4, 4]


def test_evidence_names_the_curve_its_source_and_what_it_was_held_against() -> None:
    machine = dry_for(Storm(terms(*FOUR)), 4)
    machine.take(8 * HOUR_MS, 36 * MM)
    assert machine.evidence() == {
        "intensity_mm_h": 9.0,
        "duration_h": 4.0,
        "counting": "clock",
        "source": "a test",
        "sum_mm": 36.0,
        "curve": "I = 16 D^-0.5",
        "curve_mm_h": 8.0,
    }


@given(st.lists(st.tuples(WAITS_MIN, st.integers(0, 9)), max_size=60))
def test_as_the_plainest_reckoning_says(rows: list[tuple[int, int]]) -> None:
    machine, now, readings = Storm(terms()), 0, []
    for wait, mm in rows:
        start, now = now, now + wait * MIN_MS
        machine.take(now, mm * MM if readings else 0)
        readings.append((now - wait * MIN_MS if readings else now, now, mm if readings else 0))
        # Backwards from now: the storm is all wet steps with less than 3 h between them.
        first, last, depth = None, now, 0
        for begin, end, fell in reversed(readings):
            if not fell:
                continue
            if last - end >= 3 * HOUR_MS:
                break
            depth += fell
            first = last = begin
            if end - begin >= 3 * HOUR_MS:
                break
        hours = (now - first) / HOUR_MS if first is not None else 0
        assert machine.duration_h == hours
        if hours:
            assert machine.intensity_mm_h == pytest.approx(depth / hours, abs=1e-9)
        assert start <= now


@given(st.lists(st.tuples(WAITS_MIN, st.integers(0, 9)), max_size=50))
def test_a_restart_anywhere_says_the_same(rows: list[tuple[int, int]]) -> None:
    whole, parts, now = Storm(terms(hours=(1, 9))), Storm(terms(hours=(1, 9))), 0
    for wait, mm in rows:
        now += wait * MIN_MS
        saved = json.loads(json.dumps(parts.dump()))
        parts = Storm(terms(hours=(1, 9)))
        parts.restore(saved)
        assert parts.standing == whole.standing
        assert whole.take(now, mm * MM) == parts.take(now, mm * MM)
        assert (whole.standing, whole.evidence()) == (parts.standing, parts.evidence())


def test_a_curve_that_was_reached_counts_until_it_is_left_by_its_part() -> None:
    law = replace(terms(*FOUR), clear_ratio=0.9)
    machine = dry_for(Storm(law), 4)
    assert machine.take(5 * HOUR_MS, 2 * MM) == 1.0  # 2 mm/h in an hour: on the lowest curve
    found = [machine.take(5 * HOUR_MS + minutes * MIN_MS, 0) for minutes in (6, 12, 20, 60)]
    assert found == [1.0, 1.0, 0.0, 0.0], "at 20 min it is 0.87 of the curve"


def test_an_ended_storm_leaves_the_next_one_nothing() -> None:
    law = replace(terms(*FOUR), clear_ratio=0.9)
    machine = dry_for(Storm(law), 4)
    machine.take(5 * HOUR_MS, 2 * MM)
    machine.take(8 * HOUR_MS, 0)
    assert machine.take(9 * HOUR_MS, round(1.9 * MM)) == 0.0


def test_a_state_from_before_curves_kept_their_distance_is_taken() -> None:
    law = replace(terms(*FOUR), clear_ratio=0.9)
    old, new = dry_for(Storm(law), 4), Storm(law)
    old.take(5 * HOUR_MS, 2 * MM)
    new.restore(old.dump()[:5])
    assert old.take(5 * HOUR_MS + 6 * MIN_MS, 0) == 1.0
    assert new.take(5 * HOUR_MS + 6 * MIN_MS, 0) == 0.0, "what it had reached it reaches again"
