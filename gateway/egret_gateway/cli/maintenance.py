"""`egret-gateway maintenance on --for 30m CONFIG.toml | off CONFIG.toml | status CONFIG.toml`."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from egret_gateway import config as settings
from egret_gateway.clock import Clock
from egret_gateway.maintenance import Maintenance

_SPAN = re.compile(r"(\d{1,6})(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "maintenance", help="mark readings as taken during work; it ends by itself"
    )
    parser.add_argument("what", choices=("on", "off", "status"))
    parser.add_argument(
        "--for", dest="span_s", type=_span, default=1800, metavar="30m", help="at most 24h"
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Declare, end or show a maintenance; 0, or 1 where that is not possible."""
    config = settings.load(arguments.config)
    flag = Maintenance(config.data, Clock(config.clock.source))
    if arguments.what == "on":
        flag.turn_on(arguments.span_s)
    elif arguments.what == "off":
        flag.turn_off()
    left_s = round(flag.left_s())
    if arguments.json:
        sys.stdout.write(json.dumps({"maintenance": left_s > 0, "left_s": left_s}) + "\n")
    elif left_s > 0:
        sys.stdout.write(f"maintenance is on for {left_s} s more, then it ends by itself\n")
    else:
        sys.stdout.write("maintenance is off: readings count\n")
    return 0


def _span(text: str) -> int:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: write 90s, 30m or 2h")
    return int(found[1]) * _SECONDS[found[2]]
