"""The board of orders: sent until answered or void, one open a station, bounded; time by hand."""

from __future__ import annotations

import pytest

from egret_aggregator.intake.pace_orders import (
    DETAIL_MAX,
    EXPIRE_S,
    ORDERS_MAX,
    REPEAT_S,
    UNANSWERED,
    UNSENT,
    OrderOpenError,
    OrdersFullError,
    PaceAsked,
    PaceOrder,
    PaceOrders,
    PaceOutcome,
    PaceState,
)
from egret_core.messages import PACE, Command, CommandAck, Outcome

NOW_MS = 1_795_340_000_000
WAITING, DONE = PaceOutcome.WAITING, PaceOutcome.DONE
REFUSED, EXPIRED = PaceOutcome.REFUSED, PaceOutcome.EXPIRED


def asked(station: str = "st1", state: PaceState = PaceState.EVENT) -> PaceAsked:
    return PaceAsked(station, state, 600, "officer:li", NOW_MS, NOW_MS + 60_000)


class Board:
    """The board, with a hand on its time."""

    def __init__(self) -> None:
        self.s = 1000.0
        self.orders = PaceOrders("run")

    def order(self, station: str = "st1", **gateways: bool) -> PaceOrder:
        order = self.orders.reserve(asked(station), gateways or {"gw1": True}, self.s)
        order.recorded = True
        return order

    def sent(self) -> list[tuple[str, Command]]:
        def in_ms(seconds: float) -> int:
            return NOW_MS + round((self.s + seconds) * 1000)

        return list(self.orders.due(self.s, in_ms, NOW_MS + round(self.s * 1000)))

    def answer(
        self, order: PaceOrder, outcome: str, gateway: str = "gw1", detail: str = ""
    ) -> bool:
        ack = CommandAck(order.id, outcome, detail=detail)
        return self.orders.answered(gateway, ack) is not None

    def outcome(self, station: str = "st1") -> PaceOutcome:
        last = self.orders.last(station, self.s)
        assert last is not None
        return last.outcome


def test_one_command_is_repeated_under_its_id_until_it_is_answered() -> None:
    board = Board()
    order = board.order()
    ((gateway, first),) = board.sent()
    assert gateway == "gw1"
    assert (first.id, first.do) == (order.id, PACE)
    assert first.args == {"station": "st1", "state": "event", "for_s": 600}
    assert first.expires_ms - first.now_ms == EXPIRE_S * 1000
    board.s += REPEAT_S - 0.1
    assert board.sent() == []
    board.s += 0.1
    ((_, again),) = board.sent()
    assert (again.id, again.expires_ms) == (first.id, first.expires_ms), "it ends when it would"
    assert again.now_ms == first.now_ms + REPEAT_S * 1000
    assert board.outcome() is WAITING
    assert board.answer(order, Outcome.DONE, detail="event for 600 s")
    board.s += REPEAT_S
    assert board.sent() == []
    assert (board.outcome(), order.gateways["gw1"].detail) == (DONE, "event for 600 s")


def test_a_void_order_is_not_sent_and_says_that_nobody_answered() -> None:
    board = Board()
    order = board.order()
    board.sent()
    board.s += EXPIRE_S
    assert board.sent() == []
    assert (board.outcome(), order.gateways["gw1"].detail) == (EXPIRED, UNANSWERED)
    board.s += 3600
    assert board.sent() == []


def test_an_order_that_was_never_sent_in_its_minute_stays_unsent() -> None:
    board = Board()
    board.order()
    board.s += EXPIRE_S
    assert board.sent() == []
    assert board.outcome() is EXPIRED


def test_a_late_answer_tells_what_was_done_and_a_second_one_nothing() -> None:
    board = Board()
    order = board.order()
    board.sent()
    board.s += EXPIRE_S
    assert board.outcome() is EXPIRED
    assert board.answer(order, Outcome.DONE)
    assert board.outcome() is DONE
    assert not board.answer(order, Outcome.REFUSED), "the first answer stays"
    assert board.outcome() is DONE


