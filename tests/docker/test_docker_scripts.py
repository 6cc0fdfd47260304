"""The CA and the secrets of docker/: made once, for the right eyes, never overwritten."""

from __future__ import annotations

import shutil
import stat
from typing import TYPE_CHECKING

import pytest
from rig import docker_folder as docker

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here"),
]
SERVICES = ("influxdb", "front", "grafana", "postgresql")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def described(certificate: Path) -> str:
    return docker.run("openssl", "x509", "-in", certificate, "-noout", "-text").stdout


def test_every_certificate_is_of_the_ca_and_for_its_service(tmp_path: Path) -> None:
    made = docker.own_copy(tmp_path)
    done = docker.run(made / "local-ca.sh", "egret.city.example", "10.1.2.3", "fd00::3")
    assert done.returncode == 0, done.stderr
    ca = made / "ca/ca.pem"
    assert (made / "secrets/ca_cert").read_bytes() == ca.read_bytes()
    for service in SERVICES:
        certificate = made / f"secrets/{service}_cert"
        told = docker.run(
            *("openssl", "verify", "-CAfile", ca, "-purpose", "sslserver"),
            *("-verify_hostname", service, certificate),
        )
        assert told.returncode == 0, told.stdout + told.stderr
        text = described(certificate)
        assert "DNS:egret.city.example, IP Address:10.1.2.3, IP Address:FD00" in text
        assert "CA:FALSE" in text
        wrong = docker.run(
            *("openssl", "verify", "-CAfile", ca, "-verify_hostname", "other", certificate)
        )
        assert wrong.returncode != 0
    assert "CA:TRUE" in described(ca)


def test_what_is_there_stays_and_renewing_keeps_the_ca(tmp_path: Path) -> None:
    made = docker.prepared(tmp_path)
    before, ca = contents(made / "secrets"), (made / "ca/ca.pem").read_bytes()
    for script in ("local-ca.sh", "secrets.sh"):
        assert docker.run(made / script).returncode == 0
    assert contents(made / "secrets") == before
    assert docker.run(made / "local-ca.sh", "--renew").returncode == 0
    after = contents(made / "secrets")
    renewed = {name for name in before if before[name] != after[name]}
    assert renewed == {f"{service}_{kind}" for service in SERVICES for kind in ("cert", "key")}
    assert (made / "ca/ca.pem").read_bytes() == ca


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    made = docker.prepared(tmp_path)
    assert stat.S_IMODE((made / "secrets").stat().st_mode) == 0o750
    assert stat.S_IMODE((made / "ca").stat().st_mode) == 0o700
    for path in (made / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640, path.name
        assert not path.name.startswith("."), "nothing is left half made"
    assert (made / "ca/ca.key").stat().st_mode & 0o007 == 0


def test_every_secret_of_compose_is_made(tmp_path: Path) -> None:
    made = docker.prepared(tmp_path)
    there = contents(made / "secrets")
    assert there.keys() == docker.compose()["secrets"].keys()
    # These two come from the running services, as the page says.
    later = {"egret_viewer_token", "influxdb_grafana_token"}
    assert {name for name, text in there.items() if not text} == later
    random = [name for name in there if name.endswith(("password", "influxdb_token"))]
    assert len({there[name] for name in random}) == len(random)
    assert all(len(there[name]) == 64 for name in random)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("secrets.sh", "account", "XM-TA-0042"), "it takes nothing"),
        (("local-ca.sh", "--renw"), "unknown option"),
        (("local-ca.sh", "a,b"), "no name and no address"),
        (("local-ca.sh", "city;id"), "no name and no address"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, tuple) else None,
)
def test_wrong_usage_is_refused_by_name(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    made = docker.own_copy(tmp_path)
    script, *rest = arguments
    done = docker.run(made / script, *rest)
    assert done.returncode == 2
    assert told in done.stderr
    assert not (made / "ca").exists()


def test_a_group_that_cannot_be_given_is_told(tmp_path: Path) -> None:
    made = docker.own_copy(tmp_path)
    done = docker.run(made / "local-ca.sh", EGRET_GID="no-such-group")
    assert done.returncode == 3
    assert "EGRET_GID" in done.stderr
