"""Series as CSV, read while the centre runs, a page at a time: memory does not grow with the span.

The columns are `RAW_COLUMNS` and `TIER_COLUMNS`. Times are RFC 3339 in UTC; names of reasons and
notes are joined by blanks; an empty field is none. What is exported raw can be imported again.
"""

from __future__ import annotations

import asyncio
import csv
from typing import IO, TYPE_CHECKING, NamedTuple

from egret_aggregator.api.times import rfc3339
from egret_aggregator.charts import Charts, Tier
from egret_aggregator.roller import readings
from egret_aggregator.store.model import Note, StoredReading
from egret_core.buckets import floor
from egret_core.quality import Reason, bit_names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.store import TimeSeriesStore
    from egret_aggregator.store.rollups import Rollups
    from egret_core.buckets import Bucket

RAW_COLUMNS = (
    *("station", "channel", "time", "value", "unit", "datum", "raw"),
    *("flag", "reasons", "notes", "lag_ms"),
)
TIER_COLUMNS = (
    *("station", "channel", "time", "count", "n", "min", "min_time", "max", "max_time"),
    *("mean", "sum", "first", "first_time", "last", "last_time", "unit", "datum", "worst"),
)
SPAN_MS = 30 * 86_400_000  # of a tier read at a time: 4,320 buckets
MARKED_S = 5.0  # waited for a running centre's rollups: they look every second
LOOK_S = 0.1
TELL_ROWS = 20_000  # between two words of progress


class Told(NamedTuple):
    """How far an export is."""

    channel: int
    channels: int
    rows: int


class Export:
    """One export.

    Args:
        store, rollups: what is read.
        places: units of known channels; unknown ones have an empty unit.
        tell: told of progress.
    """

    def __init__(
        self,
        store: TimeSeriesStore,
        rollups: Rollups,
        places: Catalogue,
        tell: Callable[[Told], None],
    ) -> None:
        self._store = store
        self._rollups = rollups
        self._charts = Charts(store, rollups)
        self._places = places
        self._tell = tell

    async def channels(self, stations: Sequence[str]) -> list[tuple[str, str]]:
        """Return every channel that has a reading, of these stations or, for none, of all."""
        rows = await self._store.latest()
        return [(r.station, r.channel) for r in rows if not stations or r.station in stations]

    async def marked(self, wait_s: float = MARKED_S) -> bool:
        """Wait, not for long, until the rollups know of all that is recorded by now.

        What is recorded and not yet marked is missing in a tier and counted nowhere.
        """
        loop = asyncio.get_running_loop()
        wanted, end_s = await self._store.position(), loop.time() + wait_s
        while True:
            reached = (await self._rollups.progress()).positions
            if all(reached.get(part, 0) >= at for part, at in wanted.items()):
                return True
            if loop.time() >= end_s:
                return False
            await asyncio.sleep(LOOK_S)

    async def write(
        self, file: IO[str], keys: Sequence[tuple[str, str]], tier: Tier, from_ms: int, to_ms: int
    ) -> tuple[int, int]:
        """Write channels one after another; return the rows, and the buckets that were not rolled.

        Raises:
            StoreError: the store does not answer; the file is not whole.
        """
        out = csv.writer(file, lineterminator="\n")
        out.writerow(RAW_COLUMNS if tier is Tier.RAW else TIER_COLUMNS)
        rows = self._pending = 0
        for number, key in enumerate(keys):
            self._tell(Told(number, len(keys), rows))
            async for line in self._lines(key, tier, from_ms, to_ms):
                out.writerow(line)
                rows += 1
                if rows % TELL_ROWS == 0:
                    self._tell(Told(number, len(keys), rows))
        self._tell(Told(len(keys), len(keys), rows))
        return rows, self._pending

    async def _lines(
        self, key: tuple[str, str], tier: Tier, from_ms: int, to_ms: int
    ) -> AsyncIterator[Sequence[object]]:
        place = self._places.place(*key)
        measure = ("", "") if place is None else (place.unit, place.datum)
        if tier is Tier.RAW:
            async for row in readings(self._store, key, from_ms, to_ms):
                yield _raw(row, measure)
            return
        # Whole buckets, as charts give them: the last one has its hour's other marks too.
        at_ms, upto_ms = floor(from_ms, tier.width_ms), -floor(-to_ms, tier.width_ms)
        while at_ms < upto_ms:
            end_ms = min(at_ms + SPAN_MS, upto_ms)
            buckets, pending = await self._charts.rolled(key, tier, at_ms, end_ms)
            self._pending += pending
            for bucket in buckets:
                yield (*key, *_bucket(bucket, measure))
            at_ms = end_ms


def _raw(row: StoredReading, measure: tuple[str, str]) -> Sequence[object]:
    return (
        row.station,
        row.channel,
        rfc3339(row.time_ms),
        row.value,
        *measure,
        row.raw,
        row.flag,
        " ".join(bit_names(row.reasons, Reason)),
        " ".join(bit_names(row.notes, Note)),
        row.lag_ms,
    )


def _bucket(bucket: Bucket, measure: tuple[str, str]) -> Sequence[object]:
    def instant(time_ms: int | None) -> str | None:
        return None if time_ms is None else rfc3339(time_ms)

    return (
        rfc3339(bucket.at_ms),
        bucket.seen,
        bucket.n,
        bucket.low,
        instant(bucket.low_ms),
        bucket.high,
        instant(bucket.high_ms),
        bucket.mean,
        bucket.total,
        bucket.first,
        instant(bucket.first_ms),
        bucket.last,
        instant(bucket.last_ms),
        *measure,
        bucket.worst,
    )
