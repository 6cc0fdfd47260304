"""RFC 3339 at the edge, milliseconds since 1970 UTC inside."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHAPE = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+\- ]\d\d:\d\d)",
    re.ASCII,
)
_MILLISECOND = timedelta(milliseconds=1)


def rfc3339(time_ms: int) -> str:
    """Return an instant as `2026-11-22T02:00:00.000Z`, whose offset is Z."""
    text = (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def parsed(text: str) -> int:
    """Return ms since 1970 UTC; fractions below a millisecond are cut off.

    Raises:
        ValueError: no RFC 3339 instant with an offset.
    """
    if _SHAPE.fullmatch(text) is None:
        raise ValueError("write an RFC 3339 time with an offset, such as 2026-11-22T02:00:00Z")
    # A bare plus sign in a query arrives as a blank.
    zoned = text.upper().replace(" ", "+")
    try:
        instant = datetime.fromisoformat(_milliseconds(zoned)).astimezone(UTC)
        return (instant - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError) as error:
        raise ValueError(f"no such time: {error}") from None


def _milliseconds(text: str) -> str:
    """Return the text with at most six decimals: `fromisoformat` takes no more."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)
