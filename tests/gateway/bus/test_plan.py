from __future__ import annotations

import pytest

from egret_gateway.bus.plan import blocks, unknown_s, wire_s
from egret_gateway.bus.unit import Span
from egret_gateway.profiles import (
    ChannelSettings,
    DeviceSettings,
    Item,
    Modbus,
    Profile,
    Readable,
    Register,
)

CHAR_S = 10 / 9600
GAP_S = 3.5 * CHAR_S


def device(*places: tuple[int, str], fc: int = 3, **facts: object) -> DeviceSettings:
    items = tuple(
        Item(f"i{address}", Register(fc, address, kind), "voltage", "V") for address, kind in places
    )
    way = Modbus(**facts)  # type: ignore[arg-type]
    profile = Profile("p", 1, "p", "drafted", items, way)
    channels = tuple(ChannelSettings("st", item.name, item) for item in items)
    return DeviceSettings(7, profile, "st", 60.0, channels)


def first_ways(found: DeviceSettings) -> list[Span]:
    return [block.ways[0] for block in blocks(found, CHAR_S, GAP_S)]


def test_neighbours_are_read_together_whatever_their_order() -> None:
    assert first_ways(device((12, "f32"), (10, "u16"), (11, "u16"))) == [Span(10, 4)]


def test_a_hole_is_not_bridged_unless_the_profile_allows() -> None:
    places = ((10, "u16"), (13, "u16"))
    assert first_ways(device(*places)) == [Span(10, 1), Span(13, 1)]
    allowed = device(*places, readable=(Readable(3, 10, 13),))
    assert first_ways(allowed) == [Span(10, 4)]
    other_code = device(*places, readable=(Readable(4, 10, 13),))
    assert first_ways(other_code) == [Span(10, 1), Span(13, 1)]


def test_a_wide_hole_costs_more_than_a_second_read() -> None:
    wide = device((10, "u16"), (40, "u16"), readable=(Readable(3, 0, 60),))
    assert first_ways(wide) == [Span(10, 1), Span(40, 1)]


def test_blocks_are_cut_at_max_block_and_never_through_a_value() -> None:
    found = first_ways(device(*((a, "f32") for a in range(0, 20, 2)), max_block=5))
    assert found == [Span(a, 4) for a in range(0, 20, 4)]
    assert len(first_ways(device(*((a, "u16") for a in range(130))))) == 2


def test_single_read_devices_are_asked_value_by_value_in_one_shape() -> None:
    found = blocks(device((1, "u16"), (2, "u16"), single_read=True), CHAR_S, GAP_S)
    assert [block.ways for block in found] == [(Span(1, 1),), (Span(2, 1),)]


def test_other_ways_have_other_sizes_and_hold_every_channel() -> None:
    one = device((2002, "f32"), fc=4, readable=(Readable(4, 2000, 2009, 2),), max_block=6)
    assert blocks(one, CHAR_S, GAP_S)[0].ways == (Span(2002, 2), Span(2002, 4), Span(2002, 6))
    at_the_end = device((9, "u16"), readable=(Readable(3, 0, 9),))
    ways = blocks(at_the_end, CHAR_S, GAP_S)[0].ways
    assert ways == (Span(9, 1), Span(8, 2), Span(7, 3), Span(6, 4))


def test_without_readable_room_the_shorter_way_leaves_out_the_last_value() -> None:
    assert blocks(device((5, "u16"), (6, "f32")), CHAR_S, GAP_S)[0].ways == (Span(5, 3), Span(5, 1))
    assert blocks(device((5, "u16")), CHAR_S, GAP_S)[0].ways == (Span(5, 1),)


def test_wire_time_of_a_read() -> None:
    # 13 + 2 characters, two gaps, 20 ms: 15.6 + 7.3 + 20.
    assert round(wire_s(1, CHAR_S, GAP_S) * 1000, 1) == 42.9


@pytest.mark.parametrize(
    ("found", "wait_s"),
    [
        (device((5, "u16")), 0.0),
        (device((5, "u16"), (6, "u16")), 0.0),
        (device((5, "u16"), (40, "f32")), 0.0),
        (device((5, "u16"), (40, "u16"), timeout_max_ms=7000.0), 7.0),
        (device((5, "u16"), (6, "u16"), single_read=True), 1.0),
        (device((5, "f32"), (40, "u16"), readable=(Readable(3, 40, 42),)), 1.0),
    ],
    ids=["one", "merged", "unlike", "alike", "singles", "alike only in another way"],
)
def test_a_new_process_waits_where_an_unknown_late_answer_could_be_another_block_s(
    found: DeviceSettings, wait_s: float
) -> None:
    assert unknown_s(blocks(found, CHAR_S, GAP_S)) == wait_s


def test_units_are_told_apart_by_their_address() -> None:
    one, two = device((5, "u16")), device((40, "u16"))
    other = DeviceSettings(8, two.profile, "st", 60.0, two.channels)
    plan = (*blocks(one, CHAR_S, GAP_S), *blocks(other, CHAR_S, GAP_S))
    assert unknown_s(plan) == 0.0
