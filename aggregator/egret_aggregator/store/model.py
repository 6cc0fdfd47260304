"""What goes into a time-series store and what comes out; text keys, canonical units."""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple


class Note(IntFlag):
    """The centre's own flags: facts beside the gateway's quality, never over it."""

    NONE = 0
    CLOCK_AHEAD = 1  # more than 60 s ahead of its receipt: judged at receipt time
    UNKNOWN_CHANNEL = 2  # not in the catalogue: stored, not judged, shown


class StoredReading(NamedTuple):
    """One row of a series; identity (station, channel, time_ms).

    Attributes:
        time_ms: ms since 1970 UTC; value: canonical unit, None when missing.
        raw: as read, None where conversion is the identity.
        flag, reasons: the gateway's word; notes: the centre's (`Note`).
        lag_ms: receipt minus reading time, frozen at first receipt.
    """

    station: str
    channel: str
    time_ms: int
    value: float | None
    raw: float | None
    flag: int
    reasons: int
    notes: int
    lag_ms: int


class Page(NamedTuple):
    """Rows in time order, and whether more lie in the span than the limit let through."""

    rows: list[StoredReading]
    truncated: bool


class Receipt(NamedTuple):
    """What a write did, once it is durable."""

    accepted: int
    duplicates: int  # same identity, same content: nothing to do
    conflicts: int  # same identity, other content: the first stays, the second is counted


class Aside(NamedTuple):
    """Something that is kept and shown but is no series row.

    Attributes:
        gateway, log, seq, at: where it came from; at is the entry's index, -1 for a whole batch.
        why: `bad_entry: ...`, `foreign`, `conflict`, `undated`, `unknown_kind`, `value_conflict`.
        received_ms: the centre's receipt time; body: JSON text or the payload.
    """

    gateway: str
    log: str
    seq: int
    at: int
    why: str
    received_ms: int
    body: bytes
