"""Rain that decays: API, effective rainfall, at any pace of readings."""

from __future__ import annotations

import json
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.rulebook import HOUR_MS

from egret_core.rules.antecedent import MS_PER_DAY, Antecedent, warm_ms
from egret_core.rules.index import Standing

MM = 1_000_000
K = 0.85
API_MS = log(0.5) / log(K) * MS_PER_DAY


def value(machine: Antecedent) -> float:
    """What is left, mm, also while it warms up."""
    depth_mm, *_ = machine.dump()
    assert isinstance(depth_mm, float)
    return depth_mm


def test_api_of_daily_rain_is_k_times_yesterday_and_today() -> None:
    machine, api = Antecedent(API_MS, MS_PER_DAY), 0.0
    machine.take(0, 0)
    for day, mm in enumerate((10, 0, 25, 3, 0, 0, 60), 1):
        machine.take(day * MS_PER_DAY, mm * MM)
        api = K * api + mm
        assert value(machine) == pytest.approx(api, abs=1e-12)


@pytest.mark.parametrize(("hours", "left_mm"), [(0, 40.0), (72, 20.0), (144, 10.0), (216, 5.0)])
def test_effective_rainfall_halves_in_its_half_life(hours: int, left_mm: float) -> None:
    machine = Antecedent(72 * HOUR_MS, HOUR_MS)
    machine.take(0, 0)
    machine.take(HOUR_MS, 40 * MM)
    for hour in range(2, hours + 2):
        machine.take(hour * HOUR_MS, 0)
    assert value(machine) == pytest.approx(left_mm, abs=1e-9)


def test_without_rain_the_pace_of_readings_changes_nothing() -> None:
    often, seldom = (Antecedent(72 * HOUR_MS, HOUR_MS) for _ in range(2))
    for machine in (often, seldom):
        machine.take(0, 0)
        machine.take(60_000, 40 * MM)
    for minute in range(2, 6 * 60):
        often.take(minute * 60_000, 0)
    for hour in range(1, 7):
        for machine in (often, seldom):
            machine.take(hour * HOUR_MS + 5 * HOUR_MS, 0)
    assert value(often) == pytest.approx(value(seldom), abs=1e-9)


def test_rain_of_a_silence_is_spread_over_it() -> None:
    steady, silent = (Antecedent(1.5 * HOUR_MS, 60_000) for _ in range(2))
    for machine in (steady, silent):
        machine.take(0, 0)
    for second in range(5, 10 * 3600 + 1, 5):
        steady.take(second * 1000, 60 * MM / 7200)
    silent.take(10 * HOUR_MS, 60 * MM)
    assert value(silent) == pytest.approx(value(steady), rel=1e-3)
    assert value(silent) == pytest.approx(6 / log(2) * 1.5 * (1 - 0.5 ** (10 / 1.5)))


def test_it_warms_up_until_what_fell_before_weighs_less_than_a_tenth() -> None:
    assert 0.5 ** (warm_ms(72 * HOUR_MS) / (72 * HOUR_MS)) == pytest.approx(0.1, abs=1e-6)
    machine = Antecedent(72 * HOUR_MS, HOUR_MS)
    found = [machine.take(hour * HOUR_MS, 0) for hour in range(241)]
    assert [index is not None for index in found].index(True) == 240
    assert machine.standing is Standing.OK
    assert machine.evidence() == {"half_life_h": 72.0}


@given(st.lists(st.tuples(st.integers(1, 400_000), st.integers(0, 50)), max_size=50))
def test_a_restart_anywhere_says_the_same(rows: list[tuple[int, int]]) -> None:
    whole, parts, now = Antecedent(3e7, HOUR_MS), Antecedent(3e7, HOUR_MS), 0
    for wait_s, mm in rows:
        now += wait_s * 1000
        saved = json.loads(json.dumps(parts.dump()))
        parts = Antecedent(3e7, HOUR_MS)
        parts.restore(saved)
        assert whole.take(now, mm * MM) == parts.take(now, mm * MM)
        assert whole.standing == parts.standing


@given(st.lists(st.tuples(st.integers(1, 86_400), st.integers(0, 50)), max_size=80))
def test_it_is_the_sum_of_all_rain_each_decayed_by_its_own_age(rows: list[tuple[int, int]]) -> None:
    machine, now, fell = Antecedent(72 * HOUR_MS, MS_PER_DAY), 0, []
    for wait_s, mm in rows:
        now += wait_s * 1000
        rain_mm = mm if fell else 0  # nobody knows since when the first fell
        machine.take(now, rain_mm * MM)
        fell.append((now, rain_mm))
        whole = sum(depth * 0.5 ** ((now - then) / (72 * HOUR_MS)) for then, depth in fell)
        assert value(machine) == pytest.approx(whole, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**15)), max_size=30))
def test_any_rain_after_any_wait_is_a_number(rows: list[tuple[int, int]]) -> None:
    machine, now, fell = Antecedent(60_000, 1), 0, 0
    for wait_ms, rain_nm in rows:
        now += wait_ms
        fell += rain_nm
        machine.take(now, rain_nm)
        assert 0 <= value(machine) <= fell / MM * (1 + 1e-9)
