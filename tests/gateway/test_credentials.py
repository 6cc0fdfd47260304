"""The folder of credentials: the newest first, the one before after a refusal, whole or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_gateway.broker import BrokerSettings
from egret_gateway.credentials import CERTIFICATE, PASSWORD, Credentials, Login, keep, logins
from egret_gateway.errors import UplinkError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "credentials"


def settings(folder: Path) -> BrokerSettings:
    return BrokerSettings(credentials=folder)


def test_the_newest_is_first_by_number_and_not_by_letter(folder: Path) -> None:
    for number in (2, 10, 9):
        keep(folder, f"gw1.{number}", PASSWORD, f"secret{number}")
    assert [login.account for login in logins(settings(folder))] == ["gw1.10", "gw1.9", "gw1.2"]
    assert logins(settings(folder))[0] == Login("gw1.10", "secret10")


def test_a_certificate_is_its_own_pair(folder: Path) -> None:
    path = keep(folder, "gw1.3", CERTIFICATE, "PEM")
    assert logins(settings(folder)) == [Login("gw1.3", None, (path, path))]


def test_only_the_owner_may_read_and_nothing_half_written_stays(folder: Path) -> None:
    path = keep(folder, "gw1.1", PASSWORD, "secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in folder.iterdir()] == ["gw1.1.password"]


def test_a_half_written_file_of_a_power_cut_is_not_a_credential(folder: Path) -> None:
    keep(folder, "gw1.1", PASSWORD, "secret")
    (folder / ".gw1.2.password.new").write_text("sec")
    assert [login.account for login in logins(settings(folder))] == ["gw1.1"]


def test_a_refused_one_is_followed_by_the_one_before_once(folder: Path) -> None:
    for number in (1, 2):
        keep(folder, f"gw1.{number}", PASSWORD, "s")
    chooser = Credentials(settings(folder))
    assert chooser.choose().account == "gw1.2"
    chooser.refused()
    assert chooser.choose().account == "gw1.1"
    chooser.served()
    assert chooser.choose().account == "gw1.2", "the newest is tried again at the next connection"


def test_both_refused_begins_again(folder: Path) -> None:
    for number in (1, 2):
        keep(folder, f"gw1.{number}", PASSWORD, "s")
    chooser = Credentials(settings(folder))
    seen = []
    for _ in range(4):
        seen.append(chooser.choose().account)
        chooser.refused()
    assert seen == ["gw1.2", "gw1.1"] * 2


def test_old_ones_go_once_the_newest_has_served(folder: Path) -> None:
    for number in range(1, 5):
        keep(folder, f"gw1.{number}", PASSWORD, "s")
    chooser = Credentials(settings(folder))
    chooser.choose()
    chooser.served()
    assert sorted(one.name for one in folder.iterdir()) == ["gw1.3.password", "gw1.4.password"]


def test_a_disk_that_refuses_to_be_tidied_stops_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 5):
        keep(folder, f"gw1.{number}", PASSWORD, "s")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    Credentials(settings(folder)).served()
    assert "Read-only" in caplog.text


def test_one_that_served_in_need_removes_nothing(folder: Path) -> None:
    for number in range(1, 4):
        keep(folder, f"gw1.{number}", PASSWORD, "s")
    chooser = Credentials(settings(folder))
    chooser.choose()
    chooser.refused()
    chooser.served()
    assert len(list(folder.iterdir())) == 3


def test_an_empty_or_absent_folder_says_enrol(folder: Path) -> None:
    with pytest.raises(UplinkError, match="credentials"):
        logins(settings(folder))
    folder.mkdir()
    with pytest.raises(UplinkError, match="enrol"):
        logins(settings(folder))


def test_files_of_other_names_are_left_alone(folder: Path) -> None:
    keep(folder, "gw1.1", PASSWORD, "s")
    for name in ("notes.txt", "gw1.password", "gw1.x.pem", ".hidden"):
        (folder / name).write_text("x")
    assert [login.account for login in logins(settings(folder))] == ["gw1.1"]


def test_a_password_of_the_operators_own_still_serves(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    found = logins(BrokerSettings(username="u", password_file=tmp_path / "password"))
    assert found == [Login("u", "secret")]
    (tmp_path / "password").unlink()
    with pytest.raises(UplinkError, match="credentials"):
        logins(BrokerSettings(username="u", password_file=tmp_path / "password"))


def test_a_login_in_a_log_shows_no_secret() -> None:
    assert "hidden" not in repr(Login("gw1.1", "hidden"))
