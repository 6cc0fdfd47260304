"""What has arrived and is not journalled yet: bounded in bytes, backlog gives way first.

Nothing here is acknowledged, so what is dropped comes again: the gateway resends it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, NamedTuple

from egret_core.topics import Leaf

BUDGET_B = 32 * 1024 * 1024  # payload bytes between socket and commit: 500 full batches
BACKLOG_SHARE = 0.5  # of the budget; the rest is for fresh batches and control
ITEM_B = 200  # what a message costs beside its payload

_BACKLOG = f"/{Leaf.BACKLOG}"


class Arrived(NamedTuple):
    """One message from the broker; `came_s` on the clock that never steps."""

    topic: str
    payload: bytes
    retained: bool
    came_s: float

    @property
    def cost_b(self) -> int:
        """Return the bytes it takes of the budget."""
        return len(self.payload) + ITEM_B


class Inbox(asyncio.Queue[Any]):
    """The queue an MQTT client fills; it never blocks and never grows beyond its budget.

    A message is charged when it arrives and until `release`, so that what is being committed
    counts too.
    """

    def __init__(self, budget_b: int = BUDGET_B) -> None:
        super().__init__()
        self._budget_b = budget_b
        self._waiting: deque[Arrived] = deque()
        self._some = asyncio.Event()
        self.held_b = 0
        self.dropped = 0

    @property
    def budget_b(self) -> int:
        """Return the bytes it may hold."""
        return self._budget_b

    def put_nowait(self, item: Any) -> None:  # noqa: ANN401  (a client's message)
        """Take a message, or drop it where it would break the budget."""
        payload = bytes(item.payload or b"")
        arrived = Arrived(str(item.topic), payload, bool(item.retain), time.monotonic())
        share = BACKLOG_SHARE if arrived.topic.endswith(_BACKLOG) else 1.0
        if self.held_b + arrived.cost_b > self._budget_b * share:
            self.dropped += 1
            return
        self.held_b += arrived.cost_b
        self._waiting.append(arrived)
        self._some.set()

    async def get(self) -> Any:  # noqa: ANN401  (never returns)
        """Wait for ever: the client only learns here that its connection has ended."""
        await asyncio.Event().wait()

    async def take(self, max_items: int, max_b: int) -> list[Arrived]:
        """Return the oldest messages, at least one, as soon as there are any."""
        await self._some.wait()
        taken: list[Arrived] = []
        size_b = 0
        while self._waiting and len(taken) < max_items and size_b < max_b:
            arrived = self._waiting.popleft()
            size_b += arrived.cost_b
            taken.append(arrived)
        if not self._waiting:
            self._some.clear()
        return taken

    def release(self, cost_b: int) -> None:
        """Give bytes back to the budget: they are committed or refused."""
        self.held_b -= cost_b
