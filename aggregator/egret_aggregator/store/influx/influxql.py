"""The few InfluxQL statements that are asked, and the reading of their answers. Pure.

Bind parameters are not everywhere, so text is quoted here; every SELECT is bounded in time.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from egret_aggregator.store.influx import line
from egret_aggregator.store.model import StoredReading
from egret_core.quality import Flag

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TEXT = str.maketrans({"\\": "\\\\", "'": "\\'", "\n": "\\n"})
# 1.x and 2.x answer so with nothing; 3.x may call it an error.
_NO_ROWS_YET = re.compile(r"\b(table|measurement)\b.*not found", re.IGNORECASE)
_NAME = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class RefusedQueryError(ValueError):
    """The server answered a statement with an error; the text is the server's."""


class Found(NamedTuple):
    """An answer to `rows_of`.

    Attributes:
        rows: ours; seen: how many came, those of another writer included.
        last_ms: the time of the last that came, None where none did.
        cut: the server gave fewer than it has, and than were asked for.
        half: rows that may be on their way in: without a field that ours always have, or good
            without a value.
    """

    rows: list[StoredReading]
    seen: int = 0
    last_ms: int | None = None
    cut: bool = False
    half: int = 0


def text(value: str) -> str:
    """Return a string literal."""
    return f"'{value.translate(_TEXT)}'"


def name(value: str) -> str:
    """Return a quoted identifier."""
    return f'"{value.translate(_NAME)}"'


_TAGS = ", ".join(name(tag) for tag in ("station", "channel", "quantity"))
_VALUED = (Flag.GOOD, Flag.NOT_EVALUATED, Flag.SUSPECT)  # flags that come with a value
_ROW = ", ".join(name(field) for field in line.FIELDS)


def rows_of(station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> str:
    """Return the statement for rows of a channel in [from, to), the oldest first."""
    return (
        f"SELECT {_ROW} FROM {name(line.MEASUREMENT)} WHERE {_channel(station, channel)}"  # noqa: S608
        f" AND {_span(from_ms, to_ms)} ORDER BY time ASC LIMIT {limit}"
    )


def extent_of(station: str, channel: str, selector: str) -> str:
    """Return the statement for one end of what a channel has, by quantity.

    Args:
        station: a place.
        channel: one of its channels.
        selector: `first` or `last`.
    """
    return (
        f"SELECT {selector}({name('q')}) FROM {name(line.MEASUREMENT)}"  # noqa: S608  (quoted)
        f" WHERE {_channel(station, channel)} AND {_span(line.TIME_MIN_MS, line.TIME_MAX_MS + 1)}"
        f" GROUP BY {name('quantity')}"
    )


def extents_of_all(selector: str) -> str:
    """Return the statement for one end, `first` or `last`, of what every channel has."""
    return (
        f"SELECT {selector}({name('q')}) FROM {name(line.MEASUREMENT)}"  # noqa: S608  (quoted)
        f" WHERE {_span(line.TIME_MIN_MS, line.TIME_MAX_MS + 1)} GROUP BY {_TAGS}"
    )


def newest_of_all() -> str:
    """Return the statement for every channel's newest row that is not ahead of the server."""
    return (
        f"SELECT last({name('q')}), {_ROW} FROM {name(line.MEASUREMENT)}"  # noqa: S608  (quoted)
        f" WHERE time >= {line.TIME_MIN_MS}ms AND time <= now() GROUP BY {_TAGS}"
    )


def fields() -> str:
    """Return the statement for names and types of what the measurement has."""
    return f"SHOW FIELD KEYS FROM {name(line.MEASUREMENT)}"


def series(answer: object) -> list[Mapping[str, Any]]:
    """Return the series of an answer to one statement; none of a measurement not yet written.

    Raises:
        RefusedQueryError: the answer holds an error, which comes with HTTP 200 too.
    """
    if not isinstance(answer, dict):
        raise RefusedQueryError(f"no answer to InfluxQL: {str(answer)[:200]!r}")
    results = answer.get("results", [])
    for part in (answer, *results):
        if _NO_ROWS_YET.search(str(part.get("error", ""))):
            return []
        if "error" in part:
            raise RefusedQueryError(str(part["error"])[:1000])
    if not results:
        raise RefusedQueryError(f"no answer to InfluxQL: {str(answer)[:200]!r}")
    return list(results[0].get("series", []))


def rows(found: list[Mapping[str, Any]], station: str, channel: str) -> Found:
    """Return what an answer to `rows_of` holds.

    A point without one of the fields that ours always have is another writer's: it is left out.

    Raises:
        RefusedQueryError: the answer is none to that statement.
    """
    if not found:
        return Found([])
    with _shaped():
        came = found[0]["values"]
        made = [
            StoredReading(
                station,
                channel,
                int(time_ms),
                None if value is None else float(value),
                None if raw is None else float(raw),
                int(flag),
                int(reasons),
                int(notes),
                int(lag_ms),
            )
            for time_ms, value, raw, flag, reasons, notes, lag_ms in came
            if None not in (flag, reasons, notes, lag_ms)
        ]
        last_ms = int(came[-1][0]) if came else None
        half = (
            len(came) - len(made) + sum(row.value is None and row.flag in _VALUED for row in made)
        )
        return Found(made, len(came), last_ms, bool(found[0].get("partial")), half)


def ends(found: list[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Return (quantity, time) of each series in an answer to `extent_of`."""
    with _shaped():
        return [(str(one["tags"]["quantity"]), int(one["values"][0][0])) for one in found]


def ends_of_all(
    found: list[Mapping[str, Any]],
) -> dict[tuple[str, str], list[tuple[str, int]]]:
    """Return (quantity, time) by channel, from an answer to `extents_of_all`."""
    out: dict[tuple[str, str], list[tuple[str, int]]] = {}
    with _shaped():
        for one in found:
            key = (str(one["tags"]["station"]), str(one["tags"]["channel"]))
            if all(key):  # a series without one of our tags is another writer's
                out.setdefault(key, []).extend(ends([one]))
    return out


def rows_of_all(found: list[Mapping[str, Any]]) -> list[StoredReading]:
    """Return the rows of an answer to `newest_of_all`."""
    made: list[StoredReading] = []
    with _shaped():
        for one in found:
            key = (str(one["tags"]["station"]), str(one["tags"]["channel"]))
            if all(key):
                values = [[row[0], *row[2:]] for row in one["values"]]
                made += rows([{"values": values}], *key).rows
    return made


def types(found: list[Mapping[str, Any]]) -> dict[str, str]:
    """Return the types of fields by name, from an answer to `fields`; none in an empty bucket."""
    with _shaped():
        return {str(row[0]): str(row[1]) for one in found for row in one["values"]}


@contextmanager
def _shaped() -> Iterator[None]:
    """Let what a stranger's answer lacks be the server's fault, which is waited out."""
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise RefusedQueryError(f"an answer of another shape: {error!r}") from error


def _channel(station: str, channel: str) -> str:
    return f"{name('station')} = {text(station)} AND {name('channel')} = {text(channel)}"


def _span(from_ms: int, to_ms: int) -> str:
    """Say [from, to) within what a server can say: beyond it numbers wrap, or are refused."""
    first_ms = min(max(from_ms, line.TIME_MIN_MS), line.TIME_MAX_MS)
    if to_ms > line.TIME_MAX_MS:
        return f"time >= {first_ms}ms AND time <= {line.TIME_MAX_MS}ms"
    return f"time >= {first_ms}ms AND time < {max(to_ms, line.TIME_MIN_MS)}ms"
