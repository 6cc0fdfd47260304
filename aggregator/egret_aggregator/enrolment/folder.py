"""The folder of the broker: CA, certificates, `accounts.json` and what is rendered from it.

The broker's user needs to read its own key and accounts and nothing else: give the folder to its
group with the set-group-id bit, and the files made here follow.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from egret_aggregator.enrolment.accounts import Book, decode, encode, hashed, new_secret
from egret_aggregator.enrolment.authority import CA_FILE, SERVER_RENEW_DAYS, Authority, ends_ms
from egret_aggregator.enrolment.files import BROKER, PRIVATE, PUBLIC, locked, write
from egret_aggregator.enrolment.render import (
    configuration,
    mosquitto_acl,
    mosquitto_passwords,
    nats_accounts,
)
from egret_aggregator.enrolment.settings import Kind, Program
from egret_aggregator.errors import EnrolmentError
from egret_core.topics import CENTRE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from egret_aggregator.enrolment.settings import EnrolmentSettings

ACCOUNTS = "accounts.json"
SERVER_FILE = "server.pem"
NATS_ACCOUNTS = "accounts.conf"
RELOAD_S = 30.0  # for the operator's reload command
LOOPBACK = ("localhost", "127.0.0.1")  # the centre reaches a broker beside it by these
STORES = {Program.NATS: "/var/lib/nats", Program.MOSQUITTO: "/var/lib/mosquitto"}

_DAY_MS = 86_400_000


class BrokerFolder:
    """What stands in the folder, and how it changes.

    Args:
        settings: checked ones.
        port: the broker's TLS port.
        reload: makes a broker of ours read its accounts anew; None for the settings' own command,
            with a main configuration for the broker of somebody else.
    """

    def __init__(
        self, settings: EnrolmentSettings, port: int, reload: Callable[[], None] | None = None
    ) -> None:
        self._settings = settings
        self._port = port
        self._reload = reload
        self._read: tuple[tuple[int, int, int], Book] | None = None
        self.path = settings.folder

    def found(self, now_ms: int) -> list[Path]:
        """Make CA, the broker's certificate, the centre's credential and all files; return them.

        Raises:
            EnrolmentError: there is a CA already.
        """
        with locked(self.path):
            authority = Authority.made(self.path, self._settings.host, now_ms)
            self._certify(authority, now_ms)
            password = new_secret()
            if self._settings.by is Kind.PASSWORD:
                write(self.path / f"{CENTRE}.password", password + "\n", PRIVATE)
            self._write(Book(centre=hashed(password)))
        return sorted(path for path in self.path.iterdir() if not path.name.startswith("."))

    def certify(self, now_ms: int) -> None:
        """Give the broker, and the centre where it has one, a new certificate of the same CA.

        Raises:
            EnrolmentError: there is no CA, or the broker could not be told.
        """
        with locked(self.path):
            self._certify(Authority.load(self.path), now_ms)
            self._write(self.book())
        self.reload()

    def certificate_due(self, now_ms: int) -> bool:
        """Tell whether the broker's certificate nears its end, or cannot be read."""
        try:
            left_ms = ends_ms((self.path / SERVER_FILE).read_bytes()) - now_ms
        except (OSError, ValueError):
            return True
        return left_ms < SERVER_RENEW_DAYS * _DAY_MS

    def authority(self) -> Authority:
        """Return the CA."""
        return Authority.load(self.path)

    def ca_pem(self) -> str:
        """Return the CA's certificate, which gateways are to trust."""
        return (self.path / CA_FILE).read_text()

    def book(self) -> Book:
        """Return the accounts as they stand.

        Raises:
            EnrolmentError: there are none yet, or they cannot be read.
        """
        path = self.path / ACCOUNTS
        try:
            now = path.stat()
            stamp = (now.st_ino, now.st_size, now.st_mtime_ns)
            if self._read is None or self._read[0] != stamp:
                self._read = (stamp, decode(path.read_text(), str(path)))
            return self._read[1]
        except OSError as error:
            raise EnrolmentError(
                f"{path}: {error.strerror}", "begin with `egret-aggregator ca init`"
            ) from error

    def change(self, how: Callable[[Book], Book]) -> None:
        """Change the accounts, write what the broker reads, and have it read.

        Raises:
            EnrolmentError: `how` refused, or the broker could not be told.
        """
        with locked(self.path):
            book = self.book()
            changed = how(book)
            if changed == book:
                return
            self._write(changed)
        if _rights(changed) != _rights(book):
            self.reload()

    def reload(self) -> None:
        """Have the broker read its accounts anew.

        Raises:
            EnrolmentError: the command failed; the accounts are written all the same.
        """
        if self._reload is not None:
            self._reload()
        if not self._settings.reload:
            return
        try:
            done = subprocess.run(  # noqa: S603  (the operator's own command)
                self._settings.reload,
                capture_output=True,
                text=True,
                timeout=RELOAD_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnrolmentError(
                f"enrolment.reload: {error}", "reload the broker by hand"
            ) from error
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-300:]
            raise EnrolmentError(
                f"enrolment.reload ended with {done.returncode}: {said!r}",
                "reload the broker by hand: its accounts are written",
            )

    def _certify(self, authority: Authority, now_ms: int) -> None:
        settings = self._settings
        names = list(dict.fromkeys((settings.host, *settings.names, *LOOPBACK)))
        server = authority.server(names, now_ms)
        write(self.path / "server.key", server.key, BROKER)
        write(self.path / SERVER_FILE, server.certificate, PUBLIC)
        if settings.by is Kind.CERTIFICATE:
            centre = authority.client(CENTRE, now_ms, settings.days)
            write(self.path / f"{CENTRE}.key", centre.key, PRIVATE)
            write(self.path / f"{CENTRE}.pem", centre.certificate, PUBLIC)

    def _write(self, book: Book) -> None:
        by, program = self._settings.by, self._settings.broker
        write(self.path / ACCOUNTS, encode(book), PRIVATE)
        write(self.path / NATS_ACCOUNTS, nats_accounts(book, by), BROKER)
        write(self.path / "mosquitto.passwd", mosquitto_passwords(book), BROKER)
        write(self.path / "mosquitto.acl", mosquitto_acl(book), BROKER)
        if self._reload is None:
            here = str(self.path.absolute())
            data = self._settings.broker_data or STORES[program]
            main = configuration(program, by, here, data, self._port)
            write(self.path / f"{program}.conf", main, BROKER)


def _rights(book: Book) -> set[str]:
    """Return who may connect: a change of anything else is none of the broker's business."""
    return {account.name for account in book.accounts}
