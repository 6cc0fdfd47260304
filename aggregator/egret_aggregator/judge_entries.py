"""What the judge needs of the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egret_aggregator.journal.entry import Entry


class Entries(Protocol):
    """The journal, as far as its one consumer that keeps a state goes."""

    async def load(self, consumer: str) -> tuple[dict[int, int], dict[str, bytes]]:
        """Return positions by partition, and the saved state by key."""
        ...

    async def read(self, positions: Mapping[int, int], limit: int) -> list[Entry]:
        """Return the entries after these positions, in id order."""
        ...

    async def save(
        self, consumer: str, positions: Mapping[int, int], changed: Mapping[str, bytes | None]
    ) -> None:
        """Make positions and changed state durable, together."""
        ...

    async def wait(self, after_id: int) -> None:
        """Return when an entry with a greater id is committed."""
        ...

    async def change(self, payload: bytes, now_ms: int) -> int:
        """Commit a change entry and return its id."""
        ...
