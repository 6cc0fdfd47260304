"""From the series into their rollups, behind the recorder and at its own pace.

A reading marks its ten-minute bucket; a bucket at rest is made anew from all that the store holds
of it. So a late reading, a duplicate and a crash come to the same: the bucket is what the store
says. Marks and the position in the journal are one transaction, and nobody waits for either.
Where the file is new, or older than the journal reaches back, or where the store found rows that
nobody here had written, every channel is rolled anew.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.errors import AggregatorError, StoreError
from egret_aggregator.journal import EntryKind
from egret_aggregator.store.rollup_rows import Mark, Rebuild
from egret_core.buckets import TEN_MIN_MS, Bucket, Point, floor, gather
from egret_core.errors import WireError
from egret_core.messages import TIME_MAX_MS, TIME_MIN_MS, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from egret_aggregator.journal import Entry, Journal
    from egret_aggregator.store import StoredReading, TimeSeriesStore
    from egret_aggregator.store.rollups import Rollups

LOOK_S = 1.0  # real time between two looks when there is nothing to do
FOLLOW_S = 1.0  # the longest that a chart waits for its newest marks
QUIET_S = 60.0  # a bucket is at rest when nothing came to it for so long, real time
ENTRIES_MAX = 64  # of one step: 12,800 readings of full batches
SLICE = 8  # entries before the event loop gets a turn: about 1 ms
MARKS_MAX = 50_000  # in memory, 10 MB; then the oldest are rolled before the journal is read on
ROLL_MAX = 200  # marks of one transaction: tens of milliseconds in its own thread
PAGE_ROWS = 4096  # readings of one read of the store
BEHIND_MAX = 200_000  # entries; further behind it is quicker to roll every channel anew
BUCKET_ROWS_MAX = 1_000_000  # of ten minutes: one kilohertz and more is no sensor of ours
REFUSALS_MAX = 3  # in a row, of marks asked for one by one: then it is the store, not the mark
RETRY_S = 10.0  # after a failure: charts read raw readings meanwhile

_log = logging.getLogger(__name__)


class Reached(NamedTuple):
    """How far the recorder is: its newest entry, and that one's receipt time."""

    entry: int
    received_ms: int


