"""The folder of the broker: CA, certificates, `accounts.json` and what is rendered from it.

The broker's user needs to read its own key and accounts and nothing else: give the folder to its
group with the set-group-id bit, and the files made here follow.
"""

from __future__ import annotations

import secrets
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from egret_aggregator.enrolment.accounts import Book, decode, encode, hashed, new_secret
from egret_aggregator.enrolment.authority import (
    CA_FILE,
    CA_KEY,
    SERVER_RENEW_DAYS,
    Authority,
    fits,
    span_ms,
)
from egret_aggregator.enrolment.files import BROKER, PRIVATE, PUBLIC, locked, remove, write
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

    from egret_aggregator.enrolment.authority import Pair
    from egret_aggregator.enrolment.settings import EnrolmentSettings

ACCOUNTS = "accounts.json"
SERVER_FILE, SERVER_KEY = "server.pem", "server.key"
OWED = ".reload-owed"  # the broker is still to be told of what stands here
BEGUN = ".begun"  # `ca init` is under way, or was cut short
CENTRE_RENEW_SHARE = 1 / 3  # of its life left, where that is shorter than the broker's margin
NATS_ACCOUNTS = "accounts.conf"
RELOAD_S = 30.0  # for the operator's reload command
LOOPBACK = ("localhost", "127.0.0.1")  # the centre reaches a broker beside it by these
STORES = {Program.NATS: "/var/lib/nats", Program.MOSQUITTO: "/var/lib/mosquitto"}

_DAY_MS = 86_400_000


