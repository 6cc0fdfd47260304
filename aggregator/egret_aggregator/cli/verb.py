"""One verb of the command line: its arguments every command has, and what runs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from egret_aggregator.log import FORMS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from egret_aggregator.cli.output import Output

Command: TypeAlias = "Callable[[argparse.Namespace, Output], int]"
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  (its only name)


def add_verb(verbs: Verbs, name: str, text: str, command: Command) -> argparse.ArgumentParser:
    """Add a verb that takes CONFIG.toml and --json; return its parser for more arguments."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.add_argument("config", type=Path, metavar="CONFIG.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.set_defaults(command=command)
    return parser


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add --log and --verbose to a verb that runs for long."""
    parser.add_argument("--log", choices=FORMS, default=FORMS[0], help="form of the log's lines")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what goes well, too")
