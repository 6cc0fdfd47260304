from __future__ import annotations

import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

import pynmea2
import pytest
from rig.talker import TalkerProcess

from egret_demo.talker import KINDS, Mishap, Talker, depth, gnss, main, radar, said, tilt

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_say_their_number() -> None:
    assert depth(240).startswith(b"$SDDPT,2.40,0.0,*")
    assert radar(970).startswith(b"$LVX,7030,7030,21.5,970,970,44*")
    assert tilt(430) == b"X=+00.430\r\n"
    assert tilt(-84) == b"X=-00.084\r\n"
    fixes = [pynmea2.parse(gnss(n).decode(), check=True).gps_qual for n in range(8)]
    assert fixes == [1, 4, 4, 4, 5, 4, 4, 4]


@pytest.mark.parametrize("kind", KINDS)
def test_mishaps_do_what_they_say(kind: str) -> None:
    line = KINDS[kind](7)
    for seed in range(50):
        random = Random(seed)
        assert said(line, Mishap.WHOLE, random) == line
        assert said(line, Mishap.SILENT, random) == b""
        assert said(line, Mishap.NOISE, random).endswith(line)
        assert line not in said(line, Mishap.NOISE, random)[: -len(line)]
        half = said(line, Mishap.HALF, random)
        assert half
        assert line.startswith(half)
        assert b"\n" not in half
        twice = said(line, Mishap.TWICE, random)
        assert twice.endswith(line)
        assert twice.count(b"\n") == 1
        flipped = said(line, Mishap.FLIPPED, random)
        assert len(flipped) == len(line)
        assert flipped.upper() != line.upper()


def test_a_seed_says_the_same_again_and_its_share_is_kept() -> None:
    one, two = (Talker("depth", 0.5, Random(3)) for _ in range(2))
    assert [one.next() for _ in range(200)] == [two.next() for _ in range(200)]
    assert one.mishaps.total() == 200
    assert 50 < one.mishaps[Mishap.WHOLE] < 150
    assert set(one.mishaps) == set(Mishap)
    assert Talker("tilt", 1.0, Random(3)).next() != b""


def test_without_a_checksum_no_bit_is_flipped() -> None:
    talker = Talker("tilt", 1.0, Random(3))
    for _ in range(200):
        talker.next()
    assert Mishap.FLIPPED not in talker.mishaps
    assert Mishap.WHOLE not in talker.mishaps


@pytest.mark.parametrize(
    "arguments", [[], ["link"], ["link", "sonar", "1"], ["link", "depth", "soon"]]
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage:" in capsys.readouterr().err


def test_nobody_needs_to_listen(tmp_path: Path) -> None:
    link = tmp_path / "tty"
    with TalkerProcess(link, "depth", 0.001, share=0.0) as talker:
        assert link.is_symlink()
        subprocess.run([sys.executable, "-c", "pass"], check=True)  # it talks meanwhile
    assert talker.report["lines"]["whole"] == len(talker.report["whole"]) > 0
    assert not link.is_symlink()
