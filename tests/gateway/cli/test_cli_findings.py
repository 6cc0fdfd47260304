"""Every wrong file is told with file, key, value and remedy, to people and to programs alike."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from rig.pty import FarEnd
from rig.site import site, stage

from egret_core.errors import ConfigError
from egret_gateway.cli import main
from egret_gateway.config import load
from egret_gateway.log import Lines
from egret_gateway.ports.serial_port import open_serial
from egret_gateway.protocols.modbus_rtu_slave import find_request, reply

if TYPE_CHECKING:
    from pathlib import Path

Capture = pytest.CaptureFixture[str]
DATA = 'data = "data"'
PORT = 'port = "/dev/serial/by-id/none"'
BUS = "bus[0]"
DEVICE = "bus[0].device[0]"
CHANNEL = "bus[0].device[0].channels.stage"


class Wrong(NamedTuple):
    """One mistake: what is replaced by what, and what the finding names."""

    old: str
    new: str
    key: str
    seen: object
    remedy: str


WRONG = {
    "data empty": Wrong(DATA, 'data = ""', "gateway.data", "", "empty"),
    "data a number": Wrong(DATA, "data = 5", "gateway.data", 5, "text in quotes"),
    "data with a zero": Wrong(DATA, 'data = "a\\u0000"', "gateway.data", "a\0", "control"),
    "data missing": Wrong(DATA, "", "gateway.data", None, "missing"),
    "status 0": Wrong(DATA, DATA + "\nstatus_s = 0", "gateway.status_s", 0, "from 1 to 3600"),
    "host empty": Wrong(DATA, DATA + '\n[broker]\nhost = ""', "broker.host", "", "empty"),
    "port 0": Wrong(DATA, DATA + "\n[broker]\nport = 0", "broker.port", 0, "from 1 to 65535"),
    "port text": Wrong(DATA, DATA + '\n[broker]\nport = "1883"', "broker.port", "1883", "quotes"),
    "password alone": Wrong(
        DATA, DATA + '\n[broker]\npassword_file = "x"', "broker.username", None, "belongs to"
    ),
    "no password file": Wrong(
        DATA, DATA + '\n[broker]\nusername = "u"\npassword_file = "nope"',
        "broker.password_file", "nope", "no such file",
    ),
    "broker key": Wrong(
        DATA, DATA + '\n[broker]\nhots = "a"', "broker.hots", "a", "did you mean 'host'"
    ),
    "outbox 0 MB": Wrong(DATA, DATA + "\n[outbox]\nmax_mb = 0", "outbox.max_mb", 0, "from 1 to"),
    "outbox half": Wrong(DATA, DATA + "\n[outbox]\nmax_mb = 1.5", "outbox.max_mb", 1.5, "whole"),
    "keep negative": Wrong(
        DATA, DATA + "\n[outbox]\nkeep_days = -1", "outbox.keep_days", -1, "from 0 to 3650"
    ),
    "clock source": Wrong(
        DATA, DATA + '\n[clock]\nsource = "gps"', "clock.source", "gps", "one of ntp, gnss, rtc"
    ),
    "scaled number": Wrong(DATA, DATA + "\n[clock]\nscaled = 5", "clock.scaled", 5, "a table"),
    "scale without": Wrong(
        DATA, DATA + "\n[clock.scaled]\nscale = 6", "clock.scaled.from_ms", None, "missing"
    ),
    "scale too fast": Wrong(
        DATA, DATA + "\n[clock.scaled]\nscale = 121\nfrom_ms = 0\nto_ms = 0",
        "clock.scaled.scale", 121, "from 1 to 120",
    ),
    "bus name": Wrong('name = "bus0"', 'name = "bus 0"', f"{BUS}.name", "bus 0", "an id is"),
    "tty empty": Wrong(PORT, 'port = ""', f"{BUS}.port", "", "empty"),
    "tty with a zero": Wrong(PORT, 'port = "/dev/\\u0000"', f"{BUS}.port", "/dev/\0", "control"),
    "baud 0": Wrong("baud = 9600", "baud = 0", f"{BUS}.baud", 0, "from 300"),
    "stop bits": Wrong("baud = 9600", "stop_bits = 3", f"{BUS}.stop_bits", 3, "from 1 to 2"),
    "cut": Wrong("baud = 9600", "cut_s = 4000", f"{BUS}.cut_s", 4000, "from 0 to 3600"),
    "quiet": Wrong(
        "baud = 9600", "post_timeout_quiet_ms = 501", f"{BUS}.post_timeout_quiet_ms", 501, "500"
    ),
    "unit fraction": Wrong("unit = 7", "unit = 1e3", f"{DEVICE}.unit", 1000.0, "whole number"),
    "unit 256": Wrong("unit = 7", "unit = 256", f"{DEVICE}.unit", 256, "from 1 to 255"),
    "station line": Wrong('"st0007"', '"st\\n7"', f"{DEVICE}.station", "st\n7", "an id is"),
    "period huge": Wrong(
        "period_s = 60.0", "period_s = 1e400", f"{DEVICE}.period_s", float("inf"), "86400"
    ),
    "profile empty": Wrong('"generic-stage-u16"', '""', f"{DEVICE}.profile", "", "empty"),
    "profile dots": Wrong('"generic-stage-u16"', '".."', f"{DEVICE}.profile", "..", "no such"),
    "channel absent": Wrong('channel = "wl"', "", f"{CHANNEL}.channel", None, "missing"),
    "datum long": Wrong('"Luoling"', f'"{"L" * 501}"', f"{CHANNEL}.datum", "L" * 501, "at most"),
    "datum number": Wrong('"Luoling"', "5", f"{CHANNEL}.datum", 5, "text in quotes"),
    "channel key": Wrong(
        'channel = "wl"', 'channel = "wl"\nwatchat = 3', f"{CHANNEL}.watchat", 3, "watch_at"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_told_to_people_and_programs_and_exits_1(
    tmp_path: Path, capsys: Capture, name: str
) -> None:
    wrong = WRONG[name]
    path = site(tmp_path, swap=(wrong.old, wrong.new))
    assert main(["check", str(path)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"egret-gateway: {path}: {wrong.key} = {wrong.seen!r}: ")
    assert wrong.remedy in told.err
    assert main(["check", str(path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["error"]) == (False, "config")
    assert (report["file"], report["key"]) == (str(path), wrong.key)
    assert report["seen"] == repr(wrong.seen)
    assert wrong.remedy in report["remedy"]


@pytest.mark.parametrize("command", ["check", "run", "read", "maintenance"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (None, "No such file or directory: name a file that can be read"),
        (b"[gateway\n", "line 1"),
        (b"\xff\xfe", "mend the TOML at that place"),
        (b'[gateway]\nid = "a"\nid = "b"\n', "Cannot overwrite a value"),
        (b"", "gateway.id = None: missing"),
    ],
)
def test_every_command_names_the_file_that_it_cannot_use(
    tmp_path: Path, capsys: Capture, command: str, body: bytes | None, said: str
) -> None:
    path = tmp_path / "gateway.toml"
    if body is not None:
        path.write_bytes(body)
    arguments = [command, "status"] if command == "maintenance" else [command]
    assert main([*arguments, str(path), "--json"]) == 1
    told = capsys.readouterr()
    assert f"{path}: " in told.err
    assert said in told.err
    report = json.loads(told.out)
    assert (report["ok"], report["error"], report["file"]) == (False, "config", str(path))


def test_a_folder_is_no_configuration(tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", str(tmp_path)]) == 1
    assert "Is a directory" in capsys.readouterr().err


def test_check_opens_no_port_and_makes_no_folder(tmp_path: Path, capsys: Capture) -> None:
    asked: list[bytes] = []

    def never(data: bytes) -> bytes:
        asked.append(data)
        return b""

    with FarEnd(never) as far:
        path = site(tmp_path, port=far.path, swap=(DATA, f'data = "{tmp_path}/box"'))
        assert main(["check", str(path)]) == 0
    assert asked == []
    assert not (tmp_path / "box").exists()
    assert "ok" in capsys.readouterr().out


def gauge(data: bytes) -> bytes:
    request = find_request(data, range(1, 256))
    return reply(request, [250] * request.words) if request else b""


@pytest.mark.parametrize("command", ["read"])
def test_a_port_that_the_service_holds_is_told_as_busy(
    tmp_path: Path, capsys: Capture, command: str
) -> None:
    with FarEnd(gauge) as far:
        path = site(tmp_path, port=far.path, baud=115200)
        held = open_serial(load(path).buses[0])
        try:
            assert main([command, str(path), "--json"]) == 3
        finally:
            held.close()
        told = capsys.readouterr()
        report = json.loads(told.out)
        assert (report["error"], report["port"], report["fault"]) == ("port", str(far.path), "busy")
        assert "another program holds the port (a second gateway" in report["remedy"]
        assert "busy" in told.err
        assert main([command, str(path)]) == 0, "and once it is free it works"


def test_a_missing_port_is_told_as_json_too(tmp_path: Path, capsys: Capture) -> None:
    assert main(["read", str(site(tmp_path)), "--json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["fault"]) == (False, "missing")
    assert "by-id" in report["remedy"]


def test_a_file_is_no_port(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "plain").write_text("")
    assert main(["read", str(site(tmp_path, port=tmp_path / "plain"))]) == 3
    assert "unfit" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "key"), [("--unit", "--unit"), ("--bus", "--bus")])
def test_a_wrong_argument_is_usage_and_told_as_json(
    tmp_path: Path, capsys: Capture, option: str, key: str
) -> None:
    assert main(["read", str(site(tmp_path)), option, "99", "--json"]) == 2
    report = json.loads(capsys.readouterr().out)
    assert (report["file"], report["key"]) == ("arguments", key)


def test_maintenance_beyond_a_day_is_a_finding_in_json(tmp_path: Path, capsys: Capture) -> None:
    path = site(tmp_path, swap=(DATA, f'data = "{tmp_path}/box"'))
    assert main(["maintenance", "on", "--for", "25h", str(path), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["error"]) == (False, "maintenance")
    assert "not between" in report["detail"]


@pytest.mark.parametrize("span", ["0s", "0m"])
def test_a_maintenance_of_no_time_is_refused(tmp_path: Path, capsys: Capture, span: str) -> None:
    path = site(tmp_path, swap=(DATA, f'data = "{tmp_path}/box"'))
    assert main(["maintenance", "on", "--for", span, str(path)]) == 1
    assert "not between" in capsys.readouterr().err


@pytest.mark.parametrize("span", ["soon", "", "5", "-5m", "1d", "1.5h", "9999999s"])
def test_a_span_that_is_none_is_usage(tmp_path: Path, span: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["maintenance", "on", f"--for={span}", str(site(tmp_path))])
    assert caught.value.code == 2


@pytest.mark.parametrize("command", ["check", "run", "read", "maintenance"])
def test_every_command_has_json_in_its_help(capsys: Capture, command: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["check", "a", "b"], ["run"], ["read", "x", "--unit"]])
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def line_of(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Lines(as_json=True).format(record))
    return found


def test_a_log_line_for_a_collector_is_one_object_even_with_quotes_and_newlines() -> None:
    logger = logging.getLogger("egret.test")
    record = logger.makeRecord(
        "egret.test", 30, "f", 1, 'bus=%s said=%r "x"', ("b\n0", 'a"b'), None
    )
    line = line_of(record)
    assert line["bus"] == "b\n0"
    assert line["said"] == 'a"b'
    assert (line["level"], line["room"]) == ("warning", "egret.test")
    assert "\n" not in Lines(as_json=True).format(record)


def test_a_traceback_goes_into_the_line_s_detail() -> None:
    logger = logging.getLogger("egret.test")
    error = ConfigError("f", "k", 1, "mend it")
    about = (type(error), error, error.__traceback__)
    line = line_of(logger.makeRecord("egret.test", 40, "f", 1, "died", (), about))
    assert "ConfigError: f: k = 1: mend it" in line["detail"]


def test_a_bus_that_is_too_full_is_a_warning_not_a_finding(tmp_path: Path, capsys: Capture) -> None:
    devices = "".join(stage(unit, f"wl{unit}", 0.2) for unit in range(1, 9))
    assert main(["check", str(site(tmp_path, devices=devices))]) == 0
    told = capsys.readouterr().out
    assert "polls take 172% of the wire's time, 85% is the most: move unit" in told
    assert "8 channels" in told


def test_a_scaled_clock_counts_into_the_load(tmp_path: Path, capsys: Capture) -> None:
    plain = site(tmp_path, devices=stage(7, period_s=60))
    assert main(["check", str(plain), "--json"]) == 0
    slow = json.loads(capsys.readouterr().out)["load"]["bus0"]
    text = plain.read_text() + "[clock.scaled]\nscale = 60\nfrom_ms = 1\nto_ms = 2\n"
    plain.write_text(text)
    assert main(["check", str(plain), "--json"]) == 0
    fast = json.loads(capsys.readouterr().out)["load"]["bus0"]
    assert fast == pytest.approx(60 * slow, rel=0.5)
