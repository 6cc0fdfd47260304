"""How long each tier is kept: raw readings, ten minutes, hours; a station's day at a time.

Only the SQLite store's raw readings are removed here; of a database they are its administrator's.

A clock years ahead must not empty the series: age counts from the newest good reading where that is
before now, and a running centre whose clock leapt removes nothing more.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from egret_aggregator.charts import Tier
from egret_aggregator.errors import AggregatorError
from egret_aggregator.store.model import Note
from egret_aggregator.store.removal import Found
from egret_core.buckets import floor
from egret_core.quality import is_good

if TYPE_CHECKING:
    from collections.abc import Callable

    from egret_aggregator.clock import Clock
    from egret_aggregator.config import RetentionSettings
    from egret_aggregator.store import SqliteStore, StoredReading
    from egret_aggregator.store.rollups import Rollups

DAY_MS = 86_400_000
REST_MS = 3_600_000  # a day that something came to within the last hour is left for the next round
ROUND_S = 3600.0  # between two rounds, on the centre's clock
STEP_MAX_MS = DAY_MS  # the wall clock may leap so far while we run: a horizon moves by whole days
PAUSE_S = 0.05  # real time between two transactions: the recorder writes in between

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Account:
    """What went, or would go, of one tier.

    Attributes:
        tier: which; before_ms: what is older goes, None where it is kept for ever.
        rows: how many; stations: of which places.
        first_ms, last_ms: their span, None for none.
        left_days: days of stations that must wait: not rolled yet, or something came lately.
    """

    tier: Tier
    before_ms: int | None
    rows: int = 0
    stations: set[str] = field(default_factory=set)
    first_ms: int | None = None
    last_ms: int | None = None
    left_days: int = 0

    def add(self, station: str, found: Found) -> None:
        """Add a station's rows."""
        if found.first_ms is None or found.last_ms is None:
            return
        self.rows += found.rows
        self.stations.add(station)
        self.first_ms = min(found.first_ms, self.first_ms or found.first_ms)
        self.last_ms = max(found.last_ms, self.last_ms or found.last_ms)


class Horizon(NamedTuple):
    """Until when a tier is removed."""

    tier: Tier
    before_ms: int | None


def horizons(settings: RetentionSettings, now_ms: int) -> list[Horizon]:
    """Return until when each tier is removed: whole UTC days, None for never."""
    days = {
        Tier.RAW: settings.raw_days,
        Tier.TEN_MIN: settings.ten_min_days,
        Tier.HOUR: settings.hour_days,
    }
    return [
        Horizon(tier, floor(now_ms - kept * DAY_MS, DAY_MS) if kept else None)
        for tier, kept in days.items()
    ]


class Series(Protocol):
    """What retention asks of any kind of store."""

    async def latest(self) -> list[StoredReading]:
        """Return the latest reading of each channel."""
        ...


