"""Certificates: those that settings name, and those of the broker's folder, with their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egret_aggregator.doctor import files
from egret_aggregator.doctor.finding import Finding, Result
from egret_aggregator.enrolment.authority import SERVER_RENEW_DAYS, fits, span_ms
from egret_aggregator.enrolment.folder import SERVER_FILE, SERVER_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from egret_aggregator.config import CentreConfig

LATE_DAYS = SERVER_RENEW_DAYS - 30  # left: the centre has tried for a month to renew it
_DAY_MS = 86_400_000
_RENEW = "`egret-aggregator ca renew` makes a new one; event=renewal_failed in the log says why"


def certificates(settings: CentreConfig, now_ms: int) -> Result:
    """Look at how long certificates are good, and whether each fits its key."""
    result = files.certificates(settings, now_ms)
    found, seen = list(result.findings), result.seen
    broker = settings.broker
    if broker.cert_file is not None and broker.key_file is not None:
        found += _pair(broker.cert_file, broker.key_file, "name a certificate and its own key")
    if settings.enrolment is not None:
        path = settings.enrolment.folder / SERVER_FILE
        found += _server(path, now_ms)
        found += _pair(path, settings.enrolment.folder / SERVER_KEY, _RENEW)
        seen = f"{seen}, {path}"
    return Result(result.room, seen, tuple(found))


def _server(path: Path, now_ms: int) -> Iterator[Finding]:
    try:
        begins_ms, ends_ms = span_ms(path.read_bytes())
    except (OSError, ValueError) as error:
        yield Finding(f"{path}: {error}", "`egret-aggregator ca init`, or `ca renew`, makes it")
        return
    days = (ends_ms - now_ms) / _DAY_MS
    if begins_ms > now_ms:
        yield Finding(
            f"{path} begins in {(begins_ms - now_ms) / _DAY_MS:.0f} days: gateways refuse it",
            f"set this machine's clock; {_RENEW}",
        )
    elif days < LATE_DAYS:
        state = f"expires in {days:.0f} days" if days > 0 else f"expired {-days:.0f} days ago"
        yield Finding(f"{path} {state} and was not renewed", _RENEW)


def _pair(certificate: Path, key: Path, remedy: str) -> Iterator[Finding]:
    try:
        good = fits(certificate.read_bytes(), key.read_bytes())
    except OSError as error:
        yield Finding(f"{key}: {error.strerror}", f"look as the centre's user; {remedy}")
        return
    if not good:
        yield Finding(f"{certificate} and {key} are no pair: no broker or client starts", remedy)
