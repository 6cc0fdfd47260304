"""`egret-gateway`: exit 0 ok, 1 finding, 2 usage, 3 hardware or peer."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from egret_core.errors import ConfigError
from egret_gateway.cli import check, enrol, maintenance, plan, read, run, status
from egret_gateway.cli.read import ARGUMENTS
from egret_gateway.errors import MaintenanceError, OutboxError, PortError, StatusError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egret_core.errors import EgretError

OK = 0
FINDING = 1
USAGE = 2
PEER = 3
_COMMANDS = (check, plan, enrol, run, read, status, maintenance)


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
        found = {"file": error.file, "key": error.key, "seen": repr(error.seen)}
        _failed(arguments, "config", error, {**found, "remedy": error.remedy})
        return USAGE if error.file == ARGUMENTS else FINDING
    except MaintenanceError as error:
        _failed(arguments, "maintenance", error, {})
        return FINDING
    except PortError as error:
        port = {"port": error.port, "fault": str(error.fault), "remedy": error.fault.remedy}
        _failed(arguments, "port", error, port)
        return PEER
    except StatusError as error:
        _failed(arguments, "status", error, {})
        return PEER
    except OutboxError as error:
        _failed(arguments, "outbox", error, {"file": error.path, "remedy": error.remedy})
        return PEER
    except KeyboardInterrupt:
        return OK
    return code


def _failed(
    arguments: argparse.Namespace, kind: str, error: EgretError, body: Mapping[str, Any]
) -> None:
    """Tell people on stderr, and a program on stdout where it asked for JSON."""
    sys.stderr.write(f"egret-gateway: {error}\n")
    if arguments.json:
        told = {"ok": False, "error": kind, "detail": str(error), **body}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
