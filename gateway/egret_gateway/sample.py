"""A reading before it has a date: stamped by the monotonic clock at its last byte."""

from __future__ import annotations

from typing import NamedTuple


class Sample(NamedTuple):
    """One polled value on its way to the outbox.

    Attributes:
        station, channel: whose it is.
        mono_ms: monotonic clock at the last byte of its reply, unscaled ms.
        value, raw, flag, reasons: as in `egret_core.reading.Reading`.
        urgent: it trips its channel's `watch_at`: cut and send at once.
    """

    station: str
    channel: str
    mono_ms: int
    value: float | None
    raw: float | None = None
    flag: int = 1
    reasons: int = 0
    urgent: bool = False
