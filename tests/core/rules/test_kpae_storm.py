"""Storms of a real gauge: the rule of USGS `thresh` v1.0 at every wet hour, and the clock's."""

from __future__ import annotations

import pytest
from rig.kpae import ABSENT, DATA, HOUR_MS, MM_PER_IN, Hour, expected, hourly

from egret_core.rules.curves import Curve, Terms
from egret_core.rules.index import Standing
from egret_core.rules.storm import Storm

CAINE = Curve(14.82, 0.39)
GAP_READINGS = 3  # of the program: more readings than these since the last wet one end a storm
PEAK_MS = 1_322_089_140_000  # 2011-11-23 22:59

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=ABSENT)


def storm(
    reading_ms: int = 0, curve: Curve = CAINE, hours: tuple[float, float] = (1, 500)
) -> Storm:
    low, high = (round(h * HOUR_MS) for h in hours)
    return Storm(Terms((curve,), "a test", low, high, 3 * HOUR_MS, reading_ms))


def run(machine: Storm) -> list[tuple[Hour, float, float, float | None]]:
    """Each reading with D h, I mm/h and the index after it."""
    out = []
    for hour in hourly():
        index = machine.take(hour.time_ms, hour.rain_nm)
        out.append((hour, machine.duration_h, machine.intensity_mm_h, index))
    return out


def test_all_1546_wet_hours_are_the_program_s_by_readings() -> None:
    wet = [
        (found, row)
        for found, row in zip(run(storm(HOUR_MS)), expected(), strict=True)
        if found[0].hundredths
    ]
    assert len(wet) == 1546
    assert [found[1] for found, _ in wet] == [row.duration_h for _, row in wet]
    for (_, _, intensity_mm_h, _), row in wet:
        assert intensity_mm_h / MM_PER_IN == pytest.approx(row.intensity_in_h, abs=5.1e-4)


def test_its_archive_was_written_afterwards() -> None:
    """Dry hours between wet ones are of a storm; one that ends it is not: compare at wet hours."""
    pairs = list(zip(hourly(), expected(), strict=True))
    assert sum(not hour.hundredths and row.duration_h > 0 for hour, row in pairs) == 281
    assert all(row.duration_h > 0 for hour, row in pairs if hour.hundredths)


@pytest.mark.parametrize(("by_clock", "share"), [(True, 1.0), (False, 0.9994)])
def test_the_archive_is_the_same_rule_read_backwards(*, by_clock: bool, share: float) -> None:
    """Every hour from a storm's first wet one to its last, dry ones too; a new one after 3 dry."""
    hours = list(hourly())
    durations_h, began, last = [0] * len(hours), 0, -GAP_READINGS - 1
    for at, hour in enumerate(hours):
        if not hour.hundredths:
            continue
        began = began if at - last <= GAP_READINGS else at
        for inside in range(max(last + 1, began), at + 1):
            passed = (hours[inside].time_ms - hours[began].time_ms) / HOUR_MS
            durations_h[inside] = 1 + (round(passed) if by_clock else inside - began)
        last = at
    pairs = list(zip(durations_h, expected(), strict=True))
    assert len(pairs) == 12_521
    same = sum(duration == row.duration_h for duration, row in pairs)
    assert round(same / len(pairs), 4) == share


def test_the_longest_storm() -> None:
    wet = [(d, -hour.time_ms) for hour, d, *_ in run(storm(HOUR_MS)) if hour.hundredths]
    assert max(wet) == (57.0, -PEAK_MS)


def test_the_clock_ends_a_storm_in_a_silence_and_the_readings_do_not() -> None:
    pairs = list(zip(run(storm()), run(storm(HOUR_MS)), strict=True))
    apart = [(a[0], a[1], b[1]) for a, b in pairs if a[0].hundredths and a[1] != b[1]]
    # What differs came within a storm of the program that spans missing hours.
    assert len(apart) == 7
    assert all(by_clock < by_readings for _, by_clock, by_readings in apart)


def test_the_world_s_curve_is_never_reached_here() -> None:
    assert max(index or 0.0 for *_, index in run(storm())) < 1


def test_seattle_s_curve_is_reached_and_says_nothing_outside_its_durations() -> None:
    machine = storm(0, Curve(82.73, 1.13), (20, 55))
    found = run(machine)
    assert any(index is not None and index >= 1 for *_, index in found)
    for _, duration_h, _, index in found[3:]:
        assert (index is None) == (duration_h > 0 and not 20 <= duration_h <= 55)
    assert machine.standing is Standing.OK
