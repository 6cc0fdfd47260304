"""What goes into a time-series store and what comes out; text keys, canonical units."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from egret_core.messages import ChannelMeta


class Note(IntFlag):
    """The centre's own flags: facts beside the gateway's quality, never over it."""

    NONE = 0
    CLOCK_AHEAD = 1  # more than 60 s ahead of its receipt: judged at receipt time
    UNKNOWN_CHANNEL = 2  # not in the catalogue: stored, not judged, shown
    IMPORTED = 4  # brought in from a file by an administrator: stored, not judged


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
    refused: int = 0  # rows that a foreign server will not have: kept as asides `store_refused`


class Aside(NamedTuple):
    """Something that is kept and shown but is no series row.

    Attributes:
        gateway, log, seq, at: where it came from; at is the entry's index, -1 for a whole batch.
        why: `bad_entry: ...`, `foreign`, `conflict`, `undated`, `unknown_kind`, `value_conflict`,
            `store_refused: ...`.
        received_ms: the centre's receipt time; body: JSON text or the payload.
    """

    gateway: str
    log: str
    seq: int
    at: int
    why: str
    received_ms: int
    body: bytes


class Origin(NamedTuple):
    """Where a run of a write's rows came from: those before `end`, after the run before it."""

    end: int
    gateway: str
    log: str
    seq: int


class KeptAside(NamedTuple):
    """An aside as it is kept: `id` grows with each one and pages through them."""

    id: int
    aside: Aside


class MetaFact(NamedTuple):
    """What a gateway said of one of its channels.

    Attributes:
        meta: the facts; gateway: whose word it is.
        version: hash of the gateway's whole meta (`mv`); since_ms: when it was cut.
    """

    meta: ChannelMeta
    gateway: str
    version: str
    since_ms: int


class StoreHealth(NamedTuple):
    """How the store is.

    Attributes:
        engine: name and version; used_b: bytes on disk, 0 in memory.
        conflicts: second values refused since the store was made.
        asides: kept ones; asides_dropped: oldest ones that gave way to the limit.
        last_error: of the last failed write or read, "" for none since the start.
    """

    engine: str
    used_b: int
    conflicts: int
    asides: int
    asides_dropped: int
    last_error: str


def as_of_ms(reading: StoredReading) -> int:
    """Return the instant a reading speaks for when the latest one is wanted.

    A reading ahead of its receipt speaks for the receipt: one dated 2100 must not be the latest
    for the rest of the century.
    """
    if reading.notes & Note.CLOCK_AHEAD:
        return reading.time_ms + reading.lag_ms
    return reading.time_ms
