from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_gateway.bus.plan import (
    Block,
    Learnt,
    blocks,
    bridge_registers,
    chars,
    holes_of,
    unknown_s,
    wire_s,
)
from egret_gateway.bus.unit import Patience, Span
from egret_gateway.profiles import (
    ChannelSettings,
    DeviceSettings,
    Hole,
    Item,
    Modbus,
    Profile,
    Readable,
    Register,
)

CHAR_S = 10 / 9600
GAP_S = 3.5 * CHAR_S
EVERYTHING = (Readable(3, 0, 65535),)


def device(
    *places: tuple[int, str], fc: int = 3, clearing: tuple[int, ...] = (), **facts: Any
) -> DeviceSettings:
    items = tuple(
        Item(
            f"i{address}",
            Register(fc, address, kind),
            "voltage",
            "V",
            read_clears=address in clearing,
        )
        for address, kind in places
    )
    profile = Profile("p", 1, "p", "drafted", items, Modbus(**facts))
    channels = tuple(ChannelSettings("st", item.name, item) for item in items)
    return DeviceSettings(7, profile, "st", 60.0, channels)


def without(found: DeviceSettings, *addresses: int) -> DeviceSettings:
    """Return a device whose site does not want some of its profile's items."""
    kept = tuple(c for c in found.channels if c.item.at.address not in addresses)
    return DeviceSettings(7, found.profile, "st", 60.0, kept)


def first_ways(found: DeviceSettings, tau_s: float = 0.02) -> list[Span]:
    return [block.ways[0] for block in blocks(found, CHAR_S, GAP_S, tau_s=tau_s)]


def test_neighbours_are_read_together_whatever_their_order() -> None:
    assert first_ways(device((12, "f32"), (10, "u16"), (11, "u16"))) == [Span(10, 4)]


def test_a_value_within_what_another_one_takes_does_not_shorten_the_read() -> None:
    """A depth is read with its unit and decimals; these are channels of their own, too."""
    assert first_ways(device((10, "f64"), (11, "u16"))) == [Span(10, 4)]
    assert first_ways(device((10, "f64"), (11, "u16"), (14, "u16"))) == [Span(10, 5)]


def test_a_hole_is_not_bridged_unless_the_profile_allows() -> None:
    places = ((10, "u16"), (13, "u16"))
    assert first_ways(device(*places)) == [Span(10, 1), Span(13, 1)]
    allowed = device(*places, readable=(Readable(3, 10, 13),))
    assert first_ways(allowed) == [Span(10, 4)]
    other_code = device(*places, readable=(Readable(4, 10, 13),))
    assert first_ways(other_code) == [Span(10, 1), Span(13, 1)]


def test_a_declared_hole_is_never_bridged_nor_touched_by_a_longer_way() -> None:
    found = device((10, "u16"), (13, "u16"), readable=EVERYTHING, holes=(Hole(3, 12, 12),))
    plan = blocks(found, CHAR_S, GAP_S)
    assert [block.ways[0] for block in plan] == [Span(10, 1), Span(13, 1)]
    assert plan[0].ways == (Span(10, 1), Span(10, 2), Span(8, 3), Span(7, 4))
    assert all(way.address > 12 for way in plan[1].ways)
    other_code = device((10, "u16"), (13, "u16"), readable=EVERYTHING, holes=(Hole(4, 12, 12),))
    assert first_ways(other_code) == [Span(10, 4)]


@pytest.mark.parametrize(
    ("hole", "reads", "wire_ms"),
    [(9, 1, 50.83), (12, 1, 57.08), (13, 2, 57.92)],
)
def test_the_worked_examples_at_9600_8n1_and_5_ms(hole: int, reads: int, wire_ms: float) -> None:
    found = device((0, "u16"), (1 + hole, "f32"), readable=EVERYTHING)
    plan = blocks(found, CHAR_S, GAP_S, tau_s=0.005)
    assert len(plan) == reads
    cost_s = sum(wire_s(block, CHAR_S, GAP_S, 0.005) for block in plan)
    assert cost_s * 1000 == pytest.approx(wire_ms, abs=0.005)


def test_twenty_registers_in_one_read_instead_of_twenty() -> None:
    together = blocks(device(*((a, "u16") for a in range(20))), CHAR_S, GAP_S)
    apart = blocks(device(*((a, "u16") for a in range(20)), single_read=True), CHAR_S, GAP_S)
    assert (len(together), len(apart)) == (1, 20)
    cost_s = sum(wire_s(block, CHAR_S, GAP_S, 0.0) for block in apart)
    assert cost_s / wire_s(together[0], CHAR_S, GAP_S, 0.0) > 7


