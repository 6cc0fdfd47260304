"""The newest entries in memory, so that consumers that keep up never touch the disk.

While the journal is full, fresh batches that were not taken live here only: the judge sees them
in this small ring, nobody is acknowledged, and a restart forgets them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egret_aggregator.journal.entry import Entry

TAIL_MAX_B = 16 * 1024 * 1024  # payload bytes; about 10,000 usual batches
_ENTRY_B = 300  # what an entry costs beside its payload


class Tail:
    """Recent entries by id; `heads` is the newest id of each partition, in memory or not.

    Args:
        heads: newest id per partition that is on disk at the start.
    """

    def __init__(self, heads: Mapping[int, int]) -> None:
        self.heads = dict(heads)
        self._evicted = dict(heads)
        self._entries: deque[Entry] = deque()
        self._bytes = 0

    @property
    def newest(self) -> int:
        """Return the newest id, 0 for none."""
        return max(self.heads.values(), default=0)

    @property
    def evicted(self) -> int:
        """Return the newest id that is on disk only, 0 for none."""
        return max(self._evicted.values(), default=0)

    def add(self, entries: Iterable[Entry]) -> None:
        """Take entries in id order; the oldest leave, the newest always stays."""
        for entry in entries:
            self._entries.append(entry)
            self.heads[entry.partition] = entry.id
            self._bytes += len(entry.payload) + _ENTRY_B
        while self._bytes > TAIL_MAX_B and len(self._entries) > 1:
            gone = self._entries.popleft()
            self._evicted[gone.partition] = gone.id
            self._bytes -= len(gone.payload) + _ENTRY_B

    def waiting(self, position: int) -> Entry | None:
        """Return the oldest entry in memory after a position; None where there is none."""
        return next((entry for entry in self._entries if entry.id > position), None)

    def covers(self, positions: Mapping[int, int]) -> bool:
        """Tell whether everything after the positions is in memory."""
        for partition, head in self.heads.items():
            position = positions.get(partition, 0)
            if head > position and self._evicted.get(partition, 0) > position:
                return False
        return True

    def after(self, positions: Mapping[int, int], limit: int) -> list[Entry]:
        """Return what memory holds after the positions, in id order, at most `limit`."""
        pending = [
            positions.get(partition, 0)
            for partition, head in self.heads.items()
            if head > positions.get(partition, 0)
        ]
        if not pending:
            return []
        floor = min(pending)
        found: list[Entry] = []
        for entry in reversed(self._entries):
            if entry.id <= floor:
                break
            if entry.id > positions.get(entry.partition, 0):
                found.append(entry)
        return found[: -limit - 1 : -1]
