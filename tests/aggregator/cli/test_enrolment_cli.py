"""`ca` and `gateway`: what they write, what they refuse, and what they never overwrite."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from egret_aggregator.cli import main

if TYPE_CHECKING:
    from pathlib import Path

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "centre.toml"
    (tmp_path / "catalogue").mkdir()
    for name in ("stations", "rules"):
        (tmp_path / "catalogue" / f"{name}.toml").write_text("")
    path.write_text(
        '[centre]\ndata = "data"\ncatalogue = "catalogue"\n[enrolment]\nhost = "mqtt.city"\n'
    )
    return path


def told(capsys: Capture, *arguments: object, code: int = 0) -> dict[str, Any]:
    assert main([*map(str, arguments), "--json"]) == code
    body: dict[str, Any] = json.loads(capsys.readouterr().out)
    return body


def test_a_gateway_from_add_to_revoke(config: Path, tmp_path: Path, capsys: Capture) -> None:
    files = told(capsys, "ca", "init", config)["files"]
    assert str(tmp_path / "data" / "broker" / "ca.pem") in files
    made = told(capsys, "gateway", "add", config, "gw1")
    assert (made["account"], made["state"], made["bundle"]) == ("gw1.1", "bundle", "gw1.enrol")
    bundle = tmp_path / "gw1.enrol"
    assert bundle.stat().st_mode & 0o777 == 0o600
    assert json.loads(bundle.read_text())["host"] == "mqtt.city"
    out = tmp_path / "second"
    again = told(capsys, "gateway", "rotate", config, "gw1", "--out", out, "--days", "2")
    assert again["account"] == "gw1.2"
    shown = told(capsys, "gateway", "list", config)["accounts"]
    assert [one["account"] for one in shown] == ["gw1.1", "gw1.2"]
    secret = json.loads(out.read_text())["secret"]
    assert secret not in json.dumps(shown)
    assert told(capsys, "gateway", "revoke", config, "gw1") == {"ended": ["gw1.1", "gw1.2"]}
    assert told(capsys, "gateway", "list", config) == {"accounts": []}
    told(capsys, "ca", "renew", config)
    assert told(capsys, "audit", "verify", config)["ok"]


def test_a_bundle_is_never_overwritten_and_no_account_made(config: Path, capsys: Capture) -> None:
    told(capsys, "ca", "init", config)
    bundle = config.parent / "gw1.enrol"
    bundle.write_text("another's")
    assert told(capsys, "gateway", "add", config, "gw1", code=1)["error"] == "enrolment"
    assert bundle.read_text() == "another's"
    assert told(capsys, "gateway", "list", config) == {"accounts": []}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("gateway", "add", "@", "gw1"), "ca init"),
        (("gateway", "list", "@"), "ca init"),
        (("ca", "renew", "@"), "ca init"),
    ],
)
def test_before_the_ca_the_remedy_is_named(
    config: Path, capsys: Capture, arguments: tuple[str, ...], words: str
) -> None:
    assert main([str(config) if word == "@" else word for word in arguments]) == 1
    assert words in capsys.readouterr().err
    assert not (config.parent / "gw1.enrol").exists(), "no empty bundle is left behind"


def test_a_second_ca_is_refused(config: Path, capsys: Capture) -> None:
    told(capsys, "ca", "init", config)
    before = (config.parent / "data" / "broker" / "ca.pem").read_bytes()
    assert "holds a CA already" in told(capsys, "ca", "init", config, code=1)["detail"]
    assert (config.parent / "data" / "broker" / "ca.pem").read_bytes() == before


@pytest.mark.parametrize("gateway", ["centre", "a.b", "a b"])
def test_an_id_that_cannot_be_one_is_refused(config: Path, capsys: Capture, gateway: str) -> None:
    told(capsys, "ca", "init", config)
    body = told(capsys, "gateway", "add", config, gateway, "--out", "b", code=1)
    assert "cannot name a gateway" in body["detail"]
    assert not (config.parent / "b").exists()


def test_who_is_not_enrolled_is_told_so(config: Path, capsys: Capture) -> None:
    told(capsys, "ca", "init", config)
    for verb in ("rotate", "revoke"):
        assert "not enrolled" in told(capsys, "gateway", verb, config, "gw1", code=1)["detail"]


def test_without_the_table_the_key_is_named(config: Path, capsys: Capture) -> None:
    config.write_text(config.read_text().partition("[enrolment]")[0])
    body = told(capsys, "ca", "init", config, code=1)
    assert (body["error"], body["key"]) == ("config", "enrolment")


def test_check_and_run_say_that_the_ca_is_missing(config: Path, capsys: Capture) -> None:
    for verb in ("check", "run"):
        body = told(capsys, verb, config, code=1)
        assert (body["key"], "ca init" in body["remedy"]) == ("broker.ca_file", True)
