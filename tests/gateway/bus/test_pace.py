"""Normal, watch, event: entered at once, left late, whoever says so; on a virtual clock."""

from __future__ import annotations

import random
from math import inf

import pytest

from egret_gateway.bus.line import Turn
from egret_gateway.bus.pace import (
    LOOK_S,
    ORDERS_MAX,
    SILENT_HOLDS,
    WINDOW_MAX,
    Change,
    Pace,
    Paced,
    Periods,
    State,
    Trigger,
    _Rising,
)
from egret_gateway.profiles import ChannelSettings, Item, Register

OVER = Trigger("st/wl", ("st",), State.EVENT, at=3.0, back=0.2, hold_s=600)
RISE = Trigger("st/wl", ("st", "up"), State.WATCH, rise=0.5, in_s=900, hold_s=600)


def test_a_threshold_is_entered_at_once_and_left_late() -> None:
    pace = Pace([OVER])
    assert pace.state("st", 0) is State.NORMAL
    pace.take("st/wl", 2.999, 10)
    assert pace.state("st", 10) is State.NORMAL
    pace.take("st/wl", 3.0, 20)
    assert pace.state("st", 20) is State.EVENT
    pace.take("st/wl", 2.8, 700)
    assert pace.state("st", 700) is State.EVENT, "not yet below at - back"
    pace.take("st/wl", 2.79, 710)
    assert pace.state("st", 1299) is State.EVENT, "held since it was over at 700"
    assert pace.state("st", 1300) is State.NORMAL
    pace.take("st/wl", 2.9, 1310)
    assert pace.state("st", 1310) is State.NORMAL, "between the two nothing is entered"


def test_a_rise_within_the_window_wakes_the_stations_it_names() -> None:
    pace = Pace([RISE])
    for at_s, level in ((0, 1.0), (300, 1.2), (600, 1.49)):
        pace.take("st/wl", level, at_s)
        assert pace.state("up", at_s) is State.NORMAL
    pace.take("st/wl", 1.5, 900)
    assert [pace.state(name, 900) for name in ("st", "up", "other")] == [
        State.WATCH, State.WATCH, State.NORMAL
    ]  # fmt: skip


def test_the_same_rise_over_a_longer_time_is_none() -> None:
    pace = Pace([RISE])
    for step in range(100):
        pace.take("st/wl", 1.0 + step * 0.25, step * 600.0)
        assert pace.state("st", step * 600.0) is State.NORMAL


def test_a_rise_that_halved_is_over_after_its_hold() -> None:
    pace = Pace([RISE])
    pace.take("st/wl", 1.0, 0)
    pace.take("st/wl", 1.6, 10)
    pace.take("st/wl", 1.26, 20)
    pace.take("st/wl", 1.24, 30)
    assert pace.state("st", 619) is State.WATCH, "the last time it held was at 20"
    assert pace.state("st", 620) is State.NORMAL


@pytest.mark.parametrize("seed", range(5))
def test_the_least_of_a_window_is_what_looking_at_all_of_it_gives(seed: int) -> None:
    dice = random.Random(seed)
    rising, seen = _Rising(100.0), []
    at_s = 0.0
    for _ in range(1000):
        at_s += dice.choice((1, 7, 50))
        value = dice.randint(0, 20) / 10
        seen.append((at_s, value))
        least = min(v for t, v in seen if t >= at_s - 100)
        assert rising.by(value, at_s) == value - least


def test_a_window_has_a_limit() -> None:
    rising = _Rising(1000.0)
    for step in range(10 * WINDOW_MAX):
        rising.by(float(step), float(step) / 2)
        assert len(rising._low) <= WINDOW_MAX
    assert len(rising._low) > WINDOW_MAX // 2, "and it is used"


@pytest.mark.parametrize("every_s", [1.0, 7.0, 60.0])
def test_a_slow_rise_over_a_day_is_seen_however_often_it_is_read(every_s: float) -> None:
    pace = Pace([Trigger("st/wl", ("st",), State.WATCH, rise=2.0, in_s=86_400, hold_s=600)])
    rising = _Rising(86_400)
    at_s = 0.0
    while pace.state("st", at_s) is State.NORMAL:
        at_s += every_s
        assert at_s <= 80_000 * 1.01, "2 m are there after 80 000 s at 25 um a second"
        pace.take("st/wl", at_s * 25e-6, at_s)
        rising.by(at_s * 25e-6, at_s)
        assert len(rising._low) <= WINDOW_MAX
    assert at_s >= 80_000


