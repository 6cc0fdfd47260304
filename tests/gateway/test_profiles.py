from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from egret_core.errors import ConfigError
from egret_gateway import profiles
from egret_gateway.protocols.modbus_pdu import Shape
from egret_gateway.protocols.modbus_rtu import read_request

FRAMES = Path(__file__).parents[1] / "frames"

GOOD = """\
[profile]
name = "probe"
version = 1
title = "a probe"
tier = "drafted"
tier_date = "2026-11-22"
evidence = "a manual"
sources = ["https://example.org"]
[item.level]
fc = 3
address = 4
type = "f32"
quantity = "water_level"
unit = "cm"
min = 0
max = 500
[item.battery]
fc = 3
address = 6
type = "u16"
quantity = "voltage"
unit = "mV"
"""


def written(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in GOOD
    path = folder / "probe.toml"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD)
    return path


@pytest.mark.parametrize("name", profiles.names((profiles.REPOSITORY,)))
def test_every_profile_of_the_house_is_whole_and_honest(name: str) -> None:
    path = profiles.find(name, (profiles.REPOSITORY,))
    assert path is not None
    profile = profiles.load(path)
    assert profile.ref == f"{name}@{profile.version}"
    assert profile.tier in ("drafted", "simulated"), "nothing here has been on a bench yet"


def of_a_device() -> list[Path]:
    cases = sorted(FRAMES.glob("*/case.toml"))
    return [case for case in cases if "profile" in tomllib.loads(case.read_text())]


@pytest.mark.parametrize("case", of_a_device(), ids=lambda p: p.parent.name)
def test_cited_frames_belong_to_their_profile(case: Path) -> None:
    facts = tomllib.loads(case.read_text())
    path = profiles.find(facts["profile"], (profiles.REPOSITORY,))
    assert path is not None
    profile = profiles.load(path)
    assert profile.unit == facts["unit"]
    frame = read_request(Shape(profile.unit, facts["fc"], facts["words"]), facts["address"])
    assert frame == bytes.fromhex(facts["request"])
    if "item" in facts:
        item = next(item for item in profile.items if item.name == facts["item"])
        assert (item.at.fc, item.at.address, item.at.words) == (3 + 1, 2002, 2)


def test_a_good_profile(tmp_path: Path) -> None:
    profile = profiles.load(written(tmp_path))
    level = profile.items[0]
    assert (level.at.words, level.at.last, level.at.order) == (2, 5, "ABCD")
    assert (level.sensor.low, level.sensor.high) == (0.0, 5.0)
    assert profile.way.timeout_max_ms == 1000


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ('name = "probe"', 'name = "prone"', "profile.name", "'probe'"),
        ('tier = "drafted"', 'tier = "drafter"', "profile.tier", "did you mean 'drafted'"),
        ("2026-11-22", "22.11.2026", "profile.tier_date", "2026-11-22"),
        ('evidence = "a manual"', 'evidence = ""', "profile.evidence", "rests on"),
        ('["https://example.org"]', "[]", "profile.sources", "register map"),
        ('unit = "cm"', 'unit = "kPa"', "item.level.unit", "cannot measure"),
        ('unit = "cm"', 'unit = "cn"', "item.level.unit", "unknown unit"),
        ('"water_level"', '"water_levle"', "item.level.quantity", "'water_level'"),
        ('type = "f32"', 'type = "f16"', "item.level.type", "f32"),
        ('type = "f32"', 'type = "bit"', "item.level.fc", "functions 1 and 2"),
        ("fc = 3", "fc = 1", "item.level.fc", "functions 1 and 2"),
        ('type = "u16"', 'type = "u16"\nbits = [3]', "item.battery.bits", "[lowest, highest]"),
        ('type = "u16"', 'type = "u16"\nbits = [3, 16]', "item.battery.bits", "0 and 15"),
        ('type = "u16"', 'type = "u16"\nbits = [4, 3]', "item.battery.bits", "0 and 15"),
        ('type = "u16"', 'type = "i16"\nbits = [0, 3]', "item.battery.bits", "u16"),
        ('type = "f32"', 'type = "f32"\norder = "CBAD"', "item.level.order", "ABCD"),
        ('type = "u16"', 'type = "u16"\norder = "CDAB"', "item.battery.order", "ABCD"),
        ("fc = 3", "fc = 6", "item.level.fc", "holding"),
        ("address = 6", "address = 5", "item.battery.address", "item 'level' takes"),
        ("address = 6", "address = 65536", "item.battery.address", "65535"),
        ("min = 0", "min = 600", "item.level.min", "max"),
        ("min = 0", "mni = 0", "item.level.mni", "did you mean 'min'"),
        ("max = 500", "scale = 0", "item.level.scale", "other than 0"),
        ('"water_level"', '"rain_total"', "item.level.counter", "rain_total"),
        ("max = 500", "counter = { max_step = 5 }", "item.level.type", "u16, u32"),
        ("[item.level]", "[modbus]\nmax_block = 126\n[item.level]", "modbus.max_block", "125"),
        (
            "[item.level]",
            "[modbus]\ntimeout_min_ms = 500\ntimeout_max_ms = 400\n[item.level]",
            "modbus.timeout_min_ms",
            "timeout_max_ms",
        ),
        (
            "[item.level]",
            "[[modbus.readable]]\nfc = 3\nfirst = 9\nlast = 8\n[item.level]",
            "modbus.readable[0].last",
            "from 9",
        ),
        (
            "[item.level]",
            "[[modbus.holes]]\nfc = 3\nfirst = 9\nlast = 8\n[item.level]",
            "modbus.holes[0].last",
            "from 9",
        ),
        (
            "[item.level]",
            "[[modbus.holes]]\nfc = 3\nfirst = 5\nlast = 5\n[item.level]",
            "item.level.address",
            "5 to 5 are a hole",
        ),
        ("max = 500", 'read_clears = "yes"', "item.level.read_clears", "true or false"),
        ("[item.level]", "[modbus]\naddress_base = 1\n[item.level]", "modbus.address_base", "0"),
    ],
)
def test_bad_profiles(tmp_path: Path, old: str, new: str, key: str, remedy: str) -> None:
    path = written(tmp_path, old, new)
    with pytest.raises(ConfigError) as caught:
        profiles.load(path)
    assert caught.value.key == key
    assert remedy in caught.value.remedy
    assert caught.value.file == str(path)


