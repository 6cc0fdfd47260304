"""Every profile read once by `egret-gateway read`, from programs that play its device.

Modbus families are served by libmodbus, which refuses whatever the golden case does not have: a
read that runs over an undeclared register fails here as it would on a device.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from rig import golden
from rig.libmodbus import LibmodbusSlave, why_missing
from rig.pty import FarEnd, PtyPair, saying, why_no_pair
from rig.sdi12_field import Sdi12Field
from rig.site import site

from egret_gateway import profiles
from egret_gateway.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.system
WHY_NOT = why_missing() or why_no_pair()
AGAIN_S = 0.2  # a talker says it again: the first lines may be over before the port is open


def readings(*ways: type) -> list[object]:
    """Return name and reading of every family of these protocols."""
    return [
        pytest.param(name, one, id=f"{name}: {one.of}")
        for name in golden.NAMES
        if isinstance(golden.family(name).way, ways)
        for one in golden.case(name).readings
    ]


def is_read(
    folder: Path,
    port: Path,
    reading: golden.Reading,
    profile: profiles.Profile,
    capsys: pytest.CaptureFixture[str],
    *,
    bus: str = "",
) -> None:
    """Read a device as a technician does, and compare every value."""
    lines = golden.device_lines(profile, reading)
    path = site(folder, port=port, baud=115200, bus=bus, devices=lines)
    code = main(["read", str(path), "--json"])
    out = capsys.readouterr()
    assert code == 0, out
    told = {v["item"]: v for read in json.loads(out.out)["reads"] for v in read["values"]}
    assert set(told) == set(reading.values)
    for item, expected in reading.values.items():
        value = told[item]
        if expected is None:
            assert value["quality"] in ("FAIL", "MISSING"), value
        else:
            assert value["value"] == pytest.approx(expected, rel=1e-6, abs=reading.within)
            assert value["quality"] == "GOOD", value


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
@pytest.mark.parametrize(("name", "reading"), readings(profiles.Modbus))
def test_modbus_families_served_by_a_foreign_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reading: golden.Reading
) -> None:
    profile = golden.family(name)
    slave_folder = tmp_path / "slave"
    with (
        PtyPair(tmp_path / "line") as pair,
        LibmodbusSlave(slave_folder, pair.far, profile.unit, 115200, image=reading.image),
    ):
        is_read(tmp_path, pair.near, reading, profile, capsys)


@pytest.mark.parametrize(("name", "reading"), readings(profiles.Sdi12))
def test_sdi12_families(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reading: golden.Reading
) -> None:
    profile = golden.family(name)
    says = {command: (0, values) for command, values in reading.measurements.items()}
    with Sdi12Field(tmp_path / "field", {profile.address: says}) as field:
        bus = 'protocol = "sdi-12"\nadapter = "transparent"'
        is_read(tmp_path, field.port, reading, profile, capsys, bus=bus)


@contextmanager
def talking(reading: golden.Reading) -> Iterator[FarEnd]:
    """Play a device that talks by itself, or one that waits for its command."""
    said = reading.says.encode()
    if reading.asked:
        with FarEnd(lambda data: said if data == reading.asked.encode() else b"") as far:
            yield far
        return
    with saying(said, AGAIN_S) as far:
        yield far


@pytest.mark.parametrize(("name", "reading"), readings(profiles.Nmea, profiles.Text))
def test_families_that_speak_in_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reading: golden.Reading
) -> None:
    profile = golden.family(name)
    protocol = "text" if isinstance(profile.way, profiles.Text) else "nmea-0183"
    with talking(reading) as far:
        is_read(tmp_path, far.path, reading, profile, capsys, bus=f'protocol = "{protocol}"')
