"""Plain mistakes at `rules test`, `rules diff` and `backtest`: file, key, value and remedy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from rig.catalogues import RIVER
from rig.history import folder_of

from egret_aggregator.cli import main

if TYPE_CHECKING:
    from pathlib import Path

FROM, TO = "2026-07-12T08:00:00+08:00", "2026-07-12T10:00:00+08:00"
HEAD = "station,channel,time,value,unit,datum\n"
CSV = HEAD + "".join(
    f"st1,wl,2026-07-12T00:{minute:02}:00Z,{2 + (minute > 20) * 2},m,Local\n"
    for minute in range(40)
)
CYCLE = """
[[rule]]
id = "a"
pack = "generic-logic"
inputs = [{ rule = "b" }]
[rule.parameters]
levels = [{ level = "blue", any = ["b"] }]
[[rule]]
id = "b"
pack = "generic-logic"
inputs = [{ rule = "a" }]
[rule.parameters]
levels = [{ level = "blue", any = ["a"] }]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = folder_of(tmp_path, RIVER)
    (tmp_path / "past.csv").write_text(CSV)
    (tmp_path / "good.toml").write_text(RIVER)
    (tmp_path / "empty").write_text("")
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the mistake, as programs get it; nothing else is said."""
    code = main([*(str(word) for word in arguments), "--json"])
    out = capsys.readouterr().out
    body: dict[str, Any] = json.loads(out)
    assert body["error"] == "config"
    assert all(body[name] for name in ("file", "key", "seen", "remedy"))
    return code, body


@pytest.mark.parametrize(
    ("more", "file", "key", "remedy"),
    [
        (("--csv", "no.csv"), "no.csv", "file", "readable file"),
        (("--csv", "empty"), "empty", "line 1", "column names"),
        (("--rules", "no.toml"), "no.toml", "(file)", "file that is there"),
        (("--rules", "catalogue"), "catalogue", "(file)", "file that is there"),
        (("--csv", "past.csv", "--observed", "no.csv"), "no.csv", "file", "readable file"),
        (("--csv", "past.csv", "--observed", "empty"), "empty", "line 1", "line of names"),
    ],
)
def test_a_file_that_is_not_there_or_empty_is_1(
    config: Path,
    capsys: pytest.CaptureFixture[str],
    more: tuple[str, ...],
    *,
    file: str,
    key: str,
    remedy: str,
) -> None:
    words = [word if word.startswith("--") else config.parent / word for word in more]
    code, body = refused(capsys, "backtest", config, "--from", FROM, "--to", TO, *words)
    assert (code, body["file"], body["key"]) == (1, str(config.parent / file), key)
    assert remedy in body["remedy"]
    assert "Errno" not in body["seen"]


@pytest.mark.parametrize(
    ("from_", "to", "key"),
    [(TO, FROM, "--to"), (FROM, FROM, "--to"), ("2026-07-12", TO, "--from"), (FROM, "x", "--to")],
)
def test_a_span_that_is_none_is_2(
    config: Path, capsys: pytest.CaptureFixture[str], from_: str, to: str, key: str
) -> None:
    past = config.parent / "past.csv"
    code, body = refused(capsys, "backtest", config, "--from", from_, "--to", to, "--csv", past)
    assert (code, body["file"], body["key"]) == (2, "arguments", key)


@pytest.mark.parametrize(
    ("from_", "to", "good"),
    [
        ("2026-07-12T00:39:00Z", "2026-07-12T01:00:00Z", True),  # of the last reading
        ("2026-07-12T00:39:01Z", "2026-07-12T01:00:00Z", False),
        ("2026-07-11T00:00:00Z", "2026-07-12T00:00:01Z", True),  # of the first
        ("2026-07-11T00:00:00Z", "2026-07-12T00:00:00Z", False),
    ],
)
def test_a_file_of_which_nothing_is_in_the_span_is_named_with_what_it_holds(
    config: Path, capsys: pytest.CaptureFixture[str], from_: str, to: str, *, good: bool
) -> None:
    past = config.parent / "past.csv"
    words = ("backtest", config, "--from", from_, "--to", to, "--csv", past)
    if good:
        assert main([str(word) for word in words]) == 0
        return
    code, body = refused(capsys, *words)
    assert (code, body["file"], body["key"]) == (1, str(past), "time")
    assert "2026-07-12T00:00:00Z to 2026-07-12T00:39:00Z" in body["seen"]
    assert "--from and --to" in body["remedy"]


def test_a_file_without_a_good_line_is_refused_by_its_first_bad_one(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    past = config.parent / "past.csv"
    past.write_text(HEAD + "st1,wll,2026-07-12T00:00:00Z,2,m,Local\n")
    code = main(["backtest", str(config), "--from", FROM, "--to", TO, "--csv", str(past)])
    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert "past.csv" in said.err
    assert "1 bad lines and no good one: line 2: unknown_channel" in said.err


@pytest.mark.parametrize(
    ("rules", "key", "seen", "remedy"),
    [
        (RIVER.replace("raise", "rase", 1), "levels[0].rase", "", "'raise'"),
        (RIVER.replace('unit = "m"', 'unit = "km2"'), "parameters.unit", "'km2'", "known: m"),
        (RIVER.replace('unit = "m"', 'unit = "kPa"'), "parameters.unit", "'kPa'", "cannot measure"),
        (RIVER.replace("generic-level", "generic-levle"), "pack", "levle", "'generic-level'"),
        (RIVER.replace("st1/", "st11/"), "channels[0]", "'st11'", "'st1'"),
        ("[[rule]\n", "(file)", "line 1", "valid TOML"),
        (CYCLE, "inputs", "", ""),
    ],
)
def test_a_mistake_in_the_rules_of_a_diff_is_named(
    config: Path,
    capsys: pytest.CaptureFixture[str],
    rules: str,
    *,
    key: str,
    seen: str,
    remedy: str,
) -> None:
    new = config.parent / "new.toml"
    new.write_text(rules)
    words = ("--config", config, "--from", FROM, "--to", TO, "--csv", config.parent / "past.csv")
    code, body = refused(capsys, "rules", "diff", config.parent / "good.toml", new, *words)
    assert (code, body["file"]) == (1, str(new))
    assert key in body["key"]
    assert seen in body["seen"]
    assert remedy in body["remedy"]


def test_rules_that_judge_nothing_are_told_beside_the_difference(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, empty = config.parent / "good.toml", config.parent / "empty"
    words = ("--config", config, "--from", FROM, "--to", TO, "--csv", config.parent / "past.csv")
    assert main([str(word) for word in ("rules", "diff", good, empty, *words)]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith(f"{empty}: no [[rule]]: it judges nothing")
    assert main([str(word) for word in ("rules", "diff", good, good, *words)]) == 0
    assert "no [[rule]]" not in capsys.readouterr().out


def test_a_timeline_that_is_not_there_is_2_and_says_what_to_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, body = refused(capsys, "rules", "test", tmp_path / "no.timeline")
    assert (code, body["key"], "name a timeline" in body["remedy"]) == (2, "FILE", True)
