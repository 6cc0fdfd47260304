"""`egret-gateway`: exit 0 ok, 1 finding, 2 usage, 3 hardware or peer."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from egret_core.errors import ConfigError
from egret_gateway.cli import check, maintenance, read, run
from egret_gateway.errors import MaintenanceError, OutboxError, PortError

if TYPE_CHECKING:
    from collections.abc import Sequence

OK = 0
FINDING = 1
PEER = 3
_COMMANDS = (check, run, read, maintenance)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; a settings error is a finding, told on stderr."""
    parser = argparse.ArgumentParser(prog="egret-gateway", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(subparsers)
    arguments = parser.parse_args(argv)
    try:
        code: int = arguments.handler(arguments)
    except ConfigError as error:
        sys.stderr.write(f"egret-gateway: {error}\n")
        return FINDING
    except MaintenanceError as error:
        sys.stderr.write(f"egret-gateway: {error}\n")
        return FINDING
    except (PortError, OutboxError) as error:
        sys.stderr.write(f"egret-gateway: {error}\n")
        return PEER
    return code
