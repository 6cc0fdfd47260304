"""What each command does, on the rooms it needs."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_aggregator import catalogue, catalogue_doubts, config, data_folder, log
from egret_aggregator.api.times import rfc3339
from egret_aggregator.cli.verb import add_log, add_verb
from egret_aggregator.clock import Clock
from egret_aggregator.database import Database
from egret_aggregator.intake import tls
from egret_aggregator.tokens import DAYS_DEFAULT, Role, Tokens
from egret_aggregator.warnings import Ledger, audit
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs
    from egret_aggregator.config import CentreConfig
    from egret_aggregator.database.token_rows import TokenRow

ARGUMENTS = "arguments"  # stands for a file where the command line itself is wrong
_log = logging.getLogger(__name__)
_HEAD = re.compile(r"([1-9]\d{0,17}):([0-9a-f]{64})")


def add_verbs(verbs: Verbs) -> None:
    """Add check, run, token and audit."""
    add_verb(verbs, "check", "read settings and catalogue, open nothing", check)
    running = add_verb(verbs, "run", "run the centre until SIGTERM", run)
    add_log(running)
    tokens = verbs.add_parser("token", help="who may use the API")
    token_verbs = tokens.add_subparsers(required=True, metavar="ACTION")
    add = add_verb(token_verbs, "add", "make a token; it is shown once", token_add)
    add.add_argument("--role", required=True, choices=[str(role) for role in Role])
    add.add_argument("--name", required=True, help="who bears it; stands in the ledger")
    add.add_argument("--days", type=int, default=DAYS_DEFAULT, help="its life (%(default)s)")
    add_verb(token_verbs, "list", "list tokens, without their secrets", token_list)
    revoke = add_verb(token_verbs, "revoke", "end a token at once", token_revoke)
    revoke.add_argument("token", metavar="ID", help="its public id, from `token list`")
    audits = verbs.add_parser("audit", help="the ledger")
    audit_verbs = audits.add_subparsers(required=True, metavar="ACTION")
    verify = add_verb(
        audit_verbs, "verify", "check the chain, and the warnings against it", audit_verify
    )
    verify.add_argument(
        "--head",
        metavar="SEQ:HASH",
        help="a line noted down elsewhere, which must stand in the ledger as it was",
    )


def check(arguments: argparse.Namespace, output: Output) -> int:
    """Read settings and catalogue as `run` does, and open nothing."""
    settings = config.load(arguments.config)
    tls.context(settings.broker, settings.file)
    places = catalogue.load(settings.catalogue)
    channels = sum(len(station.channels) for station in places.stations.values())
    counts = f"{len(places.stations)} stations, {channels} channels, {len(places.rules)} rules"
    told = _doubts(settings, places)
    output.said(
        [
            f"{arguments.config}: ok",
            f"catalogue {places.version}: {counts}",
            *(f"warning: {doubt}" for doubt in told),
        ],
        {
            "ok": True,
            "catalogue": places.version,
            "stations": len(places.stations),
            "channels": channels,
            "rules": len(places.rules),
            "warnings": [
                {
                    "file": doubt.file,
                    "key": doubt.key,
                    "seen": repr(doubt.seen),
                    "remedy": doubt.remedy,
                }
                for doubt in told
            ],
        },
    )
    return 0


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Run the centre until SIGTERM or SIGINT."""
    # The whole centre; no other verb needs it.
    from egret_aggregator import service  # noqa: PLC0415
    from egret_aggregator.enrolment.start import make_ready  # noqa: PLC0415

    log.set_up(arguments.log, verbose=arguments.verbose)
    settings = config.load(arguments.config)
    make_ready(settings, Clock().now_ms())
    tls.context(settings.broker, settings.file)
    places = catalogue.load(settings.catalogue)
    for doubt in _doubts(settings, places):
        _log.warning("catalogue doubted why=%r", str(doubt))

    def ready(host: str, port: int) -> None:
        url = f"http://{host}:{port}"
        output.said([f"egret-aggregator: {url}"], {"url": url})

    return asyncio.run(service.run(settings, places, ready))


