"""Batches for tests: what a gateway would cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egret_aggregator.journal import Incoming
from egret_core.codec import decode_batch, encode_batch, payload_hash
from egret_core.entries import entries_of
from egret_core.messages import Batch, ClockSource, ClockStamp, Kind
from egret_core.reading import Reading
from egret_core.topics import Leaf

if TYPE_CHECKING:
    from collections.abc import Sequence

LOG = "0123456789abcdef0123456789abcdef"
OTHER_LOG = "fedcba9876543210fedcba9876543210"
T0_MS = 1_790_000_000_000


def series(
    count: int, *, station: str = "st1", channel: str = "wl", start_ms: int = T0_MS
) -> list[Reading]:
    return [Reading(station, channel, start_ms + 1000 * n, n / 8) for n in range(count)]


def batch(
    seq: int,
    readings: Sequence[Reading] = (),
    *,
    gateway: str = "gw1",
    log: str = LOG,
    kind: str = Kind.READINGS,
    entries: Sequence[Any] | None = None,
    cut_ms: int | None = None,
    extra: dict[str, Any] | None = None,
) -> Batch:
    base_ms = readings[0].time_ms if readings else T0_MS
    return Batch(
        gateway=gateway,
        log=log,
        seq=seq,
        kind=kind,
        meta_version="m1",
        cut_ms=cut_ms if cut_ms is not None else T0_MS + 1000 * seq,
        base_ms=base_ms,
        clock=ClockStamp(ClockSource.NTP, 0),
        entries=tuple(entries if entries is not None else entries_of(readings, base_ms)),
        extra=extra or {},
    )


def payload(seq: int, readings: Sequence[Reading] = (), **more: Any) -> bytes:
    return encode_batch(batch(seq, readings, **more))


def incoming(
    seq: int, readings: Sequence[Reading] = (), *, lane: Leaf = Leaf.DATA, **more: Any
) -> Incoming:
    from egret_aggregator.intake.verdict import lost_by_log  # noqa: PLC0415  (journal tests first)

    body = payload(seq, readings or series(2, start_ms=T0_MS + 10_000 * seq), **more)
    read = decode_batch(body)
    return Incoming(
        read.gateway, read.log, seq, payload_hash(body), body, lane, read, lost_by_log(read)
    )
