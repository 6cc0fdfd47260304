"""TLS towards the broker, on a box that may not know the time.

While the machine's own clock is vouched for, OpenSSL checks every certificate of the chain
against it. Otherwise it checks signatures and names, and the dates are checked here: against the
centre's time where that was heard, else only against the last committed time: the true time is
later than that, so a certificate that ended before it has certainly expired, and of no other can
be said that it is not valid now. A box that boots in 1970, or after a year in a store room, gets
through to the centre, hears its time, and is exact from the next connection on.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from egret_core.tls import failure, verification

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping
    from pathlib import Path

    from egret_gateway.clock import Vouched

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of x509_vfy.h; `ssl` has no name for it
NOT_YET, EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED


class Line(ssl.SSLSocket):
    """A line that remembers why the other side ended it: TLS 1.3 tells only after the handshake.

    Attributes:
        fault: OpenSSL's name of the reason, "" for none.
    """

    fault = ""

    def recv(self, *arguments: Any) -> bytes:  # noqa: ANN401  (as the base class has it)
        """Receive as the base class does."""
        try:
            return super().recv(*arguments)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.fault = error.reason or str(error)
            raise


class Tls:
    """What one connection trusts and shows.

    Args:
        ca_file: CAs to trust, PEM.
        pair: (certificate, key) files of our own, None to show none.
        host: the name that the broker's certificate must bear.
        known: what is known of the time.
    """

    def __init__(
        self, ca_file: Path, pair: tuple[Path, Path] | None, host: str, known: Vouched
    ) -> None:
        self._host = host
        self._known = known
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.sslsocket_class = Line
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._context.load_verify_locations(cafile=ca_file)
        if pair is not None:
            self._context.load_cert_chain(*pair, password="")
        if not known.own:
            self._context.verify_flags |= NO_CHECK_TIME

    def over(self, line: socket.socket) -> socket.socket:
        """Return the line with TLS over it; it blocks for the handshake.

        Raises:
            OSError: refused; the message says what to do. The line is closed.
        """
        try:
            secure = self._context.wrap_socket(line, server_hostname=self._host)
        except ssl.SSLCertVerificationError as error:
            line.close()
            raise OSError(verification(error.verify_code, self._host, str(error))) from error
        except ssl.SSLError as error:
            line.close()
            raise OSError(failure(error.reason, str(error))) from error
        code = 0 if self._known.own else self._date_fault(secure.getpeercert() or {})
        if code:
            secure.close()
            raise OSError(verification(code, self._host, ""))
        return secure

    def _date_fault(self, peer: Mapping[str, Any]) -> int:
        issuers = [ca for ca in self._context.get_ca_certs() if ca["subject"] == peer["issuer"]]
        faults = [date_fault(ca, self._known) for ca in issuers]
        # A renewed CA stands in the file beside the old one: one of them must do.
        return date_fault(peer, self._known) or (min(faults) if faults else 0)


def date_fault(certificate: Mapping[str, Any], known: Vouched) -> int:
    """Return OpenSSL's code of what is wrong with a certificate's dates, 0 for nothing."""
    until_ms = ssl.cert_time_to_seconds(certificate["notAfter"]) * 1000
    if until_ms < (known.floor_ms if known.now_ms is None else known.now_ms):
        return EXPIRED
    from_ms = ssl.cert_time_to_seconds(certificate["notBefore"]) * 1000
    return NOT_YET if known.now_ms is not None and known.now_ms < from_ms else 0
