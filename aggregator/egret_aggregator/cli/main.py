"""`egret-aggregator check | run | token | audit`: arguments, and errors as exit codes.

0 ok, 1 a finding (a wrong setting is one), 2 wrong usage, 3 the machine or another program.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from egret_aggregator.cli import commands
from egret_aggregator.cli.output import Output
from egret_aggregator.errors import AggregatorError
from egret_aggregator.tokens import DAYS_DEFAULT, Role, TokenError
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

OK, FINDING, USAGE, PEER = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = _parser().parse_args(argv)
    output = Output(as_json=arguments.json)
    try:
        code: int = arguments.command(arguments, output)
    except ConfigError as error:
        remedy = {
            "file": error.file,
            "key": error.key,
            "seen": repr(error.seen),
            "remedy": error.remedy,
        }
        output.failed("config", str(error), remedy)
        return USAGE if error.file == commands.ARGUMENTS else FINDING
    except TokenError as error:
        output.failed("usage", str(error))
        return USAGE
    except (AggregatorError, SQLAlchemyError, OSError) as error:
        output.failed("peer", str(error))
        return PEER
    except KeyboardInterrupt:
        return OK
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="egret-aggregator",
        description="The centre: takes readings in, judges them, keeps warnings, serves the API.",
        epilog="Exit codes: 0 ok, 1 a finding or a wrong setting, 2 usage, 3 machine or peer.",
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    _verb(verbs, "check", "read settings and catalogue, open nothing", commands.check)
    _verb(verbs, "run", "run the centre until SIGTERM", commands.run)
    tokens = verbs.add_parser("token", help="who may use the API")
    token_verbs = tokens.add_subparsers(required=True, metavar="ACTION")
    add = _verb(token_verbs, "add", "make a token; it is shown once", commands.token_add)
    add.add_argument("--role", required=True, choices=[str(role) for role in Role])
    add.add_argument("--name", required=True, help="who bears it; stands in the ledger")
    add.add_argument("--days", type=int, default=DAYS_DEFAULT, help="its life (%(default)s)")
    _verb(token_verbs, "list", "list tokens, without their secrets", commands.token_list)
    revoke = _verb(token_verbs, "revoke", "end a token at once", commands.token_revoke)
    revoke.add_argument("token", metavar="ID", help="its public id, from `token list`")
    audits = verbs.add_parser("audit", help="the ledger")
    audit_verbs = audits.add_subparsers(required=True, metavar="ACTION")
    verify = _verb(
        audit_verbs, "verify", "check the chain, and the warnings against it", commands.audit_verify
    )
    verify.add_argument(
        "--head",
        metavar="SEQ:HASH",
        help="a line noted down elsewhere, which must stand in the ledger as it was",
    )
    return parser


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    command: commands.Command,
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=command)
    return parser


if __name__ == "__main__":
    sys.exit(main())
