from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rig.pty import FarEnd
from rig.site import site, stage

from egret_gateway.cli import main
from egret_gateway.protocols.modbus_rtu_slave import exception, find_request, reply

if TYPE_CHECKING:
    from pathlib import Path


def answering(data: bytes) -> bytes:
    request = find_request(data, (7, 8))
    if request is None:
        return b""
    if request.unit == 8:
        return exception(request, 2)
    return reply(request, [300] * request.words)


def test_check_says_ok_and_how_loaded_the_wire_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(site(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "ok: gateway XM-TA-0042, 1 bus, 1 channels" in out
    assert "% of the wire's time" in out
    assert "warning" not in out


def test_check_names_a_finding_on_stderr_and_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site(tmp_path, swap=("unit = 7", "unit = 700"))
    assert main(["check", str(path)]) == 1
    err = capsys.readouterr().err
    assert f"{path}: bus[0].device[0].unit = 700: write a whole number" in err


def test_check_speaks_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    devices = stage(7, period_s=0.05)
    path = site(tmp_path, port="/dev/ttyUSB0", baud=4800, devices=devices)
    assert main(["check", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert report["load"]["bus0"] > 0.85
    assert len(report["warnings"]) == 3
    bad = site(tmp_path, swap=("st0007", "st/7"))
    assert main(["check", str(bad), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["key"]) == (False, "bus[0].device[0].station")


def test_usage_errors_exit_2() -> None:
    for arguments in ([], ["fly"], ["check"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2


def test_read_shows_every_byte_and_what_it_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FarEnd(answering) as far:
        path = site(tmp_path, port=far.path, baud=115200)
        assert main(["read", str(path)]) == 0
        out = capsys.readouterr().out
        assert "out 07 03 00 00 00 01 84 6c" in out
        assert "in  07 03 02 01 2c" in out
        assert "st0007/wl stage: raw 300 = 0.9144 m GOOD" in out
        assert main(["read", str(path), "--json", "--bus", "bus0", "--unit", "7"]) == 0
        report = json.loads(capsys.readouterr().out)
        assert report["reads"][0]["values"][0]["value"] == 0.9144


def test_read_of_a_refusing_device_exits_3_with_the_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FarEnd(answering) as far:
        path = site(tmp_path, port=far.path, baud=115200, devices=stage(8))
        assert main(["read", str(path)]) == 3
    assert "exception 2: the device refuses" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("back", "advice"),
    [(b"", "timeout: no answer: check unit"), (b"\xf3\x80\x11\x00\xfe\x21", "crc: something")],
)
def test_a_wrong_baud_or_no_device_says_what_could_be_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], back: bytes, advice: str
) -> None:
    with FarEnd(lambda _: back) as far:
        path = site(tmp_path, port=far.path, baud=115200)
        assert main(["read", str(path)]) == 3
    out = capsys.readouterr().out
    assert advice in out
    assert "baud" in out
    assert "115200" in out


def test_a_missing_port_exits_3_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["read", str(site(tmp_path))]) == 3
    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "known"), [("--unit", "7"), ("--bus", "bus0")])
def test_an_unknown_bus_or_unit_lists_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, known: str
) -> None:
    assert main(["read", str(site(tmp_path)), option, "99"]) == 2
    assert f": {known}" in capsys.readouterr().err


def test_the_command_itself_runs_with_the_gateway_s_packages_only(tmp_path: Path) -> None:
    code = (
        "import sys; from egret_gateway.cli import main; code = main(sys.argv[1:]); "
        "assert not {'fastapi', 'pymodbus', 'sqlalchemy'} & set(sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-c", code, "check", str(site(tmp_path))]
    assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0
