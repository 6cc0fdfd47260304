"""What to send next: meta first, then urgent, fresh, and last the backlog from the file."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from egret_core.messages import Kind
from egret_core.seqranges import contains
from egret_core.topics import Leaf
from egret_gateway.uplink.window import Verdict, Window, lane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from egret_core.seqranges import Ranges
    from egret_gateway.outbox import Parcel
    from egret_gateway.outbox.reader import Reader

FRESH_MAX = 64  # fresh batches kept in memory, at most 32 kB each; older ones wait in the file
SETTLED_MAX = 8192  # ids of late that are settled but perhaps not yet marked so in the file


class Queue:
    """The order of sending over one outbox."""

    def __init__(self, reader: Callable[[], Reader]) -> None:
        self._reader = reader
        self._metas: deque[Parcel] = deque()
        self._urgent: deque[Parcel] = deque()
        self._fresh: deque[Parcel] = deque()
        self._ahead: deque[Parcel] = deque()
        self._settled: dict[int, tuple[str, int]] = {}
        self._cursor = 0
        self._dry = False
        self._restart = True
        self.avoid_log = ""  # a log that is being left: its rows are cut anew

    def committed(self, parcels: Sequence[Parcel]) -> None:
        """Take new commits; those that do not fit in memory are found in the file again."""
        for parcel in parcels:
            if parcel.kind == Kind.META:
                self._metas.append(parcel)
            elif parcel.urgent:
                self._urgent.append(parcel)
            else:
                self._fresh.append(parcel)
        for queue in (self._metas, self._urgent, self._fresh):
            while len(queue) > FRESH_MAX:
                self.rewind(queue.popleft().id - 1)

    def rewind(self, after_id: int) -> None:
        """Read the file again from a row on."""
        if after_id < self._cursor:
            self._cursor = after_id
            self._ahead.clear()
        self._dry = False

    def restart(self) -> None:
        """Read the file again from its beginning, meta and urgent batches first."""
        self._restart = True
        self.rewind(0)

    def requeued(self, log: str, seqs: Ranges) -> None:
        """Send these again: the centre's order has put them back in the file."""
        self._settled = {
            row_id: (of, seq)
            for row_id, (of, seq) in self._settled.items()
            if of != log or not contains(seqs, seq)
        }
        self.restart()

    def settled(self, parcel: Parcel) -> None:
        """Do not send a batch again that the file will know as settled with its next commit."""
        self._settled[parcel.id] = parcel.log, parcel.seq
        if len(self._settled) > SETTLED_MAX:
            del self._settled[next(iter(self._settled))]

    def knows_settled(self, parcel: Parcel) -> bool:
        """Whether a batch is settled already: the question for the time sends such ones again."""
        return parcel.id in self._settled

    def leave(self, log: str) -> None:
        """Drop the batches of a log from memory."""
        self.avoid_log = log
        for queue in (self._metas, self._urgent, self._fresh, self._ahead):
            kept = [parcel for parcel in queue if parcel.log != log]
            queue.clear()
            queue.extend(kept)

    async def sendable(
        self, window: Window, now: Callable[[], int]
    ) -> tuple[Parcel, Verdict] | None:
        """Return what the window lets go next; the caller notes it as sent before asking again."""
        if self._restart:
            await self._reread()
        moment = now()
        while self._fresh and lane(self._fresh[0], moment) == Leaf.BACKLOG:
            self.rewind(self._fresh.popleft().id - 1)
        for queue in (self._metas, self._urgent, self._fresh):
            found = self._take(queue, window, moment)
            if found is not None:
                return found
        return await self._backlog(window, now)

    async def _reread(self) -> None:
        self._restart = False
        metas = await self._reader().metas()
        urgent = await self._reader().urgent(0)
        for queue, rows in ((self._metas, metas), (self._urgent, urgent)):
            known = {parcel.id for parcel in queue}
            queue.extendleft(row for row in reversed(rows) if row.id not in known)

    async def _backlog(
        self, window: Window, now: Callable[[], int]
    ) -> tuple[Parcel, Verdict] | None:
        while True:
            found = self._take(self._ahead, window, now())
            if found is not None or self._ahead or self._dry or window.paused(now()):
                return found
            cursor = self._cursor
            rows = await self._reader().oldest(cursor)
            if cursor == self._cursor:  # else rewound while we read: read again
                self._dry = not rows
                self._ahead.extend(rows)
                self._cursor = rows[-1].id if rows else cursor

    def _take(
        self, queue: deque[Parcel], window: Window, now: int
    ) -> tuple[Parcel, Verdict] | None:
        """Take a batch off a queue, and on the way to it those that need not be sent."""
        while queue:
            parcel = queue[0]
            if self._is_done(parcel) or (queue is self._ahead and self._waits_fresh(parcel)):
                queue.popleft()
                continue
            verdict = window.judge(parcel, now)
            if verdict in (Verdict.IN_FLIGHT, Verdict.PUT_OFF):
                queue.popleft()
                continue
            if not verdict.goes:
                return None
            return queue.popleft(), verdict
        return None

    def _waits_fresh(self, parcel: Parcel) -> bool:
        return bool(self._fresh) and any(parcel.id == fresh.id for fresh in self._fresh)

    def _is_done(self, parcel: Parcel) -> bool:
        return self.knows_settled(parcel) or parcel.log == self.avoid_log
