"""`egret-gateway run CONFIG.toml`: reads, keeps and sends until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from egret_gateway import config as settings
from egret_gateway import log
from egret_gateway.bus.survey import crowded
from egret_gateway.ports import descriptors
from egret_gateway.service import Service

if TYPE_CHECKING:
    import argparse

LOG = logging.getLogger(__name__)


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("run", help="read the buses and send until stopped")
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--json", action="store_true", help="the same as --log json")
    parser.add_argument("--log", choices=log.FORMS, default=log.FORMS[0], help="form of the log")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every message")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the gateway; 0 after a signal, 1 for its settings, 3 where disk or a part failed."""
    config = settings.load(arguments.config)
    log.set_up("json" if arguments.json else arguments.log, verbose=arguments.verbose)
    if lack := descriptors.allow(len(config.buses)):
        LOG.warning(
            "buses=%d descriptors_lacking=%d: some ports will not open: raise LimitNOFILE",
            len(config.buses),
            lack,
        )
    for bus in config.buses:
        for detail in crowded(config, bus):
            # It starts all the same: a site must not go dark after an upgrade.
            LOG.warning("event=bus_too_full detail=%r", detail)
    return asyncio.run(_serve(config))


async def _serve(config: settings.GatewayConfig) -> int:
    return await Service(config).run()
