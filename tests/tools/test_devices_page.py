"""The technician's list of device families is made from the profiles, and is not stale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from egret_gateway import profiles

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(TOOLS))
    return __import__("devices")


def test_the_page_is_what_the_profiles_say(devices: Any) -> None:
    told = devices.page(devices.families())
    assert devices.PAGE.read_text(encoding="utf-8") == told, "run python tools/devices.py"


def test_every_profile_is_on_the_page_once_with_its_tier(devices: Any) -> None:
    text = devices.PAGE.read_text(encoding="utf-8")
    for name in profiles.names((profiles.REPOSITORY,)):
        rows = [line for line in text.splitlines() if line.startswith(f"| [`{name}`]")]
        path = profiles.find(name, (profiles.REPOSITORY,))
        assert path is not None
        profile = profiles.load(path)
        assert len(rows) == 1, name
        assert rows[0].endswith(f"| {profile.tier} |")
        assert profile.title in rows[0]


def test_every_tier_is_explained(devices: Any) -> None:
    text = devices.page([])
    assert all(f"| `{tier}` |" in text for tier in profiles.TIERS)
    assert "##" not in text, "a kind without a family has no heading"


def test_what_a_row_says(devices: Any, tmp_path: Path) -> None:
    head = '[profile]\ntitle = "{0}"\ntier = "drafted"\n[line]\n'
    item = '[item.a]\nquantity = "{0}"\n'
    (tmp_path / "b.toml").write_text(
        head.format("a gauge")
        + "unit = 9\nbaud = 19200\nparity = 'E'\n"
        + item.format("rain_total")
    )
    (tmp_path / "a.toml").write_text(
        head.format("a sensor") + 'address = "7"\n[sdi12]\n' + item.format("water_level")
    )
    (tmp_path / "c.toml").write_text(
        head.format("a talker") + "baud = 4800\n[nmea]\n" + item.format("state")
    )
    rain, level, other = devices.families(tmp_path)
    assert (rain.name, rain.address, rain.line) == ("b", "9", "Modbus 19200 8E1")
    assert (level.name, level.address, level.line) == ("a", "7", "SDI-12")
    assert (other.name, other.address, other.line) == ("c", "", "NMEA 0183 4800 8N1")
    text = devices.page([rain, level, other])
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Rain",
        "## Water level and pressure",
        "## Others",
    ]


def test_wrong_usage_is_told(devices: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert devices.main(["--chek"]) == 2
    assert "python tools/devices.py" in capsys.readouterr().err
