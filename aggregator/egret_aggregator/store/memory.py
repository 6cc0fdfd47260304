"""A store in memory: the oracle that others are tested against."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.store.asides import limits, pool_of, share_of
from egret_aggregator.store.model import (
    Aside,
    KeptAside,
    MetaFact,
    Origin,
    Page,
    Receipt,
    StoredReading,
    StoreHealth,
    as_of_ms,
)
from egret_aggregator.store.origins import CONFLICT, Origins

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def content(row: StoredReading) -> tuple[float | None, float | None, int, int]:
    """Return what must be equal for a second reading of an identity to be a duplicate."""
    return row.value, row.raw, row.flag, row.reasons


def identity(aside: Aside) -> tuple[object, ...]:
    """Return what makes an aside the same one when it comes again: all but its receipt."""
    return (*aside[:5], aside.body)


class MemoryStore:
    """Plain dictionaries; the meaning of `TimeSeriesStore` in its shortest form."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int], StoredReading] = {}
        self._asides: dict[tuple[object, ...], KeptAside] = {}
        self._next_aside = 1
        self._dropped = 0
        self._metas: dict[tuple[str, str], MetaFact] = {}
        self._positions: dict[int, int] = {}
        self._conflicts = 0

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing; the contents stay."""

    async def write(
        self,
        rows: Sequence[StoredReading],
        asides: Sequence[Aside] = (),
        positions: Mapping[int, int] | None = None,
        metas: Sequence[MetaFact] = (),
        origins: Sequence[Origin] = (),
    ) -> Receipt:
        """Write; see `TimeSeriesStore.write`."""
        accepted = duplicates = conflicts = 0
        kept = list(asides)
        senders = Origins(rows, origins)
        for row in rows:
            key = (row.station, row.channel, row.time_ms)
            first = self._rows.get(key)
            if first is None:
                self._rows[key] = row
                accepted += 1
            elif content(first) == content(row):
                duplicates += 1
            else:
                conflicts += 1
                kept.append(senders.aside(row, CONFLICT))
        self._conflicts += conflicts
        self._keep(kept)
        for fact in metas:
            name = (fact.meta.station, fact.meta.channel)
            old = self._metas.get(name)
            if old is None or (old.since_ms, old.version) <= (fact.since_ms, fact.version):
                self._metas[name] = fact
        self._positions.update(positions or {})
        return Receipt(accepted, duplicates, conflicts)

    @property
    def adoption(self) -> int:
        """Return 0: its file has what was written through it."""
        return 0

    async def position(self) -> dict[int, int]:
        """Return the recorder's positions."""
        return dict(self._positions)

    async def latest(self, keys: Sequence[tuple[str, str]] | None = None) -> list[StoredReading]:
        """Return the latest reading of each channel, by station and channel."""
        best: dict[tuple[str, str], StoredReading] = {}
        for row in self._rows.values():
            key = (row.station, row.channel)
            old = best.get(key)
            if old is None or (as_of_ms(row), row.time_ms) > (as_of_ms(old), old.time_ms):
                best[key] = row
        wanted = None if keys is None else set(keys)
        return [best[key] for key in sorted(best) if wanted is None or key in wanted]

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return rows of one channel in [from, to)."""
        found = sorted(
            (
                row
                for key, row in self._rows.items()
                if key[:2] == (station, channel) and from_ms <= key[2] < to_ms
            ),
            key=lambda row: row.time_ms,
        )
        return Page(found[:limit], len(found) > limit)

    async def asides(self, limit: int, before_id: int | None = None) -> list[KeptAside]:
        """Return asides, newest first."""
        newest_first = reversed(list(self._asides.values()))
        found = [kept for kept in newest_first if before_id is None or kept.id < before_id]
        return found[:limit]

    async def metas(self) -> list[MetaFact]:
        """Return the newest facts of each channel."""
        return [self._metas[key] for key in sorted(self._metas)]

    async def health(self) -> StoreHealth:
        """Return how the store is."""
        return StoreHealth("memory", 0, self._conflicts, len(self._asides), self._dropped, "")

    def _keep(self, asides: Sequence[Aside]) -> None:
        for aside in asides:
            key = identity(aside)
            if key not in self._asides:
                self._asides[key] = KeptAside(self._next_aside, aside)
                self._next_aside += 1
        for share in sorted({share_of(aside) for aside in asides}):
            self._give_way(pool_of(share), share)
        for pool in sorted({pool_of(share_of(aside)) for aside in asides}):
            self._give_way(pool, None)

    def _give_way(self, pool: str, share: str | None) -> None:
        rows_max, bytes_max = limits(pool, whole=share is None)
        while True:
            own = [
                (key, len(kept.aside.body))
                for key, kept in self._asides.items()
                if pool_of(share_of(kept.aside)) == pool
                and (share is None or share_of(kept.aside) == share)
            ]
            if len(own) <= rows_max and sum(size for _, size in own) <= bytes_max:
                return
            del self._asides[own[0][0]]
            self._dropped += 1
