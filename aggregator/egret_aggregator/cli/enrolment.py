"""`egret-aggregator ca ...` and `gateway ...`: who may speak to the broker."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egret_aggregator import config, data_folder
from egret_aggregator.api.times import rfc3339
from egret_aggregator.cli.verb import add_verb
from egret_aggregator.clock import Clock
from egret_aggregator.database import Database
from egret_aggregator.enrolment.files import PRIVATE
from egret_aggregator.enrolment.office import Office
from egret_aggregator.errors import EnrolmentError
from egret_aggregator.warnings import Ledger
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator

    from egret_aggregator.cli.output import Output
    from egret_aggregator.cli.verb import Verbs
    from egret_aggregator.config import CentreConfig
    from egret_aggregator.enrolment.accounts import Account
    from egret_aggregator.enrolment.folder import BrokerFolder
    from egret_aggregator.enrolment.settings import EnrolmentSettings


def add_verbs(verbs: Verbs) -> None:
    """Add ca init, ca renew, and gateway add, list, rotate, revoke."""
    ca = verbs.add_parser("ca", help="the city's own CA and the broker's certificate")
    ca_verbs = ca.add_subparsers(required=True, metavar="ACTION")
    add_verb(ca_verbs, "init", "make CA, broker certificate, accounts and broker files", ca_init)
    add_verb(ca_verbs, "renew", "give the broker a new certificate of the same CA", ca_renew)
    gateways = verbs.add_parser("gateway", help="who may send: enrol, list, renew, revoke")
    gateway_verbs = gateways.add_subparsers(required=True, metavar="ACTION")
    add = add_verb(gateway_verbs, "add", "enrol a gateway: write its bundle", gateway_add)
    rotate = add_verb(
        gateway_verbs, "rotate", "give a gateway a new bundle; the old credential overlaps", rotated
    )
    for verb in (add, rotate):
        verb.add_argument("gateway", metavar="ID", help="its id on the wire")
        verb.add_argument("--days", type=float, help="how long the bundle can be used")
        verb.add_argument("--out", type=Path, help="the bundle's file (ID.enrol in this folder)")
    add_verb(gateway_verbs, "list", "list accounts, without their secrets", gateway_list)
    revoke = add_verb(gateway_verbs, "revoke", "end all accounts of a gateway at once", revoked)
    revoke.add_argument("gateway", metavar="ID", help="its id on the wire")


def ca_init(arguments: argparse.Namespace, output: Output) -> int:
    """Make everything that a broker with accounts needs."""
    settings = config.load(arguments.config)
    made = _folder(settings).found(Clock().now_ms())
    lines = [f"made {path}" for path in made]
    lines.append("keep ca.key safe and backed up: who has it can pass for the broker")
    output.said(lines, {"files": [str(path) for path in made]})
    return 0


def ca_renew(arguments: argparse.Namespace, output: Output) -> int:
    """Give the broker a new certificate; gateways need to do nothing."""
    settings = config.load(arguments.config)
    folder = _folder(settings)
    folder.certify(Clock().now_ms())
    path = str(folder.path / "server.pem")
    output.said([f"made {path}: the broker was told to read it"], {"files": [path]})
    return 0


def gateway_add(arguments: argparse.Namespace, output: Output) -> int:
    """Enrol a gateway and write its bundle."""
    return _hand_out(arguments, output, "add")


def rotated(arguments: argparse.Namespace, output: Output) -> int:
    """Write a further bundle for a gateway that is enrolled."""
    return _hand_out(arguments, output, "rotate")


def gateway_list(arguments: argparse.Namespace, output: Output) -> int:
    """List accounts."""
    book = _folder(config.load(arguments.config)).book()
    accounts = [shown(one) for one in book.accounts]
    lines = [
        f"{one['account']:<32} {one['kind']:<12} {one['state']:<8} until {one['ends']}"
        for one in accounts
    ]
    output.said(lines or ["no gateway is enrolled"], {"accounts": accounts})
    return 0


def revoked(arguments: argparse.Namespace, output: Output) -> int:
    """End all accounts of a gateway."""

    async def work() -> list[str]:
        async with _office(config.load(arguments.config)) as office:
            return await office.revoke(arguments.gateway)

    names = asyncio.run(work())
    done = f"ended {', '.join(names)}" if names else "was ended before; the broker knows it now"
    output.said([f"{arguments.gateway}: {done}"], {"ended": names})
    return 0


def _hand_out(arguments: argparse.Namespace, output: Output, how: str) -> int:
    out: Path = arguments.out or Path(f"{arguments.gateway}.enrol")
    settings = config.load(arguments.config)

    async def work() -> tuple[Account, str]:
        async with _office(settings) as office:
            deed = office.add if how == "add" else office.rotate
            return await deed(arguments.gateway, arguments.days)

    # The file is opened first: an account whose secret could not be written would be of no use.
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError as error:
        raise EnrolmentError(
            f"{out} exists", "use or remove that bundle, or name another"
        ) from error
    try:
        account, text = asyncio.run(work())
        os.write(handle, text.encode())
        os.fsync(handle)
    except BaseException:
        out.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)
    ends = rfc3339(account.ends_ms)
    output.said(
        [
            f"{out}: bundle of {account.gateway}, good for one use until {ends}",
            f"on the gateway: egret-gateway enrol {out.name}",
        ],
        {"bundle": str(out), **shown(account)},
    )
    return 0


def shown(account: Account) -> dict[str, Any]:
    """Return what people are shown of an account."""
    state = "bundle" if account.bundle else "offered" if account.pending else "in use"
    if account.over:
        state = "over"
    return {
        "account": account.name,
        "gateway": account.gateway,
        "kind": account.kind,
        "state": state,
        "made": rfc3339(account.made_ms),
        "ends": rfc3339(account.ends_ms),
    }


def _enrolment(settings: CentreConfig) -> EnrolmentSettings:
    if settings.enrolment is None:
        remedy = "write [enrolment] with host = the name by which gateways reach the broker"
        raise ConfigError(settings.file, "enrolment", None, remedy)
    return settings.enrolment


def _folder(settings: CentreConfig) -> BrokerFolder:
    return data_folder.broker_folder(settings, _enrolment(settings))


@asynccontextmanager
async def _office(settings: CentreConfig) -> AsyncIterator[Office]:
    database = Database(data_folder.database_place(settings))
    await database.open()
    try:
        ledger = Ledger(database, Clock(settings.timescale).now_ms)
        await ledger.open()
        enrolment, port = _enrolment(settings), settings.broker.port
        yield Office(enrolment, _folder(settings), ledger, Clock().now_ms, port)
    finally:
        await database.close()
