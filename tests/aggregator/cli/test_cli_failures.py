"""What goes wrong at the command line ends with its code and a sentence, never with a traceback."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

import pytest
from rig.centre_process import command, settings_file

from egret_aggregator.cli import main

if TYPE_CHECKING:
    from pathlib import Path

OK, FINDING, USAGE, PEER = 0, 1, 2, 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return settings_file(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return code, captured.out, captured.err


def commands(path: Path) -> tuple[tuple[str, ...], ...]:
    return (
        ("check", str(path)),
        ("run", str(path)),
        ("token", "add", str(path), "--role", "viewer", "--name", "li"),
        ("token", "list", str(path)),
        ("token", "revoke", str(path), "x"),
        ("audit", "verify", str(path)),
    )


@pytest.mark.parametrize("number", range(6))
def test_a_wrong_setting_is_one_finding_for_every_command(
    path: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    path.write_text(path.read_text().replace("[api]", "[apj]"))
    arguments = commands(path)[number]
    code, out, err = said(capsys, *arguments)
    assert (code, out) == (FINDING, "")
    for word in (str(path), "apj", "did you mean 'api'?"):
        assert word in err
    code, out, _ = said(capsys, *arguments, "--json")
    body = json.loads(out)
    assert (code, body["error"], body["file"], body["key"]) == (FINDING, "config", str(path), "apj")
    assert body["remedy"]
    assert not (path.parent / "data").exists()


@pytest.mark.parametrize("number", range(6))
def test_a_settings_file_that_is_not_there(
    path: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    missing = path.with_name("nothing.toml")
    code, _, err = said(capsys, *commands(missing)[number])
    assert (code, "name a file that exists" in err) == (FINDING, True)


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_catalogue_that_is_not_there(
    path: Path, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    path.write_text(path.read_text().replace('"catalogue"', '"nowhere"'))
    code, _, err = said(capsys, verb, str(path))
    assert (code, "nowhere" in err) == (FINDING, True)


@pytest.mark.parametrize("file", ["egret.db", "journal.db", "series.db"])
async def test_a_file_of_another_kind_is_named_and_left_as_it_was(path: Path, file: str) -> None:
    data = path.parent / "data"
    data.mkdir()
    junk = b"somebody else's file" * 500
    (data / file).write_bytes(junk)
    code, out, err = await command("run", str(path), "--json")
    assert code == PEER, err
    assert json.loads(out)["error"] == "peer"
    assert str(data / file) in json.loads(out)["detail"]
    assert "Traceback" not in err
    assert (data / file).read_bytes() == junk


@pytest.mark.parametrize("number", [2, 3, 4, 5])
def test_a_database_of_a_later_version_is_not_touched(
    path: Path, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    said(capsys, "token", "list", str(path))
    raw = sqlite3.connect(path.parent / "data" / "egret.db")
    with raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    code, _, err = said(capsys, *commands(path)[number])
    assert code == PEER
    assert "egret.db" in err
    assert "later version" in err
    raw = sqlite3.connect(path.parent / "data" / "egret.db")
    assert raw.execute("SELECT count(*) FROM token").fetchone() == (0,)
    raw.close()


def test_a_data_folder_that_is_a_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path.parent / "data").write_text("not a folder")
    code, _, err = said(capsys, "token", "list", str(path))
    assert (code, str(path.parent / "data") in err) == (PEER, True)


@pytest.mark.parametrize("days", ["0", "-1", "3651", "many", "1.5"])
def test_a_life_that_no_token_may_have_is_usage(
    path: Path, capsys: pytest.CaptureFixture[str], days: str
) -> None:
    arguments = ("token", "add", str(path), "--role", "viewer", "--name", "li", "--days", days)
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(str(ended.code))
    err = capsys.readouterr().err
    assert (code, days in err) == (USAGE, True)
    assert "no tokens" in said(capsys, "token", "list", str(path))[1]


@pytest.mark.parametrize("head", ["", "5", "0:" + "0" * 64, "1:" + "g" * 64, "1:" + "0" * 63])
def test_a_head_that_is_none_is_usage(
    path: Path, capsys: pytest.CaptureFixture[str], head: str
) -> None:
    code, _, err = said(capsys, "audit", "verify", str(path), f"--head={head}")
    assert (code, "SEQ:HASH" in err) == (USAGE, True)


def test_the_words_say_which_code_means_what(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == OK
    text = " ".join(capsys.readouterr().out.split())
    assert "0 ok, 1 a finding or a wrong setting, 2 usage, 3 machine or peer" in text


def test_json_is_one_object_whatever_the_outcome(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ("token", "add", str(path), "--role", "officer", "--name")
    for arguments, code in (
        (("check", str(path)), OK),
        ((*add, "li"), OK),
        ((*add, "l i"), USAGE),
        (("token", "list", str(path)), OK),
        (("token", "revoke", str(path), "nothing"), FINDING),
        (("audit", "verify", str(path)), OK),
    ):
        found, out, _ = said(capsys, *arguments, "--json")
        assert (found, isinstance(json.loads(out), dict)) == (code, True), arguments


def test_a_token_made_beside_a_running_centre_is_one_chain(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("li", "wu"):
        said(capsys, "token", "add", str(path), "--role", "officer", "--name", name)
    listed = json.loads(said(capsys, "token", "list", str(path), "--json")[1])["tokens"]
    assert [row["name"] for row in listed] == ["li", "wu"]
    said(capsys, "token", "revoke", str(path), listed[0]["id"])
    raw = sqlite3.connect(path.parent / "data" / "egret.db")
    kinds = [row[0] for row in raw.execute("SELECT kind FROM ledger ORDER BY seq")]
    raw.close()
    assert kinds == ["token_added", "token_added", "token_revoked"]
    assert said(capsys, "audit", "verify", str(path))[0] == OK
