"""The valley keeps its word: same seed, same water; and the storm is worth a warning."""

from __future__ import annotations

from random import Random

import pytest

from egret_demo.valley import Valley
from egret_demo.valley.runoff import Catchment, Reach
from egret_demo.valley.storm import Storm, draw
from egret_demo.valley.weather import CYCLE_S, HORIZON_S

MINUTE_S = 60
SEEDS = range(25)


def test_same_seed_same_water_however_it_is_asked() -> None:
    forward, backward = Valley(7), Valley(7)
    times = [13.7 * step for step in range(400)]
    there = [forward.at(time) for time in times]
    back = [backward.at(time) for time in reversed(times)]
    assert there == back[::-1]


def test_another_seed_another_storm() -> None:
    assert Valley(1).at(1800) != Valley(2).at(1800)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bridge_is_red_in_time_and_falls_again(seed: int) -> None:
    valley = Valley(seed)
    red_m, blue_m = 4.5, 2.0
    stages = {minute: valley.at(minute * MINUTE_S).bridge_m for minute in range(181)}
    assert stages[0] < blue_m
    first_red = min(minute for minute, stage in stages.items() if stage >= red_m)
    assert 20 <= first_red <= 40  # a minute of storm is a second of demo
    assert stages[180] < blue_m


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ridge_gets_a_red_rain_signal(seed: int) -> None:
    valley = Valley(seed)
    assert valley.at(80 * MINUTE_S).rain_mm >= 100
    assert valley.at(55 * MINUTE_S).rain_mm >= 100


def test_rain_never_decreases_and_a_second_storm_comes() -> None:
    valley = Valley(3)
    totals = [valley.at(minute * MINUTE_S).rain_mm for minute in range(0, 480, 2)]
    assert totals == sorted(totals)
    assert valley.at(CYCLE_S).rain_mm == valley.at(CYCLE_S - 3600).rain_mm
    assert valley.at(CYCLE_S + 5400).rain_mm > valley.at(CYCLE_S).rain_mm + 100


def test_before_the_beginning_and_beyond_the_horizon() -> None:
    valley = Valley(0)
    assert valley.at(-5) == valley.at(0)
    with pytest.raises(ValueError, match="horizon"):
        valley.at(HORIZON_S + 1)


def test_a_storm_adds_up_to_its_depth() -> None:
    storm = Storm(depth_mm=120, length_s=5400, peak_share=0.3, begins_s=100)
    fallen = sum(storm.intensity_mm_h(at) / 3600 for at in range(6000))
    assert fallen == pytest.approx(120, rel=0.005)
    assert storm.intensity_mm_h(99) == storm.intensity_mm_h(5500) == 0
    peak = max(range(6000), key=storm.intensity_mm_h)
    assert peak == pytest.approx(100 + 0.3 * 5400, abs=2)


def test_storms_differ_within_their_bounds() -> None:
    storms = [draw(Random(f"s{seed}"), 0.0) for seed in range(50)]
    assert all(140 < storm.depth_mm < 160 for storm in storms)
    assert len({storm.depth_mm for storm in storms}) == 50


FACTS = Catchment(
    area_km2=10, loss_mm=5, runoff_share=1.0, reservoirs=3, k_s=600, base_m3_s=1,
    rating_a=10, rating_b=2, rating_zero_m=0.5,
)  # fmt: skip


def test_the_first_rain_stays_in_the_soil() -> None:
    reach = Reach(FACTS)
    dry_m = reach.step(0, 60)
    assert reach.step(5, 60) == dry_m
    assert max(reach.step(1 if n == 0 else 0, 60) for n in range(60)) > dry_m


@pytest.mark.parametrize("step_s", [10, 60])
def test_no_water_is_made_or_lost(step_s: float) -> None:
    reach = Reach(FACTS, wetness_mm=5)
    out_mm = 0.0
    for step in range(int(40_000 / step_s)):
        stage = reach.step(step_s / 100 if step * step_s < 1000 else 0.0, step_s)
        discharge = FACTS.rating_a * (stage - FACTS.rating_zero_m) ** FACTS.rating_b
        out_mm += (discharge - FACTS.base_m3_s) * step_s / (FACTS.area_km2 * 1000)
    assert out_mm == pytest.approx(10, rel=0.02)  # less what the drying soil takes back


def test_stage_is_the_rating_turned_round() -> None:
    assert Reach(FACTS).stage_m(40) == pytest.approx(2.5)  # 10 (2.5 - 0.5)^2 = 40
