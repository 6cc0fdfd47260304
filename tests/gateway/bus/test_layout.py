"""What a device refuses is learnt: split until only what it has not is left out."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egret_gateway.bus.layout import LEARN_ANSWERS, REPLAN_LEAST_S, Layout
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

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egret_gateway.bus.plan import Block

CHAR_S = 10 / 9600
GAP_S = 3.5 * CHAR_S
PERIOD_S = 60.0


def layout(*addresses: int, period_s: float = PERIOD_S, **facts: Any) -> Layout:
    facts = {"readable": (Readable(3, 0, 199),), **facts}
    items = tuple(Item(f"i{a}", Register(3, a, "u16"), "voltage", "V") for a in addresses)
    profile = Profile("p", 1, "p", "drafted", items, Modbus(**facts))
    channels = tuple(ChannelSettings("st", item.name, item) for item in items)
    return Layout(DeviceSettings(7, profile, "st", period_s, channels), CHAR_S, GAP_S)


def spans(laid: Layout) -> list[Span]:
    return [block.ways[0] for block in laid.blocks]


def refuses(block: Block, absent: Iterable[int], way: int = 0) -> bool:
    span = block.ways[way]
    return any(span.address <= a < span.address + span.words for a in absent)


def ask_all(laid: Layout, absent: Iterable[int]) -> list[str]:
    """One period with a device that lacks some registers; return the items that were read."""
    read: list[str] = []
    todo = list(laid.blocks)
    while todo:
        block = todo.pop(0)
        if laid.resting(block):
            continue
        if not refuses(block, absent):
            laid.answered(block, None, 0, 0.0)
            read += [channel.item.name for channel in block.channels]
        elif laid.refused(block, 0, 2):
            former = set(todo)
            todo = [b for b in laid.blocks if b in former or set(b.channels) <= set(block.channels)]
    return read


def test_a_refused_bridge_is_split_at_its_widest_hole_and_offered_as_lines_of_toml() -> None:
    laid = layout(10, 12, 20)
    assert spans(laid) == [Span(10, 11)]
    assert laid.refused(laid.blocks[0], 0, 2)
    assert spans(laid) == [Span(10, 3), Span(20, 1)]
    assert laid.suggestions() == [], "the split has proved nothing yet"
    for block in laid.blocks:
        laid.answered(block, None, 0, 0.0)
    assert laid.suggestions() == ["[[modbus.holes]]\nfc = 3\nfirst = 13\nlast = 19"]


def test_no_way_reaches_into_a_learnt_hole() -> None:
    laid = layout(10, 20)
    laid.refused(laid.blocks[0], 0, 2)
    for block in laid.blocks:
        assert len(block.ways) > 1
        for way in block.ways:
            assert not refuses(block, range(11, 20), block.ways.index(way))


def test_a_device_that_refuses_everything_proves_no_hole() -> None:
    laid = layout(10, 20)
    for _ in range(6):
        ask_all(laid, range(200))
    assert spans(laid) == [Span(10, 1), Span(20, 1)]
    assert laid.suggestions() == []


def test_a_value_the_device_has_not_is_left_alone_while_its_neighbours_go_on() -> None:
    laid = layout(10, 11, 12, 13, 14)
    assert ask_all(laid, {12}) == ["i10", "i11", "i13", "i14"], "all in the first period"
    for _ in range(7):
        assert ask_all(laid, {12}) == ["i10", "i11", "i13", "i14"]
    (word,) = laid.suggestions()
    assert word.startswith("i12: refused (exception 2)")


def test_a_refused_value_rests_ever_longer_and_is_tried_hourly_in_the_end() -> None:
    laid = layout(10)
    asked = []
    for turn in range(400):
        (block,) = laid.blocks
        if not laid.resting(block):
            asked.append(turn)
            laid.refused(block, 0, 2)
    steps = [b - a for a, b in pairwise(asked)]
    assert steps[:6] == [2, 4, 8, 16, 32, 61]
    assert set(steps[6:]) == {61}, "an hour of 60 s periods"


def test_a_refused_value_that_comes_back_is_asked_every_time_again() -> None:
    laid = layout(10)
    (block,) = laid.blocks
    laid.refused(block, 0, 2)
    assert [laid.resting(block), laid.resting(block)] == [2, 0]
    laid.answered(block, None, 0, 0.0)
    assert laid.resting(block) == 0
    laid.refused(block, 0, 2)
    assert [laid.resting(block), laid.resting(block)] == [2, 0], "it begins anew"


def test_periods_longer_than_an_hour_rest_no_turn() -> None:
    laid = layout(10, period_s=7200.0)
    (block,) = laid.blocks
    for _ in range(5):
        laid.refused(block, 0, 2)
        assert laid.resting(block) == 0


@pytest.mark.parametrize("code", [1, 4, 5, 6, 10, 11])
def test_other_exceptions_teach_nothing(code: int) -> None:
    laid = layout(10, 20)
    assert not laid.refused(laid.blocks[0], 0, code)
    assert spans(laid) == [Span(10, 11)]
    assert laid.resting(laid.blocks[0]) == 0


def test_a_longer_way_that_is_refused_is_taken_from_the_ways() -> None:
    laid = layout(10)
    (block,) = laid.blocks
    refused = block.ways[2]
    assert laid.refused(block, 2, 2)
    assert refused not in laid.blocks[0].ways
    assert laid.blocks[0].ways[:2] == block.ways[:2]
    assert laid.resting(laid.blocks[0]) == 0


@given(
    absent=st.sets(st.integers(0, 40), max_size=8),
    wanted=st.lists(st.integers(0, 40), min_size=1, max_size=10, unique=True),
)
def test_whatever_registers_are_absent_the_others_are_read(
    absent: set[int], wanted: list[int]
) -> None:
    laid = layout(*sorted(wanted))
    for _ in range(2):
        read = ask_all(laid, absent)
        assert sorted(read) == sorted(f"i{a}" for a in wanted if a not in absent)
    assert len(laid.blocks) <= len(wanted)


def test_a_slow_device_is_planned_anew_once_its_answer_time_is_usual() -> None:
    laid = layout(0, 25)
    assert spans(laid) == [Span(0, 1), Span(25, 1)]
    assert not laid.answered(laid.blocks[0], 0.05, LEARN_ANSWERS - 1, 0.0)
    assert laid.answered(laid.blocks[0], 0.05, LEARN_ANSWERS, 0.0)
    assert spans(laid) == [Span(0, 26)]


def test_an_answer_time_that_wavers_does_not_move_the_reads_to_and_fro() -> None:
    laid = layout(0, 25)
    laid.answered(laid.blocks[0], 0.05, 100, 0.0)
    assert not laid.answered(laid.blocks[0], 0.005, 101, REPLAN_LEAST_S - 1)
    assert laid.answered(laid.blocks[0], 0.005, 102, REPLAN_LEAST_S)
    assert spans(laid) == [Span(0, 1), Span(25, 1)]


def test_a_quarter_of_the_bridge_is_the_least_that_counts() -> None:
    # u* is 19.6 registers at 20 ms; 24.4 at 30 ms, 24.5 at 30.3 ms.
    laid = layout(0, 22)
    assert not laid.answered(laid.blocks[0], 0.030, 100, 0.0)
    assert laid.answered(laid.blocks[0], 0.0304, 100, 0.0)


def test_where_every_bridge_is_worth_while_there_is_nothing_to_lay_anew() -> None:
    # Over TCP a character takes a microsecond: a bridge may be as wide as a block.
    laid = Layout(layout(0, 25)._device, 1e-6, 0.0)
    before = laid.blocks
    assert not laid.answered(laid.blocks[0], 0.001, 100, 0.0)
    assert laid.blocks is before


def test_single_reads_are_never_merged_whatever_is_learnt() -> None:
    laid = layout(0, 1, single_read=True)
    laid.refused(laid.blocks[0], 0, 2)
    laid.answered(laid.blocks[1], 0.5, 100, 0.0)
    assert spans(laid) == [Span(0, 1), Span(1, 1)]
