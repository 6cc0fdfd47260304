"""What backtest and `rules diff` share: a span, where its history comes from, and progress."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from egret_aggregator import data_folder
from egret_aggregator.backtest import Backtest, CsvHistory, Outcome, Span, Told
from egret_aggregator.cli.commands import ARGUMENTS
from egret_aggregator.store import chosen
from egret_core.errors import ConfigError
from egret_core.instants import length_ms, parsed, rfc3339

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.config import CentreConfig

SPAN_MAX_MS = 20 * 366 * 86_400_000  # twenty years
TELL_SHARE = 0.05  # progress between two lines


def add_span(parser: argparse.ArgumentParser) -> None:
    """Add --from, --to, --csv and --zone to a verb."""
    parser.add_argument("--from", dest="from_", required=True, help="RFC 3339, its first instant")
    parser.add_argument("--to", required=True, help="RFC 3339, not included")
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="readings of a file, not the store"
    )
    parser.add_argument("--zone", help="of times in it without an offset, e.g. Asia/Shanghai")


def span_of(arguments: argparse.Namespace) -> tuple[Span, int]:
    """Return the span, and the offset it was written with, in which times are told, minutes.

    Raises:
        ConfigError: no instants with an offset, or not one after the other.
    """
    times = []
    for name, text in (("--from", arguments.from_), ("--to", arguments.to)):
        try:
            times.append(parsed(text))
        except ValueError as error:
            raise ConfigError(ARGUMENTS, name, text, str(error)) from None
    span = Span(times[0][0], times[1][0])
    if not 0 < span.to_ms - span.from_ms <= SPAN_MAX_MS:
        remedy = "write an instant after --from, at most twenty years"
        raise ConfigError(ARGUMENTS, "--to", arguments.to, remedy)
    return span, times[0][1]


def length_of(name: str, text: str) -> int:
    """Return a length of time given as an argument, ms; ConfigError where it is none."""
    try:
        return length_ms(text)
    except ValueError as error:
        raise ConfigError(ARGUMENTS, name, text, str(error)) from None


def judged(
    arguments: argparse.Namespace,
    settings: CentreConfig,
    catalogues: Sequence[Catalogue],
    span: Span,
) -> tuple[list[Outcome], CsvHistory | None]:
    """Return what each catalogue's rules say over the same history, and the file it came from."""
    return asyncio.run(_judged(arguments, settings, catalogues, span))


def bad_of(path: Path | None, file: CsvHistory | None) -> dict[str, Any]:
    """Return what could not be read of a CSV, as lines and as JSON."""
    if file is None:
        return {"lines": [], "body": {}}
    lines = [f"{path}: {text}" for text in file.shown]
    if file.bad or file.duplicates:
        lines.append(f"{path}: {file.bad} bad lines, {file.duplicates} of a time known already")
    body = {"bad_lines": file.bad, "duplicates": file.duplicates, "lines": file.shown}
    return {"lines": lines, "body": body}


async def _judged(
    arguments: argparse.Namespace,
    settings: CentreConfig,
    catalogues: Sequence[Catalogue],
    span: Span,
) -> tuple[list[Outcome], CsvHistory | None]:
    if arguments.csv is not None:
        read = CsvHistory.read(arguments.csv, catalogues[0], _zone(arguments.zone), _read_so_far)
        _check_within(arguments.csv, read, span)
        return [await Backtest(read, one, span, _Progress().tell).run() for one in catalogues], read
    if not data_folder.series_path(settings).exists():
        remedy = "there are no series yet: let the centre run first, or give --csv"
        raise ConfigError(settings.file, "centre.data", str(settings.data), remedy)
    async with AsyncExitStack() as stack:
        store = chosen.store(settings.store, settings.data)
        await store.open()
        stack.push_async_callback(store.close)
        return [
            await Backtest(store, one, span, _Progress().tell).run() for one in catalogues
        ], None


def _check_within(path: Path, read: CsvHistory, span: Span) -> None:
    """Refuse a file of which nothing lies in the span, for silence would be judged; ConfigError."""
    reach = read.reach()
    if reach is None:
        first = f": {read.shown[0]}" if read.shown else ""
        seen = f"{read.bad} bad lines and no good one{first}"
        raise ConfigError(str(path), "file", seen, "write lines that can be taken")
    if reach.to_ms < span.from_ms or reach.from_ms >= span.to_ms:
        seen = f"{rfc3339(reach.from_ms)} to {rfc3339(reach.to_ms)}"
        raise ConfigError(str(path), "time", seen, "give --from and --to around what is in it")


class _Progress:
    """Lines on standard error, not more than people read."""

    def __init__(self) -> None:
        self._next = TELL_SHARE

    def tell(self, told: Told) -> None:
        """Say how far it is, every few per cent."""
        if told.share < self._next and told.share < 1:
            return
        self._next = told.share + TELL_SHARE
        sys.stderr.write(
            f"egret-aggregator: {told.share:4.0%} {rfc3339(told.to_ms)} "
            f"{told.readings} readings, {told.events} events\n"
        )


def _read_so_far(lines: int) -> None:
    if lines % 100_000 < 2000:  # noqa: PLR2004  (a block of lines)
        sys.stderr.write(f"egret-aggregator: {lines} lines read\n")


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        remedy = "name a zone such as Asia/Shanghai (Debian: package tzdata)"
        raise ConfigError(ARGUMENTS, "--zone", name, remedy) from None
