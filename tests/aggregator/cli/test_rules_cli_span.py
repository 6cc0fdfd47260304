"""`rules diff` over a span that begins within a rise, and over a file with bad lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rig.catalogues import RIVER
from rig.history import folder_of

from egret_aggregator.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HEAD = "station,channel,time,value,unit,datum\n"
HIGH = HEAD + "".join(
    f"st1,wl,2026-07-12T{hour:02}:{minute:02}:00Z,3.5,m,Local\n"
    for hour in range(6)
    for minute in range(0, 60, 5)
)
SPAN = ("--from", "2026-07-12T02:00:00Z", "--to", "2026-07-12T06:00:00Z")


def diff(
    folder: Path, capsys: pytest.CaptureFixture[str], csv: str, new: str
) -> tuple[int, Any, str]:
    config = folder_of(folder, RIVER)
    for name, text in (("old.toml", RIVER), ("new.toml", new), ("past.csv", csv)):
        (folder / name).write_text(text, encoding="utf-8")
    asked = ["rules", "diff", str(folder / "old.toml"), str(folder / "new.toml")]
    asked += ["--config", str(config), *SPAN, "--csv", str(folder / "past.csv")]
    main(asked)
    lines = capsys.readouterr().out
    code = main([*asked, "--json"])
    return code, json.loads(capsys.readouterr().out), lines


def test_a_level_that_stands_over_the_whole_span_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    higher = RIVER.replace("raise = 3.0, clear = 2.8", "raise = 4.5, clear = 4.3")
    code, body, lines = diff(tmp_path, capsys, HIGH, higher)
    assert code == 1
    (gone,) = body["vanishes"]
    assert (gone["level"], gone["time"]) == ("blue", "2026-07-12T02:00:00.000Z")
    assert gone["evidence"]["stood_since"].startswith("2026-07-12T00:")
    assert body["old"]["readings"] > 40
    assert f"{body['old']['readings']} readings judged by the old rules" in lines
    code, body, _ = diff(tmp_path, capsys, HIGH, RIVER)
    assert (code, body["same"]) == (0, 1)


def test_bad_lines_of_a_file_are_told_and_no_equality_is_claimed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = HIGH.removeprefix(HEAD).replace("Local", "Elsewhere")
    code, body, lines = diff(tmp_path, capsys, HIGH + bad, RIVER)
    assert (code, body["bad_lines"], body["same"]) == (1, 72, 1)
    assert "72 bad lines" in lines
    judged = body["old"]["readings"]
    assert judged > 40
    assert f"{judged} readings judged by the old rules, {judged} by the new" in lines


def test_a_file_without_a_good_line_is_refused_and_no_silence_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, body, lines = diff(tmp_path, capsys, HIGH.replace("Local", "Elsewhere"), RIVER)
    assert (code, lines) == (1, "")
    assert "72 bad lines and no good one: line 2: wrong_datum: " in body["seen"]
    assert body["file"].endswith("past.csv")
    code, body, _ = diff(tmp_path, capsys, HEAD, RIVER)
    assert (code, "0 bad lines and no good one" in body["seen"]) == (1, True)