def test_what_is_on_no_record_is_not_sent_and_can_be_dropped() -> None:
    board = Board()
    order = board.orders.reserve(asked(), {"gw1": True}, board.s)
    assert board.sent() == []
    with pytest.raises(OrderOpenError):
        board.order()
    board.orders.drop(order)
    assert board.orders.last("st1", board.s) is None
    second = board.order()
    board.orders.drop(order)
    assert board.orders.last("st1", board.s) is second, "another order is not dropped"
    assert [command.id for _, command in board.sent()] == [second.id]


def test_a_station_has_one_open_order_and_the_next_takes_the_place_of_an_ended_one() -> None:
    board = Board()
    first = board.order()
    board.order("st2")
    with pytest.raises(OrderOpenError, match="officer:li ordered event") as refused:
        board.order()
    assert refused.value.order is first
    board.answer(first, Outcome.DONE)
    second = board.order()
    assert second.id != first.id
    assert board.orders.last("st1", board.s) is second
    assert not board.answer(first, Outcome.REFUSED), "nobody remembers it"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Outcome.DONE, DONE),
        (Outcome.REFUSED, REFUSED),
        (Outcome.EXPIRED, EXPIRED),
        (Outcome.QUEUED, REFUSED),
        ("a later word", REFUSED),
    ],
)
def test_only_done_is_done(told: str, expected: PaceOutcome) -> None:
    board = Board()
    order = board.order()
    assert board.answer(order, told, detail="x" * 1000)
    assert board.outcome() is expected
    assert order.gateways["gw1"].detail == "x" * DETAIL_MAX


def test_an_answer_of_another_gateway_or_to_another_command_is_none() -> None:
    board = Board()
    order = board.order()
    assert not board.answer(order, Outcome.DONE, gateway="gw2")
    assert board.orders.answered("gw1", CommandAck("run-1", Outcome.QUEUED)) is None
    assert board.outcome() is WAITING


def test_every_gateway_of_a_station_is_ordered_under_one_id() -> None:
    board = Board()
    order = board.order(gw1=True, gw2=True)
    sent = board.sent()
    assert [gateway for gateway, _ in sent] == ["gw1", "gw2"]
    assert {command.id for _, command in sent} == {order.id}
    board.answer(order, Outcome.DONE, "gw1")
    assert board.outcome() is WAITING, "the other has not answered"
    board.s += REPEAT_S
    assert [gateway for gateway, _ in board.sent()] == ["gw2"]
    board.answer(order, Outcome.REFUSED, "gw2", "no device has event_s")
    assert board.outcome() is DONE, "one of them reads it faster"


def test_one_that_is_not_connected_is_sent_nothing_even_when_it_comes() -> None:
    board = Board()
    order = board.order(gw1=False, gw2=True)
    assert [gateway for gateway, _ in board.sent()] == ["gw2"]
    told = order.gateways["gw1"]
    assert (told.outcome, told.detail) == (REFUSED, UNSENT)
    assert not board.answer(order, Outcome.DONE, "gw1")
    board.answer(order, Outcome.EXPIRED, "gw2")
    assert board.outcome() is REFUSED


def test_all_places_taken_the_oldest_that_has_ended_gives_way_and_no_open_one() -> None:
    board = Board()
    orders = [board.order(f"st{number}") for number in range(ORDERS_MAX)]
    with pytest.raises(OrdersFullError, match=f"{ORDERS_MAX} orders wait"):
        board.order("one more")
    board.answer(orders[7], Outcome.DONE)
    board.answer(orders[9], Outcome.DONE)
    board.order("one more")
    assert board.orders.last("st7", board.s) is None
    assert board.orders.last("st9", board.s) is orders[9]
    assert board.orders.last("st0", board.s) is orders[0]
    board.order("st9")
    with pytest.raises(OrdersFullError):
        board.order("st7")
    board.s += EXPIRE_S
    board.order("st7")
    assert board.orders.last("st0", board.s) is None, "void, and the oldest"


def test_ids_of_two_runs_differ() -> None:
    here = PaceOrders("a").reserve(asked(), {"gw1": True}, 0.0)
    there = PaceOrders("b").reserve(asked(), {"gw1": True}, 0.0)
    assert here.id != there.id
