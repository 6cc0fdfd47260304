"""`egret-gateway read` on lines of text: what arrived, and how it was understood."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd, saying
from rig.site import site

from egret_demo.talker import depth, gnss, sentence
from egret_gateway.cli import main
from egret_gateway.protocols.text_line import CRC16, checksum

if TYPE_CHECKING:
    from pathlib import Path

SOUNDER = """
[[bus.device]]
profile = "nmea-echo-sounder"
station = "st0007"
period_s = 1
[bus.device.channels.depth]
channel = "depth"
"""
ROVER = """
[[bus.device]]
profile = "nmea-gnss-rtk"
station = "st0007"
period_s = 1
base = { latitude = 24.4798, longitude = 118.0894, height_m = 557.745 }
[bus.device.channels.up]
channel = "up"
"""
LOGGER = """
[[bus.device]]
profile = "generic-text-poll"
address = "01"
station = "st0007"
period_s = 1
[bus.device.channels.level]
channel = "wl"
datum = "Luoling"
"""
NMEA = 'protocol = "nmea-0183"'


def run(folder: Path, far: FarEnd, bus: str, devices: str, *more: str) -> int:
    path = site(folder, port=far.path, baud=115200, bus=bus, devices=devices)
    return main(["read", str(path), *more])


def test_a_talker_s_lines_are_shown_and_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = sentence("SDMTW,18.0,C") + depth(240).replace(b"2.40", b"7.40") + b"\xff\r\n"
    with saying(strange + depth(240), 0.05) as far:
        assert run(tmp_path, far, NMEA, SOUNDER) == 0
    out = capsys.readouterr().out
    assert "unit nmea-echo-sounder nmea-echo-sounder@1" in out
    assert r"in  $SDMTW,18.0,C*" in out
    assert "\\r\\n  another line\n" in out
    assert "\\r\\n  checksum\n" in out
    assert "\\xff\\r\\n  beginning not heard\n" in out
    assert "st0007/depth depth: raw 2.4 = 2.4 m GOOD" in out


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with saying(gnss(4), 0.05) as far:
        assert run(tmp_path, far, NMEA, ROVER, "--json", "--unit", "nmea-gnss-rtk") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["unit"] == "nmea-gnss-rtk"
    read = report["reads"][0]
    assert {"flaw": "ok", "line": gnss(4).decode().replace("\r\n", "\\r\\n")} in read["lines"]
    value = read["values"][0]
    assert (value["quality"], value["reasons"]) == ("SUSPECT", ["SENSOR_FAULT"])
    assert value["value"] == pytest.approx(4.0, abs=0.01)


def answering(data: bytes) -> bytes:
    content = b"01,+1.250,12.6,A"
    if data != b"#01\r\n":
        return b""
    return b">" + content + checksum(CRC16, content) + b"\r\n"


def test_a_logger_is_asked_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FarEnd(answering) as far:
        assert run(tmp_path, far, 'protocol = "text"', LOGGER) == 0
    out = capsys.readouterr().out
    assert "in  >01,+1.250,12.6,A" in out
    assert "st0007/wl level: raw 1.25 = 1.25 m GOOD" in out


@pytest.mark.parametrize(
    ("back", "advice"),
    [
        (b"", "timeout: no answer: check the address, baud 115200 and parity N"),
        (b">01,+1.250,12.6,A0000\r\n", "crc: lines come damaged: wrong baud (now 115200)"),
    ],
)
def test_a_logger_that_does_not_answer_right_says_what_to_look_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], back: bytes, advice: str
) -> None:
    with FarEnd(lambda _: back) as far:
        assert run(tmp_path, far, 'protocol = "text"', LOGGER) == 3
    assert advice in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (b"", "timeout: nothing came: check the supply"),
        (sentence("SDMTW,18.0,C"), "timeout: whole lines come, and none is of this device"),
        (b"\xf3\x80\x11\r\n", "crc: lines come damaged"),
    ],
)
def test_a_talker_that_is_not_heard_says_what_to_look_at(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    said: bytes,
    advice: str,
) -> None:
    monkeypatch.setattr("egret_gateway.cli.read_text.LISTEN_S", 0.5)
    with saying(said, 0.05) as far:
        assert run(tmp_path, far, NMEA, SOUNDER) == 3
    assert advice in capsys.readouterr().out


def test_a_gateway_without_nmea_does_not_load_its_library(tmp_path: Path) -> None:
    code = (
        "import sys; from egret_gateway.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code or ('pynmeagps' in sys.modules) != (sys.argv[3:] == ['--json']))"
    )
    plain = [sys.executable, "-c", code, "check", str(site(tmp_path))]
    assert subprocess.run(plain, check=False, capture_output=True, timeout=60).returncode == 0
    path = site(tmp_path, bus=NMEA, devices=SOUNDER)
    spoken = [sys.executable, "-c", code, "check", str(path), "--json"]
    assert subprocess.run(spoken, check=False, capture_output=True, timeout=60).returncode == 0
