"""`egret-aggregator deadman CONFIG.toml`: on another machine, calls somebody when all is silent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from egret_aggregator import log
from egret_aggregator.cli.verb import add_log, add_verb
from egret_aggregator.clock import Clock
from egret_aggregator.deadman import load, run, try_out

if TYPE_CHECKING:
    import argparse

    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs


def add_verbs(verbs: Verbs) -> None:
    """Add deadman."""
    verb = add_verb(verbs, "deadman", "call somebody when a centre falls silent", deadman)
    add_log(verb)
    verb.add_argument("--test", action="store_true", help="tell a test over every route, and end")


def deadman(arguments: argparse.Namespace, output: Output) -> int:
    """Watch a centre until SIGTERM; with --test 3 where a route did not take the notice."""
    settings = load(arguments.config)
    log.set_up(arguments.log, verbose=arguments.verbose)
    if not arguments.test:
        return asyncio.run(run(settings, Clock()))
    found = asyncio.run(try_out(settings, Clock()))
    output.said(
        [f"{route}: {why or 'took it'}" for route, why in found.items()],
        {"ok": not any(found.values()), "routes": dict(found)},
    )
    return 3 if any(found.values()) else 0
