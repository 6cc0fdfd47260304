"""From the journal into the time-series store, at the store's own pace.

Nothing valid is refused here: an entry becomes a row, or it is set aside by name. The store keeps
the recorder's position in the same transaction as its rows, and that position is the truth.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.errors import JournalClosedError, JournalError, StoreError
from egret_aggregator.journal import Entry, EntryKind, Journal
from egret_aggregator.store import Aside, MetaFact, Note, Origin, StoredReading
from egret_core.entries import loss_entry, read_losses, read_metas
from egret_core.errors import WireError
from egret_core.messages import BadEntry, Batch, Kind
from egret_core.sources import IMPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from egret_aggregator.store import Receipt, TimeSeriesStore
    from egret_core.reading import Undated

NAME = "recorder"
AHEAD_MS = 60_000  # a clock this far ahead is named (DESIGN, clocks ahead)
ENTRIES_MAX = 192  # of one transaction: 38,400 readings of full batches
SLICE = 8  # entries before the event loop gets a turn: about 1 ms
SAVE_EVERY = 2048  # entries between two notes to the journal of how far it may trim
TELL_AGAIN_S = 5.0  # after a note that the journal could not commit; it is a hint, no promise
RETRY_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # after a failed write; the journal holds the data
_CACHE_MAX = 100_000  # channels whose standing is remembered
_AHEAD = int(Note.CLOCK_AHEAD)

_log = logging.getLogger(__name__)


class Standing(NamedTuple):
    """What the catalogue says of one channel from one gateway."""

    foreign: bool
    notes: int


class Work(NamedTuple):
    """What a run of entries becomes."""

    rows: list[StoredReading]
    asides: list[Aside]
    metas: list[MetaFact]
    origins: list[Origin]


class Recorder:
    """The journal's consumer that fills the store.

    Args:
        journal: where entries come from; store: where they go.
        owner: which gateway owns a channel, None where the catalogue does not say.
        known: channels of the catalogue, as (station, channel).
    """

    def __init__(
        self,
        journal: Journal,
        store: TimeSeriesStore,
        *,
        owner: Callable[[str, str], str | None],
        known: Container[tuple[str, str]],
    ) -> None:
        self._journal = journal
        self._store = store
        self._owner = owner
        self._known = known
        self._standing: dict[str, dict[tuple[str, str], Standing]] = {}
        self._standings = 0
        self._positions: dict[int, int] = {}
        self._ahead: dict[int, int] = {}  # the same, with what is being written
        self._unsaved = 0
        self._tell_from_s = float("-inf")
        self._told_failure = ""
        self.recorded_to_ms = 0
        self.recorded = 0
        self.set_aside = 0
        self.asides: Counter[str] = Counter()  # by reason, without its details
        self.conflicts = 0
        self.failures = 0
        self.failing = False

    async def open(self) -> None:
        """Take up the store's position; call it before the intake starts.

        Raises:
            StoreError: the store does not answer.
            JournalError: the journal does not.
        """
        self._positions = await self._store.position()
        told, _ = await self._journal.load(NAME)
        if any(self._positions.get(part, 0) < position for part, position in told.items()):
            # The journal has heard of more than the store holds: the store is new, or an older one.
            forgotten = await self._journal.rewind(NAME, self._positions)
            _log.error("event=store_behind_journal asked_for_again=%d batches", forgotten)
        # An older journal put back beside a newer store must not give passed ids to new entries.
        await self._journal.leap(max(self._positions.values(), default=0))
        self._unsaved = 1  # the note itself: a full disk keeps nobody from judging
        await self._tell_journal()

    async def run(self) -> None:
        """Record until cancelled; while the store takes one run of entries, the next is made."""
        writing: asyncio.Task[None] | None = None
        self._ahead = dict(self._positions)
        try:
            while True:
                entries = await self._journal.read(self._ahead, ENTRIES_MAX)
                work = await self._made(entries)
                if writing is not None:
                    await writing
                    writing = None
                if entries:
                    writing = asyncio.create_task(self._record(entries, work))
                else:
                    await self._tell_journal()
                    await self._journal.wait(max(self._ahead.values(), default=0))
        finally:
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)

    @property
    def position(self) -> int:
        """Return the newest entry recorded."""
        return max(self._positions.values(), default=0)

    async def _made(self, entries: Sequence[Entry]) -> Work:
        work = Work([], [], [], [])
        for at in range(0, len(entries), SLICE):
            self.add(entries[at : at + SLICE], work)
            await asyncio.sleep(0)
        self._ahead.update((entry.partition, entry.id) for entry in entries)
        return work

    async def _record(self, entries: Sequence[Entry], work: Work) -> None:
        moved = {entry.partition: entry.id for entry in entries}
        receipt = await self._written(work, moved)
        self._positions.update(moved)
        self.recorded_to_ms = entries[-1].received_ms
        self.recorded += receipt.accepted
        self.conflicts += receipt.conflicts
        self.set_aside += len(work.asides) + receipt.refused
        self.asides.update(aside.why.partition(":")[0] for aside in work.asides)
        self.asides.update({"store_refused": receipt.refused} if receipt.refused else {})
        self._unsaved += len(entries)
        if self._unsaved >= SAVE_EVERY:
            await self._tell_journal()

    async def _written(self, work: Work, moved: dict[int, int]) -> Receipt:
        """Write for as long as it takes; each new reason is told once, and that it is over."""
        attempt, told = 0, ""
        while True:
            try:
                receipt = await self._store.write(
                    work.rows, work.asides, moved, work.metas, work.origins
                )
                break
            except StoreError as error:
                pause_s = RETRY_S[min(attempt, len(RETRY_S) - 1)]
                attempt += 1
                self.failures += 1
                self.failing = True
                if str(error) != told:
                    told = str(error)
                    _log.error("event=store_write_failed error=%r", told)
                await asyncio.sleep(pause_s)
        self.failing = False
        if attempt:
            _log.warning("event=store_writes_again failures=%d", attempt)
        return receipt

    async def _tell_journal(self) -> None:
        """Let the journal trim behind us; the truth is in the store already.

        A commit that fails stops nothing here: the journal keeps its entries for longer.
        """
        now_s = asyncio.get_running_loop().time()
        if not self._unsaved or now_s < self._tell_from_s:
            return
        told = self._unsaved
        try:
            await self._journal.save(NAME, self._positions, {})
        except JournalClosedError:
            raise
        except JournalError as error:
            self._tell_from_s = now_s + TELL_AGAIN_S
            if str(error) != self._told_failure:
                self._told_failure = str(error)
                _log.error("event=recorder_position_not_noted error=%r", self._told_failure)
            return
        self._unsaved -= told
        self._told_failure = ""

    def add(self, entries: Sequence[Entry], work: Work) -> None:
        """Add what entries become; ticks and changes become nothing."""
        for entry in entries:
            if entry.kind is EntryKind.CONFLICT:
                work.asides.append(_whole(entry, "conflict"))
            elif entry.kind is EntryKind.BATCH:
                self._batch(entry, work)

    def _batch(self, entry: Entry, work: Work) -> None:
        try:
            batch = self._journal.decoded(entry)
        except WireError as error:
            # A later version wrote it and this one was put back: kept whole, and the line goes on.
            work.asides.append(_whole(entry, f"unreadable: {error.why}"))
            return
        if batch.kind == Kind.READINGS:
            self._readings(entry, work)
        elif batch.kind == Kind.META:
            self._metas(entry, batch, work)
        elif batch.kind == Kind.LOSS:
            losses = read_losses(batch)
            for at, loss in enumerate(losses.records):
                body = json.dumps(loss_entry(loss), separators=(",", ":")).encode()
                work.asides.append(_aside(entry, at, f"loss: {loss.why}"[:80], body))
            work.asides.extend(_bad(entry, bad) for bad in losses.bad)
        else:
            work.asides.append(_whole(entry, "unknown_kind"))

    def _readings(self, entry: Entry, work: Work) -> None:
        readings = self._journal.readings(entry)
        received_ms, gateway = entry.received_ms, entry.gateway
        standings = self._standing.setdefault(gateway, {})
        latest_ms = received_ms + AHEAD_MS
        add, make = work.rows.append, tuple.__new__
        strangers: list[dict[str, object]] = []
        for reading in readings.dated:
            station, channel, time_ms, value, raw, flag, reasons = reading
            standing = standings.get((station, channel))
            if standing is None:
                standing = self._stand(gateway, station, channel)
            foreign, notes = standing
            if foreign:
                strangers.append(reading._asdict())
                continue
            if time_ms > latest_ms:
                notes |= _AHEAD
            lag_ms = received_ms - time_ms
            row = (station, channel, time_ms, value, raw, flag, reasons, notes, lag_ms)
            add(make(StoredReading, row))
        work.origins.append(Origin(len(work.rows), gateway, entry.log, entry.seq))
        if strangers:
            body = json.dumps(strangers, separators=(",", ":")).encode()
            work.asides.append(_aside(entry, -1, "foreign", body))
        for undated in readings.undated:
            body = json.dumps(undated._asdict(), separators=(",", ":")).encode()
            work.asides.append(_aside(entry, undated.at, self._why_undated(gateway, undated), body))
        work.asides.extend(_bad(entry, bad) for bad in readings.bad)

    def _metas(self, entry: Entry, batch: Batch, work: Work) -> None:
        metas = read_metas(batch)
        # A gateway whose clock is ahead must not make its facts the newest for years.
        since_ms = min(batch.cut_ms, entry.received_ms)
        for at, meta in enumerate(metas.channels):
            if self._stand(entry.gateway, meta.station, meta.channel).foreign:
                work.asides.append(_aside(entry, at, "foreign", b"meta"))
            else:
                fact = MetaFact(meta, entry.gateway, batch.meta_version, since_ms)
                work.metas.append(fact)
        work.asides.extend(_bad(entry, bad) for bad in metas.bad)

    def _why_undated(self, gateway: str, undated: Undated) -> str:
        foreign = self._stand(gateway, undated.station, undated.channel).foreign
        return "foreign" if foreign else "undated"

    def _stand(self, gateway: str, station: str, channel: str) -> Standing:
        standings = self._standing.setdefault(gateway, {})
        found = standings.get((station, channel))
        if found is None:
            owner = self._owner(station, channel)
            known = (station, channel) in self._known
            imported = gateway.startswith(IMPORT)
            found = Standing(
                owner is not None and owner != gateway and not imported,
                int(Note.NONE if known else Note.UNKNOWN_CHANNEL)
                | int(Note.IMPORTED if imported else Note.NONE),
            )
            if self._standings < _CACHE_MAX:
                self._standings += 1
                standings[station, channel] = found
        return found


def _aside(entry: Entry, at: int, why: str, body: bytes) -> Aside:
    return Aside(entry.gateway, entry.log, entry.seq, at, why, entry.received_ms, body)


def _whole(entry: Entry, why: str) -> Aside:
    return _aside(entry, -1, why, entry.payload)


def _bad(entry: Entry, bad: BadEntry) -> Aside:
    return _aside(entry, bad.at, f"bad_entry: {bad.why}", bad.text.encode())
