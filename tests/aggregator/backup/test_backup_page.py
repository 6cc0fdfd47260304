"""The operator's page on backups: its command lines, run as they stand there."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from rig.small_centre import SmallCentre

from egret_aggregator.cli import main

PAGE = Path(__file__).resolve().parents[3] / "docs/operator/backup.md"
SETTINGS, BACKUP = "/etc/egret/aggregator.toml", "/mnt/backup/monday"


def lines_of(heading: str) -> list[str]:
    """The command lines of the first block below a heading."""
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(r"```text\n(.*?)```", text[text.index(f"## {heading}\n") :], re.DOTALL)
    assert block is not None
    return block[1].splitlines()


async def lived(centre: SmallCentre) -> None:
    async with centre.running():
        await centre.levels(1, 2.0, 4.5)


def typed(line: str, centre: SmallCentre, *more: str) -> int:
    program, *words = shlex.split(line)
    assert program == "egret-aggregator"
    own = str(centre.data.parent / "backup")
    places = {SETTINGS: centre.settings.file, BACKUP: own}
    return main([*(places.get(word, word) for word in words), *more])


def test_the_page_can_be_followed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    centre = SmallCentre(tmp_path)
    asyncio.run(lived(centre))
    for line in lines_of("Back up"):
        assert typed(line, centre) == 0, line
    assert re.search(r"ok: .* files, .* ledger head \d+:[0-9a-f]{64}", capsys.readouterr().out)
    shutil.rmtree(centre.data)
    for line in lines_of("Restore"):
        assert typed(line, centre) == 0, line
    asyncio.run(lived(centre))


def test_what_a_command_answers_to_a_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    centre = SmallCentre(tmp_path)
    backup, verify = lines_of("Back up")
    assert typed(backup, centre, "--json") == 3  # it has never run
    assert "no journal yet" in json.loads(capsys.readouterr().out)["detail"]
    asyncio.run(lived(centre))
    assert typed(backup, centre, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert typed(verify, centre, "--json") == 0
    assert json.loads(capsys.readouterr().out) == made
    assert (made["database"], made["secrets"], made["head"]["seq"] > 0) == ("sqlite", False, True)
    assert typed(backup, centre, "--json") == 3
    assert "is not empty: name a folder" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("backup", "x.toml"), ("backup", "x.toml", "y", "--to", "z")])
def test_wrong_words_are_exit_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "backup CONFIG.toml --to FOLDER" in capsys.readouterr().err