class Roller:
    """The journal's consumer that keeps the rollups true; trimming does not wait for it.

    Args:
        journal: what came; store: what is recorded; rollups: what is made of it.
        recorded: how far the recorder is; now_s: monotonic seconds.
    """

    def __init__(
        self,
        journal: Journal,
        store: TimeSeriesStore,
        rollups: Rollups,
        recorded: Callable[[], Reached],
        now_s: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._store = store
        self._rollups = rollups
        self._recorded = recorded
        self._now_s = now_s
        self._positions: dict[int, int] = {}
        self._touched: dict[Mark, float] = {}
        self._ready = False
        self._rebuilding = False
        self._adoption = 0
        self._refused: tuple[str, str] = ("", "")  # after it the next channel is rolled anew
        self._rest_until_s = float("-inf")
        self._marked = 0
        self._asked = asyncio.Event()
        self._moved = asyncio.Condition()
        self.rolled_to_ms = 0
        self.rolled = 0
        self.failures = 0

    @property
    def marks(self) -> int:
        """Return how many buckets are to be rolled."""
        return len(self._touched)

    async def run(self) -> None:
        """Roll until cancelled; a failure is logged and tried again."""
        while True:
            try:
                if not await self.step():
                    await self._idle()
            except AggregatorError as error:
                await asyncio.sleep(self._failed(error))

    async def _idle(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), LOOK_S)
        self._asked.clear()

    async def follow(self, limit_s: float = FOLLOW_S) -> int:
        """Wait until all that is recorded now is marked; return how many entries are not.

        A chart is made of rollups and of what is marked: what is neither would be missing in it.
        """
        recorded = self._recorded().entry
        if self._marked < recorded:
            self._asked.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(limit_s), self._moved:
                    await self._moved.wait_for(lambda: self._marked >= recorded)
        return max(0, recorded - self._marked)

    async def step(self) -> bool:
        """Mark what was recorded and roll what is at rest; tell whether there is more to do.

        A store that refuses what is to be rolled does not hold up the marking.

        Raises:
            AggregatorError: journal or rollups do not answer; nothing is half done.
        """
        if not self._ready:
            await self._open()
        if self._adoption != self._store.adoption:
            await self._begin_anew(self._positions)
        read = len(self._touched) < MARKS_MAX and await self._mark()
        async with self._moved:
            self._moved.notify_all()
        if self._now_s() < self._rest_until_s:
            return read
        try:
            rolled = await self._roll()
            again = self._rebuilding and await self._rebuild()
        except StoreError as error:
            self._rest_until_s = self._now_s() + self._failed(error)
            return read
        return read or rolled or again

    def _failed(self, error: AggregatorError) -> float:
        self.failures += 1
        _log.error("event=roll_failed error=%r retry_s=%s", str(error), RETRY_S)
        return RETRY_S

    async def _open(self) -> None:
        progress = await self._rollups.progress()
        self._positions = dict(progress.positions)
        self.rolled_to_ms = progress.rolled_to_ms
        self._touched = dict.fromkeys(await self._rollups.marks(), float("-inf"))
        self._rebuilding = progress.rebuilding > 0
        self._adoption = progress.adoption
        await self._check_reach()
        self._ready = True

    async def _check_reach(self) -> None:
        """Begin anew where the journal does not reach back to us, or it is too far."""
        recorded = max((await self._store.position()).values(), default=0)
        mine = max(self._positions.values(), default=0)
        following = await self._journal.next_after(mine)
        # In a restored journal what its consumers had passed is missing: ids tell. Few are ever
        # skipped, and then a needless round does no harm.
        whole = mine >= recorded or following == mine + 1
        near = mine >= self._journal.trimmed and recorded - mine <= BEHIND_MAX
        if whole and near and (mine or not recorded):
            return
        # What is recorded from here on is marked; all before it is in the store already.
        await self._begin_anew(await self._store.position())

    async def _begin_anew(self, positions: dict[int, int]) -> None:
        adoption = self._store.adoption
        channels = [(row.station, row.channel) for row in await self._store.latest()]
        spans = [Rebuild(*key, TIME_MIN_MS) for key in channels]
        await self._rollups.begin_rebuild(spans, positions, self.rolled_to_ms, adoption)
        self._adoption = adoption
        # Not before it is kept: what lies between would be rolled by nobody.
        self._positions = positions
        self._rebuilding = self._rebuilding or bool(spans)
        _log.warning("event=rollups_made_anew channels=%d", len(spans))

    async def _mark(self) -> bool:
        """Mark what the next entries touched; False where there are none yet."""
        reached = self._recorded()
        found = await self._journal.read(self._positions, ENTRIES_MAX)
        entries = [entry for entry in found if entry.id <= reached.entry]
        if not entries:
            self._marked = max(self._marked, reached.entry)
            return False
        if max(self._positions.values(), default=0) < self._journal.trimmed:
            await self._check_reach()
            return True
        now_s = self._now_s()
        new: list[Mark] = []
        for at in range(0, len(entries), SLICE):
            for mark in self._touches(entries[at : at + SLICE]):
                if self._touched.pop(mark, None) is None:
                    new.append(mark)
                self._touched[mark] = now_s
            await asyncio.sleep(0)
        moved = {entry.partition: entry.id for entry in entries}
        rolled_to_ms = entries[-1].received_ms
        try:
            await self._rollups.mark(new, moved, rolled_to_ms)
        except AggregatorError:
            for mark in new:
                del self._touched[mark]
            raise
        self._positions.update(moved)
        self._marked = max(moved.values())
        self.rolled_to_ms = rolled_to_ms
        return True

    def _touches(self, entries: Sequence[Entry]) -> Mapping[Mark, None]:
        """Return the buckets that entries have readings in, whether or not they are stored."""
        out: dict[Mark, None] = {}
        for entry in entries:
            if entry.kind is not EntryKind.BATCH:
                continue
            try:
                if self._journal.decoded(entry).kind != Kind.READINGS:
                    continue
                for reading in self._journal.readings(entry).dated:
                    time_ms = reading[2]
                    out[Mark(reading[0], reading[1], time_ms - time_ms % TEN_MIN_MS)] = None
            except WireError:
                continue  # of a later version: the recorder has set it aside
        return out

    async def _roll(self) -> bool:
        """Roll the marks that are at rest; False where none is."""
        limit_s = self._now_s() - QUIET_S
        crowded = len(self._touched) >= MARKS_MAX
        due: list[Mark] = []
        for mark, touched_s in self._touched.items():
            if len(due) >= ROLL_MAX or (touched_s > limit_s and not crowded):
                break
            due.append(mark)
        if not due:
            return False
        try:
            await self._roll_now(due)
        except StoreError as error:
            await self._one_by_one(due, error)
        return True

    async def _roll_now(self, due: list[Mark]) -> None:
        rolled: dict[tuple[str, str], list[Bucket]] = {}
        due.sort()
        for key, marks in groupby(due, key=lambda mark: (mark.station, mark.channel)):
            rolled[key] = await fresh(self._store, key, [mark.at_ms for mark in marks])
        await self._rollups.roll(rolled, due)
        for mark in due:
            del self._touched[mark]
        self.rolled += len(due)

    async def _one_by_one(self, due: Sequence[Mark], error: StoreError) -> None:
        """Roll what can be rolled: one mark that the store refuses must not keep the others."""
        in_a_row = 0
        for mark in due:
            try:
                await self._roll_now([mark])
                in_a_row = 0
            except StoreError as refused:
                error, in_a_row = refused, in_a_row + 1
                # Behind all others, and at rest again later.
                del self._touched[mark]
                self._touched[mark] = self._now_s()
                if in_a_row >= REFUSALS_MAX:
                    break
        raise error

    async def _rebuild(self) -> bool:
        """Roll a piece of a channel anew; False where nothing is left."""
        span = await self._rollups.next_rebuild(self._refused)
        if span is None:
            self._rebuilding = False
            _log.info("event=rollups_whole")
            return False
        key = (span.station, span.channel)
        try:
            rows, next_ms = await _piece(self._store, key, span.from_ms)
        except StoreError:
            self._refused = key  # the others' turn comes before it is tried again
            raise
        buckets = gather(map(point, rows), TEN_MIN_MS)
        await self._rollups.reroll(span, buckets, next_ms)
        self.rolled += len(buckets)
        return True


