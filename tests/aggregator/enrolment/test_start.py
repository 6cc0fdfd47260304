"""The broker's folder at the centre's start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_aggregator import config, data_folder
from egret_aggregator.enrolment import folder as enrolment_folder
from egret_aggregator.enrolment.start import make_ready
from egret_aggregator.intake import tls
from egret_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.config import CentreConfig

NOW_MS = 1_795_340_000_000


def settings(folder: Path, enrolment: str = "[enrolment]\nhost = 'h'\n") -> CentreConfig:
    path = folder / "centre.toml"
    path.write_text(f"[centre]\ndata = 'data'\ncatalogue = 'catalogue'\n{enrolment}")
    return config.load(path)


def test_a_centre_whose_own_certificate_a_kill_left_without_its_key_starts(tmp_path: Path) -> None:
    found = settings(tmp_path, "[enrolment]\nhost = 'h'\nby = 'certificate'\n")
    assert found.enrolment is not None
    office = data_folder.broker_folder(found, found.enrolment)
    office.found(NOW_MS)
    (office.path / "centre.key").write_text(office.issued(NOW_MS).server.key)
    with pytest.raises(ConfigError):
        tls.context(found.broker)
    make_ready(found, NOW_MS)
    assert tls.context(found.broker) is not None


def test_a_disk_that_is_full_keeps_no_centre_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = settings(tmp_path)
    assert found.enrolment is not None
    data_folder.broker_folder(found, found.enrolment).found(NOW_MS)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(enrolment_folder, "write", full)
    make_ready(found, NOW_MS)
    assert "event=accounts_unwritten" in caplog.text


def test_before_the_init_the_remedy_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_ready(settings(tmp_path, ""), NOW_MS)
    assert caplog.text == ""
    make_ready(settings(tmp_path), NOW_MS)
    assert "ca init" in caplog.text
