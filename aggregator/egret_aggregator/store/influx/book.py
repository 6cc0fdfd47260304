"""What is known of each channel's rows, and the questions about what is not.

A channel's quantity tag is kept here before its first row is sent: were it found anew after a
crash, a meta come in between would tag equal rows differently, and they would be there twice.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from bisect import bisect_right
from operator import itemgetter
from typing import TYPE_CHECKING

from egret_aggregator.store.influx import influxql, line, sift, spans, state
from egret_aggregator.store.influx.influxql import RefusedQueryError
from egret_aggregator.store.influx.lanes import LANES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egret_aggregator.store.influx.client import InfluxHttp
    from egret_aggregator.store.influx.sift import Key
    from egret_aggregator.store.model import MetaFact, StoredReading
    from egret_aggregator.store.sqlite import SqliteStore

_log = logging.getLogger(__name__)

ASK_ROWS = 1000  # least of one question: rows between the doubtful ones come along
ASK_SPAN_MS = 24 * 3_600_000  # of one question: InfluxDB 3 Core refuses more than three days


class Book:
    """The channels of one bucket.

    Args:
        http: to ask the server; local: the file that remembers.
    """

    def __init__(self, http: InfluxHttp, local: SqliteStore) -> None:
        self._http = http
        self._local = local
        self._channels: dict[Key, state.Channel] = {}
        self._quantities: dict[Key, str] = {}
        self._asking = asyncio.Semaphore(LANES)

    def __len__(self) -> int:
        """Return how many channels there are."""
        return len(self._channels)

    async def open(self) -> None:
        """Read what is remembered; StoreError where that fails."""
        await self._local.commit(state.prepare)
        await self.remember()
        self.learn(await self._local.metas())

    async def remember(self) -> None:
        """Take up what the file has; StoreError where that fails."""
        for key, (quantity, held) in (await self._local.commit(state.channels)).items():
            self._channels[key] = state.Channel(quantity, line.head(*key, quantity), held)

    def within(self, key: Key) -> array[int]:
        """Return where a channel may have rows; empty for one that nobody has met yet."""
        known = self._channels.get(key)
        return array("q") if known is None else known.spans

    def learn(self, metas: Iterable[MetaFact]) -> None:
        """Take up quantities, for channels that have no row yet."""
        for fact in metas:
            self._quantities[fact.meta.station, fact.meta.channel] = fact.meta.quantity

    async def adopt(self) -> int:
        """Take up what the bucket has that nobody here remembers; return how many channels.

        Where each channel may have rows is then what the server says, and its newest row is the
        latest one. A server that refuses to say, as InfluxDB 3 Core does, leaves all as it was.

        Raises:
            StoreError: the server does not answer, or the file fails.
        """
        try:
            first = influxql.ends_of_all(await self._http.query(influxql.extents_of_all("first")))
            last = influxql.ends_of_all(await self._http.query(influxql.extents_of_all("last")))
            newest = influxql.rows_of_all(await self._http.query(influxql.newest_of_all()))
        except RefusedQueryError as error:
            _log.warning("event=influx_history_not_told error=%r", str(error))
            await self._local.commit(lambda db: state.adopt(db, {}, (), exact=False))
            return 0
        found: dict[Key, tuple[str, array[int]]] = {}
        for key in first.keys() & last.keys():
            quantity, end_ms = max(last[key], key=itemgetter(1))
            start_ms = min(time_ms for _, time_ms in first[key])
            found[key] = (quantity, array("q", (start_ms, end_ms)))
        await self._local.commit(lambda db: state.adopt(db, found, newest, exact=True))
        return len(found)

    async def meet(self, keys: Iterable[Key], *, adopted: bool) -> None:
        """Make channels known before their first row is sent.

        Args:
            keys: channels, known ones too.
            adopted: the bucket may have rows of theirs that nobody here remembers.

        Raises:
            StoreError: the server does not answer, or the file fails.
        """
        new = [key for key in keys if key not in self._channels]
        if not new:
            return
        extents = await asyncio.gather(*(self._extent(key) for key in new)) if adopted else []
        made: dict[Key, tuple[str, array[int]]] = {
            key: (self._quantities.get(key, line.UNKNOWN), array("q")) for key in new
        }
        made |= {key: found for key, found in zip(new, extents, strict=False) if found is not None}
        await self._local.commit(lambda db: state.keep_channels(db, made))
        for key, (quantity, held) in made.items():
            self._channels[key] = state.Channel(quantity, line.head(*key, quantity), held)

    def begin(self, key: Key) -> str:
        """Return what a channel's lines begin with."""
        return self._channels[key].begin

    async def stored(
        self, groups: Mapping[Key, Sequence[StoredReading]]
    ) -> dict[Key, dict[int, StoredReading]]:
        """Return what is stored at the doubtful times of rows, by channel and time.

        Raises:
            StoreError: the server does not answer.
            RefusedQueryError: it refuses the question.
        """
        doubts: dict[Key, list[int]] = {}
        for key, rows in groups.items():
            times = sift.doubtful(self._channels[key].spans, rows)
            if times:
                doubts[key] = times
        answers = await asyncio.gather(*(self._ask(key, times) for key, times in doubts.items()))
        return dict(zip(doubts, answers, strict=True))

    def grown(self, fresh: Mapping[Key, Sequence[StoredReading]]) -> dict[Key, array[int]]:
        """Return the spans of channels once these rows, in time order, are written."""
        held: dict[Key, array[int]] = {}
        for key, rows in fresh.items():
            before = self._channels[key].spans
            held[key] = spans.continued(before, rows[0][2], rows[-1][2]) or spans.grown(
                before, [row[2] for row in rows]
            )
        return held

    def take(self, held: Mapping[Key, array[int]]) -> None:
        """Take up spans that are committed."""
        for key, value in held.items():
            self._channels[key].spans = value

    async def _ask(self, key: Key, times: Sequence[int]) -> dict[int, StoredReading]:
        """Ask for one channel; from doubtful time to doubtful time, not for all between."""
        wanted = frozenset(times)
        found: dict[int, StoredReading] = {}
        at = 0
        while at < len(times):
            end = bisect_right(times, times[at] + ASK_SPAN_MS, at)
            limit = max(ASK_ROWS, 2 * (end - at))
            statement = influxql.rows_of(*key, times[at], times[end - 1] + 1, limit)
            async with self._asking:
                told = await self._http.rows(statement, key)
            found.update({row.time_ms: row for row in told.rows if row.time_ms in wanted})
            if told.last_ms is not None and (told.cut or told.seen >= limit):
                end = bisect_right(times, told.last_ms, at)
            at = end
        return found

    async def _extent(self, key: Key) -> tuple[str, array[int]] | None:
        """Return quantity and span of what a channel has already, None for nothing."""
        try:
            async with self._asking:
                first = influxql.ends(await self._http.query(influxql.extent_of(*key, "first")))
                last = influxql.ends(await self._http.query(influxql.extent_of(*key, "last")))
        except RefusedQueryError:
            # Not to be known of InfluxDB 3 Core: it may be anywhere, and is always asked for.
            quantity = self._quantities.get(key, line.UNKNOWN)
            return quantity, array("q", (line.TIME_MIN_MS, line.TIME_MAX_MS))
        if not first or not last:
            return None
        quantity = max(last, key=lambda one: one[1])[0]
        edges = (min(time_ms for _, time_ms in first), max(time_ms for _, time_ms in last))
        return quantity, array("q", edges)
