"""`[station.channel.screening]` of stations.toml: taken with its channel, refused by its key."""

from __future__ import annotations

from pathlib import Path

import pytest
from rig.api_centre import STATIONS, catalogue_folder

from egret_aggregator.catalogue import from_payload, load
from egret_core.errors import ConfigError
from egret_core.screening.law import NeighbourLaw
from egret_core.screening.range import Span

MORE = """
[[station]]
id = "st0100"
name = "Upper weir"
latitude = 24.7
longitude = 118.1
[[station.channel]]
id = "up"
quantity = "water_level"
datum = "Luoling"
gateway = "XM-TA-0042"
[station.channel.screening]
unit = "cm"
range = { fail = [-100, 1200] }
neighbours = { channels = ["st0100/down"], off_by = 150 }
[[station.channel]]
id = "down"
quantity = "water_level"
datum = "Luoling"
gateway = "XM-TA-0042"
"""


def test_a_channel_is_screened_as_its_table_says(tmp_path: Path) -> None:
    places = load(catalogue_folder(tmp_path / "c", STATIONS + MORE))
    law = places.stations["st0100"].channels["up"].screening
    assert law is not None
    assert law.sensor == Span(-1.0, 12.0)
    assert law.neighbours == NeighbourLaw((("st0100", "down"),), 1.5, 1)
    assert places.stations["st0100"].channels["down"].screening is None
    again = from_payload(places.payload())
    assert again.stations["st0100"].channels["up"].screening == law
    assert again.version == places.version


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ("[-100, 1200]", "[1200, -100]", "range.fail", "lower bound first"),
        ('unit = "cm"', 'unit = "kPa"', "unit", "cannot measure water_level"),
        ("st0100/down", "st0100/dawn", "neighbours.channels", "unknown channel"),
        ("off_by", "of_by", "neighbours.of_by", "off_by"),
        ('unit = "cm"', "units = 1", "units", "'unit'"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, key: str, remedy: str
) -> None:
    stations = STATIONS + MORE.replace(old, new, 1)
    at = STATIONS.count("[[station]]")
    with pytest.raises(ConfigError) as caught:
        load(catalogue_folder(tmp_path / "c", stations))
    assert caught.value.key == f"station[{at}].channel[0].screening.{key}"
    assert remedy in caught.value.remedy
    assert caught.value.file.endswith("stations.toml")


def test_the_table_on_the_page_is_accepted_whole(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/operator/screening.md").read_text(encoding="utf-8")
    block = page.partition("```toml\n")[2].partition("```")[0]
    places = load(catalogue_folder(tmp_path / "c", block, ""))
    law = places.stations["st0007"].channels["wl"].screening
    assert law is not None
    assert None not in (law.spike, law.rate, law.flat, law.neighbours, law.gap_ms)
    assert law.movement == (("st0007", "rain"),)
    assert law.seasons
    assert law.utc_offset_ms == 28_800_000