COUNTS = """\
type = "u16"
quantity = "rain_total"
unit = "mm"
counter = { max_step = 100 }
"""


@pytest.mark.parametrize(
    ("line", "key", "remedy"),
    [
        ("offset = -1", "offset", "whole counts"),
        ("offset = 0.0", "offset", "whole counts"),
        ("min = 0", "min", "whole counts"),
        ("max = 100", "max", "whole counts"),
        ("scale = -0.2", "scale", "above 0"),
    ],
)
def test_what_would_corrupt_a_total_is_refused(
    tmp_path: Path, line: str, key: str, remedy: str
) -> None:
    level = GOOD[GOOD.index('type = "f32"') : GOOD.index("[item.battery]")]
    path = written(tmp_path, level, COUNTS + "scale = 0.2\n")
    assert profiles.load(path).items[0].scale == 0.2
    path = written(tmp_path, level, COUNTS + line + "\n")
    with pytest.raises(ConfigError) as caught:
        profiles.load(path)
    assert caught.value.key == f"item.level.{key}"
    assert remedy in caught.value.remedy


def test_holes_and_clearing_registers_are_taken_from_the_profile(tmp_path: Path) -> None:
    holes = "[[modbus.holes]]\nfc = 3\nfirst = 7\nlast = 9\n[item.level]\nread_clears = true"
    profile = profiles.load(written(tmp_path, "[item.level]", holes))
    assert profile.way.holes == (profiles.Hole(3, 7, 9),)
    assert [item.read_clears for item in profile.items] == [True, False]


def test_what_a_read_clears_cannot_wait_until_it_is_ready(tmp_path: Path) -> None:
    both = '[item.level]\nread_clears = true\nready = { item = "level", equals = 0 }'
    with pytest.raises(ConfigError, match="cleared unseen") as caught:
        profiles.load(written(tmp_path, "[item.level]", both))
    assert caught.value.key == "item.level.ready"


def test_a_profile_without_items_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "probe.toml"
    path.write_text(GOOD.split("[item.level]", maxsplit=1)[0])
    with pytest.raises(ConfigError, match="at least one"):
        profiles.load(path)


def test_the_first_folder_that_has_it_wins(tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    for folder in (near, far):
        folder.mkdir()
        written(folder)
    assert profiles.find("probe", (near, far)) == near / "probe.toml"
    assert profiles.find("none", (near, far)) is None
    assert profiles.names((near, far)) == ["probe"]
    assert profiles.REPOSITORY in profiles.folders()