@pytest.mark.parametrize(
    ("baud", "bits", "tau_ms", "registers"),
    [
        (4800, 10, 5, 11.2),
        (9600, 10, 5, 12.4),
        (9600, 10, 50, 34.0),
        (9600, 11, 20, 18.7),
        (19200, 11, 20, 27.5),
        (115200, 10, 5, 55.5),
    ],
)
def test_how_wide_a_hole_is_worth_a_bridge(
    baud: int, bits: int, tau_ms: float, registers: float
) -> None:
    char_s = bits / baud
    gap_s = 0.00175 if baud > 19200 else 3.5 * char_s
    assert bridge_registers(char_s, gap_s, tau_ms / 1000) == pytest.approx(registers, abs=0.06)


def test_a_slow_device_is_worth_a_wider_bridge() -> None:
    found = device((0, "u16"), (21, "u16"), readable=EVERYTHING)
    assert len(first_ways(found, tau_s=0.02)) == 2
    assert len(first_ways(found, tau_s=0.05)) == 1


def test_blocks_are_cut_at_max_block_and_never_through_a_value() -> None:
    found = first_ways(device(*((a, "f32") for a in range(0, 20, 2)), max_block=5))
    assert found == [Span(a, 4) for a in range(0, 20, 4)]
    assert len(first_ways(device(*((a, "u16") for a in range(130))))) == 2


def test_the_cap_is_met_where_it_costs_least_and_not_from_the_left() -> None:
    # From the left: 0..9 with its hole, then 12 alone, 20..21: three reads that carry 2 + 8 holes.
    found = device(
        (0, "u16"), (9, "u16"), (10, "u16"), (12, "u16"), readable=EVERYTHING, max_block=10
    )
    assert first_ways(found) == [Span(0, 1), Span(9, 4)]


def cost_chars(found: DeviceSettings, cut: list[list[ChannelSettings]], overhead: float) -> float:
    total = 0.0
    for group in cut:
        first, last = group[0].item.at.address, max(c.item.at.last for c in group)
        total += overhead + chars(3, last - first + 1)
        alone = len(group) == 1
        if not alone and last - first + 1 > found.profile.way.max_block:
            return float("inf")
        within = [a for a in found.profile.way.readable if a.first <= first and last <= a.last]
        if not alone and holes_of(group) and not within:
            return float("inf")
        if not alone and any(h.first <= last and first <= h.last for h in found.profile.way.holes):
            return float("inf")
    return total


def every_cut(ordered: list[ChannelSettings]) -> list[list[list[ChannelSettings]]]:
    places = range(1, len(ordered))
    return [
        [ordered[a:b] for a, b in zip((0, *at), (*at, len(ordered)), strict=True)]
        for count in range(len(ordered))
        for at in combinations(places, count)
    ]


@given(
    steps=st.lists(st.tuples(st.integers(0, 18), st.sampled_from(["u16", "f32"])), max_size=8),
    max_block=st.integers(2, 40),
    areas=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 60)), max_size=3),
    hole=st.integers(0, 90),
    tau_ms=st.integers(0, 60),
)
def test_no_other_cut_costs_the_wire_less(
    steps: list[tuple[int, str]],
    max_block: int,
    areas: list[tuple[int, int]],
    hole: int,
    tau_ms: int,
) -> None:
    places, at = [(0, "u16")], 1
    for gap, kind in steps:
        places.append((at + gap, kind))
        at += gap + (2 if kind == "f32" else 1)
    taken = {a + w for a, kind in places for w in range(2 if kind == "f32" else 1)}
    found = device(
        *places,
        max_block=max_block,
        readable=tuple(Readable(3, a, a + n) for a, n in areas),
        holes=() if hole in taken else (Hole(3, hole, hole),),
    )
    overhead = (13 * CHAR_S + 2 * GAP_S + tau_ms / 1000) / CHAR_S
    plan = [list(block.channels) for block in blocks(found, CHAR_S, GAP_S, tau_s=tau_ms / 1000)]
    assert sorted(c.key for group in plan for c in group) == sorted(c.key for c in found.channels)
    best = min(cost_chars(found, cut, overhead) for cut in every_cut(list(found.channels)))
    assert cost_chars(found, plan, overhead) == pytest.approx(best)


