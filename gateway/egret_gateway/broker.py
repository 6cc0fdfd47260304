"""How the uplink reaches its broker: where, whom to trust, and as whom; key `[broker]`."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from egret_gateway.table import Table

PORT = 1883
PORT_TLS = 8883
KEEPALIVE_S = 30.0  # a dead link is noticed, and our will sent, within one and a half of it
KEEPALIVE_MIN_S = 2.0  # the library counts in whole seconds, and looks once in each
KEEPALIVE_MAX_S = 600.0  # beyond it, address translators forget us and the centre calls us silent


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the uplink connects; key `[broker]`.

    Attributes:
        host: name or address; port: TCP port, 8883 where `ca_file` is given.
        username: "" for none; password_file: read at connect, never kept in the config.
        ca_file: whose broker certificates to trust (PEM); TLS is spoken where it is given.
        cert_file, key_file: our own certificate and its key (PEM), for a broker that wants one.
        credentials: folder that `egret-gateway enrol` fills and renewals add to; in place of
            username, password_file, cert_file and key_file.
        keepalive_s: how long the line may be silent before we prove that it stands.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    username: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    credentials: Path | None = None
    keepalive_s: float = KEEPALIVE_S


def read_broker(table: Table) -> BrokerSettings:
    """Return the settings of `[broker]`; the files they name have been looked at.

    Raises:
        ConfigError: names file, key, value seen and remedy.
    """
    ca_file = _path(table, "ca_file")
    settings = BrokerSettings(
        host=table.text("host", "127.0.0.1"),
        port=table.integer("port", 1, 65_535, PORT if ca_file is None else PORT_TLS),
        username=table.text("username", ""),
        password_file=_path(table, "password_file"),
        ca_file=ca_file,
        cert_file=_path(table, "cert_file"),
        key_file=_path(table, "key_file"),
        credentials=_path(table, "credentials"),
        keepalive_s=table.number("keepalive_s", KEEPALIVE_MIN_S, KEEPALIVE_MAX_S, KEEPALIVE_S),
    )
    table.done()
    _agree(table, settings)
    for key, path, remedy in (
        ("password_file", settings.password_file, "write the password into it"),
        ("ca_file", ca_file, "copy the city's CA certificate there"),
        ("cert_file", settings.cert_file, "name our own certificate"),
        ("key_file", settings.key_file, "name the key of cert_file"),
    ):
        if path is not None:
            _readable(table, key, path, remedy)
    if ca_file is not None:
        _trust(table, ca_file)
    if settings.cert_file is not None and settings.key_file is not None:
        _own(table, settings.cert_file, settings.key_file)
    return settings


def _agree(table: Table, settings: BrokerSettings) -> None:
    if settings.password_file and not settings.username:
        table.fail("username", "a password needs the name it belongs to: write username = ...")
    if settings.credentials is not None:
        for key in ("username", "password_file", "cert_file", "key_file"):
            if table.has(key):
                table.fail(key, "`credentials` holds name, password or certificate: leave this out")
    if settings.cert_file is None and settings.key_file is not None:
        table.fail("cert_file", "a key needs its certificate: write cert_file = ...")
    if settings.key_file is None and settings.cert_file is not None:
        table.fail("key_file", "a certificate needs its key: write key_file = ...")
    if settings.cert_file is not None and settings.ca_file is None:
        table.fail("ca_file", "TLS begins with whom to trust: write ca_file = ...")


def _path(table: Table, key: str) -> Path | None:
    text = table.text(key, "")
    return Path(text) if text else None


def _readable(table: Table, key: str, path: Path, remedy: str) -> None:
    try:
        with path.open("rb"):
            pass
    except FileNotFoundError:
        table.fail(key, f"no such file: {remedy}")
    except OSError as error:
        table.fail(key, f"{error.strerror}: make it readable for the service's user")


def _trust(table: Table, path: Path) -> None:
    try:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        found.load_verify_locations(cafile=path)
    except ssl.SSLError:
        _no_pem(table, "ca_file", "certificate")
    if not found.get_ca_certs():
        table.fail("ca_file", "its certificates are no CA's: copy the city's ca.pem there")


def _own(table: Table, cert_file: Path, key_file: Path) -> None:
    try:
        # An empty password: a key that wants one must not ask on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_file, key_file, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            table.fail("key_file", "this is not the key of cert_file: take both from one bundle")
        if "CERTIFICATE" not in cert_file.read_text("ascii", "replace"):
            _no_pem(table, "cert_file", "certificate")
        table.fail("key_file", "cert_file and key_file must be PEM, the key without a password")


def _no_pem(table: Table, key: str, what: str) -> NoReturn:
    table.fail(key, f"holds no {what} in PEM: it begins with -----BEGIN {what.upper()}-----")
