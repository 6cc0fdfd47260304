"""The gateway's credentials for the broker: a folder that enrolment fills and renewals add to.

`ID.N.password` holds a password, `ID.N.pem` a certificate and its key; `ID.N` is the account at
the broker, N counts up. The newest is used, the one before only where the broker refuses it, or
takes it and lets us hear nothing.
A file appears whole or not at all: a box that loses power meanwhile still has its former one.
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from egret_gateway.errors import UplinkError

if TYPE_CHECKING:
    from pathlib import Path

    from egret_gateway.broker import BrokerSettings

PASSWORD, CERTIFICATE = "password", "pem"
KEPT = 2  # the newest and the one before: the overlap of a renewal needs no more
SECRET_MAX_B = 16 * 1024  # a certificate with its key takes 1 kB
_log = logging.getLogger(__name__)
_NAME = re.compile(r"(?P<account>[A-Za-z0-9_-]{1,48}\.(?P<number>\d{1,9}))\.(password|pem)")


class Login(NamedTuple):
    """As whom to connect.

    Attributes:
        account: user name at the broker, "" for none.
        password: None for none; pair: (certificate, key) files, None for none.
    """

    account: str = ""
    password: str | None = None
    pair: tuple[Path, Path] | None = None

    def __repr__(self) -> str:
        """Return the account alone: this may stand in a log."""
        return f"Login({self.account!r})"


def logins(broker: BrokerSettings) -> list[Login]:
    """Return as whom to connect, the best first; read anew at each call.

    Raises:
        UplinkError: a file cannot be read, or the folder holds no credential.
    """
    try:
        if broker.credentials is not None:
            return [_login(path) for path in _files(broker.credentials)]
        password = None
        if broker.password_file is not None:
            password = broker.password_file.read_text().strip()
    except OSError as error:
        raise UplinkError(f"credentials: {error}") from error
    pair = None
    if broker.cert_file is not None and broker.key_file is not None:
        pair = (broker.cert_file, broker.key_file)
    return [Login(broker.username, password, pair)]


class Credentials:
    """Chooses as whom to connect: the newest, and after a refusal of it the one before, once.

    Attributes:
        heard: whether any word came in since the last choice.
    """

    def __init__(self, broker: BrokerSettings) -> None:
        self._broker = broker
        self._turn = 0
        self.heard = False

    @property
    def folder(self) -> Path | None:
        """Where renewals are kept, None where credentials are the operator's to renew."""
        return self._broker.credentials

    def choose(self) -> Login:
        """Return as whom to connect now.

        Raises:
            UplinkError: there is no credential, or it cannot be read.
        """
        self.heard = False
        found = logins(self._broker)
        return found[self._turn % len(found)]

    def refused(self) -> None:
        """The broker did not take what was chosen: another one comes next."""
        self._turn += 1

    def served(self) -> None:
        """What was chosen was heard by; the next connection begins with the newest again.

        Call it at every word that comes in, the first counts: Mosquitto lets any certificate of
        the city's CA in, and tells it nothing where its account has ended.
        """
        if self.heard:
            return
        self.heard = True
        if self._turn == 0 and self.folder is not None:
            try:
                tidy(self.folder)
            except OSError as error:  # a disk that refuses: what is there still serves
                _log.warning("credentials untidy=%r", str(error))
        self._turn = 0


def is_account(name: str) -> bool:
    """Tell whether a name is one of a gateway's accounts, so that a file may bear it."""
    return _NAME.fullmatch(f"{name}.{PASSWORD}") is not None


def keep(folder: Path, account: str, kind: str, secret: str) -> Path:
    """Write a credential durably, readable for its owner only; the same again changes nothing.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{account}.{kind}"
    write_whole(path, secret, 0o600)
    return path


def write_whole(path: Path, text: str, mode: int) -> None:
    """Write a file that is there whole or not at all, whenever the power goes.

    Raises:
        OSError: it could not be written; what was there before still is.
    """
    new = path.with_name(f".{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "w") as file:
        os.fchmod(handle, mode)
        file.write(text)
        file.flush()
        os.fsync(handle)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def tidy(folder: Path) -> None:
    """Remove credentials that came before the two newest; call it once the newest has served."""
    for path in _files(folder)[KEPT:]:
        path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    found = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    if not found:
        raise UplinkError(f"{folder} holds no credential: enrol this gateway (egret-gateway enrol)")
    found.sort(key=lambda one: int(one[0]["number"]), reverse=True)
    return [path for _, path in found]


def _login(path: Path) -> Login:
    account = path.name.rpartition(".")[0]
    if path.suffix == f".{CERTIFICATE}":
        return Login(account, None, (path, path))
    return Login(account, path.read_text().strip())
