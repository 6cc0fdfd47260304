"""Every failed handshake says what to do about it."""

from __future__ import annotations

import pytest

from egret_core.tls import failure, verification


@pytest.mark.parametrize(
    ("code", "word"),
    [(10, "expired"), (9, "clock"), (18, "foreign"), (19, "foreign"), (20, "foreign")],
)
def test_a_refused_certificate_is_told_in_plain_words(code: int, word: str) -> None:
    assert word in verification(code, "mqtt.city", "x")


@pytest.mark.parametrize("code", [62, 64])
def test_a_wrong_name_is_quoted(code: int) -> None:
    assert "'mqtt.city'" in verification(code, "mqtt.city", "x")


def test_an_unknown_code_keeps_openssls_words() -> None:
    assert verification(77, "h", "its own words").endswith("its own words")


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "client certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "expired"),
        ("TLSV1_ALERT_UNKNOWN_CA", "does not know"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "refuses"),
        ("WRONG_VERSION_NUMBER", "does not speak TLS"),
    ],
)
def test_an_alert_of_the_broker_is_explained(reason: str, word: str) -> None:
    assert word in failure(reason, "detail")
    # Where only OpenSSL's sentence is at hand it is understood too.
    assert word in failure(None, f"[SSL] {reason.lower().replace('_', ' ')} (_ssl.c:1)")


def test_any_other_failure_keeps_its_words() -> None:
    assert failure(None, "unexpected end").endswith("unexpected end")
