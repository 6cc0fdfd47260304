"""Buckets of any width for charts: from the coarsest rollup that gives them exactly, else raw.

What is not rolled yet (the running ten minutes, what came late) is taken from the store on the
way, so that the answer is the same whichever tier it comes from.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.roller import fresh, point
from egret_core.buckets import HOUR_MS, TEN_MIN_MS, Bucket, coarser, floor, gather

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egret_aggregator.store import TimeSeriesStore
    from egret_aggregator.store.rollups import Rollups

WIDTH_RAW_MAX_MS = HOUR_MS  # wider ones are made of rollups: nobody reads a year of raw readings
WIDTH_MAX_MS = 400 * 86_400_000  # a year and a month
RAW_ROWS_MAX = 100_000  # readings looked at for one answer: half a second
FRESH_MAX = 144  # buckets taken from the store on the way: a day of one channel


class Tier(StrEnum):
    """What an answer is made of."""

    RAW = "raw"
    TEN_MIN = "10min"
    HOUR = "1h"

    @property
    def width_ms(self) -> int:
        """Width of its rows, 0 for raw."""
        return {Tier.RAW: 0, Tier.TEN_MIN: TEN_MIN_MS, Tier.HOUR: HOUR_MS}[self]


class BucketPage(NamedTuple):
    """Buckets in time order.

    Attributes:
        buckets: those with readings in them.
        tier: what they are made of.
        to_ms: where this page ends; less than was asked for where it is full.
        pending: ten-minute buckets in it that changed and could not be made anew for this answer,
            because they are too many: rolling is behind.
    """

    buckets: list[Bucket]
    tier: Tier
    to_ms: int
    pending: int


def tier_of(width_ms: int) -> Tier:
    """Return the tier that gives a width exactly, from the fewest rows.

    Raises:
        ValueError: the width is not positive, too large, or wide and no multiple of ten minutes.
    """
    if not 0 < width_ms <= WIDTH_MAX_MS:
        raise ValueError(f"write 0.001 to {WIDTH_MAX_MS // 1000} seconds")
    if width_ms % HOUR_MS == 0:
        return Tier.HOUR
    if width_ms % TEN_MIN_MS == 0:
        return Tier.TEN_MIN
    if width_ms > WIDTH_RAW_MAX_MS:
        raise ValueError("above an hour write a multiple of 600 seconds")
    return Tier.RAW


class Charts:
    """Buckets over a store and its rollups."""

    def __init__(self, store: TimeSeriesStore, rollups: Rollups) -> None:
        self._store = store
        self.rollups = rollups

    async def buckets(
        self, key: tuple[str, str], from_ms: int, to_ms: int, width_ms: int, limit: int
    ) -> BucketPage:
        """Return a channel's buckets with from <= start < to, of at most `limit` widths.

        Buckets are whole and start at multiples of the width since 1970 UTC: `from` is moved back
        and `to` forward to one.

        Raises:
            ValueError: as `tier_of`.
            StoreError: the store or the rollups do not answer.
        """
        tier = tier_of(width_ms)
        start_ms = floor(from_ms, width_ms)
        end_ms = min(-floor(-to_ms, width_ms), start_ms + limit * width_ms)
        if tier is Tier.RAW:
            return await self._raw(key, start_ms, end_ms, width_ms)
        parts, pending = await self.rolled(key, tier, start_ms, end_ms)
        return BucketPage(coarser(parts, width_ms), tier, end_ms, pending)

    async def rolled(
        self, key: tuple[str, str], tier: Tier, from_ms: int, to_ms: int
    ) -> tuple[list[Bucket], int]:
        """Return a tier's rows with what is not rolled yet, and how many buckets are left out."""
        marks = await self.rollups.marked(key, from_ms, to_ms)
        rebuild_ms = await self.rollups.rebuild_from(key)
        pending = max(0, len(marks) - FRESH_MAX)
        if rebuild_ms is not None and rebuild_ms < to_ms:
            pending += (to_ms - max(from_ms, rebuild_ms)) // TEN_MIN_MS
        rows = await self.rollups.rows(key, tier.width_ms, from_ms, to_ms)
        starts = marks[-FRESH_MAX:]
        if not starts:
            return rows, pending
        made = await fresh(self._store, key, starts)
        if tier is Tier.TEN_MIN:
            return _over(rows, made), pending
        hours = sorted({floor(start, HOUR_MS) for start in starts})
        parts: list[Bucket] = []
        for at in hours:
            parts += await self.rollups.rows(key, TEN_MIN_MS, at, at + HOUR_MS)
        return _over(rows, coarser(_over(parts, made), HOUR_MS)), pending

    async def _raw(
        self, key: tuple[str, str], from_ms: int, to_ms: int, width_ms: int
    ) -> BucketPage:
        """Read raw readings as far as one answer goes, but at least one whole bucket."""
        limit = RAW_ROWS_MAX
        while True:
            page = await self._store.range(*key, from_ms, to_ms, limit)
            end_ms = floor(page.rows[-1].time_ms, width_ms) if page.truncated else to_ms
            whole = [row for row in page.rows if row.time_ms < end_ms]
            if whole or not page.truncated:
                buckets = gather(map(point, whole), width_ms)
                return BucketPage(buckets, Tier.RAW, end_ms, 0)
            limit *= 4


def _over(rows: Sequence[Bucket], newer: Sequence[Bucket]) -> list[Bucket]:
    """Return rows with newer ones in their places; fewer readings never replace more."""
    found = {row.at_ms: row for row in rows}
    for bucket in newer:
        old = found.get(bucket.at_ms)
        if old is None or bucket.seen >= old.seen:
            found[bucket.at_ms] = bucket
    return [found[at] for at in sorted(found)]
