"""A real broker with TLS, accounts and permissions, from the files that the centre renders."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rig.broker import LOG, Broker, mosquitto, nats_server

from egret_aggregator.config import BrokerSettings
from egret_aggregator.enrolment.accounts import Account, hashed, new_secret
from egret_aggregator.enrolment.authority import Authority, Pair
from egret_aggregator.enrolment.folder import BrokerFolder
from egret_aggregator.enrolment.render import configuration
from egret_aggregator.enrolment.settings import EnrolmentSettings, Kind, Program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY_MS = 86_400_000
PROGRAMS = (Program.NATS, Program.MOSQUITTO)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class Secured(Broker):
    """A broker from a `BrokerFolder`; it can be killed, started again and reloaded."""

    settings: EnrolmentSettings
    store: Path
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.store)
        self.office = BrokerFolder(self.settings, self.port, self.hup)
        self.office.found(now_ms())

    def _command(self) -> list[str | Path]:
        program, by = self.settings.broker, self.settings.by
        text = configuration(program, by, str(self.settings.folder), str(self.folder), self.port)
        config = self.settings.folder / "running.conf"
        if program is Program.NATS:
            config.write_text(text)
            return [nats_server(), "-c", config]
        # Started by root it would drop to a user who cannot read a test's folder.
        config.write_text(f"user root\n{text}log_type debug\n")
        return [mosquitto(), "-c", config]

    def hup(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def log(self) -> str:
        return (self.folder / LOG).read_text(errors="replace")

    def admit(self, gateway: str, days: float = 30.0) -> str:
        """Make an account; return its name. The secret is in `secrets`, or in NAME.pem."""
        number = self.office.book().next_number(gateway)
        secret, hashes = "", {}
        if self.settings.by is Kind.PASSWORD:
            secret = new_secret()
            hashes = hashed(secret)
        account = Account(
            gateway, number, str(self.settings.by), hashes, now_ms(), now_ms() + int(days * DAY_MS)
        )
        if self.settings.by is Kind.CERTIFICATE:
            pair = self.office.authority().client(account.name, now_ms(), days)
            (self.folder / f"{account.name}.pem").write_text(pair.certificate + pair.key)
        self.secrets[account.name] = secret
        self.office.change(lambda book: book.added(account))
        return account.name

    @property
    def ca_file(self) -> Path:
        return self.settings.folder / "ca.pem"

    def as_centre(self) -> BrokerSettings:
        """How the centre connects."""
        here = self.settings.folder
        if self.settings.by is Kind.CERTIFICATE:
            pair = {"cert_file": here / "centre.pem", "key_file": here / "centre.key"}
            return BrokerSettings(False, "localhost", self.port, ca_file=self.ca_file, **pair)
        return BrokerSettings(
            False, "localhost", self.port, "centre", here / "centre.password", self.ca_file
        )


@asynccontextmanager
async def running_secured(
    folder: Path, program: Program = Program.NATS, by: Kind = Kind.PASSWORD
) -> AsyncIterator[Secured]:
    settings = EnrolmentSettings(folder / "accounts", "localhost", broker=program, by=by)
    broker = Secured(settings, folder / "store")
    await broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def two_clients(folder: Path, made_ms: int) -> Path:
    """Make a CA, clients `one` and `two` of it, and a file that is neither key nor certificate."""
    authority = Authority.made(folder, "city", made_ms)
    for name in ("one", "two"):
        pair = authority.client(name, made_ms, 30)
        (folder / f"{name}.pem").write_text(pair.certificate)
        (folder / f"{name}.key").write_text(pair.key)
    (folder / "junk").write_text("nothing of that kind")
    return folder


@asynccontextmanager
async def mute_server(folder: Path, pair: Pair) -> AsyncIterator[int]:
    """Serve TLS with a certificate, and say nothing; give the port."""
    (folder / "server.pem").write_text(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
