"""Files that settings name, wherever they stand in them: secrets and certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from rig.certificates import BEGINNING, certificate

from egret_aggregator.config import BrokerSettings, CentreConfig
from egret_aggregator.doctor.files import DAYS_LEFT, certificates, modes, named


@dataclass(frozen=True)
class Inner:
    """A table of settings as other rooms have them."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    port: int = 1


@dataclass(frozen=True)
class Outer:
    inner: Inner
    data: Path


def day_ms(day: float) -> int:
    return int((BEGINNING + timedelta(days=day)).timestamp() * 1000)


def test_every_file_of_every_table_is_found() -> None:
    outer = Outer(Inner(ca_file=Path("ca"), key_file=Path("key")), Path("data"))
    expected = {"inner.ca_file": Path("ca"), "inner.key_file": Path("key"), "data": Path("data")}
    assert dict(named(outer)) == expected
    broker = BrokerSettings(password_file=Path("p"))
    assert dict(named(CentreConfig(Path("d"), Path("c"), broker))) == {
        "data": Path("d"),
        "catalogue": Path("c"),
        "broker.password_file": Path("p"),
    }


@pytest.mark.parametrize(
    ("day", "what"),
    [
        (-1, "is not valid before"),
        (0, ""),
        (100 - DAYS_LEFT - 1, ""),
        (100 - DAYS_LEFT + 1, f"expires in {DAYS_LEFT - 1} days"),
        (107, "expired 7 days ago"),
    ],
)
def test_a_certificate_is_told_of_in_time(tmp_path: Path, day: float, what: str) -> None:
    pem = certificate(tmp_path / "own.pem", from_day=0, to_day=100)
    result = certificates(Outer(Inner(cert_file=pem), tmp_path), day_ms(day))
    assert (what in result.findings[0].what) if what else result.findings == ()
    assert "inner.cert_file" in result.seen


def test_every_certificate_of_a_file_counts(tmp_path: Path) -> None:
    good = certificate(tmp_path / "good.pem", from_day=0, to_day=900)
    old = certificate(tmp_path / "old.pem", from_day=0, to_day=10)
    both = tmp_path / "both.pem"
    both.write_bytes(good.read_bytes() + old.read_bytes())
    result = certificates(Outer(Inner(ca_file=both), tmp_path), day_ms(50))
    assert len(result.findings) == 1


def test_what_is_no_certificate_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate")
    inner = Inner(ca_file=tmp_path / "x.pem", cert_file=tmp_path / "none.pem")
    result = certificates(Outer(inner, tmp_path), day_ms(0))
    assert [finding.remedy for finding in result.findings] == [
        "name a PEM file with a certificate"
    ] * 2


def test_without_certificates_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert certificates(Outer(Inner(), tmp_path), day_ms(0)).seen == "none in use"


@pytest.mark.parametrize(("mode", "good"), [(0o600, True), (0o400, True), (0o640, False)])
def test_a_secret_that_others_may_read_is_a_finding(
    tmp_path: Path, mode: int, *, good: bool
) -> None:
    tmp_path.chmod(0o700)
    key = tmp_path / "own.key"
    key.write_text("swordfish")
    key.chmod(mode)
    result = modes(Outer(Inner(key_file=key), tmp_path), tmp_path)
    assert (result.findings == ()) == good
    assert good or f"({mode:o})" in result.findings[0].what
    assert "swordfish" not in repr(result)


def test_a_secret_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (found,) = modes(Outer(Inner(key_file=tmp_path / "gone"), tmp_path), tmp_path).findings
    assert "inner.key_file" in found.what


def test_data_that_everybody_may_read_is_a_finding(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (found,) = modes(Outer(Inner(), tmp_path), tmp_path).findings
    assert found.remedy == f"chmod o-rwx {tmp_path}"
    tmp_path.chmod(0o750)
    assert modes(Outer(Inner(), tmp_path), tmp_path).findings == ()
