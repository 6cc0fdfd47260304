"""Profiles whose registers explain one another: what is taken, and every mistake by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_core.errors import ConfigError
from egret_gateway import profiles
from egret_gateway.profiles import UnitFrom, When

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
[profile]
name = "probe"
version = 1
title = "a probe"
tier = "drafted"
tier_date = "2026-11-22"
evidence = "a manual"
sources = ["https://example.org"]
[modbus]
max_block = 6
[item.code]
fc = 3
address = 2
type = "u16"
quantity = "state"
unit = "1"
[item.decimals]
fc = 3
address = 3
type = "u16"
quantity = "state"
unit = "1"
[item.level]
fc = 3
address = 4
type = "i16"
quantity = "water_level"
unit = "cm"
scale_from = "decimals"
unit_from = { item = "code", units = { "1" = "cm", "2" = "mm" } }
[item.status]
fc = 3
address = 10
type = "u16"
bits = [0, 3]
quantity = "state"
unit = "1"
[item.flag]
fc = 3
address = 10
type = "u16"
bits = [15, 15]
quantity = "state"
unit = "1"
[item.settlement]
fc = 3
address = 11
type = "f32"
quantity = "settlement"
unit = "mm"
ready = { item = "status", equals = [0, 4] }
sign_from = { item = "flag", equals = 1 }
[item.pump]
fc = 1
address = 0
type = "bit"
quantity = "state"
unit = "1"
"""


def written(folder: Path, old: str = "", new: str = "") -> Path:
    assert old in GOOD
    path = folder / "probe.toml"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD)
    return path


def test_what_is_said_is_kept(tmp_path: Path) -> None:
    items = {item.name: item for item in profiles.load(written(tmp_path)).items}
    level, settlement = items["level"], items["settlement"]
    assert level.scale_from == "decimals"
    assert level.unit_from == UnitFrom("code", ((1.0, "cm"), (2.0, "mm")))
    assert level.needs == ("decimals", "code")
    assert settlement.ready == When("status", (0.0, 4.0))
    assert settlement.sign_from == When("flag", (1.0,))
    assert settlement.needs == ("flag", "status")
    assert items["status"].at.bits == (0, 3)
    assert (items["pump"].at.fc, items["pump"].at.words) == (1, 1)


UNIT = 'units = { "1" = "cm", "2" = "mm" }'


@pytest.mark.parametrize(
    ("old", "new", "key", "remedy"),
    [
        ('scale_from = "decimals"', 'scale_from = "decimal"', "level.scale_from", "decimals"),
        ('scale_from = "decimals"', 'scale_from = "level"', "level.scale_from", "another"),
        ('scale_from = "decimals"', 'scale_from = "settlement"', "level.scale_from", "none itself"),
        ('scale_from = "decimals"', 'scale_form = "x"', "level.scale_form", "'scale_from'"),
        ('scale_from = "decimals"', "scale_from = 3", "level.scale_from", "text"),
        (UNIT, 'units = { "1" = "cm", "3" = "MPa" }', "level.unit_from.units.3", "cannot measure"),
        (UNIT, 'units = { "1" = "furlong" }', "level.unit_from.units.1", "unknown unit"),
        (UNIT, 'units = { one = "cm" }', "level.unit_from.units.one", "in quotes"),
        (UNIT, "units = { }", "level.unit_from.units", "1 to 32"),
        (UNIT, 'untis = { "1" = "cm" }', "level.unit_from.units", "untis"),
        ('item = "code"', 'item = "cods"', "level.unit_from", "another item"),
        ("equals = 1", "equals = true", "settlement.sign_from.equals", "list of float"),
        ("equals = 1", 'equals = ["1"]', "settlement.sign_from.equals", "list of float"),
        ("equals = 1", "equals = []", "settlement.sign_from.equals", "1 to 16"),
        ("equals = 1", "equals = 1, equal = 2", "settlement.sign_from.equal", "'equals'"),
        ("address = 11", "address = 12", "settlement.ready", "one request"),
        ("max_block = 6", "max_block = 2", "settlement.ready", "one request"),
        ("max_block = 6", "single_read = true", "settlement.ready", "one request"),
        ("bits = [15, 15]", "bits = [3, 15]", "flag.address", "item 'status' takes"),
        ("bits = [15, 15]", "", "flag.address", "item 'status' takes"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, key: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        profiles.load(written(tmp_path, old, new))
    expected = f"modbus.{key}" if key.startswith("max_block") else f"item.{key}"
    assert caught.value.key == expected
    assert remedy in caught.value.remedy


def test_registers_between_may_be_declared_readable(tmp_path: Path) -> None:
    path = written(tmp_path, "address = 11", "address = 13")
    text = path.read_text().replace(
        "max_block = 6", "max_block = 6\n[[modbus.readable]]\nfc = 3\nfirst = 10\nlast = 14"
    )
    path.write_text(text)
    assert profiles.load(path).items[5].at.address == 13


COUNTS = 'type = "{}"\nquantity = "rain_total"\nunit = "mm"\ncounter = {{ max_step = 100 }}\n'


@pytest.mark.parametrize(
    ("kind", "bits"), [("u16", 16), ("i16", 15), ("u32", 32), ("i32", 31), ("u64", 64)]
)
def test_a_counter_wraps_before_its_sign(tmp_path: Path, kind: str, bits: int) -> None:
    path = tmp_path / "probe.toml"
    head = GOOD[: GOOD.index("[item.code]")]
    path.write_text(f"{head}[item.rain]\nfc = 3\naddress = 0\n{COUNTS.format(kind)}")
    counter = profiles.load(path).items[0].counter
    assert counter is not None
    assert counter.bits == bits


def test_a_counter_is_not_scaled_by_another_register(tmp_path: Path) -> None:
    old = 'type = "i16"\nquantity = "water_level"\nunit = "cm"\n'
    with pytest.raises(ConfigError, match="whole numbers") as caught:
        profiles.load(written(tmp_path, old, COUNTS.format("u16")))
    assert caught.value.key == "item.level.counter"
