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


def rung(level: str, raise_: float, clear: float | None = None) -> str:
    off = "" if clear is None else f", clear = {clear}"
    return f'{{ level = "{level}", raise = {raise_}{off} }}'


def level_rule(
    *rungs: str,
    name: str = "river-level",
    channel: str = "st0007/wl",
    unit: str = "m",
    datum: str = "Luoling",
) -> str:
    """Return a rule of a ladder; its parameters end the text, so that more may follow."""
    return f"""
[[rule]]
id = "{name}"
pack = "generic-level"
channels = ["{channel}"]
[rule.parameters]
unit = "{unit}"
datum = "{datum}"
levels = [{", ".join(rungs)}]
"""


def rain_rule(channel: str, name: str = "storm") -> str:
    return f'[[rule]]\nid = "{name}"\npack = "cn-rain-signals"\nchannels = ["{channel}"]\n'


def river(*rungs: str) -> str:
    """Return a rule over the level of that station, without a hold."""
    return level_rule(*rungs, name="river", channel="st1/wl", datum="Local") + "hold_s = 0\n"


BLUE, RED = rung("blue", 3.0, 2.8), rung("red", 5.0, 4.8)
RIVER = river(BLUE, RED)
STORM = rain_rule("st1/rn")
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
