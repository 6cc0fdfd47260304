"""The journal as the rest of the centre sees it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from egret_aggregator.database import sqlite
from egret_aggregator.errors import JournalError
from egret_aggregator.journal import reading, schema
from egret_aggregator.journal.decoded import DecodeCache
from egret_aggregator.journal.desk import Desk, Outcome, Taken
from egret_aggregator.journal.entry import Entry, EntryKind
from egret_aggregator.journal.fill import Fill, Level
from egret_aggregator.journal.pin import Pin
from egret_aggregator.journal.tail import Tail
from egret_aggregator.journal.writer import Writer
from egret_core.progress import Pulse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from egret_aggregator.journal.receipt import Handed, Incoming, Verdict
    from egret_core.entries import Readings
    from egret_core.messages import Batch
    from egret_core.seqranges import Ranges

_MB = 1024 * 1024
WAITING_S = 1.0  # for the file to say how old the oldest waiting entry is
CONSUMERS = ("judge", "recorder")  # trimming waits for these

_log = logging.getLogger(__name__)


class Journal:
    """Committed entries in order, with durable positions and state per consumer.

    Args:
        path: its own file.
        keep_ms: how long consumed entries stay; max_bytes: the room there is.
        consumers: names that trimming waits for.
    """

    def __init__(
        self,
        path: Path,
        *,
        keep_ms: int,
        max_bytes: int,
        consumers: Sequence[str] = CONSUMERS,
    ) -> None:
        self._path = path
        self._keep_ms = keep_ms
        self._max_bytes = max_bytes
        self._consumers = tuple(consumers)
        self._cache = DecodeCache()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._level = Level.ROOM
        self._fill = Fill(0, max_bytes)

    async def open(self) -> None:
        """Open the file and start the writer.

        Raises:
            JournalError: the file cannot be opened or is not a journal.
        """
        try:
            self._db = await asyncio.to_thread(schema.open_file, self._path)
        except (sqlite3.Error, OSError) as error:
            raise JournalError(f"{self._path}: {error}") from error
        try:
            self._desk = await asyncio.to_thread(
                Desk,
                self._db,
                self._keep_ms,
                self._max_bytes,
                self._consumers,
                self._spare_b,
                pin=Pin(self._path),
            )
            self._reader_db = sqlite.connect(self._path, writer=False)
        except (sqlite3.Error, OSError, ValueError) as error:
            self._db.close()
            raise JournalError(f"{self._path}: {error}") from error
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="journal-read")
        self._tail = Tail(self._desk.heads)
        self._fill = self._desk.fill
        self._writer = Writer(self._db, self._desk, self._committed)
        self._writer.start()

    async def close(self) -> None:
        """Commit what is queued and close the file."""
        await self._writer.stop()
        self._reader.shutdown()
        self._reader_db.close()
        self._db.close()

    @property
    def head(self) -> int:
        """Return the newest entry's id, 0 for none."""
        return self._tail.newest

    @property
    def commits(self) -> int:
        """Return how many commits there were since the start."""
        return self._writer.commits

    @property
    def failures(self) -> int:
        """Return how many commits failed since the start."""
        return self._writer.failures

    async def waiting_ms(self, position: int) -> int | None:
        """Return the receipt time of the oldest entry after a position, None for none.

        A file that does not answer soon is not waited for: memory's oldest is then the answer.
        """
        found = self._tail.waiting(position)
        if position < self._tail.evicted:
            with suppress(JournalError, TimeoutError):
                async with asyncio.timeout(WAITING_S):
                    return await self._read(reading.received_after, position)
        return None if found is None else found.received_ms

    @property
    def pulse(self) -> Pulse:
        """Return whether anybody waits for a commit, and how many were told of theirs."""
        return Pulse(self._writer.asked > self._writer.answered, self._writer.answered)

    @property
    def fill(self) -> Fill:
        """Return how full the file was at the last commit."""
        return self._fill

    @property
    def trimmed(self) -> int:
        """Return an id above which every entry is still here, 0 where none was ever removed."""
        return self._desk.trimmed

    async def append(self, batches: Sequence[Incoming], received_ms: int) -> list[Verdict]:
        """Take batches; return a verdict each, once the commit they are in is durable.

        Raises:
            JournalError: the commit failed: acknowledge nothing.
        """

        def primed(taken: list[Taken]) -> None:
            for item, done in zip(batches, taken, strict=True):
                if done.entry_id:
                    self._cache.put(done.entry_id, item.batch)

        taken = await self._writer.submit(
            lambda desk: desk.append(batches, received_ms),
            sum(len(item.payload) for item in batches),
            primed,
        )
        return [done.verdict for done in taken]

    async def feed(
        self, handed: Handed, make: Callable[[int], Incoming], received_ms: int
    ) -> tuple[Verdict, bytes]:
        """Take a batch by its sender's word, once for every word; return what is answered.

        `make` gives the batch under a seq of its log. Word, answer and batch are one commit.

        Raises:
            JournalError: the commit failed: nothing was taken.
        """
        return await self._writer.submit(lambda desk: desk.feed(handed, make, received_ms))

    async def tick(self, now_ms: int) -> None:
        """Record that the intake was running and subscribed at this instant."""
        await self._writer.submit(lambda desk: desk.event(EntryKind.TICK, b"", now_ms))

    async def change(self, payload: bytes, now_ms: int) -> int:
        """Record a change of rules or catalogue; return the id it takes effect at."""
        return await self._writer.submit(
            lambda desk: desk.event(EntryKind.CHANGE, payload, now_ms), len(payload)
        )

    async def lose(self, gateway: str, log: str, seqs: Ranges) -> None:
        """Record seqs that a gateway no longer has."""
        await self._writer.submit(lambda desk: desk.lose((gateway, log), seqs))

    async def leap(self, beyond: int) -> None:
        """Number further entries above `beyond`.

        A consumer that keeps its own position calls it before the intake starts: after an older
        journal was put back, ids it has passed must not be given to new entries.
        """
        await self._writer.submit(lambda desk: desk.leap(beyond))

    async def rewind(self, consumer: str, positions: Mapping[int, int]) -> int:
        """Set a consumer back to where it really is; call it before the intake starts.

        What lies between and was trimmed here is gone from the centre: its seqs are forgotten in
        the same commit, so that they are asked for again wherever an outbox still holds them.

        Returns:
            How many seqs were forgotten.
        """
        back = dict(positions)
        return await self._writer.submit(lambda desk: desk.rewind(consumer, back))

    async def restart(self, consumer: str) -> None:
        """Have a consumer begin anew, without state, at the oldest entry that is here."""
        await self._writer.submit(lambda desk: desk.restart(consumer))

    def known(self, gateway: str, log: str) -> Ranges:
        """Return the seqs of a log that are committed or recorded as lost."""
        return self._desk.books.known((gateway, log))

    async def load(self, consumer: str) -> tuple[dict[int, int], dict[str, bytes]]:
        """Return a consumer's positions by partition, and its state."""
        positions = await self._writer.submit(lambda desk: dict(desk.positions.get(consumer, {})))
        return positions, await self._read(reading.state, consumer)

    async def save(
        self,
        consumer: str,
        positions: Mapping[int, int],
        changed: Mapping[str, bytes | None],
    ) -> None:
        """Move positions and change state in one commit; None deletes a key."""
        moved, state = dict(positions), dict(changed)
        await self._writer.submit(lambda desk: desk.save(consumer, moved, state))

    async def read(self, positions: Mapping[int, int], limit: int) -> list[Entry]:
        """Return the entries after the positions of their partitions, in id order.

        Ticks and changes belong to partition -1. While the journal is full, fresh batches that
        were not taken are among them.
        """
        if self._tail.covers(positions):
            return self._tail.after(positions, limit)
        found = await self._read(reading.after, self._tail.heads, positions, limit)
        return found or self._tail.after(positions, limit)

    async def next_after(self, entry: int) -> int | None:
        """Return the id of the first entry after one that is on disk, None for none."""
        return await self._read(reading.next_after, entry)

    async def wait(self, after_id: int) -> None:
        """Return when an entry with a greater id is there."""
        if self._tail.newest > after_id:
            return
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((after_id, ready))
        await ready

    def decoded(self, entry: Entry) -> Batch:
        """Return the batch of an entry; one parse serves all consumers."""
        return self._cache.batch(entry)

    def readings(self, entry: Entry) -> Readings:
        """Return the readings of an entry of kind `readings`; shared: do not change them."""
        return self._cache.readings(entry)

    async def _read(self, what: reading.Query[reading.T], *args: object) -> reading.T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._reader, what, self._reader_db, *args)
        except sqlite3.Error as error:
            raise JournalError(f"{self._path}: {error}") from error

    def _spare_b(self) -> int:
        return sqlite.spare_bytes(self._path)

    def _committed(self, outcome: Outcome) -> None:
        self._tail.add(outcome.entries)
        self._fill = outcome.fill
        if outcome.fill.level is not self._level:
            self._level = outcome.fill.level
            _log.warning(
                "event=journal_level level=%s share=%.2f used_mb=%d room_mb=%d",
                self._level,
                self._fill.share,
                self._fill.used_b // _MB,
                self._fill.max_b // _MB,
            )
        newest = self._tail.newest
        still = []
        for after_id, ready in self._waiting:
            if ready.done():
                continue
            if newest > after_id:
                ready.set_result(None)
            else:
                still.append((after_id, ready))
        self._waiting = still