class Retention:
    """Removes what is older than the settings keep.

    Args:
        store: whose raw readings are removed; None where a database keeps them.
        rollups: the other tiers, and how far they have taken raw readings.
        settings: how long each tier is kept.
        series: of whatever kind of store, whose newest reading says how late it is at least.
    """

    def __init__(
        self,
        store: SqliteStore | None,
        rollups: Rollups,
        settings: RetentionSettings,
        series: Series,
    ) -> None:
        self._store = store
        self._rollups = rollups
        self._settings = settings
        self._series = series
        self._began: tuple[int, float] | None = None  # wall clock and monotonic at the first round
        self.removed = 0

    async def run(self, clock: Clock) -> None:
        """Remove until cancelled, a round an hour; a failure is logged and tried again."""
        while True:
            try:
                for account in await self._round(clock):
                    if account.rows or account.left_days:
                        _log.info(
                            "event=retained tier=%s removed=%d left_days=%d",
                            account.tier,
                            account.rows,
                            account.left_days,
                        )
            except AggregatorError as error:
                _log.error("event=retain_failed error=%r", str(error))
            await clock.sleep(ROUND_S)

    async def plan(self, now_ms: int) -> list[Account]:
        """Return what would go by now, if nothing had to wait."""
        age_from_ms = await self._age_from_ms(now_ms)
        return [await self._planned(item) for item in horizons(self._settings, age_from_ms)]

    async def remove(self, now_ms: Callable[[], int], pause_s: float = 0.0) -> list[Account]:
        """Remove what is old enough; return what went.

        Raises:
            StoreError: a file does not answer; what went is gone, nothing is half done.
        """
        waiting: set[tuple[str, int]] = set()
        age_from_ms = await self._age_from_ms(now_ms())
        return [
            await self._removed(item, pause_s, waiting)
            for item in horizons(self._settings, age_from_ms)
        ]

    async def _round(self, clock: Clock) -> list[Account]:
        now_ms = clock.now_ms()
        if self._began is None:
            self._began = (now_ms, clock.monotonic_s())
        began_ms, began_s = self._began
        leapt_ms = now_ms - began_ms - clock.elapsed_ms(began_s)
        if leapt_ms > STEP_MAX_MS:
            _log.error(
                "event=retain_refused clock_leapt_days=%d remedy=%r",
                leapt_ms // DAY_MS,
                "set the clock right, or restart the centre where it is right now",
            )
            return []
        return await self.remove(clock.now_ms, PAUSE_S)

    async def _age_from_ms(self, now_ms: int) -> int:
        """Return now, or when the newest good reading was taken where that is earlier."""
        newest_ms = max(
            (
                row.time_ms
                for row in await self._series.latest()
                if is_good(row.flag, row.reasons) and not row.notes & Note.CLOCK_AHEAD
            ),
            default=_EVER,
        )
        return min(now_ms, newest_ms)

    async def _planned(self, item: Horizon) -> Account:
        account = Account(*item)
        if item.before_ms is None:
            return account
        if item.tier is not Tier.RAW:
            for station in await self._rollups.oldest(item.tier.width_ms, _EVER):
                found = await self._rollups.found(item.tier.width_ms, station, item.before_ms)
                account.add(station, found)
        elif self._store is not None:
            for station in await self._store.oldest(_EVER):
                account.add(station, await self._store.found(station, item.before_ms))
        return account

    async def _removed(
        self, item: Horizon, pause_s: float, waiting: set[tuple[str, int]]
    ) -> Account:
        """Remove what is due of a tier; a day that waits here waits in the coarser tiers too."""
        account = Account(*item)
        if item.before_ms is None or (item.tier is Tier.RAW and self._store is None):
            return account
        from_ms = _EVER
        while True:
            oldest = await self._oldest(item.tier, from_ms)
            due = {name: ms for name, ms in oldest.items() if ms < item.before_ms}
            if not due:
                return account
            day_ms = floor(min(due.values()), DAY_MS)
            from_ms = day_ms + DAY_MS
            for station in [name for name, ms in due.items() if ms < from_ms]:
                rows = None
                if (station, day_ms) not in waiting:
                    rows = await self._day(item.tier, station, day_ms)
                if rows is None:
                    waiting.add((station, day_ms))
                    account.left_days += 1
                account.add(station, Found(rows or 0, day_ms if rows else None, from_ms - 1))
                self.removed += rows or 0
                await asyncio.sleep(pause_s)

    async def _oldest(self, tier: Tier, from_ms: int) -> dict[str, int]:
        if tier is not Tier.RAW:
            return dict(await self._rollups.oldest(tier.width_ms, from_ms))
        return {} if self._store is None else dict(await self._store.oldest(from_ms))

    async def _day(self, tier: Tier, station: str, day_ms: int) -> int | None:
        """Remove a station's day; None where it must wait."""
        span = (day_ms, day_ms + DAY_MS)
        if tier is not Tier.RAW:
            return await self._rollups.remove(tier.width_ms, station, *span)
        if self._store is None:
            return 0
        rolled_ms = (await self._rollups.progress()).rolled_to_ms
        if not await self._store.at_rest(station, span, rolled_ms - REST_MS):
            return None
        if not await self._rollups.seal(station, *span):
            return None
        rows = 0
        while part := await self._store.remove(station, *span):
            rows += part
        return rows


_EVER = -(2**62)  # before any instant
