"""Registers that explain one another: the worked examples of the maps that force it."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING, Any

import pytest

from egret_gateway.bus.plan import blocks
from egret_gateway.bus.values import Values
from egret_gateway.profiles import (
    ChannelSettings,
    DeviceSettings,
    Item,
    Modbus,
    Profile,
    Readable,
    Register,
    UnitFrom,
    When,
)

if TYPE_CHECKING:
    from egret_gateway.bus.plan import Block

CHAR_S = 10 / 9600


def item(name: str, address: int, kind: str = "u16", fc: int = 3, **more: Any) -> Item:
    bits = more.pop("bits", None)
    order = more.pop("order", "ABCD")
    quantity, unit = more.pop("quantity", "state"), more.pop("unit", "1")
    return Item(name, Register(fc, address, kind, order, bits), quantity, unit, **more)


def device(*items: Item, wanted: tuple[str, ...], **way: Any) -> DeviceSettings:
    profile = Profile("p", 1, "p", "drafted", items, Modbus(**way))
    channels = tuple(ChannelSettings("s", one.name, one) for one in items if one.name in wanted)
    return DeviceSettings(1, profile, "s", 60.0, channels)


def laid(values: Values) -> list[tuple[int, int, int]]:
    """(function, first, count) of every read."""
    return [
        (block.fc, block.ways[0].address, block.ways[0].words)
        for block in blocks(values.planned, CHAR_S, 3.5 * CHAR_S)
    ]


def only(values: Values) -> Block:
    (block,) = blocks(values.planned, CHAR_S, 3.5 * CHAR_S)
    return block


UNITS = UnitFrom("code", ((1.0, "cm"), (2.0, "mm")))
QDY30A = (
    item("code", 2),
    item("decimals", 3),
    item(
        "level", 4, "i16", quantity="water_level", unit="cm", scale_from="decimals", unit_from=UNITS
    ),
)


def qdy30a(registers: list[int]) -> float | None:
    values = Values(device(*QDY30A, wanted=("level",)))
    block = only(values)
    assert (block.ways[0].address, block.ways[0].words) == (2, 3)
    assert values.before(block.channels) == ()
    (raw,) = values.read(block.channels, registers, 2, {}).raws
    return raw


@pytest.mark.parametrize(
    ("registers", "raw"),
    [
        ([1, 2, 0x04D2], 12.34),  # the reference: 12.34 cm
        ([1, 0, 0x04D2], 1234.0),
        ([2, 1, 0x04D2], 12.34),  # tenths of mm
        ([1, 3, 0xFFFF], -0.001),
    ],
)
def test_decimals_and_unit_of_a_level_are_in_registers(registers: list[int], raw: float) -> None:
    assert qdy30a(registers) == pytest.approx(raw)


@pytest.mark.parametrize("registers", [[3, 2, 1234], [0, 2, 1234], [1, 10, 1234], [1, 65535, 1234]])
def test_a_unit_or_decimals_that_make_no_sense_make_no_value(registers: list[int]) -> None:
    raw = qdy30a(registers)
    assert raw is not None
    assert isnan(raw)


def test_a_channel_s_own_number_is_what_it_was() -> None:
    values = Values(device(*QDY30A, wanted=("level", "decimals")))
    block = only(values)
    read = values.read(block.channels, [1, 2, 1234], 2, {})
    names = [channel.item.name for channel in values.channels(block.channels)]
    assert dict(zip(names, read.raws, strict=True)) == {"decimals": 2.0, "level": 12.34}
    places = {channel.item.name: channel.item.at for channel in values.channels(block.channels)}
    assert places["level"] == QDY30A[2].at


VEGA = (
    item("code", 104, fc=4),
    item(
        "level",
        2002,
        "f32",
        4,
        quantity="water_level",
        unit="m",
        unit_from=UnitFrom("code", ((45.0, "m"), (49.0, "mm"))),
    ),
)


def test_a_unit_far_away_is_read_just_before() -> None:
    values = Values(device(*VEGA, wanted=("level",)))
    block = only(values)
    assert laid(values) == [(4, 2002, 2)]
    assert [one.name for one in values.before(block.channels)] == ["code"]
    words = [0x4048, 0xF5C3]
    assert values.read(block.channels, words, 2002, {"code": 45.0}).raws[0] == pytest.approx(3.14)
    assert values.read(block.channels, words, 2002, {"code": 49.0}).raws[0] == pytest.approx(
        3.14e-3
    )
    assert values.read(block.channels, words, 2002, {}).raws == (None,)


ENCARDIO = (
    item("status", 0x12C),
    item(
        "settlement", 0x12D, "f32", quantity="settlement", unit="mm", ready=When("status", (0.0,))
    ),
    item("other", 0x12F, quantity="state"),
)


def test_a_value_is_taken_only_when_the_same_answer_says_that_it_is_ready() -> None:
    values = Values(device(*ENCARDIO, wanted=("settlement", "other")))
    block = only(values)
    assert (block.ways[0].address, block.ways[0].words) == (0x12C, 4)
    ready = values.read(block.channels, [0, 0x4048, 0xF5C3, 9], 0x12C, {})
    assert ready.raws == (pytest.approx(3.14), 9.0)
    assert not ready.busy
    busy = values.read(block.channels, [1, 0x4048, 0xF5C3, 9], 0x12C, {})
    assert (busy.raws, busy.busy) == ((None, 9.0), True)


def test_a_value_and_its_status_are_never_parted_by_the_plan() -> None:
    others = [item(f"x{n}", 0x130 + n) for n in range(8)]
    values = Values(
        device(
            *ENCARDIO,
            *others,
            wanted=("settlement", "other", *(f"x{n}" for n in range(8))),
            max_block=4,
        )
    )
    assert (3, 0x12C, 4) in laid(values)


def test_readiness_is_joined_before_anything_else() -> None:
    items = (
        item("decimals", 12),
        item("status", 10),
        item("value", 11, ready=When("status", (0.0,)), scale_from="decimals"),
    )
    values = Values(device(*items, wanted=("value",), max_block=2))
    assert laid(values) == [(3, 10, 2)]
    assert [one.name for one in values.before(only(values).channels)] == ["decimals"]


def test_neighbours_join_in_any_order() -> None:
    items = (
        item("a", 10),
        item("b", 11),
        item("value", 12, sign_from=When("a", (1.0,)), scale_from="b"),
    )
    values = Values(device(*items, wanted=("value",)))
    assert laid(values) == [(3, 10, 3)]
    assert values.read(only(values).channels, [1, 1, 25], 10, {}).raws == (-2.5,)
    assert values.read(only(values).channels, [0, 1, 25], 10, {}).raws == (2.5,)


def test_bits_of_one_register_are_several_values() -> None:
    items = (item("low", 5, bits=(0, 3)), item("flag", 5, bits=(15, 15)), item("all", 6))
    values = Values(device(*items, wanted=("low", "flag", "all")))
    block = only(values)
    assert (block.ways[0].address, block.ways[0].words) == (5, 2)
    names = [channel.item.name for channel in values.channels(block.channels)]
    read = values.read(block.channels, [0x8007, 12], 5, {})
    assert dict(zip(names, read.raws, strict=True)) == {"low": 7, "flag": 1, "all": 12}


def test_a_sentinel_is_the_device_s_own_number() -> None:
    items = (item("decimals", 3), item("level", 4, scale_from="decimals", sentinels=(55555.0,)))
    values = Values(device(*items, wanted=("level",)))
    assert values.read(only(values).channels, [2, 55555], 3, {}).raws == (55555.0,)


def test_an_answer_that_ends_before_gives_nothing() -> None:
    values = Values(device(*ENCARDIO, wanted=("settlement", "other")))
    block = only(values)
    assert values.read(block.channels, [0], 0x12C, {}).raws == (None, None)
    assert values.read(block.channels, [0, 0x4048], 0x12C, {}).raws == (None, None)


def test_an_offset_and_a_scale_of_the_profile_are_undone_and_done_again() -> None:
    # Tenths of a degree, told in Fahrenheit: 770 = 77 F = 25 C.
    items = (
        item("code", 0),
        item(
            "t",
            1,
            quantity="temperature",
            unit="degC",
            scale=0.1,
            unit_from=UnitFrom("code", ((0.0, "degC"), (1.0, "degF"))),
        ),
    )
    values = Values(device(*items, wanted=("t",)))
    (raw,) = values.read(only(values).channels, [1, 770], 0, {}).raws
    assert raw is not None
    assert raw * 0.1 == pytest.approx(25.0)


def test_readable_registers_are_bridged_to_what_a_value_needs() -> None:
    values = Values(device(*VEGA, wanted=("level",), readable=(Readable(4, 104, 110),)))
    assert laid(values) == [(4, 2002, 2)]
    near = (item("code", 4), item("level", 8, scale_from="code"))
    values = Values(device(*near, wanted=("level",), readable=(Readable(3, 0, 20),)))
    assert laid(values) == [(3, 4, 5)]
