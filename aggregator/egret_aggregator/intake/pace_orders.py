"""Orders of a station's pace: what is sent to whom and when, and what was answered. Pure.

An order is one command to every gateway that feeds the station, under one id: repeated until it is
answered or a minute is over, so that none is carried out long after it was wanted. It is kept in
memory only; who gave it is a line of the ledger, and what holds is told by the gateway's status.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.errors import AggregatorError
from egret_core.messages import PACE, Command, CommandAck, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

REPEAT_S = 10.0  # between two sendings of an unanswered command
EXPIRE_S = 60.0  # after which it is void: a person who waited that long orders again, or calls
ORDERS_MAX = 256  # orders kept, one a station: more at a time than people give in a flood
DETAIL_MAX = 200  # characters kept of a gateway's words, as many as it sends

UNANSWERED = "no answer in time: it may have been carried out, the gateway's status tells"
UNSENT = "not connected: nothing was sent"


class PaceState(StrEnum):
    """How often a station is read, as the command says it."""

    NORMAL = "normal"
    WATCH = "watch"
    EVENT = "event"


class PaceOutcome(StrEnum):
    """What became of an order."""

    WAITING = "waiting"
    DONE = "done"
    REFUSED = "refused"
    EXPIRED = "expired"


class PaceAsked(NamedTuple):
    """What a person orders.

    Attributes:
        station: its id; state: the pace; for_s: how long, seconds of the centre's clock.
        by: `ROLE:NAME`; at_ms: when; void_ms: when it is void unanswered, both on that clock.
    """

    station: str
    state: PaceState
    for_s: int
    by: str
    at_ms: int
    void_ms: int


@dataclass(slots=True)
class Told:
    """What one gateway was told and answered; `sent_s` is monotonic."""

    outcome: PaceOutcome = PaceOutcome.WAITING
    detail: str = ""
    sent_s: float = float("-inf")


@dataclass(slots=True)
class PaceOrder:
    """One order.

    Attributes:
        id: the command's; asked: what was ordered.
        expires_s: monotonic seconds at which it is void.
        gateways: by id, what each was told and answered.
        recorded: it is a line of the ledger, so that it may be sent.
    """

    id: str
    asked: PaceAsked
    expires_s: float
    gateways: dict[str, Told] = field(default_factory=dict)
    recorded: bool = False

    @property
    def outcome(self) -> PaceOutcome:
        """The whole order's: `done` where at least one gateway did it and none is waited for."""
        found = {told.outcome for told in self.gateways.values()}
        ranked = (PaceOutcome.WAITING, PaceOutcome.DONE, PaceOutcome.REFUSED)
        return next((one for one in ranked if one in found), PaceOutcome.EXPIRED)


class OrderOpenError(AggregatorError):
    """A station's last order is not answered yet; `order` is that one."""

    def __init__(self, order: PaceOrder) -> None:
        self.order = order
        remedy = f"wait for its outcome, {EXPIRE_S:g} s at most"
        super().__init__(f"{order.asked.by} ordered {order.asked.state} a moment ago", remedy)


class OrdersFullError(AggregatorError):
    """As many orders wait for an answer as are kept."""

    def __init__(self) -> None:
        super().__init__(f"{ORDERS_MAX} orders wait for an answer", f"try in {EXPIRE_S:g} s")


class PaceOrders:
    """The last order of each station; times are monotonic seconds.

    Args:
        run: makes command ids unique over restarts.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._count = 0
        self._orders: dict[str, PaceOrder] = {}

    def reserve(self, asked: PaceAsked, connected: Mapping[str, bool], now_s: float) -> PaceOrder:
        """Return a new order, which is sent only once it is `recorded`.

        Args:
            asked: what is ordered.
            connected: the gateways that feed the station, and whether they can be reached.
            now_s: the time.

        Raises:
            OrderOpenError: the station's last one is still open.
            OrdersFullError: too many of other stations are.
        """
        before = self.last(asked.station, now_s)
        if before is not None and before.outcome is PaceOutcome.WAITING:
            raise OrderOpenError(before)
        self._make_room(asked.station, now_s)
        self._count += 1
        order = PaceOrder(f"{self._run}-pace-{self._count}", asked, now_s + EXPIRE_S)
        for gateway, reached in connected.items():
            order.gateways[gateway] = Told() if reached else Told(PaceOutcome.REFUSED, UNSENT)
        self._orders[asked.station] = order
        return order

    def drop(self, order: PaceOrder) -> None:
        """Forget one that could not be recorded."""
        if self._orders.get(order.asked.station) is order:
            del self._orders[order.asked.station]

    def last(self, station: str, now_s: float) -> PaceOrder | None:
        """Return a station's last order as it stands, None where none is known."""
        order = self._orders.get(station)
        return None if order is None else _lapsed(order, now_s)

    def due(
        self, now_s: float, in_ms: Callable[[float], int], now_ms: int
    ) -> Iterator[tuple[str, Command]]:
        """Yield (gateway, command) to send now.

        Args:
            now_s: the time.
            in_ms: the centre's time after so many seconds.
            now_ms: its time now.
        """
        for order in self._orders.values():
            for gateway, told in _lapsed(order, now_s).gateways.items():
                waits = order.recorded and told.outcome is PaceOutcome.WAITING
                if not waits or now_s - told.sent_s < REPEAT_S:
                    continue
                told.sent_s = now_s
                asked = order.asked
                args = {"station": asked.station, "state": str(asked.state), "for_s": asked.for_s}
                yield gateway, Command(order.id, in_ms(order.expires_s - now_s), PACE, args, now_ms)

    def answered(self, gateway: str, answer: CommandAck) -> PaceOrder | None:
        """Take an answer and return its order, None for one that is of no open order.

        One that comes late is taken all the same: it tells what was done.
        """
        for order in self._orders.values():
            told = order.gateways.get(gateway)
            if order.id != answer.id or told is None:
                continue
            if told.outcome not in (PaceOutcome.WAITING, PaceOutcome.EXPIRED):
                return None
            told.outcome = _OUTCOMES.get(answer.outcome, PaceOutcome.REFUSED)
            told.detail = answer.detail[:DETAIL_MAX]
            return order
        return None

    def _make_room(self, station: str, now_s: float) -> None:
        """Forget this station's last one, and where all are taken the oldest that has ended."""
        self._orders.pop(station, None)
        if len(self._orders) < ORDERS_MAX:
            return
        for name, order in self._orders.items():
            if _lapsed(order, now_s).outcome is not PaceOutcome.WAITING:
                del self._orders[name]
                return
        raise OrdersFullError


_OUTCOMES: Mapping[str, PaceOutcome] = {
    Outcome.DONE: PaceOutcome.DONE,
    Outcome.EXPIRED: PaceOutcome.EXPIRED,
}


def _lapsed(order: PaceOrder, now_s: float) -> PaceOrder:
    """Return an order, void where its time is over."""
    if now_s >= order.expires_s:
        for told in order.gateways.values():
            if told.outcome is PaceOutcome.WAITING:
                told.outcome, told.detail = PaceOutcome.EXPIRED, UNANSWERED
    return order
