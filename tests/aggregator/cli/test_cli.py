"""`egret-aggregator` as a user types it: words, JSON and exit codes."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from rig.centre_process import settings_file

from egret_aggregator.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return settings_file(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = said(capsys, *arguments, "--json")
    assert out.count("\n") == 1
    body: dict[str, Any] = json.loads(out)
    return code, body


def test_check_opens_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "check", str(path))
    assert code == 0
    assert "2 stations, 3 channels, 1 rules" in out
    assert not (path.parent / "data").exists()
    code, body = told(capsys, "check", str(path))
    assert (code, body["ok"], body["rules"]) == (0, True, 1)


def test_a_wrong_setting_is_exit_2_with_file_key_value_and_remedy(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.write_text(path.read_text().replace("[api]\nport", "[api]\nprot"))
    for command in ("check", "run"):
        code, out, err = said(capsys, command, str(path))
        assert (code, out) == (1, "")
        for word in (str(path), "api.prot", "did you mean 'port'?"):
            assert word in err
    code, body = told(capsys, "check", str(path))
    assert (code, body["error"], body["key"], body["seen"]) == (1, "config", "api.prot", "0")


def test_a_wrong_catalogue_is_a_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = path.parent / "catalogue" / "rules.toml"
    rules.write_text(rules.read_text().replace('"m"', '"furlong"'))
    code, _, err = said(capsys, "check", str(path))
    assert code == 1
    assert "furlong" in err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("token", "add", "x.toml"),
        ("token", "add", "x", "--role", "king", "--name", "a"),
    ],
)
def test_wrong_usage_is_exit_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: egret-aggregator" in capsys.readouterr().err


def test_the_life_of_a_token(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add = ("token", "add", str(path), "--role", "officer", "--name", "li")
    code, out, _ = said(capsys, *add)
    token = out.strip()
    assert (code, len(token.split("_", 2)[2])) == (0, 43)
    code, body = told(capsys, "token", "list", str(path))
    (row,) = body["tokens"]
    assert (code, row["name"], row["role"], row["revoked"]) == (0, "li", "officer", None)
    assert token.split("_", 2)[2] not in json.dumps(body)
    assert said(capsys, "token", "revoke", str(path), row["id"])[0] == 0
    assert said(capsys, "token", "revoke", str(path), row["id"])[0] == 1
    assert said(capsys, "token", "revoke", str(path), "nothing")[0] == 1
    assert "revoked 20" in said(capsys, "token", "list", str(path))[1]
    code, body = told(capsys, "audit", "verify", str(path))
    assert (code, body["lines"]) == (0, 2)  # both are in the ledger


def test_a_name_nobody_may_bear_is_exit_2(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("token", "add", str(path), "--role", "viewer", "--name")
    assert said(capsys, *arguments, "a b")[0] == 2
    assert said(capsys, *arguments, "a", "--days", "0")[0] == 2
    assert "no tokens" in said(capsys, "token", "list", str(path))[1]


def test_audit_names_the_line_with_the_flipped_byte(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("li", "wu", "he"):
        said(capsys, "token", "add", str(path), "--role", "officer", "--name", name)
    code, body = told(capsys, "audit", "verify", str(path))
    head = f"{body['head']['seq']}:{body['head']['hash']}"
    assert (code, body["findings"]) == (0, [])
    assert said(capsys, "audit", "verify", str(path), "--head", head)[0] == 0
    raw = sqlite3.connect(path.parent / "data" / "egret.db")
    with raw:
        raw.execute("DROP TRIGGER ledger_no_UPDATE")
        raw.execute("UPDATE ledger SET body = replace(body, 'wu', 'we') WHERE seq = 2")
    raw.close()
    code, out, _ = said(capsys, "audit", "verify", str(path))
    assert code == 1
    assert out.startswith("seq 2: hash_differs")
    code, body = told(capsys, "audit", "verify", str(path), "--head", f"9:{'0' * 64}")
    assert [f["why"] for f in body["findings"]] == ["hash_differs", "noted_line_differs"]


def test_audit_of_nothing_and_with_a_wrong_head(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(capsys, "audit", "verify", str(path))
    assert code == 1
    assert "there is no ledger" in err
    assert not (path.parent / "data").exists()
    code, _, err = said(capsys, "audit", "verify", str(path), "--head", "5")
    assert code == 2
    assert "SEQ:HASH" in err


def test_a_file_that_is_no_database_is_exit_3(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (path.parent / "data").mkdir()
    (path.parent / "data" / "egret.db").write_bytes(b"not a database at all" * 100)
    code, body = told(capsys, "token", "list", str(path))
    assert (code, body["error"]) == (3, "peer")
