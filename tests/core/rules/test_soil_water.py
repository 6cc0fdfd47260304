"""Soil water index against worked figures: 30 mm/h for 3 h, then 3 h dry, tanks empty at first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.packbook import GAUGE, refused

from egret_core.rules.index import Standing
from egret_core.rules.soil_water import MS_PER_H, SoilWater, euler
from egret_core.rules.total import NM_PER_MM

DATA = Path(__file__).parents[4] / "shared" / "data" / "rain_seattle_landslides"
WORKED = {
    60: (30.0000, 58.5000, 84.5100, 76.4277, 72.0173, 68.4196),
    10: (29.7774, 57.4421, 82.6993, 77.1702, 73.1164, 69.7507),
}


def run(index: SoilWater, every_min: int, rain_mm_per_h: list[float]) -> list[float | None]:
    """Return the index at each whole hour; readings every so many minutes."""
    out: list[float | None] = []
    index.take(0, 0)
    for hour, rate in enumerate(rain_mm_per_h):
        for minute in range(every_min, 61, every_min):
            found = index.take(hour * MS_PER_H + minute * 60_000, rate * every_min / 60 * NM_PER_MM)
        out.append(found)
    return out


@pytest.mark.parametrize(("step_min", "figures"), WORKED.items())
def test_worked_figures(step_min: int, figures: tuple[float, ...]) -> None:
    found = run(SoilWater(step_min * 60_000, 0), step_min, [30, 30, 30, 0, 0, 0])
    assert found == pytest.approx(figures, abs=1e-4)


def test_the_step_is_part_of_the_definition_and_the_reading_s_pace_is_not() -> None:
    for every_min in (1, 5, 10, 30, 60):
        found = run(SoilWater(600_000, 0), every_min, [30, 30, 30, 0, 0, 0])
        assert found == pytest.approx(WORKED[10], abs=1e-4)


def test_small_steps_come_to_the_limit() -> None:
    tanks, steps, peak_mm = (0.0, 0.0, 0.0), 3600, 0.0
    for n in range(6 * steps):
        tanks = euler(tanks, 30 / steps if n < 3 * steps else 0.0, 1 / steps)
        peak_mm = max(peak_mm, sum(tanks))
    assert peak_mm == pytest.approx(82.3416, abs=2e-3)
    assert sum(tanks) == pytest.approx(69.8508, abs=2e-3)
    assert tanks == pytest.approx((38.5502, 27.4554, 3.8452), abs=2e-3)


def test_it_says_nothing_before_it_has_watched_long_enough() -> None:
    index = SoilWater(600_000, 2 * MS_PER_H)
    assert run(index, 10, [30, 30])[0] is None
    assert index.standing is Standing.OK
    # After a month's silence the tanks are empty, and what is empty is not yet known to be right.
    assert index.take(40 * 86_400_000, 0) is None
    assert index.standing is Standing.WARMING_UP


@given(st.lists(st.tuples(st.integers(1, 9000), st.integers(0, 50)), max_size=50), st.integers(0))
def test_a_restart_anywhere_says_the_same(rows: list[tuple[int, int]], cut: int) -> None:
    whole, parts, now = SoilWater(600_000, 0), SoilWater(600_000, 0), 0
    for n, (wait_s, mm) in enumerate(rows):
        now += wait_s * 1000
        if rows and n == cut % len(rows):
            saved = json.loads(json.dumps(parts.dump()))
            parts = SoilWater(600_000, 0)
            parts.restore(saved)
        assert whole.take(now, mm * NM_PER_MM) == parts.take(now, mm * NM_PER_MM)
        assert whole.standing == parts.standing


@pytest.mark.skipif(not DATA.exists(), reason="no ../shared/data/rain_seattle_landslides")
def test_seattle_by_one_hour_euler_for_each_reading() -> None:
    tanks, found = (0.0, 0.0, 0.0), []
    for line in (DATA / "KPAE_t.txt").read_text().split():
        tanks = euler(tanks, int(line[12:]) * 0.254, 1.0)
        found.append((sum(tanks), line[2:12]))
    peak, hour = max(found)
    assert (round(peak, 3), hour) == (81.377, "2011112305")
    assert [sum(x >= level for x, _ in found) for level in (40, 50, 60)] == [281, 136, 43]


@pytest.mark.parametrize("step_s", [60, 599, 3601])
def test_a_step_that_is_no_ten_minutes_to_an_hour_is_refused(step_s: int) -> None:
    levels = 'levels = [{ level = "red", raise = 80 }]'
    assert refused("jma-soil-water", GAUGE, f"step_s = {step_s}\n{levels}")[0] == "step_s"


@pytest.mark.parametrize("step_s", [600, 3600])
def test_the_longest_silence_is_thirty_days_whatever_the_step(step_s: int) -> None:
    for late_ms, left in ((0, True), (1, False)):
        index = SoilWater(step_s * 1000, 0)
        index.take(0, 0)
        index.take(MS_PER_H, 200 * NM_PER_MM)
        found = index.take(MS_PER_H + 30 * 24 * MS_PER_H + late_ms, 0)
        assert bool(found) is left
