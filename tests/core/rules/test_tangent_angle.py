"""Tangent angle: the table's angles, a v_eq that is floored and frozen, and never red alone."""

from __future__ import annotations

from math import radians, tan
from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st
from rig.packbook import refusal
from rig.rulebook import bound, fold_of
from rig.slopes import Series, given, moving, reborn, run, told

from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.event import Phase
from egret_core.rules.index import Standing
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.movement import MS_PER_DAY
from egret_core.rules.step import Receipt, step
from egret_core.rules.tangent_angle import Held, TangentAngle, law, tangent_angle

AT = ("rules.toml", "rule[0].parameters")
GNSS = ChannelPlace("st1", "dx", "displacement", "mm", "", "GW-1", 30.0)


def law_of(**more: Any) -> IndexLaw:
    known = {"sigma_mm": 0.5, "v_eq_mm_per_day": 2}
    return law(AT, given("xu-tangent-angle", **{**known, **more}), [GNSS])


def made(**more: Any) -> TangentAngle:
    index = law_of(**more).make()
    assert isinstance(index, TangentAngle)
    return index


def levels(series: Series, **more: Any) -> list[tuple[str, float]]:
    """Return what the fold raises: level and day."""
    fold, out = fold_of([GNSS], [bound(law_of(**more), Family.TANGENT_ANGLE, GNSS)], 0), []
    for day, mm in series:
        now_ms = round(day * MS_PER_DAY)
        out += step(fold, Receipt("GW-1", now_ms + 1, [Reading("st1", "dx", now_ms, mm)]))[1]
    assert all(event.phase is Phase.SETTLED for event in out)
    return [(event.level, event.time_ms / MS_PER_DAY) for event in out]


@pytest.mark.parametrize(
    ("velocity", "degrees", "level"),
    [
        (11.34, 79.998, "yellow"),
        (11.35, 80.006, "orange"),
        (22.86, 84.99998, "orange"),
        (22.87, 85.002, "orange"),  # the table's red, which one angle never is
    ],
)
def test_the_worked_angles(velocity: float, degrees: float, level: str) -> None:
    assert tangent_angle(velocity, 2.0) == pytest.approx(degrees, abs=5e-4)
    assert levels(moving(lambda day: velocity * day, 20))[-1][0] == level
    found = told(made(), moving(lambda day: velocity * day, 20))[-1]
    assert found["index"] == pytest.approx(degrees, abs=5e-4)


def test_84_99998_is_below_the_critical_angle() -> None:
    assert tangent_angle(22.86, 2.0) == pytest.approx(84.99998, abs=5e-6)
    assert tangent_angle(22.86, 2.0) < 85 < tangent_angle(22.87, 2.0)


@pytest.mark.parametrize(("degrees", "ratio"), [(45, 1), (80, 5.6713), (85, 11.4301), (89, 57.29)])
def test_the_angles_are_ratios_of_velocities(degrees: float, ratio: float) -> None:
    assert tan(radians(degrees)) == pytest.approx(ratio, abs=5e-5)
    assert tangent_angle(ratio, 1.0) == pytest.approx(degrees, abs=1e-4)


def test_one_steep_reading_is_none_and_three_are() -> None:
    def kinked(steep_days: int) -> Series:
        last = 20 + steep_days
        return moving(lambda day: 2 * day if day <= 20 else 40 + 60 * (day - 20), last)

    steep = [row for row in told(made(), kinked(6)) if row["angle_deg"] >= 80]
    assert [row["index"] >= 80 for row in steep] == [False, False, True, True, True]
    assert ("orange", 24) in levels(kinked(5))
    assert "orange" not in dict(levels(kinked(4)))


@pytest.mark.parametrize("every_d", [1.0, 0.25, 1 / 24])
def test_the_pace_of_readings_does_not_change_the_day(every_d: float) -> None:
    series = moving(lambda day: 2 * day if day <= 20 else 40 + 60 * (day - 20), 30, every_d)
    (yellow, at_yellow), (orange, at_orange) = levels(series)
    assert (yellow, orange) == ("yellow", "orange")
    assert at_yellow == pytest.approx(23, abs=0.75)
    assert at_orange == pytest.approx(23.5, abs=0.75)


def test_a_quiet_point_stays_quiet_by_the_floor_of_v_eq() -> None:
    for seed in range(20):
        quiet = moving(lambda _: 0.0, 120, noise_mm=0.5, seed=seed)
        assert not [row for row in levels(quiet, v_eq_mm_per_day=0) if row[0] == "orange"]
    said = told(made(v_eq_mm_per_day=0), moving(lambda _: 0.0, 60))[-1]
    assert said["v_eq_mm_per_day"] == 0.1  # 0.5 mm over 5 d
    assert said["v_eq_is"] == "floor"
    least = told(made(v_eq_mm_per_day=0.1), moving(lambda _: 0.0, 60))[-1]
    assert (least["v_eq_mm_per_day"], least["v_eq_is"]) == (0.1, "given")


