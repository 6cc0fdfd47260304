"""Readings as line protocol: one measurement, tags in a fixed order, equal bytes every time. Pure.

`reading,station=S,channel=C,quantity=Q value=1.5,raw=2.5,q=1i,f=0i,notes=0i,lag=40i TIME_MS`

A part that is None is left out; q, f, notes and lag are always there. Types are fixed by the first
write ever made to a bucket, so names and types here are a promise.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egret_aggregator.store.model import StoredReading

MEASUREMENT = "reading"
FIELDS = {
    "value": "float",  # canonical unit of the quantity
    "raw": "float",  # as read from the device, where that is another number
    "q": "integer",  # the gateway's flag, QARTOD
    "f": "integer",  # the gateway's reason bits
    "notes": "integer",  # the centre's own flags
    "lag": "integer",  # ms, receipt minus reading time, of the first receipt
}
UNKNOWN = "unknown"  # quantity of a channel whose first reading came before its meta
TIME_MIN_MS, TIME_MAX_MS = -9_223_372_036_854, 9_223_372_036_854  # ns in 64 bits: 1677 to 2262
GZIP_LEVEL = 1  # 6.5 times smaller at a third of the time of level 6
_ESCAPED = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})


def head(station: str, channel: str, quantity: str) -> str:
    """Return what all lines of a channel begin with.

    Raises:
        ValueError: a name that line protocol cannot carry.
    """
    tags = {"station": station, "channel": channel, "quantity": quantity}
    return f"{MEASUREMENT},{','.join(f'{key}={_tag(text)}' for key, text in tags.items())} "


def lines(begin: str, rows: Iterable[StoredReading]) -> list[str]:
    """Return one line per row of a channel whose `head` is given."""
    made = []
    for _, _, time_ms, value, raw, flag, reasons, notes, lag_ms in rows:
        known = "" if value is None else f"value={value!r},"
        if raw is not None:
            known += f"raw={raw!r},"
        made.append(f"{begin}{known}q={flag}i,f={reasons}i,notes={notes}i,lag={lag_ms}i {time_ms}")
    return made


def body(written: Sequence[str]) -> bytes:
    """Return lines as one compressed body; the same lines give the same bytes."""
    return gzip.compress("\n".join(written).encode(), GZIP_LEVEL, mtime=0)


def _tag(text: str) -> str:
    if not text or not text.isprintable() or text.endswith("\\"):
        raise ValueError(f"line protocol has no tag value {text!r}")
    return text.translate(_ESCAPED)
