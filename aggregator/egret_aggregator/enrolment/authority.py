"""The city's own CA: it signs the broker's certificate and, where wanted, the gateways'.

Keys are P-256: a gateway's certificate with its key takes 1 kB, and a handshake little work on a
small Arm board.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from egret_aggregator.enrolment.files import PRIVATE, PUBLIC, write
from egret_aggregator.errors import EnrolmentError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CA_DAYS = 7300  # twenty years: twice the life of an installation
SERVER_DAYS = 825.0  # over two years
SERVER_RENEW_DAYS = 275.0  # left: the centre renews it by itself, or says for months why it cannot
BACKDATED = timedelta(hours=1)  # a peer's clock may be that much behind ours
CA_FILE, CA_KEY = "ca.pem", "ca.key"


class Pair(NamedTuple):
    """A certificate and its key, PEM."""

    certificate: str
    key: str


class Authority:
    """The CA in a folder."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def made(cls, folder: Path, name: str, now_ms: int) -> Authority:
        """Make a CA; what stands there already is never overwritten.

        Raises:
            EnrolmentError: there is one.
        """
        cls.vacant(folder)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(f"Egret CA of {name}")
        certificate = (
            _builder(subject, subject, key, now_ms, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        write(folder / CA_KEY, _key_pem(key), PRIVATE)
        write(folder / CA_FILE, _pem(certificate), PUBLIC)
        return cls(certificate, key)

    @staticmethod
    def vacant(folder: Path) -> None:
        """Refuse a folder that holds a CA, or a part of one that may be trusted somewhere.

        Raises:
            EnrolmentError: it does.
        """
        if (folder / CA_KEY).exists() or (folder / CA_FILE).exists():
            raise EnrolmentError(
                f"{folder} holds a CA already: every gateway trusts it",
                "to make another one, name another [enrolment] folder",
            )

    @classmethod
    def load(cls, folder: Path) -> Authority:
        """Return the CA of a folder.

        Raises:
            EnrolmentError: there is none, or it cannot be read.
        """
        try:
            certificate = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
            key = load_pem_private_key((folder / CA_KEY).read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            # (TypeError: of a key with a passphrase.)
            remedy = "make one with `egret-aggregator ca init`"
            if (folder / CA_KEY).exists() or (folder / CA_FILE).exists():
                remedy = f"restore {CA_FILE} and {CA_KEY}, without a passphrase, from a backup"
            raise EnrolmentError(f"{folder}: no CA: {error}", remedy) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise EnrolmentError(f"{folder / CA_KEY} is none of ours", "restore it from a backup")
        return cls(certificate, key)

    @property
    def pem(self) -> str:
        """Its certificate, for everyone to trust."""
        return _pem(self._certificate)

    def server(self, names: Sequence[str], now_ms: int, days: float = SERVER_DAYS) -> Pair:
        """Return a certificate for the broker, which bears all of these names and addresses."""
        alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
        return self._issued(names[0], now_ms, days, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def client(self, account: str, now_ms: int, days: float) -> Pair:
        """Return a certificate for one account; its common name is the account's.

        It begins with the CA: made while our clock was ahead, it still opens once that is right.
        """
        return self._issued(account, now_ms, days, ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _issued(
        self,
        name: str,
        now_ms: int,
        days: float,
        purpose: x509.ObjectIdentifier,
        alternatives: x509.SubjectAlternativeName | None,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = self._certificate.subject
        client = purpose == ExtendedKeyUsageOID.CLIENT_AUTH
        begins = self._certificate.not_valid_before_utc if client else None
        builder = (
            _builder(
                _name(name[:64]), issuer, key, now_ms, days, begins=begins
            )  # RFC 5280: 64 at most
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if alternatives is not None:
            builder = builder.add_extension(alternatives, critical=False)
        return Pair(_pem(builder.sign(self._key, hashes.SHA256())), _key_pem(key))


def span_ms(pem: bytes) -> tuple[int, int]:
    """Return when a certificate begins and ends, ms since 1970.

    Raises:
        ValueError: it is none.
    """
    found = x509.load_pem_x509_certificate(pem)
    begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
    return int(begins.timestamp() * 1000), int(ends.timestamp() * 1000)


def fits(certificate: bytes, key: bytes) -> bool:
    """Tell whether a certificate and a key, both PEM, are a pair; what is neither is none."""
    try:
        shown = x509.load_pem_x509_certificate(certificate).public_key()
        held = load_pem_private_key(key, None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return shown.public_bytes(*form) == held.public_bytes(*form)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now_ms: int,
    days: float,
    *,
    begins: datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(begins or now, now - BACKDATED))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    form = PrivateFormat.PKCS8
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
