"""`egret-aggregator VERB`: arguments, and errors as exit codes.

0 ok, 1 a finding (a wrong setting is one), 2 wrong usage, 3 the machine or another program.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from egret_aggregator.cli import (
    backtest,
    backup,
    commands,
    csv_import,
    deadman,
    doctor,
    enrolment,
    export,
    retain,
    rules,
)
from egret_aggregator.cli.output import Output
from egret_aggregator.errors import AggregatorError, EnrolmentError
from egret_aggregator.tokens import TokenError
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each adds its own verbs, in the order that help shows.
ROOMS = (
    *(commands, doctor, enrolment, backup, retain, export, csv_import, deadman),
    *(rules, backtest),
)
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
    except EnrolmentError as error:
        output.failed("enrolment", str(error), {"remedy": error.remedy})
        return FINDING
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
    for room in ROOMS:
        room.add_verbs(verbs)
    return parser


if __name__ == "__main__":
    sys.exit(main())