def token_add(arguments: argparse.Namespace, output: Output) -> int:
    """Make a token and show it, this once."""

    async def work() -> tuple[str, TokenRow]:
        async with _office(config.load(arguments.config)) as (tokens, _):
            return await tokens.add(arguments.name, Role(arguments.role), arguments.days)

    token, row = asyncio.run(work())
    output.said([token], {"token": token, **_token(row)})
    return 0


def token_list(arguments: argparse.Namespace, output: Output) -> int:
    """List tokens, without their secrets."""

    async def work() -> list[TokenRow]:
        async with _office(config.load(arguments.config)) as (tokens, _):
            return await tokens.everything()

    shown = [_token(row) for row in asyncio.run(work())]
    lines = [
        f"{item['id']}  {item['role']:<8} {item['name']:<24} "
        f"{'revoked ' + item['revoked'] if item['revoked'] else 'until ' + item['expires']}"
        for item in shown
    ]
    output.said(lines or ["no tokens"], {"tokens": shown})
    return 0


def token_revoke(arguments: argparse.Namespace, output: Output) -> int:
    """End a token; 1 where none of this id is still good."""

    async def work() -> bool:
        async with _office(config.load(arguments.config)) as (tokens, _):
            return await tokens.revoke(arguments.token)

    done = asyncio.run(work())
    text = "revoked" if done else "no such token is good: see `egret-aggregator token list`"
    output.said([f"{arguments.token}: {text}"], {"id": arguments.token, "revoked": done})
    return 0 if done else 1


def audit_verify(arguments: argparse.Namespace, output: Output) -> int:
    """Check the ledger's chain and the warnings' table; 1 names the first line that is wrong."""
    noted = _noted(arguments)
    settings = config.load(arguments.config)
    place = data_folder.database_place(settings)
    if isinstance(place, Path) and not place.exists():
        raise ConfigError(
            settings.file, "centre.data", str(settings.data), f"there is no ledger {place.name} yet"
        )

    async def work() -> audit.Report:
        database = Database(place)
        await database.open()
        try:
            return await audit.verify(database, noted)
        finally:
            await database.close()

    report = asyncio.run(work())
    lines = [f"seq {finding.seq}: {finding.why}: {finding.detail}" for finding in report.findings]
    verdict = "ok" if not report.findings else "WRONG"
    lines.append(f"{verdict}: {report.lines} lines, head {report.head.seq}:{report.head.hash}")
    output.said(
        lines,
        {
            "ok": not report.findings,
            "lines": report.lines,
            "head": {"seq": report.head.seq, "hash": report.head.hash},
            "findings": [
                {"seq": finding.seq, "why": str(finding.why), "detail": finding.detail}
                for finding in report.findings
            ],
        },
    )
    return 1 if report.findings else 0


def _doubts(settings: CentreConfig, places: catalogue.Catalogue) -> tuple[ConfigError, ...]:
    return catalogue_doubts.doubts(places, str(settings.catalogue / catalogue.RULES))


def _noted(arguments: argparse.Namespace) -> audit.Noted | None:
    if arguments.head is None:
        return None
    match = _HEAD.fullmatch(arguments.head)
    if match is None:
        raise ConfigError(ARGUMENTS, "--head", arguments.head, "write SEQ:HASH, 64 hex digits")
    return audit.Noted(int(match[1]), match[2])


@asynccontextmanager
async def _office(settings: CentreConfig) -> AsyncIterator[tuple[Tokens, Ledger]]:
    database = Database(data_folder.database_place(settings))
    await database.open()
    try:
        ledger = Ledger(database, Clock(settings.timescale).now_ms)
        await ledger.open()
        yield Tokens(database, ledger, Clock().now_ms), ledger
    finally:
        await database.close()


def _token(row: TokenRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "created": rfc3339(row.created_ms),
        "expires": rfc3339(row.expires_ms),
        "revoked": None if row.revoked_ms is None else rfc3339(row.revoked_ms),
    }
