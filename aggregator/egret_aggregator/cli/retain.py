"""`egret-aggregator retain`: what is older than the settings keep goes now, or is only told."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from egret_aggregator import config, data_folder
from egret_aggregator.api.times import rfc3339
from egret_aggregator.cli.verb import add_verb
from egret_aggregator.clock import Clock
from egret_aggregator.retention import Account, Retention
from egret_aggregator.store import SqliteStore
from egret_aggregator.store.rollups import Rollups
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    import argparse

    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs
    from egret_aggregator.config import CentreConfig


def add_verbs(verbs: Verbs) -> None:
    """Add retain."""
    text = "remove what is older than [retention] keeps; a running centre does so every hour"
    parser = add_verb(verbs, "retain", text, retain)
    parser.add_argument("--dry-run", action="store_true", help="only tell what would go")


def retain(arguments: argparse.Namespace, output: Output) -> int:
    """Tell what goes of each tier, and remove it unless it is a dry run."""
    settings = config.load(arguments.config)
    for path in (data_folder.series_path(settings), data_folder.rollups_path(settings)):
        if not path.exists():
            remedy = f"there is no {path.name} yet: let the centre run first"
            raise ConfigError(settings.file, "centre.data", str(settings.data), remedy)
    accounts = asyncio.run(_work(settings, dry=arguments.dry_run))
    lines = [_line(account, dry=arguments.dry_run) for account in accounts]
    shown = [_shown(account) for account in accounts]
    output.said(lines, {"dry_run": arguments.dry_run, "tiers": shown})
    return 0


async def _work(settings: CentreConfig, *, dry: bool) -> list[Account]:
    async with AsyncExitStack() as stack:
        store = SqliteStore(data_folder.series_path(settings))  # of a database: latest values
        await store.open()
        stack.push_async_callback(store.close)
        own = store if settings.store.kind == "sqlite" else None
        rollups = Rollups(data_folder.rollups_path(settings))
        await rollups.open()
        stack.push_async_callback(rollups.close)
        retention = Retention(own, rollups, settings.retention, store)
        clock = Clock(settings.timescale)
        return await (retention.plan(clock.now_ms()) if dry else retention.remove(clock.now_ms))


def _line(account: Account, *, dry: bool) -> str:
    if account.before_ms is None:
        return f"{account.tier}: kept for ever"
    verb = "would go" if dry else "removed"
    text = f"{account.tier}: {account.rows} rows of {len(account.stations)} stations {verb}"
    text += f", all before {rfc3339(account.before_ms)}"
    if account.left_days:
        text += f"; {account.left_days} days of stations wait: not rolled, or something came lately"
    return text


def _shown(account: Account) -> dict[str, Any]:
    def instant(time_ms: int | None) -> str | None:
        return None if time_ms is None else rfc3339(time_ms)

    return {
        "tier": str(account.tier),
        "before": instant(account.before_ms),
        "rows": account.rows,
        "stations": len(account.stations),
        "first": instant(account.first_ms),
        "last": instant(account.last_ms),
        "left_days": account.left_days,
    }
