"""What a bus costs its wire, and which device is to move or to slow down."""

from __future__ import annotations

import re

import pytest

from egret_gateway.bus.budget import budget, remedies
from egret_gateway.bus.line import Cost
from egret_gateway.bus.load import CROWDED, LOAD_MAX, STRIDE_MAX, Strides
from egret_gateway.bus.rank import Rank, rank_of
from egret_gateway.profiles import ChannelSettings, Item, Register


def channel(quantity: str, watch_at: float | None = None) -> ChannelSettings:
    item = Item("i", Register(3, 0, "u16"), quantity, "x")
    return ChannelSettings("st", "c", item, watch_at=watch_at)


def cost(unit: str, period_s: float, wire_s: float, quantity: str = "tilt") -> Cost:
    return Cost(unit, period_s, wire_s, 4, "FC03 0+4", (channel(quantity),))


@pytest.mark.parametrize(
    ("quantities", "rank"),
    [
        (["water_level"], Rank.WARNING),
        (["rain_total", "voltage"], Rank.WARNING),
        (["tilt"], Rank.MEASUREMENT),
        (["pore_pressure", "state"], Rank.MEASUREMENT),
        (["voltage", "signal"], Rank.SERVICE),
    ],
)
def test_a_turn_has_the_class_of_its_most_urgent_channel(quantities: list[str], rank: Rank) -> None:
    assert rank_of([channel(quantity) for quantity in quantities]) is rank


def test_a_threshold_makes_any_channel_urgent() -> None:
    assert rank_of([channel("voltage", watch_at=11.0)]) is Rank.WARNING


def test_a_device_s_turns_are_added_up_and_the_dearest_comes_first() -> None:
    bus = budget([cost("1", 10.0, 0.1), cost("2", 1.0, 0.2), cost("1", 5.0, 0.1)])
    assert [device.unit for device in bus.devices] == ["2", "1"]
    two, one = bus.devices
    assert two.share == pytest.approx(0.2)
    assert one.share == pytest.approx(0.03)
    assert (one.period_s, one.registers, len(one.turns)) == (5.0, 8, 2)
    assert one.wire_ms == pytest.approx(150.0), "in one of its shortest periods"
    assert bus.share == pytest.approx(0.23)
    assert bus.spare_ms == pytest.approx(620.0)
    assert bus.fits
    assert remedies(bus) == []


def test_periods_are_those_of_the_scaled_clock() -> None:
    assert budget([cost("1", 60.0, 0.1)], lambda s: s / 60).share == pytest.approx(0.1)


def test_a_period_that_is_proposed_fits_and_one_that_is_a_little_shorter_does_not() -> None:
    turns = [cost("1", 1.0, 0.5), cost("2", 1.0, 0.4)]
    (word,) = remedies(budget(turns))
    assert word.startswith("move unit 1 (50% of the wire's time) to another bus, or read it every ")
    found = re.search(r"every ([\d.]+) s instead of 1 s", word)
    assert found is not None
    slower_s = float(found[1])
    assert budget([cost("1", slower_s, 0.5), turns[1]]).fits
    assert slower_s == 2, "whole seconds are written"


def test_short_periods_are_proposed_in_hundredths() -> None:
    (word,) = remedies(budget([cost("1", 0.2, 0.1), cost("2", 0.2, 0.08)]))
    assert "read it every 0.23 s instead of 0.2 s" in word
    assert budget([cost("1", 0.23, 0.1), cost("2", 0.2, 0.08)]).fits


def test_service_channels_give_way_before_rain_and_level_though_they_cost_less() -> None:
    turns = [cost("1", 1.0, 0.6, "water_level"), cost("2", 1.0, 0.3, "voltage")]
    (word,) = remedies(budget(turns))
    assert "unit 2 (30%" in word


def test_where_one_device_is_not_enough_all_that_are_needed_are_named() -> None:
    turns = [cost(str(n), 1.0, 0.4) for n in range(4)]
    words = remedies(budget(turns))
    assert [bool(re.match(r"move unit \d", word)) for word in words] == [True, True, False]
    assert words[0].endswith("to another bus"), "without it something is still to be done"
    assert "or read it every" in words[1]
    assert words[-1] == "or make every period_s 1.9 times as long"
    longer = 1.9
    assert budget([cost(str(n), longer, 0.4) for n in range(4)]).share <= LOAD_MAX + 0.01


def shares(warning: float, measurement: float, service: float) -> dict[Rank, float]:
    return {Rank.WARNING: warning, Rank.MEASUREMENT: measurement, Rank.SERVICE: service}


@pytest.mark.parametrize(
    ("parts", "strides"),
    [
        ((0.3, 0.3, 0.3), (1, 1, 1)),
        ((0.4, 0.3, 0.3), (1, 1, 2)),
        ((0.4, 0.4, 0.6), (1, 1, 5)),
        ((0.4, 0.6, 0.2), (1, 2, 10)),
        ((1.5, 0.4, 0.4), (1, 10, 10)),
        ((1.2, 0.0, 0.0), (1, 1, 1)),
    ],
)
def test_the_lowest_class_is_thinned_out_first_and_rain_and_level_never(
    parts: tuple[float, float, float], strides: tuple[int, int, int]
) -> None:
    found = Strides()
    assert found.weigh(shares(*parts)) == (strides != (1, 1, 1))
    assert tuple(found.of[rank] for rank in Rank) == strides
    assert found.load == pytest.approx(sum(parts))


def test_a_load_on_the_edge_does_not_go_to_and_fro() -> None:
    found = Strides()
    found.weigh(shares(0.4, 0.3, CROWDED - 0.7 + 0.01))
    assert found.of[Rank.SERVICE] == 2
    assert not found.weigh(shares(0.4, 0.3, CROWDED - 0.7 - 0.01)), "a little less is no change"
    assert found.weigh(shares(0.4, 0.3, LOAD_MAX - 0.7 - 0.01))
    assert found.of[Rank.SERVICE] == 1


def test_nothing_is_thinned_out_more_than_tenfold() -> None:
    found = Strides()
    found.weigh(shares(0.91, 5.0, 5.0))
    assert max(found.of.values()) == STRIDE_MAX