def test_v_eq_is_learnt_frozen_and_shown() -> None:
    index = made(v_eq_mm_per_day=0)
    slow = moving(lambda day: 1.5 * day, 40)
    assert told(index, slow[:-1]) == []
    assert index.standing is Standing.WARMING_UP
    said = told(index, moving(lambda day: 1.5 * day, 400)[40:])
    assert (said[-1]["v_eq_mm_per_day"], said[-1]["v_eq_is"]) == (1.5, "learnt")
    # A year of faster creep later it is still what it was.
    later = moving(lambda day: 600 + 6 * (day - 400), 800)[401:]
    assert told(index, later)[-1]["v_eq_mm_per_day"] == 1.5
    assert told(made(), slow)[-1]["v_eq_is"] == "given"


def test_a_learning_time_with_a_hole_goes_on_until_it_has_seen_enough() -> None:
    index = made(v_eq_mm_per_day=0)
    holed = [row for row in moving(lambda day: 1.5 * day, 100) if row[0] < 4 or row[0] > 38]
    said = told(index, holed)
    assert said[0]["day"] > 60
    assert said[0]["v_eq_mm_per_day"] == 1.5


def test_after_a_gap_nothing_is_said_until_three_readings_hold() -> None:
    index = made()
    run(index, moving(lambda day: 30 * day, 20))
    assert index.standing is Standing.OK
    back = [(40 + n, 1200 + 30 * n) for n in range(8)]
    assert [value is None for value in run(index, back)] == [True] * 5 + [False] * 3


def test_a_channel_that_falls_as_the_slope_moves() -> None:
    down = moving(lambda day: 500 - 30 * day, 20)
    assert levels(down) == []
    assert levels(down, direction="falling")[-1][0] == "orange"


def test_the_lowest_of_a_span_needs_three_readings_that_fill_it() -> None:
    held = Held(100)
    assert [held.take(t, v) for t, v in ((0, 5), (50, 3), (79, 4))] == [None, None, None]
    assert held.take(80, 9.0) == 3
    assert held.take(150, 8.0) == 3
    assert held.take(170, 8.0) == 4
    assert held.take(400, 8.0) is None
    for n in range(5000):
        held.take(400 + n, float(n))
        assert len(held.dump()) <= 35


@pytest.mark.parametrize(
    ("more", "key", "remedy"),
    [
        ({"levels": [{"level": "red", "raise": 85}]}, "levels[0].raise", "inverse-velocity"),
        ({"levels": [{"level": "red", "raise": 80}]}, "levels[0].level", "never red"),
        ({"levels": [{"level": " Red", "raise": 80}]}, "levels[0].level", "never red"),
        ({"v_eq_mm_per_day": 0.099}, "v_eq_mm_per_day", "at least 0.1: sigma / window"),
        ({"sigma_mm": 101}, "sigma_mm", "at most 100"),
        ({"sigma_mm": 0}, "sigma_mm", "floor of v_eq"),
        ({"direction": "down"}, "direction", "rising, falling"),
    ],
)
def test_what_cannot_be_judged_is_refused(more: dict[str, Any], key: str, remedy: str) -> None:
    with refusal(key, remedy):
        law_of(**more)


def test_a_channel_that_does_not_move_is_refused() -> None:
    wet = ChannelPlace("st1", "pp", "pore_pressure", "kPa", "", "GW-1")
    with pytest.raises(ConfigError, match="st1/pp measures pore_pressure"):
        law(AT, given("xu-tangent-angle", sigma_mm=1), [wet])


@given_by(
    st.lists(st.tuples(st.integers(0, 4000), st.floats(allow_nan=False, allow_infinity=False))),
    st.integers(0),
    st.sampled_from([0, 2]),
)
def test_any_finite_reading_is_taken_and_a_restart_says_the_same(
    rows: list[tuple[int, float]], cut: int, v_eq: float
) -> None:
    more = {"v_eq_mm_per_day": v_eq, "learn_s": 864_000}
    whole, parts, now = made(**more), made(**more), 0
    for n, (wait_min, mm) in enumerate(rows):
        now += wait_min * 60_000
        if n == cut % len(rows):
            parts = reborn(parts, made(**more))
        assert whole.take(now, mm) == parts.take(now, mm)
        assert (whole.standing, whole.evidence()) == (parts.standing, parts.evidence())
