"""The dates of a certificate, read from its bytes, are those that the library reads."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from egret_aggregator.enrolment.authority import Authority
from egret_gateway.certificate import validity

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_795_340_000_000
DAY_MS = 86_400_000


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.made(tmp_path, "city", NOW_MS)


@pytest.mark.parametrize("days", [0.5, 825, 9_000, 40_000])  # beyond 2050 times are written longer
def test_the_span_is_read_as_the_library_reads_it(authority: Authority, days: float) -> None:
    pem = authority.client("gw1.1", NOW_MS, days).certificate
    span = validity(ssl.PEM_cert_to_DER_cert(pem))
    known = x509.load_pem_x509_certificate(pem.encode())
    assert span.from_ms == known.not_valid_before_utc.timestamp() * 1000
    assert span.until_ms == known.not_valid_after_utc.timestamp() * 1000
    assert span.until_ms == NOW_MS + days * DAY_MS


def test_a_certificate_cut_short_is_none(authority: Authority) -> None:
    der = ssl.PEM_cert_to_DER_cert(authority.client("gw1.1", NOW_MS, 1).certificate)
    for size in range(0, 150, 7):
        with pytest.raises(ValueError, match="not an X"):
            validity(der[:size])


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(ValueError, match="this is not an X"):
        validity(data)
