"""`egret-aggregator doctor CONFIG.toml`: what to act on, before it hurts; at most ten seconds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from egret_aggregator import config
from egret_aggregator.cli.verb import add_verb
from egret_aggregator.clock import Clock
from egret_aggregator.doctor import examine

if TYPE_CHECKING:
    import argparse

    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs
    from egret_aggregator.config import CentreConfig
    from egret_aggregator.doctor import Result

_MOSQUITTO = Path("/etc/mosquitto/mosquitto.conf")  # Debian's
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def add_verbs(verbs: Verbs) -> None:
    """Add doctor."""
    verb = add_verb(verbs, "doctor", "look at every room, and name what to act on", doctor)
    verb.add_argument(
        "--broker-conf",
        type=Path,
        metavar="FILE",
        help="the foreign broker's own configuration: mosquitto.conf or a nats-server one",
    )


def doctor(arguments: argparse.Namespace, output: Output) -> int:
    """Look at every room of a centre that runs or not; 1 where there is something to act on."""
    settings = config.load(arguments.config)
    conf = arguments.broker_conf or _conf(settings)
    results = asyncio.run(examine(settings, Clock(settings.timescale), conf))
    found = any(result.findings for result in results)
    output.said(
        [line for result in results for line in _lines(result)],
        {
            "ok": not found,
            "rooms": [
                {
                    "room": result.room,
                    "ok": not result.findings,
                    "seen": result.seen,
                    "findings": [finding._asdict() for finding in result.findings],
                }
                for result in results
            ],
        },
    )
    return 1 if found else 0


def _conf(settings: CentreConfig) -> Path | None:
    """Return the configuration of a broker beside us: the one we wrote, else Debian's."""
    if settings.broker.embedded or settings.broker.host not in _LOOPBACK:
        return None
    written = settings.enrolment and settings.enrolment.folder / f"{settings.enrolment.broker}.conf"
    return next((path for path in (written, _MOSQUITTO) if path and path.exists()), None)


def _lines(result: Result) -> list[str]:
    mark = "look" if result.findings else "ok"
    lines = [f"{mark:<5} {result.room:<13} {result.seen}".rstrip()]
    for finding in result.findings:
        lines += [f"      - {finding.what}", f"        do: {finding.remedy}"]
    return lines
