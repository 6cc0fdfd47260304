"""What is told of a catalogue that is not wrong: a rain window shorter than its gauge's period."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from rig.centre_process import CentreProcess, settings_file

from egret_aggregator import catalogue, config
from egret_aggregator.catalogue_doubts import doubts
from egret_aggregator.cli import main
from egret_aggregator.clock import Clock
from egret_aggregator.doctor.examination import examine

if TYPE_CHECKING:
    from pathlib import Path

STATIONS = """
[[station]]
id = "st0007"
name = "Luoling bridge"
latitude = 24.5
longitude = 118.1
[[station.channel]]
id = "rn"
quantity = "rain_total"
feed = "bureau"
period_s = 14400
[[station.channel]]
id = "fast"
quantity = "rain_total"
gateway = "XM-TA-0042"
period_s = 60
[[station.channel]]
id = "silent"
quantity = "rain_total"
gateway = "XM-TA-0042"
"""
RULES = """
[[rule]]
id = "silence"
pack = "absence"
channels = ["st0007/*"]
[[rule]]
id = "signals"
pack = "cn-rain-signals"
channels = ["st0007/*"]
"""
REMEDY = (
    "signals never holds rain in its windows of 3 h, because the gauge is read every 14400 s: "
    "read it at least once a window, or bind longer windows to it"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The settings of a centre with such a catalogue."""
    path = settings_file(tmp_path)
    (tmp_path / "catalogue/stations.toml").write_text(STATIONS)
    (tmp_path / "catalogue/rules.toml").write_text(RULES)
    return path


def test_the_gauge_and_the_windows_are_named(path: Path) -> None:
    whole = catalogue.load(path.parent / "catalogue")
    (doubt,) = doubts(whole)
    assert (doubt.file, doubt.key, doubt.seen, doubt.remedy) == (
        "rules.toml",
        "rule[1].channels",
        "st0007/rn",
        REMEDY,
    )
    assert whole.stations["st0007"].channels["rn"].period_s == 14400
    assert whole.stations["st0007"].channels["silent"].period_s == 0


def test_all_windows_are_told_and_a_jitter_is_none(path: Path) -> None:
    stations = path.parent / "catalogue/stations.toml"
    stations.write_text(STATIONS.replace("14400", "86400"))
    (doubt,) = doubts(catalogue.load(stations.parent))
    assert "windows of 3 h, 6 h, 12 h," in doubt.remedy
    stations.write_text(STATIONS.replace("14400", "11340"))  # 3 h and a twentieth
    assert doubts(catalogue.load(stations.parent)) == ()


def test_check_warns_and_says_ok(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(path)]) == 0
    *_, line = capsys.readouterr().out.splitlines()
    rules = path.parent / "catalogue" / "rules.toml"
    assert line == f"warning: {rules}: rule[1].channels = 'st0007/rn': {REMEDY}"
    assert main(["check", str(path), "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["ok"] is True
    assert body["warnings"] == [
        {
            "file": str(rules),
            "key": "rule[1].channels",
            "seen": "'st0007/rn'",
            "remedy": REMEDY,
        }
    ]


def test_a_catalogue_without_doubts_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(settings_file(tmp_path)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []


def test_the_doctor_has_it_as_a_finding(path: Path) -> None:
    results = asyncio.run(examine(config.load(path), Clock(), None))
    (found,) = next(result.findings for result in results if result.room == "catalogue")
    assert found.what.endswith("rules.toml: rule[1].channels = 'st0007/rn'")
    assert found.remedy == REMEDY


async def test_a_centre_that_starts_logs_it_and_the_rule_is_invalid_there(path: Path) -> None:
    async with CentreProcess(path) as centre:
        (line,) = [line for line in centre.log().splitlines() if "doubted" in line]
        assert "st0007/rn" in line
        async with asyncio.timeout(20):
            while True:
                body = await centre.get("/api/v1/stations/st0007")
                shown = {one["id"]: one["standings"] for one in body["station"]["channels"]}
                if shown["rn"]:
                    break
                await asyncio.sleep(0.1)
    assert {name: [*words.values()] for name, words in shown.items()} == {
        "rn": ["invalid"],
        "fast": ["ok"],
        "silent": ["ok"],
    }