def point(row: StoredReading) -> Point:
    """Return what a bucket takes of a stored reading."""
    return Point(row[2], row[3], row[5], row[6])


async def fresh(
    store: TimeSeriesStore, key: tuple[str, str], starts: Sequence[int]
) -> list[Bucket]:
    """Return ten-minute buckets of what the store holds; `starts` are in time order."""
    out: list[Bucket] = []
    for from_ms, to_ms in spans(starts):
        points = [point(row) async for row in readings(store, key, from_ms, to_ms)]
        out += gather(points, TEN_MIN_MS)
    return out


def spans(starts: Sequence[int]) -> list[tuple[int, int]]:
    """Return the spans that adjacent ten-minute buckets make."""
    out: list[tuple[int, int]] = []
    for start in starts:
        if out and out[-1][1] == start:
            out[-1] = (out[-1][0], start + TEN_MIN_MS)
        else:
            out.append((start, start + TEN_MIN_MS))
    return out


async def readings(
    store: TimeSeriesStore, key: tuple[str, str], from_ms: int, to_ms: int
) -> AsyncIterator[StoredReading]:
    """Yield a channel's readings in [from, to) in time order, a page at a time."""
    while from_ms < to_ms:
        page = await store.range(*key, from_ms, to_ms, PAGE_ROWS)
        for row in page.rows:
            yield row
        if not page.truncated or not page.rows:
            return
        from_ms = page.rows[-1].time_ms + 1


async def _piece(
    store: TimeSeriesStore, key: tuple[str, str], from_ms: int
) -> tuple[list[StoredReading], int | None]:
    """Return readings of whole buckets from an instant on, and where to go on (None: the end)."""
    limit = PAGE_ROWS
    while True:
        page = await store.range(*key, from_ms, TIME_MAX_MS + 1, limit)
        if not page.truncated:
            return page.rows, None
        cut_ms = floor(page.rows[-1].time_ms, TEN_MIN_MS)
        whole = [row for row in page.rows if row.time_ms < cut_ms]
        if whole:
            return whole, cut_ms
        if limit >= BUCKET_ROWS_MAX:
            return page.rows, cut_ms + TEN_MIN_MS
        limit *= 4
