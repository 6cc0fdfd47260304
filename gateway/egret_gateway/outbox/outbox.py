"""The outbox: from the moment a commit returns, a reading cannot be lost.

One thread owns the file. `emitter` gives each bus a function that never blocks: it puts samples
into a buffer; the thread commits a bus's whole buffer with its conversion state when its `cut_s`
is over, when a batch is full, or at once when a sample is urgent. Orders (settle, requeue, a new
log) join the same commits.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from concurrent.futures import Future
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from egret_core.messages import Loss
from egret_core.progress import Pulse
from egret_gateway.errors import OutboxError
from egret_gateway.outbox import space
from egret_gateway.outbox.ageing import Ageing
from egret_gateway.outbox.keeper import Keeper
from egret_gateway.outbox.load import Buffer, Load, Order
from egret_gateway.outbox.lock import FileLock
from egret_gateway.outbox.model import BATCH_READINGS_MAX, BUFFER_SAMPLES_MAX, Held, Requeued
from egret_gateway.outbox.schema import is_full
from egret_gateway.outbox.scribe import Scribe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from egret_core.messages import ChannelMeta
    from egret_core.seqranges import Ranges
    from egret_gateway.clock import Clock
    from egret_gateway.config import OutboxSettings
    from egret_gateway.outbox.model import Parcel
    from egret_gateway.outbox.reader import Reader
    from egret_gateway.sample import Sample

T = TypeVar("T")
FILE = "outbox.db"
DAY_MS = 86_400_000
MB = 1_000_000
SETTLE_WAIT_MS = 90_000  # settled marks join a commit or wait so long: a lost mark costs a resend
SETTLED_MAX = 1024  # marks that wait at most: a drain sends no more than so many again
RETRY_MS = 5_000  # a disk that refuses is asked again so often
DRAFT_LOOK_MS = 1_000  # how often waiting drafts ask for the time
IDLE_MS = 60_000  # the thread wakes at least so often
_log = logging.getLogger(__name__)


def _nobody(news: object) -> None:
    """Hear nothing: nobody listens yet."""


class Outbox:
    """The gateway's durable queue; open it, emit into it, read it through `reader`."""

    def __init__(
        self,
        folder: Path,
        gateway: str,
        clock: Clock,
        metas: Sequence[ChannelMeta],
        settings: OutboxSettings,
    ) -> None:
        self.path = folder / FILE
        self._clock = clock
        self._scribe = Scribe(gateway, clock, metas)
        self._max_bytes = settings.max_mb * MB
        self._ageing = Ageing(int(settings.keep_days * DAY_MS))
        self._guard = threading.Condition()
        self._buffers: list[Buffer] = []
        self._orders: deque[Order] = deque()
        self._settled: list[int] = []
        self._settle_due_ms = 0.0
        self._overflow = 0
        self._committing = 0
        self._rounds = 0
        self._stopping = False
        self._retry_ms = 0.0
        self._draft_look_ms = 0.0
        self._committed: Callable[[Sequence[Parcel]], None] = _nobody
        self._rewound: Callable[[int], None] = _nobody
        self._thread: threading.Thread | None = None
        self._lock = FileLock(folder / "outbox.lock")
        self._keeper: Keeper
        self.ended: Future[None] = Future()

    def open(self) -> None:
        """Open or make the file, heal it where it is damaged, start the thread.

        Raises:
            OutboxError: another process has it, or the disk does not let us write.
        """
        self._lock.take()
        try:
            self._keeper = Keeper(
                self.path, self._clock.boot, self._scribe, self._rotten, self._max_bytes
            )
            self._keeper.restock()
        except sqlite3.Error as error:
            self._lock.give()
            raise OutboxError(
                str(self.path), str(error), "see that the disk is there, has room and is writable"
            ) from error
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what is buffered, stop the thread, close the file."""
        with self._guard:
            self._stopping = True
            self._guard.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._keeper.close()
        self._lock.give()

    async def wait_ended(self) -> None:
        """Return when the thread has ended after `close`; raise what ended it before."""
        await asyncio.shield(asyncio.wrap_future(self.ended))

    def listen(
        self, committed: Callable[[Sequence[Parcel]], None], rewound: Callable[[int], None]
    ) -> None:
        """Name who hears of commits, and of older rows that became ready; called in our thread."""
        self._committed, self._rewound = committed, rewound

    def memory(self) -> dict[str, str]:
        """Return the conversion state of the last commit; call it before the first emit."""
        return self._keeper.file.memory()

    def emitter(
        self, cut_s: float = 1.0, at_most_s: Callable[[Sequence[Sample]], float] = lambda _: inf
    ) -> Callable[[Sequence[Sample], Mapping[str, str]], None]:
        """Return the emit function of one bus.

        Args:
            cut_s: a batch of it waits at most so long, real seconds.
            at_most_s: how long these samples may wait at most, e.g. while a station is in an event.
        """
        buffer = Buffer(cut_s * 1000)
        self._buffers.append(buffer)

        def emit(samples: Sequence[Sample], memory: Mapping[str, str]) -> None:
            self._take(buffer, samples, memory, at_most_s(samples) * 1000)

        return emit

    def settle(self, ids: Sequence[int]) -> None:
        """Mark batches as journalled by the centre, with the next commit."""
        with self._guard:
            if not self._settled:
                self._settle_due_ms = self._clock.mono_ms() + SETTLE_WAIT_MS
            self._settled.extend(ids)
            if len(self._settled) >= SETTLED_MAX:
                self._settle_due_ms = 0.0
            self._guard.notify()

    async def flush(self) -> None:
        """Commit what is buffered now; durable when it returns."""
        with self._guard:
            for buffer in self._buffers:
                buffer.due_ms = 0.0
        await self._order(lambda: None)

    async def requeue(self, log: str, wanted: Ranges) -> Requeued:
        """Put batches back to be sent; committed when it returns."""
        answer = await self._order(lambda: self._keeper.file.requeue(log, wanted))
        self._rewound(0)
        return answer

    async def quarantine(self, row_id: int) -> None:
        """Set a batch aside that can never become valid, and record its loss."""
        self._committed(await self._order(lambda: self._set_aside(row_id, "quarantined")))

    async def divide(self, log: str) -> None:
        """Leave a log whose identities another writer uses; cut its unsettled batches anew."""

        def leave() -> list[Parcel]:
            return (
                self._scribe.new_log(self._keeper.file)
                if self._keeper.file.current.id == log
                else []
            )

        parcels = await self._order(leave)
        if parcels or self.current_log != log:
            _log.warning("outbox conflict log=%s current_log=%s", log, self.current_log)
        self._committed(parcels)
        while await self._order(lambda: self._scribe.recut_some(self._keeper.file, log)):
            pass
        self._rewound(0)

    @property
    def reader(self) -> Reader:
        """What the uplink reads from."""
        return self._keeper.reader

    @property
    def current_log(self) -> str:
        """The log that new batches go to."""
        return self._keeper.summary.current_log

    def held(self) -> Held:
        """Return the seqs still in the file, by log, as of the last commit."""
        return self._keeper.summary.held

    def stats(self) -> dict[str, int]:
        """Return bytes, rows that wait, drafts without a date, and samples not yet committed."""
        return {
            "bytes": self._keeper.summary.used_bytes,
            "unsettled": max(0, self._keeper.summary.unsettled - len(self._settled)),
            "drafts": self._keeper.summary.drafts,
            "buffered": self._committing + sum(len(buffer.samples) for buffer in self._buffers),
        }

    async def oldest_cut(self) -> tuple[int | None, int] | None:
        """Return when the oldest batch that waits was cut: monotonic of this boot, and real ms."""
        return await self._keeper.reader.oldest_cut(frozenset(self._settled))

    def pulse(self) -> Pulse:
        """Return whether a commit is due or under way, and how many rounds of work were done."""
        return Pulse(self._committing > 0 or self._wait_ms() <= 0, self._rounds)

    def wake(self) -> None:
        """Look again now: the time has become known."""
        with self._guard:
            self._guard.notify()

    def _take(
        self,
        buffer: Buffer,
        samples: Sequence[Sample],
        memory: Mapping[str, str],
        at_most_ms: float,
    ) -> None:
        with self._guard:
            due_ms = self._clock.mono_ms() + min(buffer.cut_ms, at_most_ms)
            waiting = bool(buffer.samples or buffer.memory)
            buffer.due_ms = min(buffer.due_ms, due_ms) if waiting else due_ms
            buffer.samples.extend(samples)
            buffer.memory.update(memory)
            over = len(buffer.samples) - BUFFER_SAMPLES_MAX
            if over > 0:
                del buffer.samples[:over]
                self._overflow += over
            if any(sample.urgent for sample in samples):
                buffer.due_ms = 0.0
            if len(buffer.samples) >= BATCH_READINGS_MAX:
                buffer.due_ms = 0.0
            self._guard.notify()

    def _set_aside(self, row_id: int, why: str) -> list[Parcel]:
        loss = space.quarantine(self._keeper.file, row_id, why)
        return self._scribe.losses(self._keeper.file, [loss] if loss else [])

    def _rotten(self, parcel: Parcel) -> None:
        """Set a batch aside whose bytes are no longer those that were committed."""
        _log.error("outbox file=%s log=%s seq=%d rotten", self.path, parcel.log, parcel.seq)
        order = Order(lambda: self._set_aside(parcel.id, "damaged"))
        order.done.add_done_callback(self._told)
        with self._guard:
            self._orders.append(order)
            self._guard.notify()

    def _told(self, done: Future[list[Parcel]]) -> None:
        if done.exception() is None:
            self._committed(done.result())
            self._rewound(0)

    async def _order(self, do: Callable[[], T]) -> T:
        order = Order(do)
        with self._guard:
            self._orders.append(order)
            self._guard.notify()
        result: T = await asyncio.wrap_future(order.done)
        return result

    def _work(self) -> None:
        try:
            while not self._round():
                pass
        except BaseException as error:
            self.ended.set_exception(error)
            raise
        self.ended.set_result(None)

    def _round(self) -> bool:
        """Wait for work and commit it; True when it was the last."""
        self._rounds += 1
        with self._guard:
            while (wait_ms := self._wait_ms()) > 0:
                self._guard.wait(wait_ms / 1000)
            stopping = self._stopping
            load = self._load()
        try:
            self._commit(load)
        except sqlite3.OperationalError as error:
            return not self._refused(load, error, stopping=stopping) and stopping
        return stopping

    def _wait_ms(self) -> float:
        now = self._clock.mono_ms()
        if self._stopping:
            return 0
        times = [buffer.due_ms for buffer in self._buffers if buffer.samples or buffer.memory]
        if self._orders:
            times.append(0.0)
        if self._settled:
            times.append(self._settle_due_ms)
        due = max(min(times, default=now + IDLE_MS), self._retry_ms)
        if self._keeper.file.drafts:
            due = min(due, max(self._draft_look_ms, self._retry_ms))
        return due - now

    def _load(self) -> Load:
        now = self._clock.mono_ms()
        cuts = []
        for buffer in self._buffers:
            due = self._stopping or buffer.due_ms <= now
            if due and (buffer.samples or buffer.memory):
                cuts.append((buffer, buffer.samples, buffer.memory))
                buffer.samples, buffer.memory = [], {}
        self._committing = sum(len(samples) for _, samples, _ in cuts)
        load = Load(cuts, list(self._orders), self._settled, self._overflow)
        self._orders.clear()
        self._settled, self._overflow = [], 0
        return load

    def _commit(self, load: Load) -> None:
        """Do everything of one round in one transaction, then tell."""
        now = self._clock.mono_ms()
        self._draft_look_ms = now + DRAFT_LOOK_MS
        parcels, answers, sealed = self._keeper.transact(lambda: self._write(load, now))
        self._committing = 0
        ready = [parcel for parcel in parcels if parcel.hash]
        if ready:
            self._committed(ready)
        for order, answer in zip(load.orders, answers, strict=True):
            # A caller that was cancelled meanwhile no longer waits for its answer.
            if order.done.set_running_or_notify_cancel():
                order.done.set_result(answer)
        if self._keeper.replaced:
            self._keeper.replaced, sealed = False, 0
        if sealed is not None:
            self._rewound(max(0, sealed - 1))

    def _write(self, load: Load, now: int) -> tuple[list[Parcel], list[Any], int | None]:
        file = self._keeper.file
        parcels: list[Parcel] = []
        for _, samples, memory in load.cuts:
            parcels.extend(self._scribe.readings(file, samples))
            file.remember(memory)
        file.settle(load.settled)
        answers = [order.do() for order in load.orders]
        sealed = self._scribe.seal_some(file) if file.drafts else None
        losses = space.give_way(file, self._max_bytes)
        if load.overflow:
            losses.append(Loss(file.current.id, (), None, None, (), load.overflow, "space"))
        parcels.extend(self._scribe.losses(file, losses))
        real = self._clock.real_ms(now)
        if real is not None and self._ageing.due(now):
            self._keeper.restock()
            self._ageing.look(file, now, real)
        return parcels, answers, sealed

    def _refused(self, load: Load, error: sqlite3.OperationalError, *, stopping: bool) -> bool:
        """Keep what the disk did not take, and ask again; True where that may help at once."""
        _log.error("outbox file=%s refused=%r retry_s=%d", self.path, str(error), RETRY_MS // 1000)
        with self._guard:
            self._committing = 0
            for buffer, samples, memory in load.cuts:
                buffer.samples[:0] = samples
                buffer.memory = {**memory, **buffer.memory}
            self._orders.extendleft(reversed(load.orders))
            self._settled[:0] = load.settled
            self._overflow += load.overflow
            self._retry_ms = self._clock.mono_ms() + RETRY_MS
            marks = list(self._settled)
        if is_full(error) and self._keeper.free(marks):
            self._retry_ms = 0.0
            self._rewound(0)
            return True
        if stopping:
            for order in load.orders:
                if order.done.set_running_or_notify_cancel():
                    order.done.set_exception(error)
        return False
