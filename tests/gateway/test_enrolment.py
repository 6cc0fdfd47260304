"""A bundle: whole or refused by name; what it brings is written once, with the right modes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.secured import now_ms

from egret_aggregator.enrolment import bundle as bundles
from egret_aggregator.enrolment.accounts import Account
from egret_aggregator.enrolment.authority import Authority
from egret_aggregator.enrolment.settings import EnrolmentSettings
from egret_core.errors import ConfigError
from egret_gateway import cli, config
from egret_gateway.enrolment import Bundle, places, read_bundle, settle

if TYPE_CHECKING:
    from pathlib import Path

NOW_MS = 1_795_340_000_000
DAY_MS = 86_400_000
BUS = """
[[bus]]
name = "bus0"
port = "/dev/ttyS0"
[[bus.device]]
profile = "generic-stage-u16"
station = "st1"
unit = 1
period_s = 60
[bus.device.channels.stage]
channel = "wl"
datum = "gauge"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A bundle as the centre makes it."""
    authority = Authority.made(tmp_path / "ca", "city", NOW_MS)
    account = Account("gw1", 3, "password", {}, NOW_MS, NOW_MS + DAY_MS, bundle=True)
    settings = EnrolmentSettings(tmp_path, "mqtt.city")
    path = tmp_path / "gw1.enrol"
    path.write_text(bundles.encode(settings, 8883, authority.pem, account, "hush-hush"))
    return path


def changed(file: Path, **more: Any) -> Path:
    file.write_text(json.dumps({**json.loads(file.read_text()), **more}))
    return file


def box(file: Path, tmp_path: Path) -> tuple[Bundle, Path]:
    return read_bundle(file, NOW_MS), tmp_path / "etc" / "gateway.toml"


def test_what_the_centre_writes_is_read(file: Path) -> None:
    found = read_bundle(file, NOW_MS)
    assert (found.gateway, found.host, found.port) == ("gw1", "mqtt.city", 8883)
    assert (found.account, found.kind, found.secret) == ("gw1.3", "password", "hush-hush")
    assert found.ends_ms == NOW_MS + DAY_MS
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("v", 2),
        ("gateway", "centre"),
        ("gateway", "a/b"),
        ("gateway", "gw2"),  # its account is another's
        ("host", ""),
        ("port", 0),
        ("port", "x"),
        ("account", "gw1"),
        ("account", "../gw1.3"),
        ("account", "gw2.3"),
        ("kind", "token"),
        ("ca", "no PEM"),
        ("secret", ""),
        ("secret", "x" * 20_000),
        ("ends_ms", NOW_MS),
    ],
)
def test_what_is_no_whole_bundle_is_refused(file: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        read_bundle(changed(file, **{key: value}), NOW_MS)
    assert caught.value.file == str(file)
    assert "new one" in caught.value.remedy
    assert "hush" not in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_named_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "b"
    path.write_bytes(data)
    with pytest.raises(ConfigError):
        read_bundle(path, None)


def test_a_box_without_time_lets_the_broker_decide(file: Path) -> None:
    assert read_bundle(changed(file, ends_ms=5), None).ends_ms == 5


def test_a_new_box_gets_all_it_needs(file: Path, tmp_path: Path) -> None:
    bundle, path = box(file, tmp_path)
    where = places(bundle, path, tmp_path / "data")
    written = settle(bundle, where)
    assert written == [where.ca_file, where.credentials / "gw1.3.password", path]
    assert written[1].stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="bus"):
        config.load(path)
    path.write_text(path.read_text() + BUS)
    found = config.load(path)
    assert (found.gateway, found.data) == ("gw1", tmp_path / "data")
    assert found.broker.credentials == where.credentials
    assert (found.broker.host, found.broker.port) == ("mqtt.city", 8883)


def test_done_again_it_changes_nothing(file: Path, tmp_path: Path) -> None:
    bundle, path = box(file, tmp_path)
    for _ in range(2):
        settle(bundle, places(bundle, path, tmp_path / "data"))
    path.write_text(path.read_text() + BUS)
    before = path.read_text()
    where = places(bundle, path, tmp_path / "other")
    assert where.data == tmp_path / "data", "the configuration says where, not the command"
    settle(bundle, where)
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"gw1"', '"gw2"', "gateway.id"),
        ('host = "mqtt.city"', 'host = "elsewhere"', "broker.host"),
        ("port = 8883", "port = 1883", "broker.port"),
        ("credentials =", "# credentials =", "broker.credentials"),
        ("ca_file =", "# ca_file =", "broker.ca_file"),
        ("[gateway]", "[gateway", ""),
    ],
)
def test_a_configuration_that_says_otherwise_is_not_overwritten(
    file: Path, tmp_path: Path, old: str, new: str, key: str
) -> None:
    bundle, path = box(file, tmp_path)
    settle(bundle, places(bundle, path, tmp_path / "data"))
    path.write_text(path.read_text().replace(old, new, 1))
    before = path.read_text()
    with pytest.raises(ConfigError) as caught:
        places(bundle, path, tmp_path / "data")
    assert (caught.value.key, path.read_text()) == (key, before)


def test_another_ca_is_not_replaced(file: Path, tmp_path: Path) -> None:
    bundle, path = box(file, tmp_path)
    where = places(bundle, path, tmp_path / "data")
    settle(bundle, where)
    other = Authority.made(tmp_path / "other", "elsewhere", NOW_MS).pem
    where.ca_file.write_text(other)
    with pytest.raises(ConfigError, match="another CA"):
        settle(bundle, where)
    assert where.ca_file.read_text() == other


def test_a_broker_out_of_reach_is_told_and_the_bundle_kept(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(file, host="127.0.0.1", port=1, ends_ms=NOW_MS * 2)
    path, data = tmp_path / "etc" / "gateway.toml", tmp_path / "data"
    command = ["enrol", str(file), "--config", str(path), "--data", str(data), "--json"]
    assert cli.main(command) == 3
    out = capsys.readouterr().out
    assert json.loads(out)["ok"] is False
    assert "could not be tried" in out
    assert "hush" not in out
    assert file.exists()
    assert path.exists()


def test_a_bundle_that_is_none_is_a_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b").write_text("{}")
    assert cli.main(["enrol", str(tmp_path / "b"), "--config", str(tmp_path / "c")]) == 1
    assert cli.main(["enrol", str(tmp_path / "none"), "--config", str(tmp_path / "c")]) == 1
    assert "egret-aggregator gateway rotate" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_check_says_what_deserves_a_look_on_the_way(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, path = box(file, tmp_path)
    where = places(bundle, path, tmp_path / "data")
    settle(bundle, where)
    path.write_text(path.read_text() + BUS + '[clock]\nsource = "rtc"\n')
    assert cli.main(["check", str(path)]) == 0
    assert "warning" not in capsys.readouterr().out.replace("baud", "")
    authority = Authority.load(tmp_path / "ca")
    for days, word in ((0.5 * 365 * 100, ""), (5, "ends in"), (-1, "has expired")):
        pair = authority.client("gw1.4", now_ms() - DAY_MS, days + 1 if days > 0 else 0.5)
        (where.credentials / "gw1.4.pem").write_text(pair.key + pair.certificate)
        assert cli.main(["check", str(path)]) == 0
        out = capsys.readouterr().out
        assert (word in out) if word else ("gw1.4.pem" not in out)
    (where.credentials / "gw1.4.pem").write_text("junk")
    assert cli.main(["check", str(path)]) == 0
    assert "gw1.4.pem" in capsys.readouterr().out


def test_check_warns_of_a_broker_without_tls(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "g.toml"
    head = f'[gateway]\nid = "gw1"\ndata = "{tmp_path}"\n[broker]\nhost = "mqtt.city"\n'
    path.write_text(head + BUS)
    assert cli.main(["check", str(path)]) == 0
    assert "without TLS" in capsys.readouterr().out
    assert not (tmp_path / "outbox.db").exists()
