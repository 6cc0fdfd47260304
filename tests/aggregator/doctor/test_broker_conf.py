"""What is unsafe in a broker's own file, and what is not complained of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from egret_aggregator import config
from egret_aggregator.cli import doctor
from egret_aggregator.doctor.broker import read
from egret_aggregator.doctor.broker_conf import findings, mosquitto_settings
from egret_aggregator.intake.nats import render

if TYPE_CHECKING:
    from pathlib import Path

    from egret_aggregator.config import CentreConfig

GOOD = """\
# comment
per_listener_settings true
listener 1883
allow_anonymous false
password_file /etc/mosquitto/passwd
persistence true
persistence_location /var/lib/mosquitto/
autosave_interval 1
max_inflight_messages 1000
max_queued_messages 10000000
set_tcp_nodelay true
"""


def test_a_good_file_is_not_complained_of() -> None:
    assert findings(GOOD) == ("mosquitto", [])


@pytest.mark.parametrize(
    ("right", "wrong", "what"),
    [
        ("max_queued_messages 10000000\n", "", "max_queued_messages 1000"),
        ("max_queued_messages 10000000", "max_queued_messages 0", "drop every message"),
        ("max_queued_messages 10000000", "max_queued_messages many", "max_queued_messages -1"),
        ("max_inflight_messages 1000\n", "", "max_inflight_messages 20"),
        ("set_tcp_nodelay true\n", "", "set_tcp_nodelay is off"),
        ("set_tcp_nodelay true", "# set_tcp_nodelay true", "set_tcp_nodelay is off"),
        ("persistence true\n", "", "persistence is off"),
        ("autosave_interval 1\n", "", "autosave_interval 1800"),
        ("allow_anonymous false", "allow_anonymous true", "anybody may publish"),
    ],
)
def test_what_loses_or_delays_is_named_with_a_remedy(right: str, wrong: str, what: str) -> None:
    assert right in GOOD
    program, (found,) = findings(GOOD.replace(right, wrong))
    assert program == "mosquitto"
    assert what in found.what
    assert found.remedy.startswith("set ")


def test_the_last_value_of_a_key_holds() -> None:
    assert mosquitto_settings("a 1\n  a 2 3\n\n#a 4\nb") == {"a": "2 3", "b": ""}


def test_debian_s_own_file_is_read_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    main = tmp_path / "mosquitto.conf"
    main.write_text("persistence true\ninclude_dir conf.d\n")
    (tmp_path / "conf.d/egret.conf").write_text(GOOD)
    (tmp_path / "conf.d/other.txt").write_text("allow_anonymous true\n")
    assert findings(read(main)) == ("mosquitto", [])
    (tmp_path / "conf.d/zz.conf").write_text("allow_anonymous true\n")
    assert len(findings(read(main))[1]) == 1


def test_what_we_render_for_nats_is_good(tmp_path: Path) -> None:
    assert findings(render((2, 15, 1), tmp_path, "127.0.0.1", 1883, log=tmp_path)) == (
        "nats-server",
        [],
    )
    # An older one takes no sync_interval: that is worth a word.
    program, (found,) = findings(render((2, 9, 10), tmp_path, "127.0.0.1", 1883, log=tmp_path))
    assert program == "nats-server"
    assert "sync_interval 2m" in found.what


@pytest.mark.parametrize(
    ("span", "safe"),
    [
        ('"1s"', True),
        ("always", True),
        ("500ms", True),
        ("10s", True),
        ('"11s"', False),
        ("2m", False),
        ('"1h"', False),
    ],
)
def test_how_often_nats_syncs(span: str, *, safe: bool) -> None:
    _, found = findings(f"jetstream {{ store_dir: x, sync_interval: {span} }}\nmqtt {{ }}\n")
    assert (not found) == safe


def test_a_nats_account_for_everybody_is_named() -> None:
    _, found = findings('mqtt: { sync_interval: "1s", no_auth_user: any }\n')
    assert [finding.what for finding in found] == [
        "no_auth_user: anybody may publish as any gateway"
    ]


def settings(folder: Path, host: str = "127.0.0.1", *, embedded: bool = False) -> CentreConfig:
    path = folder / "aggregator.toml"
    path.write_text(
        f'[centre]\ndata = "data"\ncatalogue = "catalogue"\n'
        f'[broker]\nhost = "{host}"\nembedded = {str(embedded).lower()}\n'
        f'[enrolment]\nhost = "mqtt.city"\nfolder = "{folder}"\n'
        + ("" if embedded else 'broker = "mosquitto"\n')
    )
    return config.load(path)


def test_the_file_that_the_centre_wrote_is_looked_at_before_debians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    debians, ours = tmp_path / "debian.conf", tmp_path / "mosquitto.conf"
    monkeypatch.setattr(doctor, "_MOSQUITTO", debians)
    assert doctor._conf(settings(tmp_path)) is None
    debians.touch()
    assert doctor._conf(settings(tmp_path)) == debians
    ours.touch()
    assert doctor._conf(settings(tmp_path)) == ours
    assert doctor._conf(settings(tmp_path, "10.0.0.7")) is None, "it is on another machine"
    assert doctor._conf(settings(tmp_path, embedded=True)) is None
