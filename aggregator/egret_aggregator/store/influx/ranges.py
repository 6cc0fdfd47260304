"""Rows of one channel in a span: as many questions as one server needs.

Points of another writer are left out and counted. A span that InfluxDB 3 Core refuses as too long
is asked for in pieces, where the channel may have rows.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from typing import TYPE_CHECKING

from egret_aggregator.store.influx import influxql, line, server
from egret_aggregator.store.influx.influxql import RefusedQueryError
from egret_aggregator.store.model import Page

if TYPE_CHECKING:
    from egret_aggregator.store.influx.book import Book
    from egret_aggregator.store.influx.client import InfluxHttp
    from egret_aggregator.store.influx.sift import Key
    from egret_aggregator.store.model import StoredReading

PIECE_MS = (server.CORE_SPAN_H - 2) * 3_600_000  # of one question, within what Core answers
PIECES_MAX = 64  # questions of one answer: half a year without a row; the next goes on from there

_log = logging.getLogger(__name__)


class Ranges:
    """Reads one bucket.

    Args:
        http: to ask the server; book: where channels may have rows.
    """

    def __init__(self, http: InfluxHttp, book: Book) -> None:
        self._http = http
        self._book = book
        self.left_out = 0  # points of another writer met in answers since the start

    async def read(self, key: Key, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return rows with from <= time < to, at most `limit`.

        Raises:
            StoreError: the server does not answer.
            RefusedQueryError: it refuses the span, and its pieces hold no row or are too many.
        """
        try:
            return await self._whole(key, from_ms, to_ms, limit)
        except RefusedQueryError as error:
            if not server.is_too_long(str(error)):
                raise
            page = await self._pieces(key, (from_ms, to_ms), limit)
            if page is None:
                raise
            return page

    async def _whole(self, key: Key, from_ms: int, to_ms: int, limit: int) -> Page:
        rows: list[StoredReading] = []
        while from_ms < to_ms and from_ms <= line.TIME_MAX_MS and to_ms > line.TIME_MIN_MS:
            ask = limit + 1 - len(rows)
            statement = influxql.rows_of(*key, from_ms, to_ms, ask)
            found = await self._http.rows(statement, key)
            rows += found.rows
            left_out = found.seen - len(found.rows)
            if len(rows) > limit or not left_out or found.last_ms is None:
                return Page(rows[:limit], found.cut or len(rows) > limit)
            self._leave_out(left_out, key)
            if not found.cut and found.seen < ask:
                break
            from_ms = found.last_ms + 1
        return Page(rows, truncated=False)

    async def _pieces(self, key: Key, span: tuple[int, int], limit: int) -> Page | None:
        """Ask piece by piece; None where so many hold nothing."""
        spans = self._book.within(key)
        at, end_ms = span
        if spans:
            at, end_ms = max(at, spans[0]), min(end_ms, spans[-1] + 1)
        rows: list[StoredReading] = []
        for _ in range(PIECES_MAX):
            piece = bisect_right(spans, at)
            if spans and piece % 2 == 0 and piece < len(spans) and at != spans[piece - 1]:
                at = spans[piece]  # between two spans there is nothing
            if at >= end_ms:
                return Page(rows, truncated=False)
            upto_ms = min(at + PIECE_MS, end_ms)
            page = await self._whole(key, at, upto_ms, limit - len(rows))
            rows += page.rows
            if page.truncated:
                return Page(rows, truncated=True)
            at = upto_ms
        return Page(rows, truncated=True) if rows else None

    def _leave_out(self, points: int, key: Key) -> None:
        """Count the points of another writer; the first is told."""
        if not self.left_out:
            _log.error("event=influx_foreign_points channel=%r", "/".join(key))
        self.left_out += points
