"""One measured value: time, value, quality, and whose it is."""

from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """A dated reading; its identity is (station, channel, time_ms).

    Attributes:
        station: id of the place.
        channel: id of one quantity there.
        time_ms: when the last byte arrived, ms since 1970-01-01 UTC.
        value: in the quantity's canonical unit; None when missing or not a number.
        raw: as read from the device, only where conversion is not the identity.
        flag: QARTOD primary flag, the gateway's word (`egret_core.quality.Flag`).
        reasons: reason bits (`egret_core.quality.Reason`).
    """

    station: str
    channel: str
    time_ms: int
    value: float | None
    raw: float | None = None
    flag: int = 1
    reasons: int = 0


class Undated(NamedTuple):
    """A reading that could never be dated; its identity is (log, seq, at).

    Attributes:
        at: position in its batch.
        station: as in `Reading`; likewise channel, value, raw, flag and reasons.
    """

    at: int
    station: str
    channel: str
    value: float | None
    raw: float | None
    flag: int
    reasons: int
