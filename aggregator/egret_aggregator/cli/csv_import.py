"""`egret-aggregator import`: history from a CSV file, through the API of the running centre.

The journal has one writer, the centre; so a file comes in by the same door as a bureau's readings,
with the same checks. The file is read through before anything is sent. A batch is named by the
file's hash and the line it begins at: importing a file again brings in what is missing of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from egret_aggregator import catalogue, config, csv_rows
from egret_aggregator.cli.commands import ARGUMENTS
from egret_aggregator.cli.verb import add_verb
from egret_aggregator.errors import ImportRefusedError
from egret_aggregator.feed import checked
from egret_core.errors import ConfigError
from egret_core.sources import IMPORT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from egret_aggregator.catalogue import Catalogue
    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs
    from egret_aggregator.config import CentreConfig

TOKEN = "EGRET_TOKEN"  # noqa: S105  (the variable's name)
BLOCK = 500  # lines of one batch: about 100 kB of JSON, below `body_max_kb`
SHOWN_MAX = 20  # bad lines that are shown; all of them are counted
TRIES_MAX = 30  # of one batch, with RETRY_S between: five minutes of a centre that restarts
RETRY_S = 10.0
ANSWER_S = 60.0  # for one answer
_TRY_AGAIN = frozenset((502, 503, 504))


class Bad(NamedTuple):
    """A line that is not taken."""

    line: int
    why: str
    detail: str
    text: str


class Found(NamedTuple):
    """How many lines are good and bad; `shown` are the first of the bad ones."""

    good: int
    bad: int
    shown: list[Bad]


def add_verbs(verbs: Verbs) -> None:
    """Add import."""
    text = "bring in history from a CSV file through the running centre; it is not judged"
    parser = add_verb(verbs, "import", text, bring_in)
    parser.add_argument("file", type=Path, metavar="FILE.csv")
    parser.add_argument("--dry-run", action="store_true", help="check the file, send nothing")
    parser.add_argument("--zone", help="of times without an offset, e.g. Asia/Shanghai")
    parser.add_argument(
        "--set-aside", type=Path, metavar="BAD.csv", help="write bad lines there and take the rest"
    )
    parser.add_argument("--url", help="of the centre; [api] of CONFIG.toml where left out")


def bring_in(arguments: argparse.Namespace, output: Output) -> int:
    """Check every line, then send what is good; 1 where a line is bad, even if set aside."""
    settings = config.load(arguments.config)
    work = Import(arguments, catalogue.load(settings.catalogue))
    url = _url(arguments.url, settings)
    found = work.check()
    told: dict[str, Any] = {"good": found.good, "bad": found.bad, "sent": 0, "known": 0}
    told["lines"] = [item._asdict() for item in found.shown]
    lines = [f"{arguments.file}:{line}: {why}: {detail}" for line, why, detail, _ in found.shown]
    lines.append(f"{arguments.file}: {found.good} good lines, {found.bad} bad ones")
    if arguments.dry_run or (found.bad and arguments.set_aside is None):
        remedy = "; correct them, or --set-aside BAD.csv" if found.bad else ""
        lines.append(f"nothing was sent{remedy}")
    else:
        told["sent"], told["known"] = work.send(url, _token())
        lines.append(f"{told['sent']} readings brought in, {told['known']} of them known already")
    output.said(lines, told)
    return 1 if found.bad else 0


class Import:
    """One file on its way in.

    Args:
        arguments: of the command; places: whose channels and units they are.
    """

    def __init__(self, arguments: argparse.Namespace, places: Catalogue) -> None:
        self._path: Path = arguments.file
        self._aside: Path | None = arguments.set_aside
        self._zone = _zone(arguments.zone)
        self._places = places
        self._digest = _digest(self._path)

    def check(self) -> Found:
        """Read every line; write the bad ones aside if asked."""
        good = bad = 0
        shown: list[Bad] = []
        with ExitStack() as stack:
            aside = self._opened(stack)
            for block in self._blocks():
                taken, refused = self._sorted(block)
                good, bad = good + len(taken), bad + len(refused)
                shown += refused[: SHOWN_MAX - len(shown)]
                if aside is not None:
                    aside.writelines(_aside(item) for item in refused)
        return Found(good, bad, shown)

    def _opened(self, stack: ExitStack) -> IO[str] | None:
        if self._aside is None:
            return None
        try:
            return stack.enter_context(self._aside.open("x", encoding="utf-8", newline=""))
        except FileExistsError:
            remedy = "name a file that is not there"
            raise ConfigError(ARGUMENTS, "--set-aside", str(self._aside), remedy) from None

    def send(self, url: str, token: str) -> tuple[int, int]:
        """Send the good lines; return how many, and how many were known from an earlier import.

        Raises:
            ImportRefusedError: the centre refuses, or does not answer.
        """
        sent = known = 0
        for block in self._blocks():
            taken, _ = self._sorted(block)
            if not taken:
                continue
            batch = f"csv-{self._digest}-{block[0].line}-{len(taken)}"
            answer = _posted(url, token, {"batch": batch, "readings": taken})
            sent += answer["accepted"]
            known += answer["accepted"] if answer["replayed"] else 0
            if answer["refused"]:
                first = answer["refused"][0]
                raise ImportRefusedError(
                    f"lines from {block[0].line} on: {first['why']}: {first['detail']}: "
                    "is the centre's catalogue another one?"
                )
            sys.stderr.write(f"egret-aggregator: line {block[-1].line}, {sent} readings\n")
        return sent, known

    def _blocks(self) -> Iterator[list[csv_rows.Row]]:
        try:
            with self._path.open(encoding="utf-8", newline="") as file:
                names = csv_rows.columns(file, str(self._path))
                found = csv_rows.rows(file, names, self._zone)
                while block := list(islice(found, BLOCK)):
                    yield block
        except UnicodeDecodeError as error:
            raise ConfigError(str(self._path), "file", str(error), "write UTF-8") from None

    def _sorted(self, block: list[csv_rows.Row]) -> tuple[list[dict[str, Any]], list[Bad]]:
        """Return the entries of a block that the centre takes, and its bad lines."""
        rows = [(row.line, row.entry) for row in block if row.entry is not None]
        entries = [entry for _, entry in rows]
        refused = checked(entries, self._places, IMPORT).refused
        bad = [Bad(row.line, row.why, row.detail, row.text) for row in block if row.entry is None]
        texts = {row.line: row.text for row in block}
        for item in refused:
            line = rows[item.at][0]
            bad.append(Bad(line, item.why, item.detail, texts[line]))
        left = {item.at for item in refused}
        return [entry for at, entry in enumerate(entries) if at not in left], sorted(bad)


def _aside(item: Bad) -> str:
    """Return a bad line as it was, with its place and what is wrong with it before it."""
    return f"# line {item.line}: {item.why}: {item.detail}\n{item.text.rstrip()}\n"


def _url(given: str | None, settings: CentreConfig) -> str:
    host, port = settings.api.host, settings.api.port
    if given is None and not port:
        raise ConfigError(ARGUMENTS, "--url", given, "say where the centre is: its port is free")
    url = given or f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if not url.startswith(("http://", "https://")):
        raise ConfigError(ARGUMENTS, "--url", url, "write http:// or https:// and a host")
    return url


def _posted(url: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310  (`_url` checks the scheme)
        f"{url.rstrip('/')}/api/v1/readings",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    why = ""
    for _ in range(TRIES_MAX):
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:  # noqa: S310
                told: dict[str, Any] = json.load(answer)
                return told
        except urllib.error.HTTPError as error:
            why = error.read(2000).decode("utf-8", "replace")
            if error.code not in _TRY_AGAIN:
                raise ImportRefusedError(f"{url} refuses: {why}") from None
        except OSError as error:
            why = str(error)
        sys.stderr.write(f"egret-aggregator: {url}: {why[:200]}; again in {RETRY_S:g} s\n")
        time.sleep(RETRY_S)
    raise ImportRefusedError(f"{url} does not take readings: {why}; import the file again later")


def _token() -> str:
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        remedy = "set it to an admin's token: egret-aggregator token add --role admin"
        raise ConfigError(ARGUMENTS, TOKEN, token, remedy)
    return token


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        remedy = "name a zone such as Asia/Shanghai (Debian: package tzdata)"
        raise ConfigError(ARGUMENTS, "--zone", name, remedy) from None


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:24]
    except OSError as error:
        raise ConfigError(str(path), "file", error.strerror, "name a file that exists") from None
