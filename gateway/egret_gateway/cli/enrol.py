"""`egret-gateway enrol FILE`: a bundle becomes credential, CA and configuration, and is tried."""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from egret_core import topics
from egret_core.control import decode_centre_status
from egret_core.errors import WireError
from egret_core.topics import Leaf
from egret_gateway.broker import BrokerSettings
from egret_gateway.clock import Clock
from egret_gateway.credentials import logins
from egret_gateway.enrolment import places, read_bundle, settle
from egret_gateway.errors import UplinkError
from egret_gateway.uplink.mqtt import connect

if TYPE_CHECKING:
    import argparse

    from egret_gateway.clock import Vouched
    from egret_gateway.enrolment import Bundle, Places

CONFIG = Path("/etc/egret/gateway.toml")
DATA = Path("/var/lib/egret-gateway")
WORD_S = 10.0  # seconds for the centre's word, which the broker keeps for whom it may tell
OK, FINDING, PEER = 0, 1, 3


class NoWordError(Exception):
    """The broker took us, and the centre was not heard."""


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser("enrol", help="take a bundle from the centre, and try it")
    parser.add_argument("bundle", type=Path, metavar="FILE")
    parser.add_argument("--config", type=Path, default=CONFIG, help="(%(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="for a new config (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.set_defaults(handler=run)


def run(arguments: argparse.Namespace) -> int:
    """Enrol; 0 at the centre's word, 1 when the broker refused, 3 when either was not reached."""
    known = Clock("ntp").vouched()
    bundle = read_bundle(arguments.bundle, known.now_ms)
    where = places(bundle, arguments.config, arguments.data)
    written = settle(bundle, where)
    lines = [f"wrote {path}" for path in written]
    try:
        word = asyncio.run(_tried(bundle, where, known))
    except UplinkError as error:
        code = FINDING if error.refused else PEER
        lines.append(_why_not(bundle, where, arguments, error))
    except NoWordError:
        code = PEER
        lines.append(
            f"the broker {bundle.host}:{bundle.port} takes us, and lets us hear no word of the "
            "centre: it does not run yet, or this bundle was used before or has been revoked. What "
            f"was written stays; {arguments.bundle} is kept: ask the operator, and run this again"
        )
    else:
        code = OK
        arguments.bundle.unlink(missing_ok=True)  # its account ends at the first status of `run`
        lines += [
            f"the broker {bundle.host}:{bundle.port} takes us as {bundle.account}; {word}",
            f"removed {arguments.bundle}: it is used up",
            f"next: egret-gateway check {where.config}",
        ]
    if arguments.json:
        report = {"ok": code == OK, "gateway": bundle.gateway, "account": bundle.account}
        told = {**report, "written": [str(path) for path in written], "detail": lines}
        sys.stdout.write(json.dumps(told, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write("\n".join(lines) + "\n")
    return code


def _why_not(
    bundle: Bundle, where: Places, arguments: argparse.Namespace, error: UplinkError
) -> str:
    place = f"{bundle.host}:{bundle.port}"
    if not error.refused:
        return (
            f"the broker {place} could not be tried: {error}. What was written stays and serves "
            f"once it can be reached; {arguments.bundle} is kept: run this again then"
        )
    # The newest is tried first: one that opens nothing must not stand before one that does.
    (where.credentials / f"{bundle.account}.{bundle.kind}").unlink(missing_ok=True)
    return (
        f"the broker {place} refuses the bundle: {error}. It was used before, has been revoked or "
        "is over: ask the centre for a new one, and who used this one"
    )


async def _tried(bundle: Bundle, where: Places, known: Vouched) -> str:
    """Return what the centre says of itself, once the broker has taken us.

    Raises:
        NoWordError: none came, and only that proves that our account is good.
        UplinkError: the broker refused us or could not be reached.
    """
    gateway = bundle.gateway
    broker = BrokerSettings(
        bundle.host, bundle.port, ca_file=where.ca_file, credentials=where.credentials
    )
    login = next(one for one in logins(broker) if one.account == bundle.account)
    async with connect(broker, login, f"{gateway}-enrol-{secrets.token_hex(4)}", known) as line:
        own = [topics.of(gateway, leaf) for leaf in (Leaf.ACK, Leaf.CMD)]
        await line.subscribe([*own, topics.CENTRE_STATUS])
        try:
            async with asyncio.timeout(WORD_S), aclosing(line.messages()) as messages:
                async for message in messages:
                    if message.topic == topics.CENTRE_STATUS:
                        return f"the centre takes {decode_centre_status(message.payload).taking}"
        except WireError:
            return "the centre's word cannot be read: it is of another version"
        except TimeoutError:
            pass
    raise NoWordError
