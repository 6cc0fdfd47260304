"""TLS from the centre to its broker: what is trusted and shown, and failures in plain words."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from egret_core.errors import ConfigError
from egret_core.tls import failure, verification

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.config import BrokerSettings


class _Line(ssl.SSLSocket):
    """A line that is closed when its handshake fails: the MQTT library leaves it open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002  (as the base class)
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def context(settings: BrokerSettings, file: str = "") -> ssl.SSLContext | None:
    """Return how to speak TLS, None where `ca_file` is not given.

    Raises:
        ConfigError: a file is missing, is no PEM, or key and certificate differ.
    """
    if settings.ca_file is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.sslsocket_class = _Line
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    ca = (settings.ca_file, "broker.ca_file", "`egret-aggregator ca init` makes ca.pem")
    try:
        made.load_verify_locations(cafile=settings.ca_file)
    except OSError as error:
        raise _refused(file, *ca, error) from error
    if settings.cert_file is None or settings.key_file is None:
        return made
    try:
        made.load_cert_chain(settings.cert_file, settings.key_file, password="")
    except OSError as error:
        seen = (settings.cert_file, "broker.cert_file", "name a PEM certificate and its own key")
        if not settings.key_file.exists():
            seen = (settings.key_file, "broker.key_file", "name the key of cert_file")
        raise _refused(file, *seen, error) from error
    return made


def meaning(error: BaseException, host: str) -> str:
    """Return what ended a connection; a TLS failure is told with its remedy."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return verification(cause.verify_code, host, str(cause))
    if isinstance(cause, ssl.SSLError):
        return failure(cause.reason, str(cause))
    return str(error)


def _refused(file: str, path: Path, key: str, remedy: str, error: OSError) -> ConfigError:
    why = error.strerror or str(error)
    if isinstance(error, ssl.SSLError):
        why = error.reason or "no PEM certificate in it"
    return ConfigError(file, key, str(path), f"{why}: {remedy}")