class Issued(NamedTuple):
    """New certificates: the broker's, and the centre's where it has one."""

    server: Pair
    centre: Pair | None


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

        One that was cut short is done anew: nobody was given anything of it.

        Raises:
            EnrolmentError: there is a CA already.
        """
        begun = self.path / BEGUN
        with locked(self.path):
            self._ended()
            if begun.exists():
                for name in (CA_KEY, CA_FILE):
                    (self.path / name).unlink(missing_ok=True)
            Authority.vacant(self.path)
            write(begun, "", PRIVATE)
            self._install(
                self._issued(Authority.made(self.path, self._settings.host, now_ms), now_ms)
            )
            password = new_secret()
            if self._settings.by is Kind.PASSWORD:
                write(self.path / f"{CENTRE}.password", password + "\n", PRIVATE)
            self._write_main()
            self._write(Book(centre=hashed(password)))
            remove(begun)
        return sorted(path for path in self.path.iterdir() if not path.name.startswith("."))

    def ready(self, now_ms: int) -> None:
        """Make good what a kill left half done; call it before anything uses the files.

        A certificate that does not fit its key is made anew, what is rendered is rendered again,
        and a broker that is told by a command is told by the next `make_good`.

        Raises:
            EnrolmentError: there are no accounts yet, or no CA for a pair that does not fit.
            OSError: a file cannot be read or written.
        """
        with locked(self.path):
            self._ended()
            self._write(self.book())
            if self._settings.reload:
                self._owe()
            if not self._pairs_fit():
                self._install(self.issued(now_ms))

    def issued(self, now_ms: int) -> Issued:
        """Return new certificates for the broker, and for the centre where it has one.

        Raises:
            EnrolmentError: there is no CA.
        """
        return self._issued(Authority.load(self.path), now_ms)

    def certify(self, now_ms: int, issued: Issued | None = None) -> None:
        """Give the broker, and the centre where it has one, a new certificate of the same CA.

        Args:
            now_ms: from when on they are good.
            issued: made before; None to make them now.

        Raises:
            EnrolmentError: there is no CA, or the broker could not be told.
        """
        with locked(self.path):
            fresh, book = issued or self.issued(now_ms), self.book()
            self._owe()
            self._install(fresh)
            self._write_main()
            self._write(book)
        self.make_good()

    def certificate_due(self, now_ms: int) -> bool:
        """Tell whether a certificate is broken, nears its end or has not begun."""
        settings = self._settings
        left_days = {SERVER_FILE: SERVER_RENEW_DAYS}
        if settings.by is Kind.CERTIFICATE:
            left_days[f"{CENTRE}.pem"] = min(SERVER_RENEW_DAYS, settings.days * CENTRE_RENEW_SHARE)
        try:
            spans = [
                (days, *span_ms((self.path / name).read_bytes()))
                for name, days in left_days.items()
            ]
        except (OSError, ValueError):
            return True
        return self.certificate_broken() or any(
            begins_ms > now_ms or ends_ms - now_ms < days * _DAY_MS
            for days, begins_ms, ends_ms in spans
        )

    def certificate_broken(self) -> bool:
        """Tell whether a certificate is of no use by any clock: none, or of another key."""
        try:
            return not self._pairs_fit()
        except OSError:
            return True

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
        except UnicodeDecodeError as error:
            raise EnrolmentError(
                f"{path} cannot be read: {error}", "restore it from a backup, or enrol anew"
            ) from error
        except OSError as error:
            remedy = "begin with `egret-aggregator ca init`"
            if (self.path / CA_FILE).exists() and not (self.path / BEGUN).exists():
                remedy = "restore it from a backup: there is a CA already, which gateways trust"
            raise EnrolmentError(f"{path}: {error.strerror}", remedy) from error

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
            told = _rights(changed) != _rights(book)
            if told:
                self._owe()
            self._write(changed)
        if told:
            self.make_good()

    def make_good(self) -> bool:
        """Have the broker read what it was not yet told of; tell whether there was anything.

        Raises:
            EnrolmentError: the command failed: it stays owed.
        """
        mark = self._owed()
        if mark is None:
            return False
        self.reload()
        with locked(self.path):
            if self._owed() == mark:  # nobody has changed anything meanwhile
                remove(self.path / OWED)
        return True

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

    def _ended(self) -> None:
        """Take an init for done whose last file is there: what it made may be trusted by now."""
        if (self.path / ACCOUNTS).exists() and (self.path / BEGUN).exists():
            remove(self.path / BEGUN)

    def _owe(self) -> None:
        """Note durably that the broker is to be told, before anything changes."""
        write(self.path / OWED, secrets.token_hex(8), PRIVATE)

    def _owed(self) -> str | None:
        try:
            return (self.path / OWED).read_text()
        except FileNotFoundError:
            return None

    def _issued(self, authority: Authority, now_ms: int) -> Issued:
        settings = self._settings
        names = list(dict.fromkeys((settings.host, *settings.names, *LOOPBACK)))
        centre = None
        if settings.by is Kind.CERTIFICATE:
            centre = authority.client(CENTRE, now_ms, settings.days)
        return Issued(authority.server(names, now_ms), centre)

    def _install(self, fresh: Issued) -> None:
        write(self.path / SERVER_KEY, fresh.server.key, BROKER)
        write(self.path / SERVER_FILE, fresh.server.certificate, PUBLIC)
        if fresh.centre is not None:
            write(self.path / f"{CENTRE}.key", fresh.centre.key, PRIVATE)
            write(self.path / f"{CENTRE}.pem", fresh.centre.certificate, PUBLIC)

    def _pairs_fit(self) -> bool:
        """Tell whether each certificate fits its key: a kill between the two leaves one behind."""
        pairs = [(SERVER_FILE, SERVER_KEY)]
        if self._settings.by is Kind.CERTIFICATE:
            pairs.append((f"{CENTRE}.pem", f"{CENTRE}.key"))
        try:
            return all(
                fits((self.path / certificate).read_bytes(), (self.path / key).read_bytes())
                for certificate, key in pairs
            )
        except FileNotFoundError:
            return False

    def _write(self, book: Book) -> None:
        """Write what the broker reads, and the book last: what it says has been rendered."""
        write(self.path / NATS_ACCOUNTS, nats_accounts(book, self._settings.by), BROKER)
        write(self.path / "mosquitto.passwd", mosquitto_passwords(book), BROKER)
        write(self.path / "mosquitto.acl", mosquitto_acl(book), BROKER)
        write(self.path / ACCOUNTS, encode(book), PRIVATE)

    def _write_main(self) -> None:
        if self._reload is None:
            by, program = self._settings.by, self._settings.broker
            here = str(self.path.absolute())
            data = self._settings.broker_data or STORES[program]
            main = configuration(program, by, here, data, self._port)
            write(self.path / f"{program}.conf", main, BROKER)


def _rights(book: Book) -> set[str]:
    """Return who may connect: a change of anything else is none of the broker's business."""
    return {account.name for account in book.open}
