"""The shipped units: systemd takes them, and they lock out all but what is needed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

UNITS = Path(__file__).resolve().parents[2] / "firmware-config/systemd"
NAMES = ("egret-aggregator", "egret-deadman", "egret-gateway")
BROKER = "egret-broker"  # started by its path unit, and soon over
EXPOSURE_MAX = 3.0  # of systemd-analyze security; a bare unit has 9.6
each = pytest.mark.parametrize("name", NAMES)
every = pytest.mark.parametrize("name", [*NAMES, BROKER])
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="without the Debian package systemd"
)


def text(name: str) -> str:
    return (UNITS / f"{name}.service").read_text(encoding="utf-8")


def values(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", text(name), re.MULTILINE)


def laid(name: str, folder: Path) -> Path:
    """Lay a unit where its program is this environment's: verify looks for the file."""
    unit = folder / f"{name}.service"
    programs = Path(sys.executable).parent
    assert ("/opt/egret/bin/" in text(name)) == (name != BROKER)
    unit.write_text(text(name).replace("/opt/egret/bin/", f"{programs}/"), encoding="utf-8")
    return unit


def test_every_unit_is_tested() -> None:
    assert sorted(path.stem for path in UNITS.glob("*.service")) == sorted([*NAMES, BROKER])


@every
@needs_systemd
def test_systemd_takes_it(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", laid(name, tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@needs_systemd
def test_a_wrong_unit_would_be_seen(tmp_path: Path) -> None:
    unit = laid("egret-gateway", tmp_path)
    unit.write_text(unit.read_text().replace("WatchdogSec=60", "WatchdogSec=often"))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert "Failed to parse sec value" in done.stderr


@every
@needs_systemd
def test_it_is_closed(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", laid(name, tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    match = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert match is not None, done.stdout + done.stderr
    assert float(match[1]) <= EXPOSURE_MAX


@each
def test_it_is_kept_alive_by_progress(name: str) -> None:
    assert values(name, "Type") == ["notify"]
    assert values(name, "NotifyAccess") == ["main"]
    assert int(values(name, "WatchdogSec")[0]) >= 60
    assert values(name, "Restart") == ["always"]
    # A part that dies again and again is tried for ever: nobody may be near.
    assert values(name, "StartLimitIntervalSec") == ["0"]


def test_the_gateway_may_ask_what_its_clock_needs() -> None:
    assert "adjtimex clock_adjtime clock_adjtime64" in values("egret-gateway", "SystemCallFilter")
    for key in ("ProtectClock", "ProcSubset"):  # adjtimex(2); the boot's id in /proc/sys
        assert values("egret-gateway", key) == []
    assert values("egret-gateway", "CapabilityBoundingSet") == [""], "it cannot set the clock"


def test_the_gateway_reaches_serial_lines_and_no_other_device() -> None:
    assert values("egret-gateway", "DevicePolicy") == ["closed"]
    allowed = values("egret-gateway", "DeviceAllow")
    assert allowed
    assert all(re.fullmatch(r"char-tty\w+ rw", device) for device in allowed)
    assert values("egret-gateway", "SupplementaryGroups") == ["dialout"]


def test_the_user_is_made_by_a_file_of_ours() -> None:
    assert re.search(r"^u egret - ", (UNITS / "egret.sysusers.conf").read_text(), re.MULTILINE)
    assert {values(name, "User")[0] for name in NAMES} == {"egret"}


def test_the_settings_are_open_to_who_must_pass_through_and_the_brokers_folder_to_its_writer() -> (
    None
):
    """ConfigurationDirectory stays root's: with 0750 neither egret nor mosquitto came in."""
    assert {values(name, "ConfigurationDirectoryMode")[0] for name in NAMES} == {"0755"}
    settings = tomllib.loads((UNITS.parent / "centre/aggregator.toml").read_text("utf-8"))
    folder = settings["enrolment"]["folder"]
    assert values("egret-aggregator", "ReadWritePaths") == [f"-{folder}"]
    assert (
        settings["centre"]["data"] == "/var/lib/" + values("egret-aggregator", "StateDirectory")[0]
    )


@needs_systemd
def test_systemd_takes_the_path_and_the_drop_in(tmp_path: Path) -> None:
    for name in ("egret-broker.path", "egret-broker.service"):
        shutil.copy(UNITS / name, tmp_path)
    (tmp_path / "mosquitto.service").write_text("[Service]\nType=exec\nExecStart=/bin/false\n")
    shutil.copytree(UNITS / "mosquitto.service.d", tmp_path / "mosquitto.service.d")
    program = tmp_path / "mosquitto.service.d/egret.conf"
    program.write_text(program.read_text("utf-8").replace("/usr/sbin/mosquitto", "/bin/true"))
    for name in ("egret-broker.path", "mosquitto.service"):
        done = subprocess.run(
            ["systemd-analyze", "verify", tmp_path / name],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_centres_word_is_what_the_path_waits_for_and_is_taken_first() -> None:
    """A change during a reload makes the file again: it is seen when the service is over."""
    settings = tomllib.loads((UNITS.parent / "centre/aggregator.toml").read_text("utf-8"))
    program, flag = settings["enrolment"]["reload"]
    path = (UNITS / "egret-broker.path").read_text("utf-8")
    assert program == "touch"
    assert f"\nPathExists={flag}\n" in path
    assert values(BROKER, "ExecStart") == [
        f"/usr/bin/rm -f {flag}",
        "/usr/bin/systemctl try-reload-or-restart mosquitto.service",
    ]
    assert Path(flag).parent == Path(values(BROKER, "ReadWritePaths")[0])
    assert Path(flag).parent == Path(settings["enrolment"]["folder"])


def test_mosquitto_reads_what_the_centre_writes() -> None:
    drop_in = (UNITS / "mosquitto.service.d/egret.conf").read_text("utf-8")
    settings = tomllib.loads((UNITS.parent / "centre/aggregator.toml").read_text("utf-8"))
    rendered = f"{settings['enrolment']['folder']}/{settings['enrolment']['broker']}.conf"
    assert f"\nExecStart=\nExecStart=/usr/sbin/mosquitto -c {rendered}\n" in drop_in
