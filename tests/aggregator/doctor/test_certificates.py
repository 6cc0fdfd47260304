"""The doctor at the certificates of the broker's folder: in time, begun, and each with its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_aggregator import config, data_folder
from egret_aggregator.doctor.certificates import LATE_DAYS, certificates
from egret_aggregator.enrolment.authority import SERVER_DAYS

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.config import CentreConfig

DAY_MS = 86_400_000
NOW_MS = 1_795_340_000_000


@pytest.fixture
def city(tmp_path: Path) -> CentreConfig:
    path = tmp_path / "centre.toml"
    path.write_text(
        "[centre]\ndata = 'data'\ncatalogue = 'catalogue'\n"
        "[enrolment]\nhost = 'h'\nby = 'certificate'\ndays = 3650\n"
    )
    found = config.load(path)
    assert found.enrolment is not None
    data_folder.broker_folder(found, found.enrolment).found(NOW_MS)
    return found


def findings(city: CentreConfig, day: float = 0) -> list[str]:
    return [found.what for found in certificates(city, NOW_MS + int(day * DAY_MS)).findings]


def folder(city: CentreConfig) -> Path:
    assert city.enrolment is not None
    return city.enrolment.folder


@pytest.mark.parametrize(
    ("day", "what"),
    [
        (0, ""),
        (SERVER_DAYS - LATE_DAYS - 1, ""),
        (SERVER_DAYS - LATE_DAYS + 1, "expires in 244 days and was not renewed"),
        (SERVER_DAYS + 2, "expired 2 days ago"),
    ],
)
def test_a_certificate_that_the_centre_did_not_renew_is_told_of(
    city: CentreConfig, day: float, what: str
) -> None:
    found = findings(city, day)
    assert (len(found), what in "".join(found)) == (int(bool(what)), True)


def test_one_that_has_not_begun_is_told_of(city: CentreConfig) -> None:
    assert any("server.pem begins in 10 days" in what for what in findings(city, -10))


@pytest.mark.parametrize("name", ["server.key", "centre.key"])
def test_a_key_of_another_certificate_is_told_of(city: CentreConfig, name: str) -> None:
    other = "centre.key" if name == "server.key" else "server.key"
    (folder(city) / name).write_text((folder(city) / other).read_text())
    (what,) = findings(city)
    assert name in what
    assert "no pair" in what


def test_what_is_missing_is_told_of_with_its_remedy(city: CentreConfig) -> None:
    (folder(city) / "server.key").unlink()
    assert ["server.key: No such file" in what for what in findings(city)] == [True]
    (folder(city) / "server.pem").write_text("no PEM")
    found = certificates(city, NOW_MS).findings
    assert all("ca renew" in one.remedy for one in found)
    assert len(found) == 2


def test_without_enrolment_only_what_settings_name_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text("[centre]\ndata = 'data'\ncatalogue = 'catalogue'\n")
    result = certificates(config.load(path), NOW_MS)
    assert (result.seen, result.findings) == ("none in use", ())
