"""A CSV file of readings, read line by line into entries that the API takes. Pure but for the file.

Columns by name: station, channel, time, value, unit are needed; datum, raw, flag and reasons may
be there; notes and lag_ms, which an export has, are not taken. Commas divide, a dot is the decimal
mark. A blank may stand for a time's T. A time needs an offset, or `zone` says where its clock hung:
one that did not exist there, or existed twice, is refused.
"""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from egret_aggregator.api.times import parsed, rfc3339
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

NEEDED = ("station", "channel", "time", "value", "unit")
TAKEN = (*NEEDED, "datum", "raw", "flag", "reasons")
PASSED_OVER = ("notes", "lag_ms")  # an export's own words of how it was received
LINE_MAX = 4096  # characters of one line; longer is no reading
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?")
_SPACED = re.compile(r"(\d{4}-\d\d-\d\d) ", re.ASCII)  # RFC 3339, 5.6: for readability
_UNSIGNED = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+ \d\d:\d\d", re.ASCII)
_COMMA = re.compile(r"-?\d+,\d+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """One line of a file: its number and text, and the entry in it or why there is none."""

    line: int
    text: str
    entry: dict[str, Any] | None
    why: str
    detail: str


class RowError(ValueError):
    """A field that cannot be read; `why` is a stable word."""

    def __init__(self, why: str, detail: str) -> None:
        self.why = why
        super().__init__(detail)


def columns(file: IO[str], name: str) -> list[str]:
    """Return the header's names.

    Raises:
        ConfigError: a needed column is not there, one is unknown, or lines are divided otherwise.
    """
    header = file.readline(LINE_MAX).lstrip("\ufeff").rstrip("\r\n")
    found = [word.strip() for word in next(csv.reader([header]), [])]
    if len(found) <= 1 and (";" in header or "\t" in header):
        remedy = "divide columns by commas and write numbers with a decimal point"
        raise ConfigError(name, "line 1", header[:60], remedy)
    missing = [word for word in NEEDED if word not in found]
    unknown = [word for word in found if word not in (*TAKEN, *PASSED_OVER)]
    if missing:
        remedy = f"begin with a line of column names; {missing[0]!r} is missing"
        raise ConfigError(name, "line 1", header[:60], remedy)
    if unknown or len(set(found)) < len(found):
        remedy = f"name each of {', '.join(TAKEN)} at most once, and nothing else"
        raise ConfigError(name, "line 1", header[:60], remedy)
    return found


def rows(file: IO[str], names: Sequence[str], zone: ZoneInfo | None) -> Iterator[Row]:
    """Yield every line after the header; empty ones are passed over."""
    number = 1
    while text := file.readline(LINE_MAX):
        number += 1
        if not text.strip():
            continue
        try:
            yield Row(number, text, _entry(text, names, zone), "", "")
        except RowError as error:
            yield Row(number, text, None, error.why, str(error))


def _entry(text: str, names: Sequence[str], zone: ZoneInfo | None) -> dict[str, Any]:
    given = _fields(text, names)
    entry: dict[str, Any] = {"station": given["station"], "channel": given["channel"]}
    entry["time"] = _time(given["time"], zone)
    entry["value"] = _number("value", given["value"])
    entry.update({name: given[name] for name in ("unit", "datum") if given.get(name)})
    if given.get("raw"):
        entry["raw"] = _number("raw", given["raw"])
    if given.get("flag"):
        entry["flag"] = _flag(given["flag"])
    if given.get("reasons"):
        entry["reasons"] = given["reasons"].split()
    return entry


def _fields(text: str, names: Sequence[str]) -> dict[str, str]:
    if not text.endswith("\n") and len(text) >= LINE_MAX - 1:
        raise RowError("bad_line", f"longer than {LINE_MAX} characters")
    try:
        fields = next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise RowError("bad_line", f"no CSV: {error}") from None
    if len(fields) != len(names):
        hint = "; a decimal comma makes one number two" if len(fields) == len(names) + 1 else ""
        raise RowError("bad_line", f"{len(fields)} fields where the header has {len(names)}{hint}")
    return {name: field.strip() for name, field in zip(names, fields, strict=True)}


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    if _COMMA.fullmatch(text):
        raise RowError("not_a_number", f"{name} {text!r}: write {text.replace(',', '.')!r}")
    try:
        return float(text) if text.isascii() and "_" not in text else _refuse(name, text)
    except ValueError:
        return _refuse(name, text)


def _refuse(name: str, text: str) -> float:
    raise RowError("not_a_number", f"{name} {text[:40]!r}: write a number, or nothing")


def _flag(text: str) -> int:
    if not re.fullmatch(r"\d{1,2}", text, re.ASCII):
        raise RowError("bad_quality", f"flag {text[:20]!r}: write 1, 2, 3, 4 or 9")
    return int(text)


def _time(text: str, zone: ZoneInfo | None) -> str:
    """Return an instant as the API takes it."""
    joined = _SPACED.sub(r"\1T", text, count=1)
    if _UNSIGNED.fullmatch(joined):  # the API forgives it: in a query a plus arrives as a blank
        raise RowError("bad_time", f"time {text[:40]!r}: write the offset with its sign")
    try:
        return rfc3339(parsed(joined))
    except ValueError as error:
        if _LOCAL.fullmatch(text) is None:
            raise RowError("bad_time", f"time {text[:40]!r}: {error}") from None
    if zone is None:
        raise RowError("bad_time", f"time {text!r}: add its offset, or name its zone by --zone")
    return rfc3339((_instant(text, zone) - _EPOCH) // timedelta(milliseconds=1))


def _instant(text: str, zone: ZoneInfo) -> datetime:
    """Return the one instant that a local time was."""
    try:
        local = datetime.fromisoformat(text).replace(tzinfo=zone)
        both = [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
    except (ValueError, OverflowError) as error:
        raise RowError("bad_time", f"time {text!r}: {error}") from None
    if both[0] == both[1]:
        return both[0]
    remedy = "write its offset"
    if both[0].astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise RowError(
            "bad_time", f"time {text!r} did not exist in {zone.key}: clocks went forward; {remedy}"
        )
    raise RowError("bad_time", f"time {text!r} was twice in {zone.key}: clocks went back; {remedy}")
