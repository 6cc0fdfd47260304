"""Areas: how many stations, or channels, hold at least a level."""

from __future__ import annotations

import pytest
from rig.jointbook import COLOURS, held, inputs

from egret_core.errors import ConfigError
from egret_core.rules.area import law, needed
from egret_core.rules.joint import Input

AT = ("rules.toml", "rule[2].parameters")
GIVEN = {"levels": [], "need": 1, "share": 0.0, "count": "stations", "skew_s": 0.0, "stale_s": 3e3}


@pytest.mark.parametrize(
    ("need", "share", "of", "expected"),
    [
        (1, 0.0, 10, 1),
        (1, 0.3, 10, 3),
        (1, 0.07, 100, 7),  # in binary 0.07 x 100 is a little more than 7
        (1, 0.31, 10, 4),
        (5, 0.3, 10, 5),
        (1, 1.0, 7, 7),
        (1, 1e-9, 7, 1),
    ],
)
def test_a_count_or_a_share_whichever_is_more(
    need: int, share: float, of: int, expected: int
) -> None:
    assert needed(need, share, of) == expected


def two_channels_each(stations: int) -> list[Input]:
    return [
        Input("river", "river@1", f"st{n}/{name}", "level", COLOURS, (f"st{n}", name))
        for n in range(stations)
        for name in ("wl", "wl2")
    ]


def test_a_station_counts_once_however_many_of_its_channels_hold() -> None:
    joint = law(AT, {**GIVEN, "need": 2}, two_channels_each(3)).make()
    assert joint.judge(0, held(3, 3, 0, 0, 0, 0)) == 0
    assert joint.judge(1, held(3, 3, 0, 2, 0, 0)) == 2
    assert joint.evidence(2) == {"holding": 2, "need": 2, "of": 3}


def test_or_its_channels_count_one_by_one() -> None:
    joint = law(AT, {**GIVEN, "need": 2, "count": "channels"}, two_channels_each(3)).make()
    assert joint.judge(0, held(3, 3, 0, 0, 0, 0)) == 3
    assert joint.evidence(3)["of"] == 6


def test_silent_stations_stay_in_the_share_and_keep_their_level() -> None:
    joint = law(AT, {**GIVEN, "share": 0.5}, inputs(4)).make()
    assert joint.judge(0, held(4, 0, 0, 0, missing=(1, 2, 3))) == 0
    assert joint.judge(1, held(4, 1, 0, 0, missing=(2, 3))) == 1
    assert joint.judge(2, held(4, 1, 0, 0, missing=(0, 1, 2, 3))) == 1


@pytest.mark.parametrize(("count", "most"), [("stations", 3), ("channels", 6)])
def test_more_than_there_are_is_refused(count: str, most: int) -> None:
    with pytest.raises(ConfigError, match=f"there are {most} {count}"):
        law(AT, {**GIVEN, "need": most + 1, "count": count}, two_channels_each(3))


def test_an_input_that_stands_at_no_station_is_refused() -> None:
    other = Input("vote", "vote@1", "area/vote", "vote", COLOURS, None)
    with pytest.raises(ConfigError, match="an area counts stations") as caught:
        law(AT, GIVEN, [*inputs(2), other])
    assert caught.value.key == "rule[2].inputs"
