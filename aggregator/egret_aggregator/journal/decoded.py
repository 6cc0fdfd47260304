"""One parse for all consumers: the last batches read, bounded by their entries.

What the intake has parsed lies on a shelf of its own. A consumer that has fallen behind that shelf
parses anew what it reads, and must not push from it what it will come to next: once behind, it
would parse every batch a second time for as long as the load lasts.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from egret_core.codec import decode_batch
from egret_core.entries import Readings, read_readings

if TYPE_CHECKING:
    from egret_aggregator.journal.entry import Entry
    from egret_core.messages import Batch

# Entries, about 1 kB each once parsed: 120 MB in all.
FRESH_MAX = 80_000  # as the intake parsed them
ANEW_MAX = 40_000  # as consumers parsed them: one run of the recorder's, for the judge beside it


class DecodeCache:
    """Batches and their readings by entry id; the oldest give way."""

    def __init__(self) -> None:
        self._fresh = _Shelf(FRESH_MAX)
        self._anew = _Shelf(ANEW_MAX)
        self._readings: dict[int, Readings] = {}

    def put(self, entry_id: int, batch: Batch) -> None:
        """Keep a batch that the intake has parsed."""
        self._keep(self._fresh, entry_id, batch)

    def batch(self, entry: Entry) -> Batch:
        """Return the batch of an entry; WireError if its payload is none (never from intake)."""
        found = self._fresh.get(entry.id) or self._anew.get(entry.id)
        if found is None:
            found = decode_batch(entry.payload)
            self._keep(self._anew, entry.id, found)
        return found

    def readings(self, entry: Entry) -> Readings:
        """Return the readings of an entry of kind `readings`; shared: do not change them."""
        found = self._readings.get(entry.id)
        if found is None:
            found = self._readings[entry.id] = read_readings(self.batch(entry))
        return found

    def _keep(self, shelf: _Shelf, entry_id: int, batch: Batch) -> None:
        if entry_id not in shelf:
            for old in shelf.put(entry_id, batch):
                self._readings.pop(old, None)


class _Shelf(OrderedDict[int, "Batch"]):
    """Batches by entry id, at most so many entries in all; the newest always stays."""

    def __init__(self, entries_max: int) -> None:
        super().__init__()
        self._entries_max = entries_max
        self._weight = 0

    def put(self, entry_id: int, batch: Batch) -> list[int]:
        """Keep a batch; return which have given way."""
        self[entry_id] = batch
        self._weight += len(batch.entries)
        gone = []
        while self._weight > self._entries_max and len(self) > 1:
            old, dropped = self.popitem(last=False)
            self._weight -= len(dropped.entries)
            gone.append(old)
        return gone
