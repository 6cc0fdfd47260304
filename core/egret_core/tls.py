"""What a failed TLS handshake means to the person who has to mend it. Pure.

Codes are X509_V_ERR_* of OpenSSL's x509_vfy.h, as `ssl.SSLCertVerificationError.verify_code`.
"""

from __future__ import annotations

_NOT_YET, _EXPIRED = 9, 10
_FOREIGN = (2, 18, 19, 20, 21)  # no issuer, self-signed, no trusted root
_NAMES = (62, 64)  # host name, address

# Words of OpenSSL's own messages: alerts of the other side have no code.
_ALERTS = {
    "ALERT_CERTIFICATE_REQUIRED": "it wants a client certificate: set cert_file and key_file",
    "ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired: enrol anew",
    "ALERT_UNKNOWN_CA": "it does not know the CA of our certificate: enrol anew",
    "ALERT_BAD_CERTIFICATE": "it refuses our certificate: enrol anew",
    "WRONG_VERSION_NUMBER": "this port does not speak TLS: the TLS port is usually 8883",
}


def verification(code: int, host: str, detail: str) -> str:
    """Return why the broker's certificate is refused, and what to do.

    Args:
        code: `verify_code`.
        host: the name it was asked by.
        detail: OpenSSL's own words.
    """
    if code == _EXPIRED:
        return "the broker's certificate has expired: renew it with `egret-aggregator ca renew`"
    if code == _NOT_YET:
        return "the broker's certificate is not valid yet: is the clock of this machine right?"
    if code in _FOREIGN:
        return "the broker's certificate is of a foreign CA: ca_file must be that broker's own"
    if code in _NAMES:
        return f"the broker's certificate does not bear the name {host!r}: write one it bears"
    return f"the broker's certificate is refused: {detail}"


def failure(reason: str | None, detail: str) -> str:
    """Return why a handshake failed that was not about the broker's certificate.

    Args:
        reason: OpenSSL's name of it, e.g. ``TLSV13_ALERT_CERTIFICATE_REQUIRED``.
        detail: its own words.
    """
    for word, meaning in _ALERTS.items():
        if word in (reason or "") or word in detail.upper().replace(" ", "_"):
            return f"TLS with the broker failed: {meaning}"
    return f"TLS with the broker failed: {detail}"
