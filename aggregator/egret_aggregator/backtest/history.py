"""Where history comes from: the store as it is, or a CSV file read whole into arrays.

A CSV is as `egret-aggregator import` takes it; its readings count as received when measured. A
reading takes 21 bytes, so that ten million fit into 210 MB.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from heapq import merge
from itertools import islice, pairwise
from math import isnan, nan
from typing import TYPE_CHECKING, Protocol

from egret_aggregator import csv_rows
from egret_aggregator.backtest.replay import Span
from egret_aggregator.feed import checked
from egret_aggregator.store.model import Note, Page, StoredReading
from egret_core.errors import ConfigError
from egret_core.sources import IMPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.store.model import MetaFact
    from egret_core.reading import Reading

CSV_ROWS_MAX = 10_000_000  # readings of one file: 210 MB
SHOWN_MAX = 20  # bad lines that are shown; all of them are counted
_BLOCK = 2000  # lines checked at once
_SORTED = 100_000  # readings put in order at once: 4 MB of indices
_IMPORTED = int(Note.IMPORTED)


class History(Protocol):
    """What a backtest reads; a store is one."""

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return readings with from_ms <= time < to_ms in time order, at most `limit`."""

    async def metas(self) -> list[MetaFact]:
        """Return the newest facts of each channel."""


@dataclass(slots=True)
class _Column:
    """The readings of one channel; `value` is NaN where there is none."""

    time: array[int] = field(default_factory=lambda: array("q"))
    value: array[float] = field(default_factory=lambda: array("d"))
    flag: array[int] = field(default_factory=lambda: array("B"))
    reasons: array[int] = field(default_factory=lambda: array("I"))  # 4 bytes everywhere

    def add(self, reading: Reading) -> None:
        self.time.append(reading.time_ms)
        self.value.append(nan if reading.value is None else reading.value)
        self.flag.append(reading.flag)
        self.reasons.append(reading.reasons)

    def sort(self) -> int:
        """Put in time order; of one time the first stays. Return how many were left out."""
        time = self.time
        if all(before < after for before, after in pairwise(time)):
            return 0
        # By parts: a list of so many indices would take twice what the readings do.
        starts = range(0, len(time), _SORTED)
        parts = (range(start, min(start + _SORTED, len(time))) for start in starts)
        ordered = [array("I", sorted(part, key=time.__getitem__)) for part in parts]
        kept = array("I")
        for at in merge(*ordered, key=time.__getitem__):
            if not kept or time[kept[-1]] != time[at]:
                kept.append(at)
        for name in ("time", "value", "flag", "reasons"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, (column[at] for at in kept)))
        return len(time) - len(kept)


class CsvHistory:
    """`History` over a CSV file of readings.

    Attributes:
        rows: readings taken; bad: lines that were not; shown: the first of them.
        duplicates: lines of a time that the channel had already.
    """

    def __init__(self) -> None:
        self._columns: dict[tuple[str, str], _Column] = {}
        self.rows = self.bad = self.duplicates = 0
        self.shown: list[str] = []

    @classmethod
    def read(
        cls, path: Path, places: Catalogue, zone: ZoneInfo | None, tell: Callable[[int], None]
    ) -> CsvHistory:
        """Return what is in a file; lines that cannot be taken are counted and shown.

        Args:
            path: the file.
            places: whose channels and units they are.
            zone: of times without an offset.
            tell: told how many lines were read so far.

        Raises:
            ConfigError: it is no such file, or has more than `CSV_ROWS_MAX` readings.
        """
        history = cls()
        try:
            with path.open(encoding="utf-8", newline="") as file:
                names = csv_rows.columns(file, str(path))
                lines = csv_rows.rows(file, names, zone)
                while block := list(islice(lines, _BLOCK)):
                    history._take(block, places, str(path))
                    tell(history.rows + history.bad)
        except UnicodeDecodeError as error:
            raise ConfigError(str(path), "file", str(error), "write UTF-8") from None
        except OSError as error:
            raise ConfigError(str(path), "file", error.strerror, "name a readable file") from None
        history.duplicates = sum(column.sort() for column in history._columns.values())
        return history

    async def range(self, station: str, channel: str, from_ms: int, to_ms: int, limit: int) -> Page:
        """Return readings of one channel in [from, to)."""
        column = self._columns.get((station, channel))
        if column is None:
            return Page([], truncated=False)
        first, last = bisect_left(column.time, from_ms), bisect_left(column.time, to_ms)
        rows = [
            _row((station, channel), column, at) for at in range(first, min(last, first + limit))
        ]
        return Page(rows, truncated=last - first > limit)

    async def metas(self) -> list[MetaFact]:
        """Return nothing: the catalogue alone says what a file's channels are."""
        return []

    def reach(self) -> Span | None:
        """Return the times of the first and the last reading, None where there is none."""
        columns = [column.time for column in self._columns.values()]
        if not columns:
            return None
        return Span(min(times[0] for times in columns), max(times[-1] for times in columns))

    def _take(self, block: Iterable[csv_rows.Row], places: Catalogue, file: str) -> None:
        good = [(row.line, row.entry) for row in block if row.entry is not None]
        found = checked([entry for _, entry in good], places, IMPORT)
        for row in block:
            if row.entry is None:
                self._refuse(row.line, row.why, row.detail)
        for item in found.refused:
            self._refuse(good[item.at][0], item.why, item.detail)
        for reading in found.readings:
            key = (reading.station, reading.channel)
            self._columns.setdefault(key, _Column()).add(reading)
        self.rows += len(found.readings)
        if self.rows > CSV_ROWS_MAX:
            remedy = f"give at most {CSV_ROWS_MAX} readings at once: split the file by time"
            raise ConfigError(file, "file", self.rows, remedy)

    def _refuse(self, line: int, why: str, detail: str) -> None:
        self.bad += 1
        if len(self.shown) < SHOWN_MAX:
            self.shown.append(f"line {line}: {why}: {detail}")


def _row(key: tuple[str, str], column: _Column, at: int) -> StoredReading:
    value = column.value[at]
    return StoredReading(
        *key,
        column.time[at],
        None if isnan(value) else value,
        None,
        column.flag[at],
        column.reasons[at],
        _IMPORTED,
        0,
    )
