"""What a time-series store can do; only the recorder writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_aggregator.store.model import (
        Aside,
        KeptAside,
        MetaFact,
        Origin,
        Page,
        Receipt,
        StoredReading,
        StoreHealth,
    )

ASIDES_MAX = 100_000  # kept for people to look at: about 100 MB at 1 kB each
ASIDES_MAX_B = 1024 * 1024 * 1024  # of their bodies: a whole batch set aside may have 64 kB
REFUSED_MAX, REFUSED_MAX_B = ASIDES_MAX, ASIDES_MAX_B  # of readings that are nowhere else
ASIDES_OF_ONE = 10  # at most one part in so many of either is any one gateway's


class TimeSeriesStore(Protocol):
    """Series of readings by (station, channel, time), the first value of an identity stays."""

    async def open(self) -> None:
        """Make ready; StoreError where that fails."""

    async def close(self) -> None:
        """Let go of everything."""

    async def write(
        self,
        rows: Sequence[StoredReading],
        asides: Sequence[Aside] = (),
        positions: Mapping[int, int] | None = None,
        metas: Sequence[MetaFact] = (),
        origins: Sequence[Origin] = (),
    ) -> Receipt:
        """Write rows, asides, channel facts and the recorder's positions in one transaction.

        Durable when it returns. A second, different value of an identity is not stored as a row:
        it is counted, and kept as an aside `value_conflict`. `origins` say in whose name.

        Raises:
            StoreError: nothing was written.
        """

    @property
    def adoption(self) -> int:
        """Return a number that changes when rows were found that nobody here had written.

        0 where there never were: whatever is made of the rows is then made of what was written.
        """

    async def position(self) -> dict[int, int]:
        """Return the recorder's positions by partition, as of the last write."""

    async def latest(self, keys: Sequence[tuple[str, str]] | None = None) -> list[StoredReading]:
        """Return the latest reading of each (station, channel); all of them for None."""

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return readings with from_ms <= time < to_ms in time order, at most `limit`."""

    async def asides(self, limit: int, before_id: int | None = None) -> list[KeptAside]:
        """Return what was set aside, newest first."""

    async def metas(self) -> list[MetaFact]:
        """Return the newest facts of each channel."""

    async def health(self) -> StoreHealth:
        """Return how the store is; never raises StoreError."""
