"""Timelines of our own, and those that users are shown: each is played as a user plays it.

To add one, put a file `NAME.timeline` here, or into docs/examples/rules where users may learn
from it; its language is told in docs/operator/rule-tests.md.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from egret_aggregator.cli.main import main
from egret_aggregator.cli.rules import play_file
from egret_core.instants import length_ms, parsed, rfc3339
from egret_core.rules.timeline import parse_timeline

OURS = Path(__file__).parent
ROOT = OURS.parents[1]
SHOWN = ROOT / "docs/examples/rules"
FILES = sorted([*OURS.glob("*.timeline"), *SHOWN.glob("*.timeline")])
PAGE = (ROOT / "docs/operator/rule-tests.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_timeline_is_as_expected(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "test", str(path)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_timeline_fails_where_a_rise_comes_a_second_off(path: Path) -> None:
    """Each `expect LEVEL at TIME` decides: moved by a second it is a finding."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if not re.match(r"expect (?!nothing|others)", line):
            continue
        moved = re.sub(r" at (\S+)", _a_second_later, line)
        script = parse_timeline("\n".join([*lines[:at], moved, *lines[at + 1 :]]), str(path))
        found = [one for one in play_file(script, path).findings if one.line == at + 1]
        assert found, f"{path.name}:{at + 1}: {moved}"


def _a_second_later(match: re.Match[str]) -> str:
    word = match[1]
    if "T" in word:
        return f" at {rfc3339(parsed(word)[0] + 1000)}"
    return f" at {(length_ms(word) + 1000) // 1000}s"


def test_there_are_enough_of_both() -> None:
    assert len(list(OURS.glob("*.timeline"))) >= 6
    assert len(list(SHOWN.glob("*.timeline"))) >= 6


def test_the_folder_of_examples_is_run_as_the_page_says(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = re.findall(r"^egret-aggregator (rules test .*)$", PAGE, re.MULTILINE)
    assert main(command.split()) == 0
    assert capsys.readouterr().out.count(": ok,") == len(list(SHOWN.glob("*.timeline")))


def test_the_page_shows_lines_that_are_taken() -> None:
    block = next(part for part in PAGE.split("```text\n")[1:] if part.startswith("start "))
    lines = [re.sub(r"\s{4,}.*", "", line) for line in block.split("```")[0].splitlines()]
    script = parse_timeline("\n".join(lines), "rule-tests.md")
    assert (len(script.series), len(script.expected)) == (2, 3)
