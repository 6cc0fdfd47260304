"""New rules warm up from the store: the reading half of `egret_core.rules.warmup`.

At a change the judge stands still while this reads, so everything here has a limit, and whatever
fails leaves a rule cold: it sees from now on, as a new rule without history would. The count of
cold channels is shown.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from egret_aggregator.errors import AggregatorError
from egret_aggregator.store.model import Note, as_of_ms
from egret_core.reading import Reading
from egret_core.rules.step import SLICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from egret_aggregator.store import MetaFact, Page, StoredReading, TimeSeriesStore
    from egret_core.rules.step import Fold
    from egret_core.rules.warmup import Warmup

PAGE_ROWS = 4096  # rows of one read: tens of milliseconds
ROWS_MAX = 500_000  # rows of one channel: nearly six days at one a second
BUDGET_S = 30.0  # longest that judgement stands still at a change, real time
RECORDED_MAX_S = 5.0  # part of it: a store this far behind is down, and may be so for hours
_POLL_S = 0.02
_AHEAD = int(Note.CLOCK_AHEAD)
_NEVER_MS = -(2**62)  # before any instant

_log = logging.getLogger(__name__)


class Past(Protocol):
    """What was recorded, as far as the judge asks for it."""

    async def recorded(self, entry: int) -> bool:
        """Wait, not for long, until this entry is recorded; tell whether it is."""
        ...

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return readings with from_ms <= time < to_ms in time order, at most `limit`."""
        ...

    async def latest(self) -> list[StoredReading]:
        """Return the latest reading of each channel."""
        ...

    async def metas(self) -> list[MetaFact]:
        """Return the newest facts of each channel."""
        ...


class StoredPast:
    """`Past` over the time-series store and the recorder's position in it."""

    def __init__(self, store: TimeSeriesStore, position: Callable[[], int]) -> None:
        self._store = store
        self._position = position

    async def recorded(self, entry: int) -> bool:
        """Wait until the recorder has passed an entry, at most `RECORDED_MAX_S`."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + RECORDED_MAX_S
        while self._position() < entry:
            if loop.time() >= end_s:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return readings of one channel in [from, to)."""
        return await self._store.range(station, channel, from_ms, to_ms, limit)

    async def latest(self) -> list[StoredReading]:
        """Return the latest reading of each channel."""
        return await self._store.latest()

    async def metas(self) -> list[MetaFact]:
        """Return the newest facts of each channel."""
        return await self._store.metas()


@dataclass(slots=True)
class Warmed:
    """Channels since the start whose new rules had their history, and those that had not."""

    warm: int = 0
    cold: int = 0


async def warm(fold: Fold, past: Past, change: tuple[int, int], counted: Warmed) -> None:
    """Warm what a change left cold; never raises for the store's sake.

    Args:
        fold: after the change.
        past: what is recorded.
        change: the entry's id, and its instant in ms.
        counted: takes what came of it.
    """
    entry, now_ms = change
    # The shortest first: months of one channel take the day of no other.
    pending = sorted(fold.cold, key=lambda warmup: warmup.span_ms)
    if pending:
        try:
            async with asyncio.timeout(BUDGET_S):
                await _warm(pending, past, entry, counted)
        except TimeoutError:
            _log.error("warm-up given up budget_s=%g", BUDGET_S)
        counted.cold += len(pending)
        for warmup in pending:
            warmup.abandon()
        _log.info("warm-up warm=%d cold=%d", len(fold.cold) - len(pending), len(pending))
    fold.warmed(now_ms)


async def _warm(pending: list[Warmup], past: Past, entry: int, counted: Warmed) -> None:
    """Warm one after another; what is warm leaves the list."""
    try:
        if not await past.recorded(entry):
            _log.warning("warm-up without the newest readings: the store is behind entry=%d", entry)
        facts = {(fact.meta.station, fact.meta.channel): fact for fact in await past.metas()}
        newest = {(row.station, row.channel): as_of_ms(row) for row in await past.latest()}
    except AggregatorError as error:
        _log.error("warm-up not possible why=%r", str(error))
        return
    for warmup in list(pending):
        place = warmup.place
        fact = facts.get((place.station, place.channel))
        if fact is not None and fact.gateway == place.gateway:
            warmup.learn(fact.meta)
        try:
            # Most channels of a new centre have no history: none of them is worth a question.
            newest_ms = newest.get((place.station, place.channel), _NEVER_MS)
            whole = await _one(warmup, past, newest_ms)
        except AggregatorError as error:
            _log.error("warm-up failed channel=%s why=%r", place.name, str(error))
            continue
        if whole:
            counted.warm += 1
            pending.remove(warmup)


async def _one(warmup: Warmup, past: Past, newest_ms: int) -> bool:
    """Feed one channel; False where its history is longer than is read."""
    rows = 0
    async for part in _read(past, warmup, warmup.begin(), newest_ms):
        rows += len(part)
        if rows > ROWS_MAX:
            _log.error("warm-up too long channel=%s rows_max=%d", warmup.place.name, ROWS_MAX)
            return False
        warmup.feed(part)
    async for part in _read(past, warmup, warmup.earlier(), newest_ms):
        rows += len(part)
        if rows > ROWS_MAX:
            break  # a last good reading further on is not found: the silence counts from now
        warmup.glance(part)
    warmup.end()
    return True


async def _read(
    past: Past, warmup: Warmup, span: tuple[int, int], newest_ms: int
) -> AsyncIterator[list[Reading]]:
    """Yield history in slices, breathing between them."""
    from_ms, to_ms = span
    if newest_ms < from_ms:
        return
    place, by_ms = warmup.place, warmup.received_by_ms
    while from_ms < to_ms:
        page = await past.range(place.station, place.channel, from_ms, to_ms, PAGE_ROWS)
        for start in range(0, len(page.rows), SLICE):
            part = page.rows[start : start + SLICE]
            yield [Reading._make(row[:7]) for row in part if _history(row, by_ms)]
            await asyncio.sleep(0)
        if not page.truncated or not page.rows:
            return
        from_ms = page.rows[-1].time_ms + 1


def _history(row: StoredReading, by_ms: int) -> bool:
    """Tell whether a row was in by then; one ahead of its receipt has no sure place in time."""
    return row.time_ms + row.lag_ms <= by_ms and not row.notes & _AHEAD
