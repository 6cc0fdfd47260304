"""A line of text in the site's file: what it needs, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rig.site import FOLDERS, site

from egret_core.errors import ConfigError
from egret_gateway.config import load
from egret_gateway.protocols.geodesy import Position

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.bus_settings import BusSettings

BASE = "base = { latitude = 24.4798, longitude = 118.0894, height_m = 41.3 }\n"
DEVICE = """
[[bus.device]]
profile = "{profile}"
station = "st0007"
period_s = 1
{more}
[bus.device.channels.{item}]
channel = "{channel}"
"""


def device(profile: str, item: str, more: str = "", channel: str = "") -> str:
    return DEVICE.format(profile=profile, item=item, more=more, channel=channel or item)


SOUNDER = device("nmea-echo-sounder", "depth")
ROVER = device("nmea-gnss-rtk", "up", BASE)
LOGGER = device("generic-text-poll", "battery", 'address = "01"')
TILT = device("bei-inclinometer-rs232", "x")


def line(folder: Path, protocol: str, *devices: str, more: str = "") -> BusSettings:
    path = site(folder, bus=f'protocol = "{protocol}"\n{more}', devices="".join(devices))
    return load(path, FOLDERS).buses[0]


def test_talkers_share_a_line(tmp_path: Path) -> None:
    bus = line(tmp_path, "nmea-0183", SOUNDER, ROVER, more="data_bits = 7")
    assert (bus.protocol, bus.data_bits) == ("nmea-0183", 7)
    assert [device.name for device in bus.devices] == ["nmea-echo-sounder", "nmea-gnss-rtk"]
    assert bus.devices[0].base is None
    assert bus.devices[1].base == Position(24.4798, 118.0894, 41.3)
    depth, up = load(tmp_path / "gateway.toml", FOLDERS).channels()
    assert "base" not in depth.extra
    assert up.extra["base"] == [24.4798, 118.0894, 41.3], "it travels with what is made of it"


def test_a_serial_server_s_line(tmp_path: Path) -> None:
    path = site(tmp_path, port="tcp://10.0.0.5:4001", bus='protocol = "text"', devices=LOGGER)
    bus = load(path, FOLDERS).buses[0]
    assert bus.endpoint == ("10.0.0.5", 4001)
    assert bus.devices[0].name == "01"


TWO = device("nmea-echo-sounder", "temperature")
THREE = device("nmea-echo-sounder", "depth_dbt", 'address = "YX"')
TWIN = device("nmea-echo-sounder", "depth", 'address = "YX"')


def test_twins_are_told_apart_by_their_talker(tmp_path: Path) -> None:
    bus = line(tmp_path, "nmea-0183", SOUNDER, THREE)
    assert [device.name for device in bus.devices] == ["nmea-echo-sounder", "YX"]
    bus = line(tmp_path, "nmea-0183", TWIN, TWIN.replace("YX", "SD").replace('"depth"', '"two"'))
    assert [device.name for device in bus.devices] == ["YX", "SD"], "one sentence, two talkers"


@pytest.mark.parametrize(
    ("protocol", "devices", "key", "remedy"),
    [
        ("nmea-0183", (SOUNDER, TWO), "bus[0].device[1].address", "has this address too"),
        ("nmea-0183", (SOUNDER, TWIN), "bus[0].device", "YX want DPT"),
        ("nmea-0183", (TILT,), "bus[0].device[0].profile", "speaks text, the bus nmea-0183"),
        ("text", (SOUNDER,), "bus[0].device[0].profile", "speaks nmea-0183"),
        ("modbus-rtu", (SOUNDER,), "bus[0].device[0].profile", "speaks nmea-0183"),
        ("nmea", (SOUNDER,), "bus[0].protocol", "nmea-0183"),
        ("text", (LOGGER.replace('"01"', '""'),), "bus[0].device[0].address", "empty|needs"),
        ("text", (LOGGER.replace('address = "01"', ""),), "bus[0].device[0].address", "needs"),
        ("text", (LOGGER.replace("01", "0 1"),), "bus[0].device[0].address", "1 to 16"),
        ("text", (LOGGER, TILT), "bus[0].device", "two lines"),
        (
            "nmea-0183",
            (SOUNDER.replace("period_s", 'address = "sd"\nperiod_s'),),
            "bus[0].device[0].address",
            "capital",
        ),
        ("nmea-0183", (ROVER.replace(BASE, ""),), "bus[0].device[0].base", "up is measured"),
        ("nmea-0183", (SOUNDER.replace("\nperiod", f"\n{BASE}period"),), "bus[0].device[0].base",
         "leave it out"),
        (
            "nmea-0183",
            (ROVER.replace("24.4798", "244.798"),),
            "bus[0].device[0].base.latitude",
            "from -90",
        ),
        ("nmea-0183", (ROVER.replace("height_m", "height"),), "bus[0].device[0].base.height_m",
         "is it 'height'"),
        ("nmea-0183", (SOUNDER.replace("period_s", "unit = 1\nperiod_s"),),
         "bus[0].device[0].unit", "unknown key"),
    ],
)  # fmt: skip
def test_what_a_line_of_text_refuses(
    tmp_path: Path, protocol: str, devices: tuple[str, ...], key: str, remedy: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        line(tmp_path, protocol, *devices)
    assert caught.value.key == key
    assert any(word in caught.value.remedy for word in remedy.split("|"))


def test_a_line_has_no_keys_of_modbus(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="local_echo"):
        line(tmp_path, "text", LOGGER, more="local_echo = true")
