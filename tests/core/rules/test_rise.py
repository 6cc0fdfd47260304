"""Rate of rise and time to a threshold: worked examples, an oracle, gaps and restarts."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.packbook import GAUGE, RIVER, judged, of_pack, refused
from rig.rulebook import brief

from egret_core.rules.index import Standing
from egret_core.rules.reach import Reach
from egret_core.rules.rise import READINGS_MAX, Rise, to_threshold_h

HOUR_MS = 3_600_000
RISING = [(0, 1.00), (300, 1.10), (600, 1.20)]
STEPS_S = st.sampled_from([1, 60, 300, 300, 301, 1800, 3600, 3601, 86_400])


def fed(line: Rise, rows: list[tuple[float, float]]) -> float | None:
    out = None
    for second, value in rows:
        out = line.take(round(second * 1000), value)
    return out


def slope_of(rows: list[tuple[int, float]]) -> float:
    """Return the textbook slope per hour, in exact fractions."""
    count = len(rows)
    t = [Fraction(ms, HOUR_MS) for ms, _ in rows]
    y = [Fraction(value) for _, value in rows]
    t0, y0 = sum(t) / count, sum(y) / count
    spread = sum((a - t0) ** 2 for a in t)
    return float(sum((a - t0) * (b - y0) for a, b in zip(t, y, strict=True)) / spread)


def test_a_metre_and_ten_and_twenty_in_ten_minutes_is_1_2_m_an_hour() -> None:
    assert fed(Rise(3, 0, HOUR_MS), RISING) == pytest.approx(1.2, abs=1e-12)
    assert fed(Rise(0, 900_000, HOUR_MS), RISING) == pytest.approx(1.2, abs=1e-12)


def test_two_metres_are_forty_minutes_away() -> None:
    hours = to_threshold_h(1.20, 1.2, 2.0)
    assert hours is not None
    assert hours * 60 == pytest.approx(40)
    assert to_threshold_h(2.0, 1.2, 2.0) == 0.0
    assert to_threshold_h(1.2, 0.0, 2.0) is None
    assert to_threshold_h(1.2, -1.0, 2.0) is None


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(STEPS_S, st.floats(-50, 9000)), min_size=1, max_size=60),
    st.sampled_from([(3, 0), (6, 0), (12, 0), (0, 900), (0, 3600), (0, 86_400)]),
)
def test_it_is_the_least_squares_line_of_its_window(
    rows: list[tuple[int, float]], window: tuple[int, int]
) -> None:
    samples, window_s = window
    line, now, seen = Rise(samples, window_s * 1000, HOUR_MS), 1_500_000_000_000, []
    for wait_s, value in rows:
        now += wait_s * 1000
        if wait_s > 3600:
            seen = []
        seen.append((now, value))
        inside = seen[-samples:] if samples else [r for r in seen if r[0] >= now - window_s * 1000]
        got = line.take(now, value)
        span = inside[-1][0] - inside[0][0]
        whole = (
            len(inside) == samples if samples else len(inside) >= 3 and 2 * span >= window_s * 1000
        )
        assert (got is not None) == whole
        if got is not None:
            assert got == pytest.approx(slope_of(inside), rel=1e-9, abs=1e-9)


def test_a_year_of_readings_leaves_no_drift() -> None:
    dice, line, fresh = random.Random(3), Rise(12, 0, HOUR_MS), Rise(12, 0, HOUR_MS)
    rows = [(300_000 * n, round(2 + dice.gauss(0, 0.5), 3)) for n in range(105_120)]
    got = None
    for time_ms, value in rows:
        got = line.take(time_ms, value)
    expected = None
    for time_ms, value in rows[-12:]:
        expected = fresh.take(time_ms, value)
    assert got == expected, "to the last bit"


def test_until_the_window_is_full_it_warms_up_and_says_nothing() -> None:
    line = Rise(6, 0, HOUR_MS)
    for n in range(5):
        assert line.take(n * 1000, 1.0) is None
        assert line.standing is Standing.WARMING_UP
    assert line.take(5000, 1.0) == 0.0
    assert line.standing is Standing.OK
    window = Rise(0, HOUR_MS, HOUR_MS)
    assert [window.take(n * 600_000, 1.0) for n in range(4)] == [None, None, None, 0.0]


def test_a_silence_longer_than_the_gap_begins_anew() -> None:
    line = Rise(3, 0, 900_000)
    assert fed(line, RISING) is not None
    assert line.take(600_000 + 900_001, 9.0) is None
    assert line.standing is Standing.WARMING_UP
    again = [(1600.0, 9.0), (1700.0, 9.0)]
    assert fed(line, again) == 0.0


def test_readings_of_one_time_have_no_slope() -> None:
    line = Rise(3, 0, HOUR_MS)
    assert [line.take(0, value) for value in (1.0, 2.0, 3.0)] == [None, None, None]
    assert line.standing is Standing.NOT_APPLICABLE


def test_what_nothing_measures_is_invalid_and_no_exception() -> None:
    line = Rise(3, 0, HOUR_MS)
    for value in (1e300, -1e300, 1.7976931348623157e308, 5e-324):
        line.take(0, value)
    assert line.standing is Standing.WARMING_UP
    assert line.take(1000, 1e10) is None
    assert line.standing is Standing.INVALID


def test_the_window_is_bounded() -> None:
    line = Rise(0, 24 * HOUR_MS, HOUR_MS)
    for n in range(READINGS_MAX + 500):
        line.take(n * 1000, n / 3600)
    assert len(line.dump()[0]) == READINGS_MAX
    assert line.take((READINGS_MAX + 500) * 1000, (READINGS_MAX + 500) / 3600) == pytest.approx(1.0)


@pytest.mark.parametrize("stop", range(1, 20, 3))
def test_a_restart_anywhere_changes_nothing(stop: int) -> None:
    dice = random.Random(stop)
    rows = [(n * 300_000 + dice.randrange(60_000), dice.uniform(0, 5)) for n in range(20)]
    whole, part = Rise(0, HOUR_MS, HOUR_MS), Rise(0, HOUR_MS, HOUR_MS)
    for n, (time_ms, value) in enumerate(rows):
        if n == stop:
            fresh = Rise(0, HOUR_MS, HOUR_MS)
            fresh.restore(json.loads(json.dumps(part.dump())))
            assert fresh.standing is part.standing
            part = fresh
        assert part.take(time_ms, value) == whole.take(time_ms, value)
    assert part.evidence() == whole.evidence()


RATE = (
    'unit = "m/h"\nlevels = [{ level = "yellow", raise = 0.5 }, { level = "red", raise = 1.2 }]\n'
)
REACH = """unit = "m"
datum = "Local"
levels = [{ level = "yellow", raise = 1.8 }, { level = "red", raise = 2.0 }]
"""


def test_a_rule_by_rate_of_rise_says_the_slope_and_its_window() -> None:
    rows = [(300 * n, 1 + max(0, n - 12) * 0.1) for n in range(24)]
    events = judged(of_pack("generic-rate-of-rise", RIVER, RATE), RIVER, rows)
    assert [row[:2] for row in brief(events)] == [("raised", "yellow"), ("upgraded", "red")]
    first = events[0].evidence
    assert (first["index"], first["unit"], first["threshold"]) == ("rate_of_rise", "m/h", 0.5)
    assert first["slope_per_h"] == pytest.approx(first["value"], abs=1e-6)
    assert (first["readings"], first["over_s"]) == (7, 1800.0)
    assert "datum" not in first


def test_a_rate_in_other_units_is_a_difference_of_them() -> None:
    law = of_pack("generic-rate-of-rise", RIVER, RATE.replace('"m/h"', '"ft/h"')).law
    raises = [rung.raise_at for rung in law.ladder.rungs]
    assert raises == pytest.approx([0.5 * 0.3048, 1.2 * 0.3048])
    assert law.ladder.unit == "m/h"


def test_a_rule_by_time_to_level_warns_before_the_level_with_the_minutes_left() -> None:
    rows = [(300 * n, 1.0 + 0.1 * max(0, n - 3)) for n in range(16)]
    events = judged(of_pack("generic-time-to-level", RIVER, REACH), RIVER, rows)
    assert [row[:2] for row in brief(events)] == [("raised", "yellow"), ("upgraded", "red")]
    red = events[1].evidence
    assert (red["index"], red["basis"], red["method"]) == ("reach", "forecast", "trend")
    assert red["lead_s"] == 1800.0
    assert (red["threshold"], red["unit"], red["datum"]) == (2.0, "m", "Local")
    assert red["newest"] < 2.0 <= red["value"]
    assert red["minutes_to"]["red"] == pytest.approx(
        60 * (2.0 - red["newest"]) / red["slope_per_h"]
    )
    assert red["minutes_to"]["red"] <= 30


def test_a_fall_is_drawn_on_as_no_rise() -> None:
    reach = Reach((3, 0, HOUR_MS), 1_800_000, ())
    got = [reach.take(300_000 * n, 3.0 - 0.1 * n) for n in range(4)]
    assert got == [None, None, pytest.approx(2.8), pytest.approx(2.7)]
    assert reach.evidence()["minutes_to"] == {}


def test_reach_survives_a_restart() -> None:
    one = of_pack("generic-time-to-level", RIVER, REACH).law.make()
    two = of_pack("generic-time-to-level", RIVER, REACH).law.make()
    for n, value in enumerate((1.0, 1.1, 1.3)):
        one.take(300_000 * n, value)
    two.restore(json.loads(json.dumps(one.dump())))
    assert two.standing is one.standing is Standing.OK
    assert two.take(900_000, 1.6) == one.take(900_000, 1.6)
    assert two.evidence() == one.evidence()


@pytest.mark.parametrize(
    ("pack", "parameters", "key", "says"),
    [
        ("generic-rate-of-rise", RATE.replace('"m/h"', '"m"'), "unit", "e.g. m/h"),
        ("generic-rate-of-rise", RATE.replace('"m/h"', '"m/d"'), "unit", "by the hour"),
        ("generic-rate-of-rise", RATE.replace('"m/h"', '"kPa/h"'), "levels[0].raise", "measure"),
        ("generic-rate-of-rise", RATE + "samples = 3", "window_s", "0 for the other"),
        ("generic-rate-of-rise", RATE + "window_s = 0", "samples", "how many"),
        ("generic-time-to-level", REACH + "samples = 2", "samples", "3 to 4096"),
        ("generic-time-to-level", REACH + "samples = 3.5", "samples", "a whole number"),
        ("generic-time-to-level", REACH + "lead_s = 0", "lead_s", "at least 60"),
        ("generic-time-to-level", REACH.replace("Local", "Sea"), "datum", "'Local'"),
        ("generic-time-to-level", REACH.replace("2.0", "1.0"), "levels[1].raise", "lowest up"),
    ],
)
def test_wrong_parameters_are_refused(pack: str, parameters: str, key: str, says: str) -> None:
    seen, remedy = refused(pack, RIVER, parameters)
    assert (seen, says in remedy) == (key, True), remedy


def test_one_rule_judges_one_quantity() -> None:
    assert of_pack("generic-rate-of-rise", GAUGE, RATE.replace('"m/h"', '"mm/h"'))


def test_the_standing_of_the_index_is_shown() -> None:
    made: Any = of_pack("generic-rate-of-rise", RIVER, RATE).law.make()
    assert made.standing is Standing.WARMING_UP
