"""`egret-gateway plan`: the wire budget, and what to do where it does not fit."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

import pytest
from rig.site import site, stage

from egret_gateway import profiles
from egret_gateway.cli import main, run
from egret_gateway.log import Lines

if TYPE_CHECKING:
    from pathlib import Path

PORT = "/dev/serial/by-id/none"
Capture = pytest.CaptureFixture[str]


def test_a_bus_is_shown_device_by_device_with_its_reads(tmp_path: Path, capsys: Capture) -> None:
    path = site(tmp_path, devices=stage(7, period_s=1.0) + stage(9, "far", 10.0))
    assert main(["plan", str(path)]) == 0
    told = capsys.readouterr().out.splitlines()
    # One register at 9600 8N1 with 20 ms: 42.9 ms.
    assert told == [
        f"bus0 {PORT} 9600 N: 4.7% of the wire's time, 803 ms of each second to spare",
        "  unit 7: 4.3%, 42.9 ms every 1 s, 1 request, 1 register",
        "    FC03 0+1: 42.9 ms: st0007/wl",
        "  unit 9: 0.4%, 42.9 ms every 10 s, 1 request, 1 register",
        "    FC03 0+1: 42.9 ms: st0007/far",
    ]


def test_the_same_for_programs(tmp_path: Path, capsys: Capture) -> None:
    assert main(["plan", str(site(tmp_path, devices=stage(7, period_s=1.0))), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is True
    bus = told["buses"]["bus0"]
    assert (bus["known"], bus["fits"], bus["remedies"]) == (True, True, [])
    assert bus["share"] == pytest.approx(0.0429, abs=1e-4)
    assert bus["spare_ms_per_s"] == pytest.approx(807.1, abs=0.1)
    (device,) = bus["devices"]
    assert (device["unit"], device["rank"], device["requests"]) == ("7", "warning", 1)
    assert device["reads"] == [{"ask": "FC03 0+1", "wire_ms": 42.92, "channels": ["st0007/wl"]}]


def test_a_plan_that_cannot_be_kept_is_refused_with_a_remedy_that_works(
    tmp_path: Path, capsys: Capture
) -> None:
    devices = [stage(unit, f"wl{unit}", 0.2) for unit in range(1, 5)]
    path = site(tmp_path, devices="".join(devices) + stage(5, "slow", 0.4))
    assert main(["plan", str(path)]) == 1
    told = capsys.readouterr().out
    assert "97%" in told
    found = re.search(r"move unit (\d) .* or read it every ([\d.]+) s instead of 0.2 s", told)
    assert found is not None
    unit, slower_s = int(found[1]), float(found[2])
    devices[unit - 1] = stage(unit, f"wl{unit}", slower_s)
    mended = site(tmp_path, devices="".join(devices) + stage(5, "slow", 0.4))
    assert main(["plan", str(mended)]) == 0
    assert main(["plan", str(mended), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ok"] is True


def test_a_line_that_is_full_only_in_an_event_is_told(tmp_path: Path, capsys: Capture) -> None:
    quick = "event_s = 0.2\n[bus.device.channels"
    devices = [
        stage(unit, f"wl{unit}", 1.0).replace("[bus.device.channels", quick) for unit in range(1, 9)
    ]
    path = site(tmp_path, devices="".join(devices))
    assert main(["plan", str(path)]) == 0, "what is not urgent is thinned out meanwhile"
    told = capsys.readouterr().out
    assert "34.3% of the wire's time" in told
    assert "  too much: bus0: in an event on all its stations polls take 172%" in told
    assert main(["check", str(path)]) == 0
    assert "warning: bus0: in an event on all its stations" in capsys.readouterr().out
    calm = "".join(device.replace("0.2", "0.5") for device in devices)
    assert main(["plan", str(site(tmp_path, devices=calm))]) == 0
    assert "too much" not in capsys.readouterr().out


def test_check_warns_of_it_and_run_starts_all_the_same(
    tmp_path: Path,
    capsys: Capture,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = site(tmp_path, devices="".join(stage(u, f"wl{u}", 0.2) for u in range(1, 9)))
    assert main(["check", str(path)]) == 0
    assert "warning: bus0: polls take 172% of the wire's time" in capsys.readouterr().out
    started = []

    async def serve(config: object) -> int:
        started.append(config)
        return 0

    monkeypatch.setattr(run, "_serve", serve)
    try:
        assert main(["run", str(path)]) == 0
    finally:
        ours = [h for h in logging.getLogger().handlers if isinstance(h.formatter, Lines)]
        for handler in ours:
            logging.getLogger().removeHandler(handler)
    assert len(started) == 1
    assert "event=bus_too_full" in caplog.text


def test_a_scaled_clock_shortens_the_periods(tmp_path: Path, capsys: Capture) -> None:
    path = site(tmp_path, devices=stage(7, period_s=60.0))
    scaled = "\n[clock.scaled]\nscale = 60\nfrom_ms = 0\nto_ms = 0\n"
    path.write_text(path.read_text() + scaled)
    assert main(["plan", str(path), "--json"]) == 0
    share = json.loads(capsys.readouterr().out)["buses"]["bus0"]["share"]
    assert share == pytest.approx(0.0429, abs=1e-4)


SDI12 = """\
[gateway]
id = "gw"
data = "data"
[[bus]]
name = "sdi0"
port = "/dev/serial/by-id/none"
protocol = "sdi-12"
adapter = "transparent"
[[bus.device]]
profile = "campbell-cs451"
address = "3"
station = "st"
period_s = 60
[bus.device.channels.{item}]
channel = "c"
{more}
"""


def test_an_sdi12_line_has_a_budget_too(tmp_path: Path, capsys: Capture) -> None:
    item = profiles.load(profiles.REPOSITORY / "campbell-cs451.toml").items[0]
    path = tmp_path / "gateway.toml"
    more = 'datum = "Luoling"' if item.quantity == "water_level" else ""
    path.write_text(SDI12.format(item=item.name, more=more))
    assert main(["plan", str(path), "--json"]) == 0
    bus = json.loads(capsys.readouterr().out)["buses"]["sdi0"]
    (device,) = bus["devices"]
    assert (bus["known"], device["unit"], device["requests"]) == (True, "3", 1)
    assert device["reads"][0]["ask"].startswith("3")
    assert 0 < bus["share"] < 0.05
