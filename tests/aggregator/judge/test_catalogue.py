from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from egret_aggregator.catalogue import from_payload, load, packaged
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

STATIONS = """
[[station]]
id = "st0007"
name = "Luoling bridge"
latitude = 24.5
longitude = 118.1
[[station.channel]]
id = "wl"
quantity = "water_level"
datum = "Luoling"
gateway = "XM-TA-0042"
[[station.channel]]
id = "rn"
quantity = "rain_total"
gateway = "XM-TA-0042"
late_s = 90
[station.extra]
river = "Jiulong"
"""
RULES = """
[[rule]]
id = "river-level"
pack = "generic-level"
channels = ["st0007/wl"]
[rule.parameters]
unit = "m"
datum = "Luoling"
levels = [{ level = "blue", raise = 3.0, clear = 2.8 }]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stations.toml").write_text(STATIONS)
    (tmp_path / "rules.toml").write_text(RULES)
    return tmp_path


def refused(folder: Path, stations: str = STATIONS, rules: str = RULES) -> Any:
    (folder / "stations.toml").write_text(stations)
    (folder / "rules.toml").write_text(rules)
    with pytest.raises(ConfigError) as caught:
        load(folder)
    return caught.value


def test_a_good_folder_is_read_whole(folder: Path) -> None:
    catalogue = load(folder)
    station = catalogue.stations["st0007"]
    assert (station.name, station.extra) == ("Luoling bridge", {"river": "Jiulong"})
    assert station.channels["wl"].unit == "m"
    assert station.channels["rn"].late_s == 90
    assert catalogue.owner("st0007", "wl") == "XM-TA-0042"
    assert catalogue.owner("st0007", "x") is None
    assert catalogue.owner("st0008", "wl") is None
    assert [rule.id for rule in catalogue.rules] == ["river-level"]
    assert [place.name for place in catalogue.places()] == ["st0007/wl", "st0007/rn"]


def test_a_payload_is_the_same_catalogue(folder: Path) -> None:
    catalogue = load(folder)
    again = from_payload(catalogue.payload())
    assert again == catalogue


def test_the_version_follows_every_file(folder: Path) -> None:
    first = load(folder).version
    assert load(folder).version == first
    (folder / "stations.toml").write_text(STATIONS.replace("bridge", "ford"))
    second = load(folder).version
    (folder / "rules.toml").write_text(RULES.replace("3.0", "3.1"))
    assert len({first, second, load(folder).version}) == 3


@pytest.mark.parametrize(
    ("old", "new", "key", "says"),
    [
        ('datum = "Luoling"', "", "station[0].channel[0].datum", "vertical datum"),
        ('"water_level"', '"waterlevel"', "station[0].channel[0].quantity", "known:"),
        ('id = "st0007"', 'id = "st/7"', "station[0].id", "A-Z"),
        ('id = "st0007"', 'id = "gateway"', "station[0].id", "reserved"),
        ('id = "st0007"', 'id = "area"', "station[0].id", "reserved"),
        ('"XM-TA-0042"', '"centre"', "station[0].channel[0].gateway", "reserved"),
        ('gateway = "XM-TA-0042"', "", "station[0].channel[0].gateway", "A-Z"),
        ('id = "rn"', 'id = "wl"', "station[0].channel[1].id", "id of its own"),
        ("latitude = 24.5", "latitude = 124.5", "station[0].latitude", "at most 90"),
        ("latitude = 24.5", "", "station[0].latitude", "a number"),
        ("latitude = 24.5", "lattitude = 24.5", "station[0].lattitude", "'latitude'"),
        ("late_s = 90", "late_s = -1", "station[0].channel[1].late_s", "at least 0"),
        ("late_s = 90", "late_s = 4000", "station[0].channel[1].late_s", "at most 3600"),
        ("late_s = 90", "late_sec = 90", "station[0].channel[1].late_sec", "'late_s'"),
        ("late_s = 90", "period_s = 0", "station[0].channel[1].period_s", "more than 0"),
        ("late_s = 90", "period_s = -60", "station[0].channel[1].period_s", "more than 0"),
        (
            "late_s = 90",
            "period_s = 2678401",
            "station[0].channel[1].period_s",
            "at most 2.6784e+06",
        ),
        ("late_s = 90", 'period_s = "1 h"', "station[0].channel[1].period_s", "write a number"),
        ("[[station]]", "[[stations]]", "stations", "'station'"),
        ("[[station]]", "[[station]", "(file)", "TOML"),
    ],
)
def test_a_wrong_station_names_file_key_and_remedy(
    folder: Path, old: str, new: str, key: str, says: str
) -> None:
    error = refused(folder, STATIONS.replace(old, new, 1))
    assert error.file.endswith("stations.toml")
    assert error.key == key
    assert says in error.remedy


def test_a_station_twice_is_refused(folder: Path) -> None:
    assert refused(folder, STATIONS + STATIONS).key == "station[1].id"


def test_a_rule_on_an_unknown_station_names_the_rules_file(folder: Path) -> None:
    error = refused(folder, rules=RULES.replace("st0007/", "st0008/"))
    assert error.file.endswith("rules.toml")
    assert "st0007" in error.remedy


def test_a_datum_unlike_the_channels_is_refused_by_name(folder: Path) -> None:
    error = refused(folder, rules=RULES.replace('"Luoling"', '"Yellow Sea"'))
    assert (error.key, error.seen) == ("rule[0].parameters.datum", "Yellow Sea")
    assert "Luoling" in error.remedy


@pytest.mark.parametrize("name", ["stations.toml", "rules.toml"])
def test_a_missing_or_unreadable_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=name):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=name):
        load(folder)


@pytest.mark.parametrize("payload", [b"", b"[]", b'{"texts": 3}', b'{"texts": {}}', b"\xff"])
def test_a_change_entry_that_is_no_catalogue_is_refused(payload: bytes) -> None:
    with pytest.raises(ConfigError):
        from_payload(payload)


def test_a_change_entry_brings_its_own_packs(folder: Path) -> None:
    catalogue = load(folder)
    body = json.loads(catalogue.payload())
    text = body["texts"]["pack generic-level"]
    body["texts"]["pack generic-level"] = text.replace('version = "2"', 'version = "0"')
    old = from_payload(json.dumps(body).encode())
    assert old.rules[0].pack == "generic-level@0"
    assert old.rules[0].version != catalogue.rules[0].version


def test_the_packs_come_with_the_program() -> None:
    assert {pack.id for pack in packaged()} >= {"generic-level", "absence", "cn-rain-signals"}
