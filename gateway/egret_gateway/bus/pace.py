"""How fast a station is read: normal, watch or event; pure.

A trigger looks at one channel: over a threshold, or rising by so much within a window. While it
holds, and for a while after, its stations are in its state; so they are while an order of the
centre lasts. The highest state wins: an order for `normal` ends orders, and never a trigger.
Hysteresis: a threshold is left only below `at - back`, a rise only below half of itself. A channel
that falls silent keeps its trigger for some hours: silence is no all-clear, and no reason to drain
a battery for days. Time is seconds of a monotonic clock, given by the caller; spans are scaled by
whoever made the triggers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import IntEnum
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from egret_gateway.bus.line import Turn

WINDOW_MAX = 512  # numbers kept of one channel's window: of more, those that lie apart enough
SILENT_HOLDS = 12.0  # so many holds a silent trigger lasts: half a day at an hour's hold
RISE_BACK_SHARE = 0.5  # a rise that has halved is over
LOOK_S = 1.0  # a state falls by time: seen so late at the most
ORDERS_MAX = 256  # stations under an order: more than one gateway has


class State(IntEnum):
    """How closely a station is watched; the higher wins."""

    NORMAL = 0
    WATCH = 1
    EVENT = 2

    @property
    def word(self) -> str:
        """Its name in settings, commands and statuses."""
        return self.name.lower()


STATES = {state.word: state for state in State}


@dataclass(frozen=True, slots=True)
class Trigger:
    """What makes stations go faster.

    Attributes:
        channel: `station/channel` it looks at; stations: who goes faster; state: how fast.
        at: canonical value at which it holds, None for a rise; back: how far below it is left.
        rise: canonical rise at which it holds; in_s: within how long.
        hold_s: how long the state lasts after it held last.
    """

    channel: str
    stations: tuple[str, ...]
    state: State
    at: float | None = None
    back: float = 0.0
    rise: float = 0.0
    in_s: float = 0.0
    hold_s: float = 3600.0

    def scaled(self, real_s: Callable[[float], float]) -> Trigger:
        """Return it with its spans as seconds of the monotonic clock."""
        return replace(self, in_s=real_s(self.in_s), hold_s=real_s(self.hold_s))


class Change(NamedTuple):
    """A station that changed its state, and why: a channel, `order`, or `over`."""

    station: str
    was: State
    now: State
    why: str


class _Order(NamedTuple):
    state: State
    until_s: float


class _Rising:
    """The least number of a window, found at once: only what may still be the least is kept."""

    def __init__(self, in_s: float) -> None:
        self._in_s = in_s
        # A number so close after a lower one is let go: the rise is short by that of one slot.
        self._slot_s = in_s / (WINDOW_MAX - 1)
        self._low: deque[tuple[float, float]] = deque(maxlen=WINDOW_MAX)

    def by(self, value: float, at_s: float) -> float:
        """Return by how much this number is over the least of the window that ends with it."""
        while self._low and self._low[0][0] < at_s - self._in_s:
            self._low.popleft()
        while self._low and self._low[-1][1] >= value:
            self._low.pop()
        if not self._low or at_s - self._low[-1][0] >= self._slot_s:
            self._low.append((at_s, value))
        return value - self._low[0][1]


class _Watched:
    """One trigger and what it last saw."""

    def __init__(self, trigger: Trigger) -> None:
        self.trigger = trigger
        self._rising = _Rising(trigger.in_s)
        self._holds = False
        self._seen_s = 0.0
        self._until_s: float | None = None

    def take(self, value: float, at_s: float) -> bool:
        """Take a number that counts; tell whether it began to hold by it."""
        one, held = self.trigger, self._holds
        if one.at is not None:
            number, enter, leave = value, one.at, one.at - one.back
        else:
            number = self._rising.by(value, at_s)
            enter, leave = one.rise, one.rise * RISE_BACK_SHARE
        self._holds = number >= enter or (self._holds and number >= leave)
        self._seen_s = at_s
        if self._holds:
            self._until_s = at_s + one.hold_s
        return self._holds and not held

    def active(self, now_s: float) -> bool:
        """Tell whether its state lasts."""
        if self._until_s is None:
            return False
        if self._holds:
            return now_s < self._seen_s + SILENT_HOLDS * self.trigger.hold_s
        return now_s < self._until_s


class Pace:
    """The states of all stations of a gateway.

    Attributes:
        turns: grows whenever a state may have risen; falls come with time alone.
    """

    def __init__(self, triggers: Sequence[Trigger] = ()) -> None:
        """Store the triggers; every station is normal."""
        self.turns = 0
        self._of: dict[str, list[_Watched]] = {}
        self._for: dict[str, list[_Watched]] = {}
        for one in map(_Watched, triggers):
            self._of.setdefault(one.trigger.channel, []).append(one)
            for station in one.trigger.stations:
                self._for.setdefault(station, []).append(one)
        self._orders: dict[str, _Order] = {}
        self._states: dict[str, State] = {}

    def take(self, channel: str, value: float, at_s: float) -> None:
        """Take a number that counts, of a channel `station/channel`."""
        for one in self._of.get(channel, ()):
            self.turns += one.take(value, at_s)

    def order(self, station: str, state: State, now_s: float, for_s: float) -> bool:
        """Put a station in a state for so long; `normal` ends its order.

        Returns:
            False where too many stations are under orders.
        """
        self._orders = {name: one for name, one in self._orders.items() if now_s < one.until_s}
        self.turns += 1
        if state is State.NORMAL:
            self._orders.pop(station, None)
        elif station in self._orders or len(self._orders) < ORDERS_MAX:
            self._orders[station] = _Order(state, now_s + for_s)
        else:
            return False
        return True

    def state(self, station: str, now_s: float) -> State:
        """Return a station's state."""
        return self._found(station, now_s)[0]

    def changes(self, stations: Iterable[str], now_s: float) -> list[Change]:
        """Return which of the stations changed since the last call that named them."""
        found = []
        for station in stations:
            was = self._states.get(station, State.NORMAL)
            now, why = self._found(station, now_s)
            if now is not was:
                self._states[station] = now
                found.append(Change(station, was, now, why))
        return found

    def _found(self, station: str, now_s: float) -> tuple[State, str]:
        state, why = State.NORMAL, "over"
        order = self._orders.get(station)
        if order is not None and now_s < order.until_s:
            state, why = order.state, "order"
        for one in self._for.get(station, ()):
            if one.trigger.state > state and one.active(now_s):
                state, why = one.trigger.state, one.trigger.channel
        return state, why


