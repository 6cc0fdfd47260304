"""Files that settings name: secrets that are secret, certificates that are good for a while.

Every setting whose key ends in `password_file`, `key_file`, `cert_file` or `ca_file` is looked at,
whatever part of the settings it stands in.
"""

from __future__ import annotations

import stat
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509

from egret_aggregator.doctor.finding import Finding, Result

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRETS = ("password_file", "key_file")
CERTIFICATES = ("cert_file", "ca_file")
DAYS_LEFT = 30  # enough for an office to answer
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_DAY_S = 86_400


def named(settings: object) -> Iterator[tuple[str, Path]]:
    """Yield (key, path) of every file that settings name, those of inner tables too."""
    for item in fields(settings) if is_dataclass(settings) else ():
        value: Any = getattr(settings, item.name)
        if is_dataclass(value):
            yield from ((f"{item.name}.{key}", path) for key, path in named(value))
        elif isinstance(value, Path):
            yield item.name, value


def modes(settings: object, data: Path) -> Result:
    """Look at who may read secrets and data."""
    found: list[Finding] = []
    looked = 0
    for key, path in named(settings):
        if key.endswith(SECRETS):
            looked += 1
            found.extend(_secret(key, path))
    if data.is_dir() and data.stat().st_mode & stat.S_IRWXO:
        found.append(
            Finding(f"everybody may read {data}: ledger and hashes", f"chmod o-rwx {data}")
        )
    return Result("files", f"{looked} secrets, data in {data}", tuple(found))


def certificates(settings: object, now_ms: int) -> Result:
    """Look at how long certificates are good."""
    now = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
    found: list[Finding] = []
    spans: list[str] = []
    for key, path in named(settings):
        if not key.endswith(CERTIFICATES):
            continue
        try:
            chain = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            found.append(Finding(f"{key}: {path}: {error}", "name a PEM file with a certificate"))
            continue
        for certificate in chain:
            days = (certificate.not_valid_after_utc - now).total_seconds() / _DAY_S
            spans.append(f"{key} {days:.0f} days")
            found.extend(_validity(key, path, certificate, now))
    return Result("certificates", ", ".join(spans) or "none in use", tuple(found))


def _secret(key: str, path: Path) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield Finding(f"{key}: {path}: {error.strerror}", "write the file, or take the key out")
        return
    if mode & _OTHERS:
        yield Finding(
            f"{key}: others than its owner may read {path} ({stat.S_IMODE(mode):o})",
            f"chmod 600 {path}",
        )


def _validity(
    key: str, path: Path, certificate: x509.Certificate, now: datetime
) -> Iterator[Finding]:
    days = (certificate.not_valid_after_utc - now).total_seconds() / _DAY_S
    if certificate.not_valid_before_utc > now:
        begins = certificate.not_valid_before_utc.isoformat()
        yield Finding(f"{key}: {path} is not valid before {begins}", "set this machine's clock")
    elif days < 0:
        yield Finding(f"{key}: {path} expired {-days:.0f} days ago", "put a new one in its place")
    elif days < DAYS_LEFT:
        yield Finding(f"{key}: {path} expires in {days:.0f} days", "put a new one in its place")
