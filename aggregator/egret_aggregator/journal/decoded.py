"""One parse for all consumers: the last batches read, bounded by their entries."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from egret_core.codec import decode_batch
from egret_core.entries import Readings, read_readings

if TYPE_CHECKING:
    from egret_aggregator.journal.entry import Entry
    from egret_core.messages import Batch

ENTRIES_MAX = 120_000  # about 1 kB each once parsed: 120 MB; a judge this far behind parses anew


class DecodeCache:
    """Batches and their readings by entry id; the oldest give way."""

    def __init__(self) -> None:
        self._batches: OrderedDict[int, Batch] = OrderedDict()
        self._readings: dict[int, Readings] = {}
        self._weight = 0

    def put(self, entry_id: int, batch: Batch) -> None:
        """Keep a batch that is parsed already."""
        if entry_id in self._batches:
            return
        self._batches[entry_id] = batch
        self._weight += len(batch.entries)
        while self._weight > ENTRIES_MAX and len(self._batches) > 1:
            old, dropped = self._batches.popitem(last=False)
            self._weight -= len(dropped.entries)
            self._readings.pop(old, None)

    def batch(self, entry: Entry) -> Batch:
        """Return the batch of an entry; WireError if its payload is none (never from intake)."""
        found = self._batches.get(entry.id)
        if found is None:
            found = decode_batch(entry.payload)
            self.put(entry.id, found)
        return found

    def readings(self, entry: Entry) -> Readings:
        """Return the readings of an entry of kind `readings`; shared: do not change them."""
        found = self._readings.get(entry.id)
        if found is None:
            found = read_readings(self.batch(entry))
            if entry.id in self._batches:
                self._readings[entry.id] = found
        return found
