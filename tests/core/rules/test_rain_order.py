"""Tables of rain stand lowest level first: an order that leaves a level unsaid is refused."""

from __future__ import annotations

import pytest
from rig.packbook import GAUGE, of_pack, refused

INLAND = 'place = "inland"\nlevels = []'
COAST = 'place = "coast"\nlevels = []'
FUZHOU = f'{INLAND[:-2]}[{{ level = "orange", window_h = 1, sum = 60 }}]'


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("window_h = 3, sum = 100", "window_h = 3, sum = 50"),
        ("window_h = 1, sum = 50", "window_h = 3, sum = 50"),
        ("window_h = 1, over = 50", "window_h = 1, sum = 50"),
        ("window_h = 3, sum = 100, and = [{ window_h = 1, sum = 50 }]", "window_h = 3, sum = 100"),
        (
            "window_h = 3, sum = 100, and = [{ window_h = 1, sum = 50 }]",
            "window_h = 6, sum = 90, and = [{ window_h = 2, sum = 40 }]",
        ),
        ("window_h = 1, sum = 50", "window_h = 3, sum = 50, and = [{ window_h = 1, sum = 40 }]"),
    ],
)
def test_a_table_upside_down_is_refused_and_the_right_way_up_taken(low: str, high: str) -> None:
    rows = [f'{{ level = "red", {low} }}', f'{{ level = "orange", {high} }}']
    seen, remedy = refused("generic-rain", GAUGE, f"levels = [{', '.join(rows)}]")
    assert (seen, "'red' (levels[0])" in remedy) == ("levels[1].level", True), remedy
    law = of_pack("generic-rain", GAUGE, f"levels = [{', '.join(rows[::-1])}]").law
    assert [level.label for level in law.levels] == ["red", "orange"]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("window_h = 3, sum = 50", "window_h = 1, sum = 50"),
        ("window_h = 3, sum = 50", "window_h = 3, over = 50"),
        ("window_h = 3, sum = 50", "window_h = 3, sum = 50, and = [{ window_h = 1, sum = 20 }]"),
        (  # an hour that may be past says nothing of the newest one
            "window_h = 3, sum = 60, and = [{ window_h = 1, sum = 50 }]",
            "window_h = 1, sum = 50",
        ),
        (
            "window_h = 6, sum = 60, and = [{ window_h = 1, sum = 50 }]",
            "window_h = 3, sum = 50, and = [{ window_h = 1, sum = 50 }]",
        ),
    ],
)
def test_a_higher_row_that_asks_more_in_any_way_is_taken(low: str, high: str) -> None:
    rows = f'{{ level = "orange", {low} }}, {{ level = "red", {high} }}'
    assert of_pack("generic-rain", GAUGE, f"levels = [{rows}]").law.levels[0].label == "red"


def test_the_bureaus_rows_of_a_published_level_come_last() -> None:
    rows = (
        '{ level = "red", window_h = 1, sum = 90 }',
        '{ level = "orange", window_h = 3, sum = 50 }',
    )
    given = INLAND.replace("[]", f"[{', '.join(rows)}]")
    seen, remedy = refused("fujian-rain-signals", GAUGE, given)
    assert (seen, remedy) == (
        "levels[1].level",
        "list it before 'red': the published levels are the highest",
    )
    given = INLAND.replace("[]", f"[{', '.join(rows[::-1])}]")
    law = of_pack("fujian-rain-signals", GAUGE, given).law
    assert {level.label: level.rank for level in law.levels} == {"red": 2, "orange": 1}


def test_every_shipped_table_of_rain_binds() -> None:
    assert of_pack("cn-rain-signals", GAUGE).law.levels[0].label == "red"
    for site in (INLAND, COAST, FUZHOU):
        assert of_pack("fujian-rain-signals", GAUGE, site).law.levels[0].label == "red"
