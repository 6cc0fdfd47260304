"""`[station.channel.screening]`: what it means in canonical units, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from rig.rulebook import place

from egret_core.errors import ConfigError
from egret_core.rules.packs import parse_toml
from egret_core.rules.screening_table import check_company, screening_of
from egret_core.screening.flat_line import Stillness
from egret_core.screening.law import NeighbourLaw, ScreeningLaw
from egret_core.screening.range import Span
from egret_core.screening.seasonal import Season
from egret_core.screening.spike import Limits

WHOLE = """
unit = "ft"
range = { fail = [-1.0, 30.0], suspect = [0.0, 20.0] }
seasonal = [
  { months = [12, 1, 2], suspect = [0.0, 5.0] },
  { months = [6, 7, 8], suspect = [0.0, 10.0], fail = [-1, 20] },
]
utc_offset = "+08:00"
spike = { suspect = 1.0, fail = 3.0 }
rate = { suspect_per_s = 0.001 }
flat_line = { tolerance = 0.01, suspect_s = 10800, fail_s = 21600, movement = ["st1/rn"] }
neighbours = { channels = ["st2/wl", "st3/wl"], off_by = 5, least = 2 }
gap_s = 900
"""
MONTHS = 'unit = "m"\nseasonal = [{ months = '


def read(text: str, quantity: str = "water_level") -> ScreeningLaw:
    return screening_of("stations.toml", "screening", parse_toml(text, "x"), quantity)


def test_every_limit_is_canonical() -> None:
    assert read(WHOLE) == ScreeningLaw(
        sensor=Span(-0.3048, 9.144),
        operator=Span(0.0, 6.096),
        seasons=(
            Season((12, 1, 2), Span(0.0, 1.524)),
            Season((6, 7, 8), Span(0.0, 3.048), Span(-0.3048, 6.096)),
        ),
        utc_offset_ms=28_800_000,
        spike=Limits(0.3048, 0.9144),
        rate=Limits(0.0003048),
        flat=Stillness(0.003048, 10_800_000, 21_600_000),
        movement=(("st1", "rn"),),
        neighbours=NeighbourLaw((("st2", "wl"), ("st3", "wl")), 1.524, 2),
        gap_ms=900_000,
    )


def test_a_difference_of_temperature_has_no_zero() -> None:
    law = read(
        'unit = "degF"\nspike = { suspect = 9 }\nrange = { fail = [-40, 212] }', "temperature"
    )
    assert law.spike == Limits(5.0)
    assert law.sensor == Span(-40.0, 100.0)


def test_an_empty_table_screens_totals_and_clocks_only() -> None:
    assert read("") == ScreeningLaw()
    assert read("gap_s = 60") == ScreeningLaw(gap_ms=60_000)


def test_the_version_is_of_all_limits() -> None:
    assert read(WHOLE).version == read(WHOLE).version
    assert read(WHOLE).version != read(WHOLE.replace("0.001", "0.002")).version


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ("rang = 1", "rang", "range"),
        ("range = { fail = [0, 1] }", "unit", "text"),
        ('unit = "kPa"\nrange = { fail = [0, 1] }', "unit", "cannot measure"),
        ('unit = "m"\nrange = {}', "range", "or both"),
        ('unit = "m"\nrange = { fail = [0, 1, 2] }', "range.fail", "low, high"),
        ('unit = "m"\nrange = { fail = [1, 0] }', "range.fail", "lower"),
        ('unit = "m"\nrange = { fail = [0, "x"] }', "range.fail", "number"),
        ('unit = "m"\nrange = { fail = [0, nan] }', "range.fail", "number"),
        ('unit = "m"\nrange = { fail = [0, 1], suspect = [0, 2] }', "range.suspect", "within"),
        ('unit = "m"\nseasonal = []', "seasonal", "season"),
        (
            'unit = "m"\nseasonal = [{ months = [13], suspect = [0, 1] }]',
            "seasonal[0].months",
            "12",
        ),
        (
            'unit = "m"\nseasonal = [{ months = [1, 1], suspect = [0, 1] }]',
            "seasonal[0].months",
            "on",
        ),
        (
            'unit = "m"\nseasonal = [{ months = [true], suspect = [0, 1] }]',
            "seasonal[0].months",
            "1",
        ),
        ('unit = "m"\nseasonal = [{ months = [1] }]', "seasonal[0]", "both"),
        ('unit = "m"\nseasonal = [{ months = [1], suspect = [0, 1] }]', "utc_offset", "+08:00"),
        ('utc_offset = "08:00"', "utc_offset", "+08:00"),
        ('unit = "m"\nspike = { suspect = 0 }', "spike.suspect", "more than 0"),
        ('unit = "m"\nspike = { suspect = 2, fail = 1 }', "spike.fail", "at least"),
        ('unit = "m"\nspike = { fail = 1 }', "spike.suspect", "number"),
        ('unit = "m"\nrate = { fail_per_s = 1 }', "rate.fail_per_s", "suspect_per_s"),
        ('unit = "m"\nflat_line = { suspect_s = 5 }', "flat_line.tolerance", "number"),
        ('unit = "m"\nflat_line = { tolerance = 1, suspect_s = 0 }', "flat_line.suspect_s", "0"),
        (
            'unit = "m"\nflat_line = { tolerance = 1, suspect_s = 9, fail_s = 8 }',
            "flat_line.fail_s",
            "at least suspect_s",
        ),
        (
            'unit = "m"\nflat_line = { tolerance = 1, suspect_s = 1e6, movement = ["a/b"] }',
            "flat_line.suspect_s",
            "129600",
        ),
        (
            'unit = "m"\nflat_line = { tolerance = 1, suspect_s = 9, movement = [] }',
            "flat_line.movement",
            "list channels",
        ),
        (
            'unit = "m"\nneighbours = { channels = ["a"], off_by = 1 }',
            "neighbours.channels[0]",
            "/",
        ),
        (
            'unit = "m"\nneighbours = { channels = ["a/b"], off_by = 1, least = 2 }',
            "neighbours.least",
            "1 to 1",
        ),
        ('unit = "m"\nneighbours = { channels = ["a/b"] }', "neighbours.off_by", "number"),
        ("gap_s = 0", "gap_s", "more than 0"),
        ("gap_s = inf", "gap_s", "number"),
    ],
)
def test_what_cannot_be_is_refused_with_key_and_remedy(text: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert (caught.value.file, caught.value.key) == ("stations.toml", f"screening.{key}")
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ('unit = "mm"\nflat_line = { tolerance = 0.1, suspect_s = 9 }', "flat_line", "movement"),
        (
            'unit = "mm"\nneighbours = { channels = ["a/b"], off_by = 1 }',
            "neighbours",
            "flat_line.movement",
        ),
    ],
)
def test_a_total_is_compared_by_what_it_rose(text: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text, "rain_total")
    assert caught.value.key == f"screening.{key}"
    assert remedy in caught.value.remedy


@pytest.mark.parametrize("body", [7, [], "x"])
def test_what_is_no_table_is_refused(body: Any) -> None:
    with pytest.raises(ConfigError, match="table"):
        screening_of("stations.toml", "screening", body, "water_level")


def test_a_channel_asks_only_channels_that_it_can_be_compared_with() -> None:
    def company(text: str, *others: Any) -> ConfigError:
        one = replace(place(), screening=read(f'unit = "m"\n{text}'))
        places = {(other.station, other.channel): other for other in (one, *others)}
        with pytest.raises(ConfigError) as caught:
            check_company("stations.toml", "screening", one, places)
        return caught.value

    beside = 'neighbours = { channels = ["st2/wl"], off_by = 1 }'
    assert "unknown channel" in company(beside).remedy
    assert "st2/wl" in company(beside, place(station="st20")).seen
    moved = replace(place(station="st2"), datum="Elsewhere")
    assert "from datum 'Local'" in company(beside, moved).remedy
    itself = 'flat_line = { tolerance = 1, suspect_s = 9, movement = ["st1/wl"] }'
    error = company(itself)
    assert (error.key, error.seen) == ("screening.flat_line.movement", "st1/wl")
    fits = replace(place(), screening=read(f'unit = "m"\n{beside}'))
    other = place(station="st2")
    check_company("x", "y", fits, {("st1", "wl"): fits, ("st2", "wl"): other})
