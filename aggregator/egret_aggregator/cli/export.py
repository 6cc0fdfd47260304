"""`egret-aggregator export`: series as a CSV file, while the centre runs or not."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator import catalogue, config, data_folder
from egret_aggregator.api.times import parsed
from egret_aggregator.backup.folder import durable
from egret_aggregator.charts import Tier
from egret_aggregator.cli.commands import ARGUMENTS
from egret_aggregator.cli.verb import add_verb
from egret_aggregator.export import Export, Told
from egret_aggregator.store import chosen
from egret_aggregator.store.rollups import Rollups
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs


def add_verbs(verbs: Verbs) -> None:
    """Add export."""
    parser = add_verb(verbs, "export", "write series to a CSV file; the centre may run", export)
    parser.add_argument("--from", dest="from_", required=True, help="RFC 3339, its first instant")
    parser.add_argument("--to", required=True, help="RFC 3339, not included")
    parser.add_argument("--station", action="append", default=[], help="several times; else all")
    parser.add_argument("--tier", choices=[str(tier) for tier in Tier], default="raw")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.csv", help="a new file")


def export(arguments: argparse.Namespace, output: Output) -> int:
    """Write the file beside its name first, and name it when it is whole."""
    from_ms, to_ms = _time("--from", arguments.from_), _time("--to", arguments.to)
    if from_ms > to_ms:
        raise ConfigError(ARGUMENTS, "--to", arguments.to, "write an instant after --from")
    if arguments.out.exists():
        raise ConfigError(ARGUMENTS, "--out", str(arguments.out), "name a file that is not there")
    done = asyncio.run(_work(arguments, from_ms, to_ms))
    lines = [f"{arguments.out}: {done.rows} rows of {done.channels} channels"]
    if done.pending:
        lines.append(f"{done.pending} ten-minute buckets are not rolled yet: export again later")
    if not done.marked:
        lines.append("what was recorded last may be missing: let the centre run, then export again")
    output.said(lines, {**done._asdict(), "out": str(arguments.out)})
    return 1 if done.pending or not done.marked else 0


class _Done(NamedTuple):
    rows: int
    channels: int
    pending: int
    marked: bool  # the rollups know of all that was recorded when the export began


async def _work(arguments: argparse.Namespace, from_ms: int, to_ms: int) -> _Done:
    settings = config.load(arguments.config)
    places = catalogue.load(settings.catalogue)
    if not data_folder.series_path(settings).exists():
        remedy = "there are no series yet: let the centre run first"
        raise ConfigError(settings.file, "centre.data", str(settings.data), remedy)
    async with AsyncExitStack() as stack:
        store = chosen.store(settings.store, settings.data)
        await store.open()
        stack.push_async_callback(store.close)
        rollups = Rollups(data_folder.rollups_path(settings))
        await rollups.open()
        stack.push_async_callback(rollups.close)
        work = Export(store, rollups, places, _progress)
        keys = await work.channels(arguments.station)
        unknown = set(arguments.station) - {station for station, _ in keys}
        if unknown:
            remedy = "name a station that has readings"
            raise ConfigError(ARGUMENTS, "--station", min(unknown), remedy)
        tier = Tier(arguments.tier)
        marked = tier is Tier.RAW or await work.marked()
        part = arguments.out.with_name(arguments.out.name + ".part")
        with part.open("w", encoding="utf-8", newline="") as file:
            rows, pending = await work.write(file, keys, tier, from_ms, to_ms)
            file.flush()
            os.fsync(file.fileno())
        part.rename(arguments.out)
        durable(arguments.out.parent)
    return _Done(rows, len(keys), pending, marked)


def _time(name: str, text: str) -> int:
    try:
        return parsed(text)
    except ValueError as error:
        raise ConfigError(ARGUMENTS, name, text, str(error)) from None


def _progress(told: Told) -> None:
    sys.stderr.write(
        f"egret-aggregator: channel {told.channel} of {told.channels}, {told.rows} rows\n"
    )
