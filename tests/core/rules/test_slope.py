"""A slope by two lines of evidence: published files, seeded failures, and what must not be red."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st
from rig.packbook import refusal
from rig.rulebook import bound, fold_of
from rig.slopes import DATA, FAILURE_D, Series, given, moving, published, reborn, run, told

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench"))

import _skill_slope as skill

from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.event import ConditionEvent, settled_hash
from egret_core.rules.index import Standing
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.movement import MS_PER_DAY
from egret_core.rules.slope import CRITICAL, EARLY, MIDDLE, UNIFORM, Slope, law
from egret_core.rules.step import Change, Fold, Receipt, step

AT = ("rules.toml", "rule[0].parameters")
GNSS = ChannelPlace("st1", "dx", "displacement", "mm", "", "GW-1", 30.0)
needs_data = pytest.mark.skipif(
    not DATA.exists(), reason="no ../shared/data/displacement_synthetic"
)


def law_of(**more: Any) -> IndexLaw:
    return law(AT, given("inverse-velocity", **{"sigma_mm": 1, **more}), [GNSS])


def made(**more: Any) -> Slope:
    index = law_of(**more).make()
    assert isinstance(index, Slope)
    return index


def stages(said: list[dict[str, Any]]) -> dict[float, float]:
    """Return the first day of each stage."""
    first: dict[float, float] = {}
    for row in said:
        first.setdefault(row["index"], row["day"])
    return first


# First red, its t_f, last red, its t_f, first angle >= 80 and >= 85: days. The plain gate's are in
# the table of the reference; its first t_f were 95.67, 95.47 and 94.29, its last red day 96 daily.
FIGURES = {
    "daily": (95.0, 93.33, 99.0, 98.08, 94.0, 97.0),
    "6 h": (94.5, 92.59, 99.0, 98.44, 93.0, 96.25),
    "1 h": (94.54, 92.50, 99.0, 98.43, 93.0, 96.17),
}


@needs_data
@pytest.mark.parametrize("name", FIGURES)
def test_published_files(name: str) -> None:
    said = told(made(), published(name))
    reds = [row for row in said if row["index"] == CRITICAL]
    steep = [next(r["day"] for r in said if r["angle_deg"] >= deg) for deg in (80, 85)]
    ends = [(row["day"], row["failure_ms"] / MS_PER_DAY) for row in (reds[0], reds[-1])]
    found = [*ends[0], *ends[1], *steep]
    assert found == pytest.approx(FIGURES[name], abs=0.011)
    assert all(row["index"] == CRITICAL for row in said if row["day"] >= reds[0]["day"])
    assert not [row for row in said if row["day"] < 60 and row["index"] > UNIFORM]


# The reference's table of the plain gate: first red, its t_f, last red, its t_f.
PLAIN = {
    "daily": (93.0, 95.67, 96.0, 96.00),
    "6h": (92.0, 95.47, 99.0, 99.20),
    "1h": (92.04, 94.29, 98.79, 98.83),
}


@needs_data
def test_the_plain_gate_beside_it_is_the_reference_s() -> None:
    found = skill.synthetic()
    for name, days in PLAIN.items():
        word = f"slope_plain_gate_{name}"
        ends = [
            f"{word}_{which}_red{what}"
            for which in ("first", "last")
            for what in ("_d", "_names_d")
        ]
        assert [found[key] for key in ends] == pytest.approx(days, abs=0.011)


@needs_data
def test_the_three_paces_give_equal_answers() -> None:
    said = {name: told(made(), published(name)) for name in FIGURES}
    firsts = [stages(rows) for rows in said.values()]
    for stage in (MIDDLE, CRITICAL):
        days = [first[stage] for first in firsts]
        assert max(days) - min(days) <= 0.5
    learnt = [rows[-1]["v_eq_mm_per_day"] for rows in said.values()]
    assert learnt == pytest.approx([0.877, 0.869, 0.866], rel=0.01)


@needs_data
def test_the_band_of_the_last_day_comes_near_the_failure() -> None:
    for name in FIGURES:
        last = told(made(), published(name))[-1]
        late_d = max(last["failure_to_ms"], last["failure_alpha_1_5_ms"]) / MS_PER_DAY
        assert FAILURE_D - 1.5 <= late_d <= FAILURE_D + 1


@pytest.fixture(scope="module")
def figures() -> dict[str, float]:
    return skill.figures()


def test_seeded_failures_are_seen_in_time(figures: dict[str, float]) -> None:
    assert figures["slope_rule_detected"] >= 0.93
    assert figures["slope_rule_before_onset"] == 0
    assert figures["slope_rule_lead_d"] >= 6
    assert figures["slope_rule_lead_5pct_d"] >= 3
    assert figures["slope_rule_last_band_holds"] >= 0.9


def test_velocities_in_the_middle_of_their_window_take_the_lateness_away(
    figures: dict[str, float],
) -> None:
    assert figures["slope_plain_gate_last_error_d"] > 2.5
    assert 0 <= figures["slope_rule_last_error_d"] < 0.5
    assert figures["slope_rule_last_error_iqr_d"] < 1.1


def test_a_slope_that_never_falls_is_red_for_days_and_not_for_months(
    figures: dict[str, float],
) -> None:
    assert figures["slope_never_fell_angle_red_days"] > 100
    assert figures["slope_never_fell_rule_red_days"] < 15


@pytest.mark.parametrize("every_d", [0.25, 1 / 24])
def test_denser_readings_see_no_fewer_failures(every_d: float) -> None:
    count = 12
    outcomes = [skill.by_rule(series) for series in skill.failures(count, 5, every_d)]
    scores = skill.scored(outcomes, "dense")
    assert scores["dense_detected"] >= 0.93
    assert scores["dense_before_onset"] == 0


def test_missing_and_shifted_readings_cost_little(figures: dict[str, float]) -> None:
    assert figures["slope_rule_holed_detected"] >= 0.9


def test_spans_twenty_times_shorter_judge_a_slope_twenty_times_faster() -> None:
    spans = {"window_s": 21_600, "fit_s": 43_200, "held_s": 8640, "horizon_s": 43_200}
    for series in skill.failures(10, 3):
        fast = [(day / 20, mm) for day, mm in series]
        slow_said = told(made(v_eq_mm_per_day=0.5), series)
        fast_said = told(made(v_eq_mm_per_day=10, **spans), fast)
        assert [row["index"] for row in fast_said] == [row["index"] for row in slow_said]


def steep(day: float) -> float:
    """Steady creep, then for good twenty times as fast: no acceleration."""
    return day if day < 60 else 60 + 20 * (day - 60)


def accelerating(day: float) -> float:
    """Alpha 2, failure at day 100."""
    return day + 60 * max(skill.log(40 / (100 - day)), 0) if day < 100 else 0.0


@pytest.mark.parametrize("seed", range(10))
def test_the_angle_alone_is_never_red(seed: int) -> None:
    series = moving(steep, 200, noise_mm=0.3, seed=seed)
    said = told(made(v_eq_mm_per_day=1, sigma_mm=0.3), series)
    settled = [row for row in said if row["day"] > 75]
    assert all(row["angle_deg"] >= 85 for row in settled)
    assert {row["index"] for row in settled} == {MIDDLE}
    assert {tuple(row["lines_of_evidence"]) for row in settled} == {("angle",)}


@pytest.mark.parametrize("step_mm", [5, 50, 500, 5000])
@pytest.mark.parametrize("every_d", [1.0, 0.25, 1 / 24])
def test_an_instrument_that_was_struck_is_never_red(step_mm: float, every_d: float) -> None:
    series = moving(lambda d: d + (step_mm if d > 60 else 0), 100, every_d, noise_mm=0.5, seed=1)
    said = told(made(v_eq_mm_per_day=1), series)
    assert max(row["index"] for row in said) <= MIDDLE


def test_inverse_velocity_alone_is_orange_and_with_the_angle_red() -> None:
    said = told(made(v_eq_mm_per_day=1), moving(accelerating, 98))
    rows = {row["day"]: row for row in said}
    firsts = stages(said)
    assert firsts[CRITICAL] > firsts[MIDDLE]
    red = rows[firsts[CRITICAL]]
    assert red["lines_of_evidence"] == ["angle", "inverse_velocity"]
    assert said[-1]["failure_ms"] / MS_PER_DAY == pytest.approx(100, abs=1)
    assert red["failure_from_ms"] <= red["failure_ms"] <= red["failure_to_ms"]
    assert red["failure_alpha_2_2_ms"] < red["failure_ms"] < red["failure_alpha_1_5_ms"]
    assert (red["v_eq_is"], red["v_eq_mm_per_day"]) == ("given", 1)
    # 1/v points a month ahead from the beginning: too far to be a line of evidence.
    far = [row for row in said if row["day"] < 80 and "failure_ms" in row]
    assert far
    assert not [row for row in far if row["lines_of_evidence"]]


def test_a_single_wrong_reading_makes_no_line() -> None:
    series = [(d, mm + (40 if d == 70 else 0)) for d, mm in moving(lambda day: day, 90)]
    said = told(made(v_eq_mm_per_day=1), series)
    assert {row["index"] for row in said} == {UNIFORM, EARLY}
    assert not [row for row in said if row["lines_of_evidence"]]


def test_while_v_eq_is_learnt_and_after_a_gap_it_warms_up() -> None:
    index = made()
    assert set(run(index, moving(lambda day: day, 39))) == {None}
    assert index.standing is Standing.WARMING_UP
    run(index, [(day, day) for day in range(40, 60)])
    assert index.standing is Standing.OK
    assert run(index, [(90, 90.0)]) == [None]
    assert index.standing is Standing.WARMING_UP


def played(one: IndexLaw, series: Series, cuts: tuple[int, ...] = ()) -> list[ConditionEvent]:
    """Return the events of a fold that is thrown away at every cut and read back."""
    rule = bound(one, Family.SLOPE, GNSS)
    fold, disk, out = fold_of([GNSS], [rule], 0), {}, []
    for n, (day, mm) in enumerate(series):
        now_ms = round(day * MS_PER_DAY)
        out += step(fold, Receipt("GW-1", now_ms + 1, [Reading("st1", "dx", now_ms, mm)]))[1]
        if n in cuts:
            disk.update(fold.changed())
            fold = Fold()
            step(fold, Change([GNSS], [rule], 0))
            fold.restore({key: body for key, body in disk.items() if body is not None})
    return out


def test_the_fold_raises_level_by_level_and_a_restart_says_the_same() -> None:
    series = moving(accelerating, 99, noise_mm=0.3, seed=2)
    one = law_of(v_eq_mm_per_day=1, sigma_mm=0.3)
    events = played(one, series)
    rises = [event.level for event in events]
    assert rises == ["yellow", "orange", "red"]
    evidence = events[-1].evidence
    assert (evidence["index"], evidence["unit"], evidence["value"]) == ("slope", "stage", CRITICAL)
    assert abs(evidence["failure_ms"] / MS_PER_DAY - 100) < 4
    again = played(one, series, (30, 55, 80, 91, 93))
    assert settled_hash(again) == settled_hash(events)


@pytest.mark.parametrize(
    ("more", "key", "remedy"),
    [
        ({"fit_s": 86_400}, "fit_s", "at least window_s"),
        ({"yellow_deg": 80}, "orange_deg", "more than yellow_deg"),
        ({"orange_deg": 90}, "orange_deg", "less than 90"),
        ({"sigma_mm": 0}, "sigma_mm", "floor of v_eq"),
        ({"r2_min": 1.5}, "r2_min", "at most 1"),
        ({"v_eq_mm_per_day": 0.001}, "v_eq_mm_per_day", "sigma / window"),
        ({"levels": [{"level": "red", "raise": 3}]}, "levels[0].level", "never red"),
        ({"levels": [{"level": "red", "raise": 5}]}, "levels[0].raise", "at most 4"),
    ],
)
def test_what_cannot_be_judged_is_refused(more: dict[str, Any], key: str, remedy: str) -> None:
    with refusal(key, remedy):
        law_of(**more)


def test_a_channel_that_does_not_move_is_refused() -> None:
    rain = ChannelPlace("st1", "rn", "rain_total", "mm", "", "GW-1")
    with pytest.raises(ConfigError, match="displacement, settlement, crack_width"):
        law(AT, given("inverse-velocity", sigma_mm=1), [rain])


def test_history_covers_learning_and_every_window() -> None:
    assert law_of().span_ms >= (40 + 5 + 10 + 10 + 2 * 2) * MS_PER_DAY
    assert law_of(v_eq_mm_per_day=1).span_ms < 40 * MS_PER_DAY


def test_the_state_is_bounded_at_any_pace() -> None:
    index = made(window_s=3600, fit_s=7200, held_s=1800, learn_s=86_400)
    worst = 0
    for n in range(3000):
        index.take(n * 60_000, 0.001 * n * n)
        worst = max(worst, len(str(index.dump())))
    assert worst < 20_000


@given_by(
    st.lists(st.tuples(st.integers(0, 3000), st.floats(allow_nan=False, allow_infinity=False))),
    st.integers(0),
)
def test_any_finite_reading_is_taken_and_a_restart_says_the_same(
    rows: list[tuple[int, float]], cut: int
) -> None:
    whole, parts, now = made(v_eq_mm_per_day=1), made(v_eq_mm_per_day=1), 0
    for n, (wait_min, mm) in enumerate(rows):
        now += wait_min * 60_000
        if n == cut % len(rows):
            parts = reborn(parts, made(v_eq_mm_per_day=1))
        stage = whole.take(now, mm)
        assert stage == parts.take(now, mm)
        assert whole.standing == parts.standing
        assert stage is None or whole.evidence() == parts.evidence()
