"""The text of small catalogues: a station with a level and a rain gauge, and rules over them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.catalogue import Catalogue, load

if TYPE_CHECKING:
    from pathlib import Path

STATION = """
[[station]]
id = "st1"
name = "A"
latitude = 1
longitude = 2
"""
LEVEL = """[[station.channel]]
id = "wl"
quantity = "water_level"
datum = "Local"
gateway = "GW-1"
"""
GAUGE = """[[station.channel]]
id = "rn"
quantity = "rain_total"
gateway = "GW-1"
"""
STATIONS = STATION + LEVEL + GAUGE
BLUE = '{ level = "blue", raise = 3.0, clear = 2.8 }'
RED = '{ level = "red", raise = 5.0, clear = 4.8 }'


def river(*levels: str) -> str:
    """Return a rule over the level; its parameters end the text, so that more may follow."""
    return f"""
[[rule]]
id = "river"
pack = "generic-level"
channels = ["st1/wl"]
[rule.parameters]
unit = "m"
datum = "Local"
hold_s = 0
levels = [{", ".join(levels)}]
"""


RIVER = river(BLUE, RED)
STORM = """[[rule]]
id = "storm"
pack = "cn-rain-signals"
channels = ["st1/rn"]
"""
SILENT = """[[rule]]
id = "silent"
pack = "absence"
channels = ["st1/*", "gateway/GW-1"]
"""
LIMIT = "[rule.parameters]\nlimit_s = 900\n"  # of the silence that precedes it


def catalogue_in(folder: Path, stations: str, rules: str) -> Catalogue:
    """Write a catalogue's two files and read them as the centre does."""
    (folder / "stations.toml").write_text(stations)
    (folder / "rules.toml").write_text(rules)
    return load(folder)
