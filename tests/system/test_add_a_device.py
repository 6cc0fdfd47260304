"""The five steps of CONTRIBUTING.md, done with the made-up device that stands there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from rig import golden, golden_checks
from rig.libmodbus import LibmodbusSlave, why_missing
from rig.pty import PtyPair, why_no_pair
from rig.site import site

from egret_gateway import profiles
from egret_gateway.cli import main

ROOT = Path(__file__).resolve().parents[2]
NAME = "acme-level"
WHY_NOT = why_missing() or why_no_pair()
TOML = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Added(NamedTuple):
    """A copy of the two folders with a device more, and nothing else of the repository."""

    devices: Path
    frames: Path

    @property
    def profile(self) -> profiles.Profile:
        return golden.family(NAME, self.devices)

    @property
    def case(self) -> golden.Case:
        return golden.case(NAME, self.frames)


def steps() -> str:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text[text.index("## A device") : text.index("## A change")]


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Added:
    """Steps 2 and 3: the two files, word for word as the page has them."""
    found = Added(tmp_path / "devices", tmp_path / "frames")
    shutil.copytree(profiles.REPOSITORY, found.devices)
    shutil.copytree(golden.FOLDER, found.frames)
    profile, case = TOML.findall(steps())
    (found.devices / f"{NAME}.toml").write_text(profile)
    (found.frames / NAME).mkdir()
    (found.frames / NAME / "case.toml").write_text(case)
    monkeypatch.setattr(profiles.folder, "REPOSITORY", found.devices)
    return found


def all_readings_are_right(added: Added) -> None:
    for reading in added.case.readings:
        golden_checks.words_mean_their_values(added.profile, reading)


def test_there_are_five_steps_and_they_name_two_folders() -> None:
    assert re.findall(r"^(\d)\. ", steps(), re.MULTILINE) == list("12345")
    assert "`firmware-config/devices/NAME.toml`" in steps()
    assert "`tests/frames/devices/NAME/case.toml`" in steps()
    for path in re.findall(r"tests/[a-z_/]+\.py|tools/[a-z]+\.py", steps()):
        assert (ROOT / path).exists(), path


def test_step_4_the_checks_take_the_new_device(added: Added) -> None:
    golden_checks.items_are_read(added.profile, added.case)
    golden_checks.tier_rests_on_evidence(added.profile, added.case)
    all_readings_are_right(added)


def test_step_4_the_list_of_devices_takes_it(added: Added, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    devices = __import__("devices")
    page = devices.page(devices.families(added.devices))
    assert f"| [`{NAME}`]" in page


@pytest.mark.system
@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_steps_4_and_5_a_foreign_program_serves_it_and_read_shows_it(
    added: Added, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = added.profile
    told = []
    for number, reading in enumerate(added.case.readings):
        slave_folder = tmp_path / f"slave{number}"
        with (
            PtyPair(tmp_path / f"line{number}") as pair,
            LibmodbusSlave(slave_folder, pair.far, profile.unit, 9600, image=reading.image),
        ):
            lines = golden.device_lines(profile, reading)
            path = site(tmp_path, port=pair.near, baud=9600, devices=lines)
            assert main(["read", str(path), "--json"]) == 0
        told += json.loads(capsys.readouterr().out)["reads"][0]["values"]
    assert [(value["value"], value["unit"]) for value in told] == [(1.5, "m"), (None, "m")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('type = "i32"', 'type = "u16"'),  # another type
        ('type = "i32"', 'type = "i32"\norder = "CDAB"'),  # another order
        ("address = 40", "address = 41"),  # off by one: a manual that counts from 1
        ('unit = "mm"', 'unit = "cm"'),  # another unit
        ("sentinels = [-1]", ""),  # a number that means no value, forgotten
    ],
)
def test_a_mistake_in_the_map_is_seen(added: Added, old: str, new: str) -> None:
    path = added.devices / f"{NAME}.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises((AssertionError, KeyError)):
        all_readings_are_right(added)
