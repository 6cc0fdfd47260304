"""Velocity bands: a ramp gives its slope, noise stays green, and a short window is refused."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st
from rig.rulebook import bound, fold_of, place
from rig.slopes import given, moving, reborn, run, told

from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.index import Standing
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.movement import MS_PER_DAY
from egret_core.rules.step import Receipt, step
from egret_core.rules.velocity import Bands, law

if TYPE_CHECKING:
    from egret_core.rules.event import ConditionEvent

AT = ("rules.toml", "rule[0].parameters")
GNSS = ChannelPlace("st1", "dx", "displacement", "mm", "", "GW-1", 30.0)
WINDOW_MS = 5 * MS_PER_DAY


def law_of(**more: Any) -> IndexLaw:
    return law(AT, given("generic-velocity", **{"v0_mm_per_day": 2, "sigma_mm": 1, **more}), [GNSS])


def played(one: IndexLaw, series: list[tuple[float, float]]) -> list[ConditionEvent]:
    fold, out = fold_of([GNSS], [bound(one, Family.VELOCITY, GNSS)], 0), []
    for day, mm in series:
        now_ms = round(day * MS_PER_DAY) + 1000
        out += step(fold, Receipt("GW-1", now_ms, [Reading("st1", "dx", now_ms - 1000, mm)]))[1]
    return out


@pytest.mark.parametrize("every_d", [1.0, 0.25, 1 / 24, 1 / 288])
def test_a_ramp_gives_its_slope_at_any_pace(every_d: float) -> None:
    found = run(Bands(WINDOW_MS, 0.1), moving(lambda day: 30 + 4.2 * day, 20, every_d))
    said = [value for value in found if value is not None]
    assert said == pytest.approx([4.2] * len(said), rel=1e-6)
    assert len(said) >= 15 / every_d


def test_readings_at_odd_times_give_the_slope_too() -> None:
    dice, day, series = random.Random(3), 0.0, []
    for _ in range(200):
        day += dice.uniform(0.01, 0.9)
        series.append((day, 7.0 - 1.25 * day))
    said = [value for value in run(Bands(WINDOW_MS, 0.0), series) if value is not None]
    assert said == pytest.approx([-1.25] * len(said), rel=1e-6)
    falling = [value for value in run(Bands(WINDOW_MS, 0.0, -1), series) if value is not None]
    assert falling == pytest.approx([1.25] * len(said), rel=1e-6)


def test_the_velocity_belongs_to_the_middle_of_its_window() -> None:
    said = told(Bands(WINDOW_MS, 1.0), moving(lambda day: 3 * day, 10))[-1]
    assert said["velocity_at_ms"] == 7.5 * MS_PER_DAY
    # Six daily readings: the sum of squared days from their mean is 17.5.
    assert said["noise_mm_per_day"] == round(4 / 17.5**0.5, 4)


@pytest.mark.parametrize("every_d", [1.0, 0.25, 1 / 24])
def test_noise_alone_stays_green(every_d: float) -> None:
    for seed in range(10):
        series = moving(lambda _: 0.0, 120, every_d, noise_mm=1.0, seed=seed)
        assert played(law_of(v0_mm_per_day=0.75), series) == []


def test_a_velocity_within_its_noise_counts_as_none() -> None:
    slow = told(Bands(WINDOW_MS, 1.0), moving(lambda day: 0.95 * day, 10))[-1]
    assert (slow["index"], slow["velocity_mm_per_day"]) == (0.0, 0.95)
    seen = told(Bands(WINDOW_MS, 1.0), moving(lambda day: 0.96 * day, 10))[-1]
    assert seen["index"] == pytest.approx(0.96)


def test_bands_are_multiples_of_the_steady_velocity() -> None:
    fast = moving(lambda day: 2.1 * day if day < 20 else 42 + 21 * (day - 20), 40)
    rises = [(event.level, event.rank) for event in played(law_of(), fast)]
    assert rises == [("yellow", 1), ("orange", 2)], "a velocity alone is never red"
    evidence = played(law_of(), fast)[-1].evidence
    assert (evidence["index"], evidence["unit"], evidence["threshold"]) == ("velocity", "mm/d", 10)
    assert evidence["value"] == pytest.approx(evidence["velocity_mm_per_day"], abs=1e-4)


def test_before_the_window_fills_and_after_a_gap_it_warms_up() -> None:
    index = Bands(WINDOW_MS, 1.0)
    assert run(index, moving(lambda day: 9 * day, 2)) == [None] * 3
    assert index.standing is Standing.WARMING_UP
    assert index.evidence() == {}
    assert run(index, [(3, 27)]) == [pytest.approx(9)]
    assert index.standing is Standing.OK
    assert run(index, [(30, 40)]) == [None]
    assert index.standing is Standing.WARMING_UP


def test_a_window_too_short_for_its_noise_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        law_of(v0_mm_per_day=0.5)
    assert refused.value.key == "rule[0].parameters.window_s"
    assert "518400" in refused.value.remedy
    assert law_of(v0_mm_per_day=0.5, window_s=518_400).ladder.rungs[1].raise_at == 2.5


def test_the_word_red_is_refused_for_one_line_of_evidence() -> None:
    rows = [{"level": "orange", "raise": 5}, {"level": "red", "raise": 10}]
    with pytest.raises(ConfigError) as refused:
        law_of(levels=rows)
    assert refused.value.key == "rule[0].parameters.levels[1].level"
    assert "inverse-velocity" in refused.value.remedy
    assert law_of(levels=[rows[0], {"level": "fast", "raise": 10}]).ladder.rungs[1].raise_at == 20


def test_a_steady_velocity_of_none_and_a_channel_that_does_not_move_are_refused() -> None:
    with pytest.raises(ConfigError, match="v0_mm_per_day"):
        law_of(v0_mm_per_day=0)
    parameters = given("generic-velocity", v0_mm_per_day=2, sigma_mm=1)
    with pytest.raises(ConfigError, match="st1/wl measures water_level"):
        law(AT, parameters, [place("wl")])


@given_by(
    st.lists(st.tuples(st.integers(0, 4000), st.floats(allow_nan=False, allow_infinity=False))),
    st.integers(0),
)
def test_any_finite_reading_is_taken_and_a_restart_says_the_same(
    rows: list[tuple[int, float]], cut: int
) -> None:
    whole, parts, now = Bands(WINDOW_MS, 1.0), Bands(WINDOW_MS, 1.0), 0
    for n, (wait_min, mm) in enumerate(rows):
        now += wait_min * 60_000
        if n == cut % len(rows):
            parts = reborn(parts, Bands(WINDOW_MS, 1.0))
        assert whole.take(now, mm) == parts.take(now, mm)
        assert (whole.standing, whole.evidence()) == (parts.standing, parts.evidence())


def test_a_level_keeps_the_wait_of_its_own() -> None:
    rows = [{"level": "yellow", "raise": 2}, {"level": "orange", "raise": 9, "hold_s": 60}]
    assert [rung.hold_ms for rung in law_of(levels=rows).ladder.rungs] == [None, 60_000]
