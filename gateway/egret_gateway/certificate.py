"""When a certificate is valid, read from its bytes (X.509, RFC 5280 4.1). Pure.

| field of TBSCertificate | DER |
|---|---|
| version | [0], may be absent |
| serialNumber, signature, issuer | INTEGER, SEQUENCE, SEQUENCE |
| validity | SEQUENCE of two times: UTCTime (0x17) or GeneralizedTime (0x18), both with Z |

The standard library tells it of a peer's certificate, not of a file's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

_SEQUENCE, _EXPLICIT_0, _UTC_TIME = 0x30, 0xA0, 0x17
_LONG = 0x80  # a length of so many further bytes
_BEFORE_VALIDITY = 3  # serialNumber, signature, issuer
_BAD = "this is not an X.509 certificate"


class Validity(NamedTuple):
    """From when until when, ms since 1970, both inclusive."""

    from_ms: int
    until_ms: int


def validity(der: bytes) -> Validity:
    """Return the span in which a certificate is valid.

    Raises:
        ValueError: the bytes are no certificate.
    """
    try:
        certificate, _ = _part(der, _SEQUENCE)
        body, _ = _part(certificate, _SEQUENCE)
        if body[0] == _EXPLICIT_0:
            _, body = _part(body, _EXPLICIT_0)
        for _ in range(_BEFORE_VALIDITY):
            _, body = _part(body)
        span, _ = _part(body, _SEQUENCE)
        kind = span[0]
        first, rest = _part(span)
        return Validity(_ms(kind, first), _ms(rest[0], _part(rest)[0]))
    except (IndexError, ValueError) as error:
        raise ValueError(_BAD) from error


def _part(data: bytes, kind: int | None = None) -> tuple[bytes, bytes]:
    """Return (content of the first element, what follows it)."""
    if kind is not None and data[0] != kind:
        raise ValueError(_BAD)
    size, start = data[1], 2
    if size & _LONG:
        start += size & ~_LONG
        size = int.from_bytes(data[2:start], "big")
    if start + size > len(data):
        raise ValueError(_BAD)
    return data[start : start + size], data[start + size :]


def _ms(kind: int, text: bytes) -> int:
    shape = "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ"
    when = datetime.strptime(text.decode("ascii"), shape).replace(tzinfo=UTC)
    return int(when.timestamp() * 1000)
