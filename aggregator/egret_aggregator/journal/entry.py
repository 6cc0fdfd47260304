"""What the journal holds: entries in the order they were committed."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class EntryKind(StrEnum):
    """Kinds of entry."""

    BATCH = "batch"  # a batch, new to the journal
    CONFLICT = "conflict"  # a batch whose identity is known with another hash: kept aside
    TICK = "tick"  # the intake was running and subscribed at this instant
    CHANGE = "change"  # rules or catalogue take effect from here


class Entry(NamedTuple):
    """One committed entry.

    Attributes:
        id: position; grows by commit order, never reused.
        partition: 0 to 63 of its gateway, `egret_core.partition.ALL` for ticks and changes.
        kind: an `EntryKind`.
        gateway, log, seq: identity of the batch; "" and 0 for ticks and changes.
        received_ms: the centre's time of receipt.
        payload: the batch as sent; a change's JSON; empty for a tick.
    """

    id: int
    partition: int
    kind: EntryKind
    gateway: str
    log: str
    seq: int
    received_ms: int
    payload: bytes
