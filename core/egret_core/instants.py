"""Instants as people read them: RFC 3339 with an offset, and lengths of time. Pure.

Inside, an instant is whole ms since 1970 UTC; an offset is whole minutes east of UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SHAPE = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LENGTH = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d{1,3})?)s)?", re.ASCII)
_LENGTH_MAX = 24  # characters; longer is no length of time
_S_PER = (86_400, 3600, 60, 1)


def rfc3339(time_ms: int, offset_min: int = 0, *, exact: bool = False) -> str:
    """Return ``2026-07-12T14:10:00+08:00``: `exact` with milliseconds, else if it has any."""
    zone = timezone(timedelta(minutes=offset_min))
    try:
        instant = (_EPOCH + timedelta(milliseconds=time_ms)).astimezone(zone)
    except OverflowError:
        return f"{time_ms} ms"
    text = instant.isoformat(timespec="milliseconds" if exact or time_ms % 1000 else "seconds")
    return text.replace("+00:00", "Z") if not offset_min else text


def parsed(text: str) -> tuple[int, int]:
    """Return ms since 1970 UTC, and the offset it was written with, minutes.

    A blank may stand for the T (RFC 3339, 5.6: for readability).

    Raises:
        ValueError: no RFC 3339 instant with an offset.
    """
    if _SHAPE.fullmatch(text) is None:
        raise ValueError("write an RFC 3339 time with an offset, e.g. 2026-07-12T08:00:00+08:00")
    instant = datetime.fromisoformat(text.upper())
    offset = instant.utcoffset() or timedelta()
    try:
        return (instant - _EPOCH) // _MILLISECOND, offset // timedelta(minutes=1)
    except OverflowError as error:
        raise ValueError(f"no such time: {error}") from None


def length_ms(text: str) -> int:
    """Return a length such as ``0``, ``90s``, ``10m`` or ``1d2h30m`` as ms.

    Raises:
        ValueError: it is none.
    """
    if text == "0":
        return 0
    match = _LENGTH.fullmatch(text) if 0 < len(text) <= _LENGTH_MAX else None
    if match is None:
        raise ValueError("write a length of time, e.g. 90s, 10m, 2h or 1d6h")
    seconds = sum(
        float(part or 0) * size for part, size in zip(match.groups(), _S_PER, strict=True)
    )
    return round(seconds * 1000)


def length(span_ms: float) -> str:
    """Return a length of time with its units, e.g. ``1 h 30 min``; days count as hours."""
    whole_s, rest_ms = divmod(span_ms, 1000)
    minutes, seconds = divmod(int(whole_s), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{count} {unit}" for count, unit in ((hours, "h"), (minutes, "min")) if count]
    if seconds or rest_ms or not parts:
        parts.append(f"{seconds + rest_ms / 1000:g} s")
    return " ".join(parts)
