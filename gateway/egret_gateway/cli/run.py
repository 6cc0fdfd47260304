"""`egret-gateway run CONFIG.toml`: reads, keeps and sends until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from egret_gateway import config as settings
from egret_gateway.service import Service

if TYPE_CHECKING:
    import argparse

_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("run", help="read the buses and send until stopped")
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object for each log line")
    parser.add_argument("-v", "--verbose", action="store_true", help="log every message")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the gateway; 0 after a signal, 1 for its settings, 3 where disk or a part failed."""
    config = settings.load(arguments.config)
    level = logging.DEBUG if arguments.verbose else logging.INFO
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines() if arguments.json else logging.Formatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler])
    logging.getLogger("mqtt").setLevel(logging.WARNING)
    return asyncio.run(_serve(config))


class _JsonLines(logging.Formatter):
    """One object a line, for collectors of logs."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON; a traceback goes into `detail`."""
        line = {
            "time_ms": int(record.created * 1000),
            "level": record.levelname,
            "name": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["detail"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


async def _serve(config: settings.GatewayConfig) -> int:
    return await Service(config).run()