def test_single_read_devices_are_asked_value_by_value_in_one_shape() -> None:
    found = blocks(device((1, "u16"), (2, "u16"), single_read=True), CHAR_S, GAP_S)
    assert [block.ways for block in found] == [(Span(1, 1),), (Span(2, 1),)]


def test_what_reading_clears_is_read_alone_in_one_shape_and_by_nobody_else() -> None:
    found = device((10, "u16"), (11, "u16"), (12, "u16"), clearing=(11,), readable=EVERYTHING)
    plan = blocks(found, CHAR_S, GAP_S)
    assert [(block.ways[0], block.once) for block in plan] == [
        (Span(10, 1), False), (Span(11, 1), True), (Span(12, 1), False),
    ]  # fmt: skip
    assert plan[1].ways == (Span(11, 1),), "another shape would clear what is beside it"
    for block in (plan[0], plan[2]):
        assert len(block.ways) > 1
        assert not any(way.address <= 11 < way.address + way.words for way in block.ways)


def test_what_reading_clears_is_not_bridged_though_the_site_does_not_want_it() -> None:
    found = without(
        device((10, "u16"), (11, "u16"), (12, "u16"), clearing=(11,), readable=EVERYTHING), 11
    )
    assert first_ways(found) == [Span(10, 1), Span(12, 1)]
    harmless = without(device((10, "u16"), (11, "u16"), (12, "u16"), readable=EVERYTHING), 11)
    assert first_ways(harmless) == [Span(10, 3)]


def test_other_ways_have_other_sizes_and_hold_every_channel() -> None:
    one = device((2002, "f32"), fc=4, readable=(Readable(4, 2000, 2009, 2),), max_block=6)
    assert blocks(one, CHAR_S, GAP_S)[0].ways == (Span(2002, 2), Span(2002, 4), Span(2002, 6))
    at_the_end = device((9, "u16"), readable=(Readable(3, 0, 9),))
    ways = blocks(at_the_end, CHAR_S, GAP_S)[0].ways
    assert ways == (Span(9, 1), Span(8, 2), Span(7, 3), Span(6, 4))


def test_without_readable_room_the_shorter_way_leaves_out_the_last_value() -> None:
    assert blocks(device((5, "u16"), (6, "f32")), CHAR_S, GAP_S)[0].ways == (Span(5, 3), Span(5, 1))
    assert blocks(device((5, "u16")), CHAR_S, GAP_S)[0].ways == (Span(5, 1),)


def test_what_was_refused_is_not_asked_again() -> None:
    found = device((10, "u16"), (13, "u16"), readable=EVERYTHING)
    learnt = Learnt(cuts=frozenset({(3, 11), (3, 13)}))
    plan = blocks(found, CHAR_S, GAP_S, learnt=learnt)
    assert [block.ways[0] for block in plan] == [Span(10, 1), Span(13, 1)]
    assert all(way.address + way.words == 11 for way in plan[0].ways)
    assert all(way.address == 13 for way in plan[1].ways)
    other_code = Learnt(cuts=frozenset({(4, 11), (4, 13)}))
    assert len(blocks(found, CHAR_S, GAP_S, learnt=other_code)) == 1
    one = device((5, "u16"), readable=(Readable(3, 4, 6),))
    assert blocks(one, CHAR_S, GAP_S)[0].ways == (Span(5, 1), Span(5, 2), Span(4, 3))
    banned = Learnt(banned=frozenset({(3, Span(5, 2))}))
    assert blocks(one, CHAR_S, GAP_S, learnt=banned)[0].ways == (
        Span(5, 1), Span(4, 2), Span(4, 3),
    )  # fmt: skip


def test_wire_time_of_a_read() -> None:
    # 13 + 2 characters, two gaps, 20 ms: 15.6 + 7.3 + 20.
    block = blocks(device((1, "u16")), CHAR_S, GAP_S)[0]
    assert round(wire_s(block, CHAR_S, GAP_S) * 1000, 1) == 42.9
    patient = Block(7, 3, (Span(1, 1),), (), 60.0, Patience(gap_s=0.1))
    assert wire_s(patient, CHAR_S, GAP_S) > wire_s(block, CHAR_S, GAP_S) + 0.09


def test_coils_are_packed_eight_to_a_character() -> None:
    assert [chars(1, 8), chars(2, 9), chars(3, 9)] == [1, 2, 18]


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


def test_a_device_full_of_single_registers_is_planned_at_once() -> None:
    found = device(*((a, "u16") for a in range(0, 1000, 2)), readable=EVERYTHING)
    assert sum(len(block.channels) for block in blocks(found, CHAR_S, GAP_S)) == 500
