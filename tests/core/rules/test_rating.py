"""Rating curve: a USGS table's own discharges, its ends, its shift, and levels of discharge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import strategies as st
from rig.packbook import refusal
from rig.rulebook import at, bound, fold_of, place, play, prompt, timeline
from rig.slopes import given, reborn

from egret_core.errors import ConfigError
from egret_core.reading import Reading
from egret_core.rules.index import Standing
from egret_core.rules.model import ChannelPlace, Family, IndexLaw
from egret_core.rules.rating import RatingCurve, law
from egret_core.units import convert

AT = ("rules.toml", "rule[0].parameters")
GAUGE = place("wl")
TABLE = Path(__file__).parents[4] / "shared" / "data" / "rating_01594440" / "rating.rdb"
SMALL = [{"stage": 1, "flow": 10}, {"stage": 2, "flow": 40}, {"stage": 4, "flow": 160}]
LEVELS = [{"level": "yellow", "raise": 20}, {"level": "red", "raise": 100, "clear": 90}]
needs_data = pytest.mark.skipif(not TABLE.exists(), reason="no ../shared/data/rating_01594440")


def read_rdb(text: str) -> tuple[float, list[dict[str, float]]]:
    """Return the offset and the points of a USGS rating table, ft and ft3/s."""
    offset, rows = 0.0, []
    for line in text.splitlines():
        if "RATING OFFSET1=" in line:
            offset = float(line.partition("RATING OFFSET1=")[2])
        if "RATING EXPANSION=" in line:
            assert '"logarithmic"' in line
        words = line.split("\t")
        if not line.startswith("#") and words[0][:1].isdigit() and "N" not in words[0]:
            rows.append({"stage": float(words[0]), "flow": float(words[1])})
    return offset, rows


def law_of(place_: ChannelPlace = GAUGE, **more: Any) -> IndexLaw:
    known: dict[str, Any] = {"points": SMALL, "levels": LEVELS, "datum": "Local"}
    return law(AT, given("generic-rating", **{**known, **more}), [place_])


def usgs(**more: Any) -> IndexLaw:
    offset, points = read_rdb(TABLE.read_text())
    levels = [{"level": "yellow", "raise": 4000}]
    units = {"stage_unit": "ft", "flow_unit": "ft3/s"}
    known = {"points": points, "offset": offset, "levels": levels, **units}
    return law_of(**{**known, **more})


def discharge_cfs(one: IndexLaw, stage_ft: float) -> float | None:
    index = one.make()
    found = index.take(0, convert("water_level", stage_ft, "ft"))
    assert index.standing is (Standing.INVALID if found is None else Standing.OK)
    return None if found is None else found / 0.028316846592


@needs_data
@pytest.mark.parametrize(
    ("stage_ft", "cfs", "linear_is_wrong_by"),
    [
        (4.50, 163.09, 2.7),
        (8, 863.60, 2.8),
        (10, 1729.73, 13.8),
        (15, 6577.31, 13.2),
        (25, 24538.96, 2.3),
    ],
)
def test_five_discharges_of_a_published_table(
    stage_ft: float, cfs: float, linear_is_wrong_by: float
) -> None:
    assert discharge_cfs(usgs(), stage_ft) == pytest.approx(cfs, abs=5e-3)
    _, points = read_rdb(TABLE.read_text())
    right = next(n for n, row in enumerate(points) if row["stage"] > stage_ft)
    low, high = points[right - 1], points[right]
    share = (stage_ft - low["stage"]) / (high["stage"] - low["stage"])
    linear = low["flow"] + share * (high["flow"] - low["flow"])
    assert 100 * (linear / cfs - 1) == pytest.approx(linear_is_wrong_by, abs=0.05)


@needs_data
def test_the_printed_discharges_of_15_and_25_ft_are_of_another_tenth_point() -> None:
    """6577.28 and 24538.82 ft3/s come of 16497.50 at 20.85 ft; the file has 16497.75."""
    _, points = read_rdb(TABLE.read_text())
    points[9]["flow"] = 16497.50
    assert discharge_cfs(usgs(points=points), 15) == pytest.approx(6577.28, abs=5e-3)
    assert discharge_cfs(usgs(points=points), 25) == pytest.approx(24538.82, abs=5e-3)


@needs_data
@pytest.mark.parametrize("stage_ft", [2.98, 27.91, -1, 1e300])
def test_outside_the_table_there_is_no_discharge(stage_ft: float) -> None:
    assert discharge_cfs(usgs(), stage_ft) is None


@needs_data
def test_the_points_themselves_and_both_ends_are_in_the_table() -> None:
    _, points = read_rdb(TABLE.read_text())
    assert len(points) == 11
    for row in points:
        assert discharge_cfs(usgs(), row["stage"]) == pytest.approx(row["flow"], rel=1e-9)


@needs_data
def test_a_shift_moves_the_stage_before_it_is_looked_up() -> None:
    assert discharge_cfs(usgs(shift=0.5), 4.0) == pytest.approx(163.09, abs=5e-3)
    assert discharge_cfs(usgs(shift=-0.5), 5.0) == pytest.approx(163.09, abs=5e-3)
    assert discharge_cfs(usgs(shift=-0.5), 3.2) is None
    assert discharge_cfs(usgs(shift=0.5), 27.5) is None


def test_a_power_law_is_found_between_its_points() -> None:
    curve = RatingCurve(((1.5, 10.0 * 1**1.7), (4.5, 10.0 * 4**1.7)), 0.5)
    for stage in (1.5, 1.9, 2.5, 3.3, 4.4, 4.5):
        assert curve.discharge(stage) == pytest.approx(10 * (stage - 0.5) ** 1.7)


def played(one: IndexLaw, stages: list[float]) -> list[tuple[str, float]]:
    fold = fold_of([GAUGE], [bound(one, Family.RATING, GAUGE)])
    rows = [Reading("st1", "wl", at(60 * n), stage) for n, stage in enumerate(stages)]
    out = play(fold, timeline(prompt(rows), ticks=False))
    return [(event.level, event.evidence["value"]) for event in out]


def test_levels_of_discharge_rise_and_ease() -> None:
    found = played(law_of(hold_s=0), [1.2, 1.5, 3.5, 3.1, 3.0, 2.9, 1.2, 1.2])
    assert [level for level, _ in found] == ["yellow", "red", "yellow", ""]
    assert found[1][1] == pytest.approx(10 * 3.5**2)


def test_a_level_outside_the_table_neither_rises_nor_falls() -> None:
    found = played(law_of(), [1.2, 3.5, 3.5, 0.1, 0.1, 0.1, 9.0, 9.0, 3.5])
    assert [level for level, _ in found] == ["red"]
    index = law_of().make()
    index.take(0, 9.0)
    assert index.standing is Standing.INVALID
    assert index.evidence() == {
        "stage_m": 9.0,
        "shift_m": 0.0,
        "table_from_m": 1.0,
        "table_to_m": 4.0,
    }


FALLING = [{"stage": 1, "flow": 10}, {"stage": 2, "flow": 9}]
TWICE = [{"stage": 1, "flow": 10}, {"stage": 1, "flow": 20}]


@pytest.mark.parametrize(
    ("more", "key", "remedy"),
    [
        ({"points": SMALL[:1]}, "points", "list 2 to 4096"),
        ({"points": 7}, "points", "list of tables"),
        ({"points": [*SMALL, {"stage": 5}]}, "points[3].flow", "write a number"),
        ({"points": [*SMALL, {"stage": 5, "flow": 200, "q": 1}]}, "points[3].q", "unknown key"),
        ({"points": FALLING}, "points[1].flow", "both rising"),
        ({"points": TWICE}, "points[1].flow", "both rising"),
        ({"points": [{"stage": 1, "flow": 0}, *SMALL[1:]]}, "points[0].flow", "above 0"),
        ({"offset": 1}, "points[0].stage", "above the offset"),
        ({"stage_unit": "kPa"}, "offset", "cannot measure water_level"),
        ({"flow_unit": "m"}, "points[0].flow", "cannot measure discharge"),
        ({"shift": 3.1}, "shift", "what the table spans, 3 m"),
        ({"shift": -3.1}, "shift", "what the table spans, 3 m"),
        ({"datum": "sea"}, "datum", "measured from 'Local'"),
        ({"levels": [{"level": "red", "raise": 161}]}, "levels[0].raise", "10 to 160 m3/s"),
        ({"levels": [{"level": "red", "raise": 9}]}, "levels[0].raise", "10 to 160 m3/s"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(
    more: dict[str, Any], key: str, remedy: str
) -> None:
    with refusal(key, remedy):
        law_of(**more)


def test_a_channel_that_is_no_stage_is_refused() -> None:
    with pytest.raises(ConfigError, match="st1/rn measures rain_total"):
        law_of(place("rn", "rain_total"))


@given_by(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_any_finite_stage_is_taken_and_a_restart_keeps_the_standing(stages: list[float]) -> None:
    index = law_of().make()
    for stage in stages:
        found = index.take(0, stage)
        assert found is None or 10 <= found <= 160 * (1 + 1e-12)
        fresh = reborn(index, law_of().make())
        assert fresh.standing is index.standing