class Periods(NamedTuple):
    """How often a device is read, real seconds; and the station whose state decides."""

    station: str
    of: Mapping[State, float]


class Paced:
    """One bus's turns and the states they are at."""

    def __init__(
        self,
        pace: Pace,
        periods: Mapping[str, Periods],
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        """Store what is given.

        Args:
            pace: the gateway's.
            periods: by `station/channel`, of devices that have more than one.
            looked: called whenever the states were looked at anew.
        """
        self._tell = looked
        self._pace = pace
        self._periods = periods
        self._turns: Sequence[Turn] = ()
        self._at: dict[int, State] = {}
        self._looked = (-1, 0.0)

    def look_s(self, now_s: float) -> float:
        """Return when to look again whether another bus saw something, never where none can."""
        return now_s + LOOK_S if self._periods else inf

    def relaid(self) -> None:
        """Take in that the turns were laid anew: at their normal periods."""
        self._at, self._looked = {}, (-1, 0.0)

    def due(self, turns: Sequence[Turn], now_s: float) -> list[tuple[int, float]]:
        """Return the turns whose period changes now, each with its new one, real seconds.

        Args:
            turns: of the bus; another sequence than before was laid anew, at normal periods.
            now_s: now.
        """
        if turns is not self._turns:
            self.relaid()
            self._turns = turns
        if self._looked[0] == self._pace.turns and now_s < self._looked[1] + LOOK_S:
            return []
        self._looked = (self._pace.turns, now_s)
        self._tell()
        found = []
        for index, turn in enumerate(turns):
            known = [self._periods[c.key] for c in turn.channels if c.key in self._periods]
            if not known:
                continue
            state = max(self._pace.state(one.station, now_s) for one in known)
            if state is not self._at.get(index, State.NORMAL):
                self._at[index] = state
                found.append((index, min(one.of[state] for one in known)))
        return found
