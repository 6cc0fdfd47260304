"""A bundle from the centre becomes a gateway: credential, CA and a starting configuration.

| key of a bundle | what |
|---|---|
| v | 1 |
| gateway, host, port | our id, and where the broker is |
| ca | PEM: whom to trust |
| account, kind, secret | the credential: `password`, or `pem` with a certificate and its key |
| ends_ms | ms since 1970: afterwards the broker does not know the account any more |
"""

from __future__ import annotations

import json
import os
import ssl
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egret_core.errors import ConfigError
from egret_core.topics import CENTRE, is_id
from egret_gateway.credentials import (
    CERTIFICATE,
    PASSWORD,
    SECRET_MAX_B,
    is_account,
    keep,
    write_whole,
)

VERSION = 1
PUBLIC = 0o644  # neither a CA nor a configuration holds a secret
FILE_MAX_B = 64 * 1024  # a bundle with a certificate takes 3 kB
_ANEW = "ask the centre for a new one (`egret-aggregator gateway rotate`)"
_START = """\
# Written by `egret-gateway enrol`. What is missing: one [[bus]] for each serial line, with its
# devices; docs/operator/settings.md shows every key. Then: egret-gateway check THIS_FILE

[gateway]
id = {gateway}
data = {data}

[broker]
host = {host}
port = {port}
ca_file = {ca_file}
credentials = {credentials}
"""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle says; its secret stays out of logs."""

    gateway: str
    host: str
    port: int
    ca: str
    account: str
    kind: str
    ends_ms: int
    secret: str

    def __repr__(self) -> str:
        """Return whose it is, and no secret."""
        return f"Bundle({self.account!r})"


@dataclass(frozen=True, slots=True)
class Places:
    """Where an enrolled gateway keeps what a bundle brought.

    Attributes:
        config: its TOML file; data: folder of its state.
        ca_file: whom it trusts; credentials: folder of credentials.
    """

    config: Path
    data: Path
    ca_file: Path
    credentials: Path


def read_bundle(path: Path, now_ms: int | None) -> Bundle:
    """Return what a bundle says.

    Args:
        path: the file.
        now_ms: the time, None where it is not known: then the broker decides.

    Raises:
        ConfigError: it cannot be read, is no bundle, or is over.
    """
    body = _body(path)
    try:
        bundle = Bundle(
            gateway=str(body["gateway"]),
            host=str(body["host"]),
            port=int(body["port"]),
            ca=str(body["ca"]),
            account=str(body["account"]),
            kind=str(body["kind"]),
            ends_ms=int(body["ends_ms"]),
            secret=str(body["secret"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(str(path), "", f"{type(error).__name__} {error}", _ANEW) from None
    for key, right in (
        ("gateway", is_id(bundle.gateway) and bundle.gateway != CENTRE),
        ("host", bool(bundle.host) and bundle.host.isprintable()),
        ("port", 1 <= bundle.port <= 65_535),  # noqa: PLR2004  (a TCP port)
        ("account", is_account(bundle.account) and _owner(bundle.account) == bundle.gateway),
        ("kind", bundle.kind in (PASSWORD, CERTIFICATE)),
        ("ca", _is_ca(bundle.ca)),
    ):
        if not right:
            raise ConfigError(str(path), key, body[key], f"this is no whole bundle: {_ANEW}")
    if not 0 < len(bundle.secret) <= SECRET_MAX_B:
        raise ConfigError(str(path), "secret", f"{len(bundle.secret)} B", _ANEW)
    if now_ms is not None and now_ms >= bundle.ends_ms:
        raise ConfigError(str(path), "ends_ms", bundle.ends_ms, f"the bundle is over: {_ANEW}")
    return bundle


def places(bundle: Bundle, config: Path, data: Path) -> Places:
    """Return where things go: as an existing configuration says, else beside the new one.

    Raises:
        ConfigError: there is a configuration, and it is another gateway's or keeps its
            credential by hand.
    """
    if not config.exists():
        return Places(config, data, config.parent / "ca.pem", data / "credentials")
    try:
        found = tomllib.loads(config.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(config), "", str(error), "mend or remove it first") from error
    gateway, broker = (_table(found, name) for name in ("gateway", "broker"))
    if gateway.get("id") != bundle.gateway:
        remedy = f"the bundle is of {bundle.gateway}: name another --config, or write that id"
        raise ConfigError(str(config), "gateway.id", gateway.get("id"), remedy)
    data = Path(str(gateway.get("data", data)))
    wanted = {
        "host": bundle.host,
        "port": bundle.port,
        "ca_file": str(config.parent / "ca.pem"),
        "credentials": str(data / "credentials"),
    }
    for key, value in wanted.items():
        seen = broker.get(key)
        if seen is None or (key in ("host", "port") and seen != value):
            remedy = f"write {key} = {json.dumps(value)}, and enrol again"
            raise ConfigError(str(config), f"broker.{key}", seen, remedy)
    return Places(config, data, Path(broker["ca_file"]), Path(broker["credentials"]))


def settle(bundle: Bundle, where: Places) -> list[Path]:
    """Write what a bundle brings; return the files that are new. Done again it changes nothing.

    Raises:
        ConfigError: another CA is trusted already.
        OSError: a file could not be written.
    """
    written = []
    if not where.ca_file.exists():
        where.ca_file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(where.ca_file, bundle.ca, PUBLIC)
        written.append(where.ca_file)
    elif where.ca_file.read_text() != bundle.ca:
        remedy = "another CA is trusted here: is this bundle of your city? then remove this file"
        raise ConfigError(str(where.ca_file), "", "a CA that is not the bundle's", remedy)
    where.data.mkdir(parents=True, exist_ok=True)
    written.append(keep(where.credentials, bundle.account, bundle.kind, bundle.secret))
    if not where.config.exists():
        where.config.parent.mkdir(parents=True, exist_ok=True)
        write_whole(where.config, _starting(bundle, where), PUBLIC)
        written.append(where.config)
    _hand_over([where.credentials, *where.credentials.iterdir()], where.data)
    return written


def _hand_over(paths: list[Path], data: Path) -> None:
    """Give what root wrote to whom the data folder belongs to: the service reads and renews it."""
    if os.geteuid() == 0:
        owner = data.stat()
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid)


def _starting(bundle: Bundle, where: Places) -> str:
    values = {
        "gateway": bundle.gateway,
        "data": str(where.data.absolute()),
        "host": bundle.host,
        "port": bundle.port,
        "ca_file": str(where.ca_file.absolute()),
        "credentials": str(where.credentials.absolute()),
    }
    # JSON's text is TOML's, for what a path or a name can hold.
    quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    return _START.format_map(quoted)


def _body(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), "", error.strerror, "name the bundle's file") from error
    if len(data) > FILE_MAX_B:
        raise ConfigError(str(path), "", f"{len(data)} B", f"this is no bundle: {_ANEW}")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError(str(path), "", str(error), f"this is no bundle: {_ANEW}") from None
    if not isinstance(body, dict) or body.get("v") != VERSION:
        seen = body.get("v") if isinstance(body, dict) else body
        raise ConfigError(str(path), "v", seen, f"version {VERSION} is understood here: {_ANEW}")
    return body


def _is_ca(pem: str) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return bool(context.get_ca_certs())


def _owner(account: str) -> str:
    return account.rpartition(".")[0]


def _table(found: dict[str, Any], name: str) -> dict[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}
