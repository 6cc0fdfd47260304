"""What people ask between the polls: a bounded queue that takes the line's pauses.

An ask names a unit; its turns are taken one at a time, each where nobody is due for a while. On a
line without pauses it still gets its turn, after some seconds, one poll late for the others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from egret_gateway.bus.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_gateway.bus.line import Polled, Turn

ASKS_MAX = 8  # technicians and scripts at one box
PAUSE_S = 0.3  # a pause in which a usual poll is over
PATIENCE_S = 1.0  # then any pause will do
OVERDUE_S = 5.0  # then others wait for one poll
WAITS_MAX = 100  # a measurement that is never ready ends the ask

Answers = list["tuple[Turn, Polled]"]


@dataclass(slots=True)
class Ask:
    """One question: the turns still to take, and what came of the others."""

    turns: deque[Turn]
    since_s: float
    answer: asyncio.Future[Answers]
    found: Answers = field(default_factory=list)
    not_before_s: float = 0.0
    waits: int = 0


class Asks:
    """The questions of one line."""

    def __init__(self) -> None:
        """Begin with none."""
        self._queue: deque[Ask] = deque()

    def put(self, turns: Sequence[Turn], now_s: float) -> asyncio.Future[Answers] | None:
        """Queue a question; None where there are too many."""
        if len(self._queue) >= ASKS_MAX:
            return None
        future: asyncio.Future[Answers] = asyncio.get_running_loop().create_future()
        self._queue.append(Ask(deque(turns), now_s, future))
        return future

    def next(self, now_s: float, slack_s: float) -> Ask | None:
        """Return the question whose next turn is to be taken now, None for none.

        Args:
            now_s: now.
            slack_s: how long nobody else is due.
        """
        while self._queue and self._queue[0].answer.done():
            self._queue.popleft()  # who asked has gone
        if not self._queue or now_s < self._queue[0].not_before_s:
            return None
        waited_s = now_s - self._queue[0].since_s
        if slack_s >= PAUSE_S or (slack_s > 0 and waited_s >= PATIENCE_S) or waited_s >= OVERDUE_S:
            return self._queue[0]
        return None

    def wake_s(self, until_s: float, now_s: float) -> float:
        """Return when `next` may say something else, at the latest `until_s`."""
        if not self._queue:
            return until_s
        head = self._queue[0]
        times = (head.not_before_s, head.since_s + PATIENCE_S, head.since_s + OVERDUE_S)
        return min([until_s, *(at_s for at_s in times if at_s > now_s)])

    def took(self, ask: Ask, polled: Polled, now_s: float) -> None:
        """Take in how the first turn of an ask went; the last one answers it."""
        if polled.fault is Fault.PENDING and ask.waits < WAITS_MAX:
            ask.waits += 1
            ask.not_before_s = max(polled.free_s, now_s)
            return
        ask.found.append((ask.turns.popleft(), polled))
        ask.since_s = now_s  # each turn of a long ask waits for a pause of its own
        self.settle(ask)

    def drop(self, ask: Ask) -> None:
        """Pass over the first turn of an ask: the plan has changed meanwhile."""
        ask.turns.popleft()
        self.settle(ask)

    def settle(self, ask: Ask) -> None:
        """Answer an ask that has no turn left."""
        if ask.turns:
            return
        self._queue.remove(ask)
        if not ask.answer.done():
            ask.answer.set_result(ask.found)

    def fail(self, error: Exception) -> None:
        """End every question with an error: the line has gone."""
        while self._queue:
            answer = self._queue.popleft().answer
            if not answer.done():
                answer.set_exception(error)