def test_a_channel_that_falls_silent_in_an_event_keeps_it_but_not_for_ever() -> None:
    pace = Pace([OVER])
    pace.take("st/wl", 5.0, 0)
    assert pace.state("st", 600 * SILENT_HOLDS - 1) is State.EVENT
    assert pace.state("st", 600 * SILENT_HOLDS) is State.NORMAL
    pace.take("st/wl", 5.0, 10_000)
    assert pace.state("st", 10_000) is State.EVENT


def test_an_order_lasts_until_its_end_and_another_replaces_it() -> None:
    pace = Pace()
    assert pace.order("st", State.EVENT, 0, 100)
    assert pace.state("st", 99) is State.EVENT
    assert pace.order("st", State.WATCH, 50, 150)
    assert pace.state("st", 99) is State.WATCH
    assert pace.state("st", 200) is State.NORMAL
    assert pace.order("st", State.EVENT, 200, 100)
    assert pace.order("st", State.NORMAL, 205, 0)
    assert pace.state("st", 210) is State.NORMAL


def test_no_order_calms_what_the_field_sees() -> None:
    pace = Pace([OVER])
    pace.take("st/wl", 4.0, 0)
    pace.order("st", State.NORMAL, 0, 1e9)
    assert pace.state("st", 1) is State.EVENT
    pace.order("st", State.WATCH, 0, 1e9)
    assert pace.state("st", 1) is State.EVENT, "the higher wins"


def test_orders_have_a_limit() -> None:
    pace = Pace()
    assert all(pace.order(f"st{n}", State.WATCH, 0, 10) for n in range(ORDERS_MAX))
    assert not pace.order("one-more", State.WATCH, 0, 10)
    assert pace.order("st0", State.EVENT, 0, 10), "one that is there may change"
    assert pace.state("st1", 11) is State.NORMAL
    assert pace.order("one-more", State.WATCH, 10, 20), "an order that is over makes room"


def test_a_change_is_told_once_with_its_reason() -> None:
    pace = Pace([OVER, RISE])
    stations = ("st", "up")
    assert pace.changes(stations, 0) == []
    pace.take("st/wl", 3.5, 1)
    assert pace.changes(stations, 1) == [Change("st", State.NORMAL, State.EVENT, "st/wl")]
    assert pace.changes(stations, 2) == []
    pace.take("st/wl", 1.0, 3)
    pace.order("up", State.WATCH, 4, 96)
    assert pace.changes(stations, 4) == [Change("up", State.NORMAL, State.WATCH, "order")]
    assert pace.changes(stations, 601) == [
        Change("st", State.EVENT, State.NORMAL, "over"),
        Change("up", State.WATCH, State.NORMAL, "over"),
    ]


PERIODS = Periods("st", {State.NORMAL: 600.0, State.WATCH: 60.0, State.EVENT: 10.0})


def turn(*keys: str) -> Turn:
    item = Item("x", Register(3, 0, "u16"), "state", "1")
    return Turn("7", tuple(ChannelSettings(*key.split("/"), item) for key in keys), 600.0)


def test_a_bus_is_told_only_the_turns_that_change() -> None:
    pace = Pace([OVER])
    paced = Paced(pace, {"st/wl": PERIODS})
    turns = [turn("st/wl", "st/temp"), turn("other/wl")]
    assert paced.look_s(5) == 5 + LOOK_S
    assert paced.due(turns, 0) == []
    pace.take("st/wl", 3.0, 1)
    assert paced.due(turns, 1) == [(0, 10.0)]
    assert paced.due(turns, 2) == []
    turns = [turn("other/wl"), turn("st/wl")]
    assert paced.due(turns, 3) == [(1, 10.0)], "turns laid anew begin at their normal period"
    paced.relaid()
    assert paced.due(turns, 3) == [(1, 10.0)], "and so does the whole bus"
    pace.take("st/wl", 0.0, 4)
    assert paced.due(turns, 601) == [(1, 600.0)]


def test_a_bus_without_paced_devices_has_nothing_to_look_at() -> None:
    assert Paced(Pace(), {}).look_s(5) == inf
    assert Paced(Pace(), {}).due([turn("a/b")], 0) == []
