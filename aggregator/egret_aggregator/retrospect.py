"""The second fold over late readings: the reading half of `egret_core.rules.retrospect`.

At a tick the gaps that are due are taken up by a task of its own, which reads what came late from
the store page by page and pauses between pages: the judge goes on meanwhile. At the first tick
after it is done the findings are handed to the fold, and the judge saves before the next entry:
what follows, follows from saved state. What is read was received by the tick that took it up, so
that the findings do not depend on the pace. A channel that went on meanwhile is read on with, from
where the reading ended. A kill in between begins it anew. A store that is away or behind costs the
judge nothing: the marks stay, and it is tried again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from egret_aggregator.errors import AggregatorError
from egret_aggregator.store.model import Note
from egret_aggregator.supervision import ended
from egret_core.reading import Reading
from egret_core.rules import retrospect
from egret_core.rules.model import AHEAD_MS
from egret_core.rules.step import SLICE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from typing import Any

    from egret_aggregator.store import StoredReading
    from egret_aggregator.warmup import Past
    from egret_core.rules.retrospect import LookBack, Span
    from egret_core.rules.step import Fold

GAPS_AT_ONCE = 16  # gaps of one round; the others wait for the next, a tick later
PAGE_ROWS = 1024  # rows of one read: some milliseconds
ROWS_MAX = 400_000  # rows of one gap: a fortnight at one in three seconds; what follows is a jump
PAUSE_S = 0.01  # real time between two pages: intake, API and judge go first
AGAIN_MS = 60_000  # running time until a store that was away is asked again
_LEFT_OUT = int(Note.CLOCK_AHEAD | Note.IMPORTED | Note.UNKNOWN_CHANNEL)

_log = logging.getLogger(__name__)


class SecondFold:
    """Looks back on gaps for one judge; one round at a time.

    Attributes:
        looked: gaps looked back on since the start; failed: those to be tried again.
    """

    def __init__(self, past: Past | None) -> None:
        self._past = past
        self._task: asyncio.Task[list[LookBack]] | None = None
        self._again_at = 0
        self._asked = 0
        self.looked = 0
        self.failed = 0

    def tick(self, fold: Fold, entry: tuple[int, int]) -> bool:
        """Hand over what is done, take up what is due; tell whether state must be saved now.

        Args:
            fold: after the tick.
            entry: its id and its instant in ms.
        """
        if self._past is None:
            return False
        done = 0
        due: list[LookBack] = []
        if self._task is not None and self._task.done():
            done, due = self._hand_over(fold, self._task, entry[1])
            self._task = None
        if self._task is None and not due and fold.running.at(entry[1]) >= self._again_at:
            due = retrospect.due(fold, entry[1], GAPS_AT_ONCE)
        if due:
            self._asked = len(due)
            self._task = asyncio.create_task(self._round(self._past, due, entry[0]))
        return done > 0

    @property
    def reading(self) -> bool:
        """Whether a round is under way."""
        return self._task is not None and not self._task.done()

    async def stop(self) -> None:
        """Let go of what is under way: its marks are in the state."""
        task, self._task = self._task, None
        self._again_at = 0
        if task is not None:
            await ended([task])

    def _hand_over(
        self, fold: Fold, task: asyncio.Task[list[LookBack]], now_ms: int
    ) -> tuple[int, list[LookBack]]:
        """Return how many are done, and those to read on with."""
        error = task.exception()
        if error is not None:
            self._put_off(fold, now_ms)
            self.failed += 1
            _log.error("look back not possible why=%r", str(error))
            return 0, []
        found = task.result()
        count, behind = retrospect.end(fold, found, now_ms)
        self.looked += count
        for look in (one for one in found if one not in behind):
            _log.info(
                "look back channel=%s from_ms=%d to_ms=%d readings=%d left_out=%d",
                look.place.name,
                look.span.from_ms,
                look.span.to_ms,
                look.fed,
                look.left_out,
            )
        if len(found) < self._asked:
            self._put_off(fold, now_ms)
        return count, behind

    def _put_off(self, fold: Fold, now_ms: int) -> None:
        self._again_at = fold.running.at(now_ms) + AGAIN_MS

    async def _round(self, past: Past, due: list[LookBack], entry: int) -> list[LookBack]:
        """Return those that were read to their end."""
        done: list[LookBack] = []
        if not await past.recorded(entry):
            self.failed += 1
            _log.warning("look back waits: the store is behind entry=%d", entry)
            return done
        for look in due:
            try:
                await _read(past, look)
            except AggregatorError as error:
                self.failed += 1
                _log.error("look back failed channel=%s why=%r", look.place.name, str(error))
            else:
                done.append(look)
        return done


async def _read(past: Past, look: LookBack) -> None:
    """Read a gap, and what is after it where a sum or an index wants that; or on from there."""
    span = look.span
    rows = 0
    async for part in _pages(past, look, look.reached_ms + 1, span.to_ms):
        rows += len(part)
        for readings in _slices(part, span):
            look.feed(readings)
            await asyncio.sleep(0)
        if rows >= ROWS_MAX:
            _log.error("look back too long channel=%s rows_max=%d", look.place.name, ROWS_MAX)
            break
    end_ms = span.by_ms + AHEAD_MS if look.wants_after else span.to_ms
    async for part in _pages(past, look, max(span.to_ms, look.reached_ms + 1), end_ms):
        for readings in _slices(part, span):
            look.go_on(readings)
            await asyncio.sleep(0)
        if not look.wants_after:
            break


async def _pages(
    past: Past, look: LookBack, from_ms: int, to_ms: int
) -> AsyncIterator[list[StoredReading]]:
    while from_ms < to_ms:
        page = await past.range(look.place.station, look.place.channel, from_ms, to_ms, PAGE_ROWS)
        yield page.rows
        if not page.truncated or not page.rows:
            return
        from_ms = page.rows[-1].time_ms + 1
        await asyncio.sleep(PAUSE_S)


def _slices(rows: list[StoredReading], span: Span) -> Iterator[list[Reading]]:
    for start in range(0, len(rows), SLICE):
        part: list[Any] = rows[start : start + SLICE]
        yield [Reading._make(row[:7]) for row in part if _late(row, span)]


def _late(row: StoredReading, span: Span) -> bool:
    """Tell whether a row came too late to be judged, and was there at the tick."""
    received_ms = row.time_ms + row.lag_ms
    return span.received_ms <= received_ms <= span.by_ms and not row.notes & _LEFT_OUT
