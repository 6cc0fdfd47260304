"""The files of the demo say the same of one valley, and can be read by those they are for."""

from __future__ import annotations

import socket
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from egret_aggregator import catalogue
from egret_core.timescale import Timescale
from egret_demo import __main__ as demo
from egret_demo import site, station
from egret_gateway.config import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCALED = Timescale(60, 1_700_000_000_000, 1_700_000_000_000)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    place = site.Site(tmp_path, 8420, 1883, 7, SCALED)
    site.write(place)
    return lambda name: tomllib.loads(place.file(name).read_text(encoding="utf-8"))


def test_every_file_has_the_same_clock(written: Callable[[str], dict[str, Any]]) -> None:
    clocks = [
        written(name)["clock"]["scaled"]
        for name in ("valley.toml", "gateway.toml", "aggregator.toml")
    ]
    assert all(Timescale(**clock) == SCALED for clock in clocks)


def test_the_gateway_reads_the_units_that_the_valley_serves(
    written: Callable[[str], dict[str, Any]],
) -> None:
    (bus,) = written("gateway.toml")["bus"]
    served = {unit["unit"] for unit in written("valley.toml")["unit"]}
    assert {device["unit"] for device in bus["device"]} == served
    assert bus["port"] != written("valley.toml")["port"]


def test_every_polled_channel_has_its_place_and_datum(
    written: Callable[[str], dict[str, Any]],
) -> None:
    places = {
        (entry["id"], channel["id"]): channel
        for entry in written("catalogue/stations.toml")["station"]
        for channel in entry["channel"]
    }
    polled = {
        (device["station"], channel["channel"]): channel
        for device in written("gateway.toml")["bus"][0]["device"]
        for channel in device["channels"].values()
    }
    assert places.keys() == polled.keys()
    for key, place in places.items():
        assert place["gateway"] == written("gateway.toml")["gateway"]["id"]
        assert place.get("datum") == polled[key].get("datum")


def test_the_watch_is_the_red_level(written: Callable[[str], dict[str, Any]]) -> None:
    watches = [
        channel["watch_at"]
        for device in written("gateway.toml")["bus"][0]["device"]
        for channel in device["channels"].values()
        if "watch_at" in channel
    ]
    (rule,) = (r for r in written("catalogue/rules.toml")["rule"] if r["id"] == "bridge-level")
    levels = {level["level"]: level["raise"] for level in rule["parameters"]["levels"]}
    assert [watch["value"] for watch in watches] == [levels["red"]]
    assert sorted(levels.values()) == list(levels.values())


def test_the_valley_reads_its_own_file(tmp_path: Path) -> None:
    place = site.Site(tmp_path, 8420, 1883, 7, SCALED)
    site.write(place)
    loaded = station.load(place.file("valley.toml"))
    assert (loaded.seed, loaded.timescale, loaded.port) == (7, SCALED, tmp_path / "bus" / "s1")
    assert [unit for unit, one in loaded.units.items() if one.faults.dead] == [11]


def test_a_port_in_use_is_refused_before_anything_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert demo.main(["--for", "1", "--port", str(port)]) == 3
    assert f"port {port}: " in capsys.readouterr().out


def test_a_folder_with_something_in_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").touch()
    assert demo.main(["--data", str(tmp_path), "--port", str(demo.free_port())]) == 2
    assert "not empty" in capsys.readouterr().out
    assert demo.why_unusable(tmp_path / "new") == ""
    assert demo.why_unusable(tmp_path / "mine") == "not a folder"


def test_the_gateway_accepts_its_file(tmp_path: Path) -> None:
    place = site.Site(tmp_path, 8420, 1883, 7, SCALED)
    site.write(place)
    config = load(place.file("gateway.toml"))
    assert config.clock.timescale == SCALED
    assert {f"{meta.station}/{meta.channel}" for meta in config.channels()} == {
        *("bridge/wl", "weir/wl", "culvert/wl", "ridge/rain"),
    }


def test_the_centre_accepts_its_catalogue(tmp_path: Path) -> None:
    place = site.Site(tmp_path, 8420, 1883, 7, SCALED)
    site.write(place)
    found = catalogue.load(tmp_path / "catalogue")
    assert {rule.id for rule in found.rules} >= {
        *("bridge-level", "ridge-rain", "silence"),
    }
    assert {found.owner(*key) for key in (site.BRIDGE, site.WEIR, site.CULVERT, site.RIDGE)} == {
        site.GATEWAY
    }
